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
	Endpoints, Probes []bool // which of its own the other one names, too

	Order []Order // by its own callouts

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

// Meet compares a configuration with another one.
func Meet(own, other *config.Config) *Kin {
	k := &Kin{
		Endpoints: make([]bool, len(own.Endpoints)), Probes: make([]bool, len(own.Probes)),
		Order:  make([]Order, len(own.Probes)+2),
		probes: make([]int, len(own.Probes)), keys: make([]int, len(own.Keys)),
	}
	for i := range own.Endpoints {
		for j := range other.Endpoints {
			k.Endpoints[i] = k.Endpoints[i] || own.Endpoints[i].Name == other.Endpoints[j].Name
		}
	}
	for i := range own.Probes {
		k.probes[i] = -1
		for j := range other.Probes {
			p, o := &own.Probes[i], &other.Probes[j]
			k.Probes[i] = k.Probes[i] || p.Name == o.Name
			if p.Asks(o) {
				k.probes[i], k.Order[i] = j, order(p.Interval, o.Interval)
			}
		}
	}
	k.meetAdmin(own, other)
	return k
}

func (k *Kin) meetAdmin(own, other *config.Config) {
	if own.Admin == nil || other.Admin == nil || own.Admin.Cluster != other.Admin.Cluster {
		return
	}
	k.admin, k.runtime = true, true
	for i, key := range own.Keys {
		k.keys[i] = -1
		for j := range other.Keys {
			if other.Keys[j] == key {
				k.keys[i] = j
			}
		}
		k.runtime = k.runtime && k.keys[i] >= 0
	}
	polls := k.Order[len(own.Probes):]
	if k.runtime {
		polls[0] = order(own.Admin.Interval, other.Admin.Interval)
	}
	if k.ready = !own.Admin.IgnoreDraining && !other.Admin.IgnoreDraining; k.ready {
		polls[1] = order(own.Admin.Interval, other.Admin.Interval)
	}
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
			*to, adopted = *from, true
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
