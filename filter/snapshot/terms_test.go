package snapshot

import (
	"testing"

	"github.com/healthgate/healthgate/filter/lean/duration"
)

func TestTerms(t *testing.T) {
	t.Parallel()
	terms := Describe(1, 2*duration.Second, true, []uint64{3, 4},
		[]Question{{}, {}, {9, 10, Thresholds{12, 13, 14}}}, []uint64{11, 1 << 63})
	cluster, interval, ready := terms.Admin()
	if cluster != 1 || interval != 2*duration.Second || !ready || terms.Keys() != 2 || terms.Key(1) != 4 ||
		terms.Probes() != 3 || terms.Probe(2) != (Question{9, 10, Thresholds{12, 13, 14}}) || !terms.Names(11) ||
		!terms.Names(1<<63) || terms.Names(10) {
		t.Errorf("%v", []byte(terms))
	}
	none := Describe(0, 0, false, nil, nil, nil)
	if cluster, _, ready := none.Admin(); cluster != 0 || ready || none.Keys() != 0 ||
		none.Probes() != 0 || none.Names(0) {
		t.Errorf("%v", []byte(none))
	}
}

// Whatever another plugin writes, no more is read than there is.
func TestForgedTerms(t *testing.T) {
	t.Parallel()
	many := Describe(1, 1, true, nil, nil, nil)
	many = many[:8*keyCount] + "\xff\xff\xff\xff\xff\xff\xff\xff" + "\xff\xff\xff\xff\xff\xff\xff\xff" + "abc"
	for n := range len(many) + 1 {
		terms := many[:n]
		if keys, probes := terms.Keys(), terms.Probes(); keys != 0 || probes != 0 || terms.Names(1) {
			t.Errorf("%d bytes: %d keys, %d probes", n, keys, probes)
		}
		if terms.Probe(7) != (Question{}) || terms.Key(1<<20) != 0 {
			t.Errorf("%d bytes hold a probe", n)
		}
	}
}
