package snapshot

import (
	"math/rand"
	"reflect"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/filter/maintenance"
)

// number is a number of any size, so that every byte of a field is used, and often one at an edge.
func number(r *rand.Rand) int64 {
	switch r.Intn(4) {
	case 0:
		return 0
	case 1:
		return -1
	default:
		return int64(r.Uint64() >> r.Intn(64))
	}
}

func text(r *rand.Rand) string {
	b := make([]byte, r.Intn(300))
	r.Read(b)
	return string(b)
}

func finding(r *rand.Rand) Finding {
	return Finding{Outcome(number(r)), uint32(number(r)), number(r), number(r), uint32(number(r))}
}

// terms are those of a record of this size.
func terms(keys, probes, names int) Terms {
	return Describe(1, 2, true, make([]uint64, keys), make([]Question, probes), make([]uint64, names))
}

func random(r *rand.Rand, keys, probes int) *Record {
	out := New(keys, probes)
	out.Terms = terms(keys, probes, r.Intn(3))
	out.Writer, out.Number, out.WrittenAt = uint64(number(r)), uint64(number(r)), number(r)
	out.Runtime, out.Ready, out.Draining = finding(r), finding(r), r.Intn(2) == 0
	for i := range out.Keys {
		out.Keys[i] = Key{maintenance.Switch{On: r.Intn(2) == 0, Until: number(r)}, text(r), text(r), r.Intn(2) == 0}
	}
	for i := range out.Probes {
		out.Probes[i] = Probe{Finding: finding(r), Latest: Result{Outcome(number(r)), uint32(number(r))},
			Healthy: r.Intn(2) == 0, Streak: uint32(number(r)), ChangedAt: number(r)}
	}
	return out
}

func TestRoundTripOfRandomRecords(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewSource(1))
	for range 300 {
		keys, probes := r.Intn(5), r.Intn(5)
		want := random(r, keys, probes)
		prefix := []byte("kept")
		b := want.Append(prefix)
		if !strings.HasPrefix(string(b), "kept") {
			t.Fatalf("what stood before the record was lost: %q", b)
		}
		b = b[len(prefix):]
		// The reader's record holds an older reading, as in a VM that follows, or one of another configuration.
		got := random(r, keys, r.Intn(5))
		if !got.Decode(b) || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
		if w, n := Origin(b); w != want.Writer || n != want.Number {
			t.Fatalf("written by %d, number %d; want %d, %d", w, n, want.Writer, want.Number)
		}
		for range 20 {
			if cut := r.Intn(len(b)); New(keys, probes).Decode(b[:cut]) {
				t.Fatalf("%d of %d bytes were taken", cut, len(b))
			}
		}
	}
}

// A record that is decoded keeps nothing of the bytes it came from: the host's memory is used again.
func TestDecodeKeepsNoBytes(t *testing.T) {
	t.Parallel()
	b := sample().Append(nil)
	got := New(2, 2)
	if !got.Decode(b) {
		t.Fatal("not decoded")
	}
	clear(b)
	if !reflect.DeepEqual(got, sample()) {
		t.Errorf("%+v", got)
	}
}

func TestOriginOfShortForms(t *testing.T) {
	t.Parallel()
	b := sample().Append(nil)
	for n := range 17 {
		if w, number := Origin(b[:n]); w != 0 || number != 0 {
			t.Errorf("%d bytes have writer %d, number %d", n, w, number)
		}
	}
	if w, number := Origin(b[:17]); w != 1<<60 || number != 17 {
		t.Errorf("17 bytes have writer %d, number %d", w, number)
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	if got, want := New(1, 2), (&Record{Keys: make([]Key, 1), Probes: make([]Probe, 2)}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

// Another stored form needs another version: builds of the plugin share a store while one replaces the other.
func TestStoredForm(t *testing.T) {
	t.Parallel()
	r := &Record{Writer: 2, Number: 3, WrittenAt: 4, Terms: "te", Runtime: Finding{Answered, 5, 6, 7, 8},
		Ready:    Finding{TimedOut, 9, 10, 11, 12},
		Draining: true, Keys: []Key{{maintenance.Switch{On: true, Until: 13}, "v", "re", true}},
		Probes: []Probe{{Finding{Unreachable, 14, 15, 16, 17}, Result{CutOff, 20}, true, 18, 19}}}
	const zeros3, zeros7 = "\x00\x00\x00", "\x00\x00\x00\x00\x00\x00\x00"
	const want = "\x06" + "\x02" + zeros7 + "\x03" + zeros7 + "\x04" + zeros7 + "\x02" + zeros3 + "te" +
		"\x01" + "\x05" + zeros3 + "\x06" + zeros7 + "\x07" + zeros7 + "\x08" + zeros3 +
		"\x02" + "\x09" + zeros3 + "\x0a" + zeros7 + "\x0b" + zeros7 + "\x0c" + zeros3 + "\x01" +
		"\x03\x0d" + zeros7 + "\x01\x00v" + "\x02\x00re" +
		"\x03" + "\x0e" + zeros3 + "\x0f" + zeros7 + "\x10" + zeros7 + "\x11" + zeros3 + "\x04\x14" +
		zeros3 + "\x01" + "\x12" +
		zeros3 + "\x13" + zeros7
	if got := string(r.Append(nil)); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
