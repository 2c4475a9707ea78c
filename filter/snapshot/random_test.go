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

func random(r *rand.Rand, keys, probes int) *Record {
	out := New(keys, probes, number(r))
	out.Writer, out.WrittenAt, out.RuntimeAt, out.PolledAt = uint64(number(r)), number(r), number(r), number(r)
	out.Draining = r.Intn(2) == 0
	for i := range out.Keys {
		out.Keys[i] = Key{maintenance.Switch{On: r.Intn(2) == 0, Until: number(r)}, text(r), text(r)}
	}
	for i := range out.Probes {
		out.Probes[i] = Probe{Seen: r.Intn(2) == 0, Healthy: r.Intn(2) == 0, Status: uint32(number(r)),
			Streak: uint32(number(r)), LatencyMs: uint32(number(r)), StartedAt: number(r), ChangedAt: number(r)}
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
		// The reader's record holds an older reading, as in a VM that follows.
		got := random(r, keys, probes)
		if !got.Decode(b) || !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
		if w := Writer(b); w != want.Writer {
			t.Fatalf("writer %d, want %d", w, want.Writer)
		}
		for range 20 {
			if cut := r.Intn(len(b)); New(keys, probes, 0).Decode(b[:cut]) {
				t.Fatalf("%d of %d bytes were taken", cut, len(b))
			}
		}
	}
}

// A record that is decoded keeps nothing of the bytes it came from: the host's memory is used again.
func TestDecodeKeepsNoBytes(t *testing.T) {
	t.Parallel()
	b := sample().Append(nil)
	got := New(2, 2, 0)
	if !got.Decode(b) {
		t.Fatal("not decoded")
	}
	clear(b)
	if !reflect.DeepEqual(got, sample()) {
		t.Errorf("%+v", got)
	}
}

func TestWriterOfShortForms(t *testing.T) {
	t.Parallel()
	b := sample().Append(nil)
	for n := range 10 {
		if w := Writer(b[:n]); w != 0 {
			t.Errorf("%d bytes have writer %d", n, w)
		}
	}
	if w := Writer(b[:10]); w != 1<<60 {
		t.Errorf("10 bytes have writer %d", w)
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	if got, want := New(1, 2, 7), (&Record{StartedAt: 7, Keys: make([]Key, 1), Probes: make([]Probe, 2)}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

// Another stored form needs another version: builds of the plugin share a store while one replaces the other.
func TestStoredForm(t *testing.T) {
	t.Parallel()
	r := &Record{Writer: 2, StartedAt: 3, WrittenAt: 4, Draining: true, RuntimeAt: 5, PolledAt: 6,
		Keys:   []Key{{maintenance.Switch{On: true, Until: 7}, "v", "re"}},
		Probes: []Probe{{Seen: true, Healthy: true, Status: 8, Streak: 9, LatencyMs: 10, StartedAt: 11, ChangedAt: 12}}}
	const want = "\x01\x01" + "\x02\x00\x00\x00\x00\x00\x00\x00" + "\x03\x00\x00\x00\x00\x00\x00\x00" +
		"\x04\x00\x00\x00\x00\x00\x00\x00" + "\x05\x00\x00\x00\x00\x00\x00\x00" + "\x06\x00\x00\x00\x00\x00\x00\x00" +
		"\x01\x07\x00\x00\x00\x00\x00\x00\x00" + "\x01\x00v" + "\x02\x00re" +
		"\x03\x08\x00\x00\x00\x09\x00\x00\x00\x0a\x00\x00\x00" + "\x0b\x00\x00\x00\x00\x00\x00\x00" + "\x0c\x00\x00\x00\x00\x00\x00\x00"
	if got := string(r.Append(nil)); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
