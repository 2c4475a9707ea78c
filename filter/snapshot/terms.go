package snapshot

import (
	"encoding/binary"

	"github.com/healthgate/healthgate/filter/lean/duration"
)

// Terms say what a record's findings are findings of, so that a configuration that asks the same can use them: also one
// in a VM that does not know the record's own configuration. All names and requests are hashes.
//
// They are stored as numbers of 64 bits: the three of admin, how many keys and probes there are, the keys, five of each
// probe, and then names.
type Terms string

// A number's place.
const (
	adminCluster  = iota // 0 without an admin section
	adminInterval        // in nanoseconds
	adminReady           // 1 if /ready is asked, too
	keyCount
	probeCount
	firstKey
)

// Admin is the cluster that keys and draining are asked from, 0 for none; how often; and whether draining is asked.
func (t Terms) Admin() (cluster uint64, interval duration.Duration, ready bool) {
	return t.number(adminCluster), duration.Duration(t.number(adminInterval)), t.number(adminReady) != 0
}

// Keys is how many runtime keys a record of these terms has.
func (t Terms) Keys() int { return t.count(keyCount, 1) }

// Key is one of them.
func (t Terms) Key(i int) uint64 { return t.number(firstKey + i) }

// Question is what a probe asks, how often, and how its results count.
type Question struct {
	Asks     uint64
	Interval duration.Duration
	Thresholds
}

const questionSize = 5

// Probes is how many probes a record of these terms has.
func (t Terms) Probes() int { return t.count(probeCount, questionSize) }

// Probe is one of them.
func (t Terms) Probe(i int) Question {
	at := firstKey + t.Keys() + questionSize*i
	return Question{t.number(at), duration.Duration(t.number(at + 1)),
		Thresholds{uint32(t.number(at + 2)), uint32(t.number(at + 3)), duration.Duration(t.number(at + 4))}}
}

// Names reports whether the configuration has an endpoint or a probe of this name.
func (t Terms) Names(name uint64) bool {
	for at := firstKey + t.Keys() + questionSize*t.Probes(); at < len(t)/8; at++ {
		if t.number(at) == name {
			return true
		}
	}
	return false
}

// Describe returns the terms with these numbers.
func Describe(cluster uint64, interval duration.Duration, ready bool, keys []uint64, probes []Question,
	names []uint64) Terms {
	b := make([]byte, 0, 8*(firstKey+len(keys)+questionSize*len(probes)+len(names)))
	add := func(numbers ...uint64) {
		for _, n := range numbers {
			b = binary.LittleEndian.AppendUint64(b, n)
		}
	}
	add(cluster, uint64(interval), uint64(flag(ready)), uint64(len(keys)), uint64(len(probes)))
	add(keys...)
	for _, p := range probes {
		add(p.Asks, uint64(p.Interval), uint64(p.Unhealthy), uint64(p.Healthy), uint64(p.MinUnhealthy))
	}
	add(names...)
	return Terms(b)
}

// count is how many things of so many numbers there are: no more than there is room for, whoever wrote it.
func (t Terms) count(at, size int) int {
	return int(min(t.number(at), uint64(max(len(t)/8-firstKey, 0)/size)))
}

func (t Terms) number(at int) (n uint64) {
	if 8*at+8 > len(t) {
		return 0
	}
	for i := 7; i >= 0; i-- {
		n = n<<8 | uint64(t[8*at+i])
	}
	return n
}
