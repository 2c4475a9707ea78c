// Package succession says what configurations of one VM have to do with each other. A live update leaves the old one at
// work beside the new one for as long as connections drain, and several listeners may have a plugin each.
//
// What one of them found is as good for another that asks the same: the youngest finding counts.
package succession

import (
	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/snapshot"
)

// Kin is what a configuration has in common with another one.
type Kin struct {
	Endpoints, Probes []bool // which of its own the other one names, too

	probes         []int // by its own probes: the other one's that asks the same, or -1
	keys           []int // by its own keys: the other one's; nil if that lacks one, or reads another admin endpoint
	runtime, ready bool
}

// Meet compares a configuration with another one; nil if they name no endpoint and no probe alike.
func Meet(own, other *config.Config) *Kin {
	k := &Kin{Endpoints: make([]bool, len(own.Endpoints)), Probes: make([]bool, len(own.Probes))}
	related := false
	for i := range own.Endpoints {
		for j := range other.Endpoints {
			if own.Endpoints[i].Name == other.Endpoints[j].Name {
				k.Endpoints[i], related = true, true
			}
		}
	}
	for i := range own.Probes {
		same := -1
		for j := range other.Probes {
			if own.Probes[i].Name == other.Probes[j].Name {
				k.Probes[i], related = true, true
			}
			if own.Probes[i].Asks(&other.Probes[j]) {
				same = j
			}
		}
		k.probes = append(k.probes, same)
	}
	if !related {
		return nil
	}
	if own.Admin == nil || other.Admin == nil || own.Admin.Cluster != other.Admin.Cluster {
		return k
	}
	k.ready = !own.Admin.IgnoreDraining && !other.Admin.IgnoreDraining
	k.runtime = true
	for _, key := range own.Keys {
		at := -1
		for j := range other.Keys {
			if other.Keys[j] == key {
				at = j
			}
		}
		k.keys = append(k.keys, at)
		k.runtime = k.runtime && at >= 0
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
			*to, adopted = *from, true
		}
		to.StartedAt = asked
	}
	if own.WrittenAt-other.WrittenAt > gone {
		return adopted
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
