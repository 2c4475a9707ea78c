package snapshot

import (
	"reflect"
	"testing"

	"github.com/healthgate/healthgate/filter/duration"
	"github.com/healthgate/healthgate/filter/maintenance"
)

func sample() *Record {
	return &Record{Writer: 1 << 60, StartedAt: 1, WrittenAt: 2, Draining: true, RuntimeAt: 3, PolledAt: 4,
		Keys:   []Key{{maintenance.Switch{On: true, Until: 5}, "value", "reason"}, {}},
		Probes: []Probe{{true, true, 200, 6, 7, 8, 9}, {Seen: true, Status: 503}}}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	b := sample().Append(nil)
	got := New(2, 2, 99)
	if !got.Decode(b) || !reflect.DeepEqual(got, sample()) {
		t.Errorf("%+v", got)
	}
	if Writer(b) != 1<<60 {
		t.Errorf("writer %d", Writer(b))
	}
	for n := range b {
		if New(2, 2, 0).Decode(b[:n]) {
			t.Errorf("%d of %d bytes were taken", n, len(b))
		}
	}
	if New(2, 2, 0).Decode(append(b, 0)) || New(1, 2, 0).Decode(b) || New(2, 3, 0).Decode(b) {
		t.Error("a record of another size was taken")
	}
	if b[0]++; New(2, 2, 0).Decode(b) || Writer(b) != 0 {
		t.Error("another version was taken")
	}
}

func TestDecodeUnchangedDoesNotAllocate(t *testing.T) {
	b, r := sample().Append(nil), sample()
	if n := testing.AllocsPerRun(100, func() { r.Decode(b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestStale(t *testing.T) {
	t.Parallel()
	r := &Record{WrittenAt: 1}
	if r.Stale(1+int64(MaxAge)) || !r.Stale(2+int64(MaxAge)) || MaxAge != 10*duration.Second {
		t.Error("stale does not begin after the limit")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(sample().Append(nil))
	f.Add([]byte{version})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, again := New(2, 2, 0), New(2, 2, 0)
		if r.Decode(b) && (!again.Decode(r.Append(nil)) || !reflect.DeepEqual(r, again)) {
			t.Errorf("%+v reads back as %+v", r, again)
		}
	})
}
