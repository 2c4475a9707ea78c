// Package succession says what configurations of one VM have to do with each other. A live update leaves the old one at
// work beside the new one for as long as connections drain, and several listeners may have a plugin each.
//
// What one of them found is as good for another that asks the same: the youngest finding counts.
package succession

import (
	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/lean/duration"
	"github.com/healthgate/healthgate/filter/snapshot"
)

// Kin is what a configuration has in common with another one.
type Kin struct {
	Order []Order // by its own callouts

	own, other     snapshot.Terms
	probes         []int // by its own probes: the other one's that asks the same, or -1
	keys           []int // by its own keys: the other one's, or -1
	admin          bool  // it reads the same admin endpoint
	runtime, ready bool  // and there all of the keys; draining
}

// Order says which of two configurations comes first where both ask the same: the one that asks more often.
type Order uint8

// The orders.
const (
	Apart Order = iota // they do not
	First
	Equal
	Second
)

func order(own, other duration.Duration) Order {
	switch {
	case own < other:
		return First
	case own > other:
		return Second
	}
	return Equal
}

// Terms are those of a configuration's record. The names are of the endpoints and probes that it has gauges of.
func Terms(c *config.Config, names []uint64) snapshot.Terms {
	var cluster uint64
	var interval duration.Duration
	var ready bool
	var keys []uint64
	var probes []snapshot.Question
	if c.Admin != nil {
		cluster, interval, ready = config.Hash(c.Admin.Cluster), c.Admin.Interval, !c.Admin.IgnoreDraining
	}
	for _, key := range c.Keys {
		keys = append(keys, config.Hash(key))
	}
	for i := range c.Probes {
		p := &c.Probes[i]
		probes = append(probes, snapshot.Question{Asks: p.Asks(), Interval: p.Interval,
			Thresholds: snapshot.Thresholds{Unhealthy: p.UnhealthyThreshold, Healthy: p.HealthyThreshold,
				MinUnhealthy: p.MinUnhealthy}})
	}
	return snapshot.Describe(cluster, interval, ready, keys, probes, names)
}

// Meet compares the terms of a configuration with another one's.
func Meet(own, other snapshot.Terms) *Kin {
	k := &Kin{own: own, other: other, Order: make([]Order, own.Probes()+2), probes: make([]int, own.Probes()),
		keys: make([]int, own.Keys())}
	for i := range k.probes {
		k.probes[i] = -1
		p := own.Probe(i)
		for j := range other.Probes() {
			if o := other.Probe(j); o.Asks == p.Asks {
				k.probes[i], k.Order[i] = j, order(p.Interval, o.Interval)
			}
		}
	}
	cluster, interval, ready := own.Admin()
	its, others, alsoReady := other.Admin()
	if cluster == 0 || its != cluster {
		return k
	}
	k.admin, k.runtime, k.ready = true, true, ready && alsoReady
	for i := range k.keys {
		k.keys[i] = -1
		for j := range other.Keys() {
			if other.Key(j) == own.Key(i) {
				k.keys[i] = j
			}
		}
		k.runtime = k.runtime && k.keys[i] >= 0
	}
	polls := k.Order[own.Probes():]
	if k.runtime {
		polls[0] = order(interval, others)
	}
	if k.ready {
		polls[1] = order(interval, others)
	}
	return k
}

// Adopt takes into a record of its own what the other one's record has younger findings of, and reports
// whether there were any. It allocates nothing.
func (k *Kin) Adopt(own, other *snapshot.Record) (adopted bool) {
	// Of two records the one that nobody writes any more has no readings: on_stale does not keep them for longer.
	const gone = int64(snapshot.MaxAge)
	if other.WrittenAt-own.WrittenAt > gone {
		own.Runtime.At, own.Ready.At = 0, 0
	}
	for i, j := range k.probes {
		if j < 0 {
			continue
		}
		from, to := &other.Probes[j], &own.Probes[i]
		asked := max(to.StartedAt, from.StartedAt)
		if from.At > to.At {
			take(to, from, k.own.Probe(i).Thresholds, k.other.Probe(j).Thresholds)
			adopted = true
		}
		to.StartedAt = asked
	}
	if own.WrittenAt-other.WrittenAt > gone {
		return adopted
	}
	if own.Runtime.At == 0 && other.Runtime.At != 0 && k.admin && !k.runtime {
		// Some keys are known at once. What was not read yet is asked for at once, too.
		own.Runtime.At, own.Runtime.TookMs, adopted = other.Runtime.At, other.Runtime.TookMs, true
		for i, j := range k.keys {
			if own.Keys[i].Unread = j < 0 || other.Keys[j].Unread; !own.Keys[i].Unread {
				own.Keys[i] = other.Keys[j]
			}
		}
	}
	if k.runtime {
		asked := max(own.Runtime.StartedAt, other.Runtime.StartedAt)
		if other.Runtime.At > own.Runtime.At {
			own.Runtime, adopted = other.Runtime, true
			for i, j := range k.keys {
				own.Keys[i] = other.Keys[j]
			}
		}
		own.Runtime.StartedAt = asked
	}
	if k.ready {
		asked := max(own.Ready.StartedAt, other.Ready.StartedAt)
		if other.Ready.At > own.Ready.At {
			own.Ready, own.Draining, adopted = other.Ready, other.Draining, true
		}
		own.Ready.StartedAt = asked
	}
	return adopted
}

// take applies the other configuration's last result; if the thresholds are the same, its state is it.
func take(to, from *snapshot.Probe, own, other snapshot.Thresholds) {
	if own == other || from.At-to.At > int64(snapshot.MaxAge) { // which no result is for that long
		*to = *from
		to.Hold(own)
		return
	}
	to.Finding.At, to.TookMs = from.At, from.TookMs
	to.Add(from.Latest, from.Succeeded(), false, own)
}
