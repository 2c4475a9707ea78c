package snapshot

import (
	"reflect"
	"testing"

	"github.com/healthgate/healthgate/filter/lean/duration"
	"github.com/healthgate/healthgate/filter/maintenance"
)

func sample() *Record {
	return &Record{Writer: 1 << 60, Number: 17, WrittenAt: 20, Terms: terms(2, 2, 1), Draining: true,
		Runtime: Finding{Answered, 200, 1, 3, 2}, Ready: Finding{TimedOut, 0, 4, 2, 0},
		Keys: []Key{{maintenance.Switch{On: true, Until: 5}, "value", "reason", true}, {}},
		Probes: []Probe{{Finding{Answered, 200, 6, 7, 8}, Result{Answered, 500}, true, 9, 10},
			{Finding: Finding{Outcome: NoHost, Status: 503, At: 20}}}}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	b := sample().Append(nil)
	got := New(2, 2)
	if !got.Decode(b) || !reflect.DeepEqual(got, sample()) {
		t.Errorf("%+v", got)
	}
	if w, n := Origin(b); w != 1<<60 || n != 17 {
		t.Errorf("written by %d, number %d", w, n)
	}
	for n := range b {
		if New(2, 2).Decode(b[:n]) {
			t.Errorf("%d of %d bytes were taken", n, len(b))
		}
	}
	if New(2, 2).Decode(append(b, 0)) {
		t.Error("a record with more behind it was taken")
	}
	if b[0]++; New(2, 2).Decode(b) {
		t.Error("another version was taken")
	}
	if w, n := Origin(b); w != 0 || n != 0 {
		t.Error("another version has a writer")
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

// Each time of a record may be of now, and none of later or of before the clock began.
func TestPlausible(t *testing.T) {
	t.Parallel()
	const now = 20
	for name, field := range map[string]func(r *Record) *int64{
		"written":     func(r *Record) *int64 { return &r.WrittenAt },
		"runtime":     func(r *Record) *int64 { return &r.Runtime.At },
		"its poll":    func(r *Record) *int64 { return &r.Runtime.StartedAt },
		"ready":       func(r *Record) *int64 { return &r.Ready.At },
		"a probe":     func(r *Record) *int64 { return &r.Probes[1].At },
		"its request": func(r *Record) *int64 { return &r.Probes[1].StartedAt },
		"its change":  func(r *Record) *int64 { return &r.Probes[1].ChangedAt },
	} {
		for at, want := range map[int64]bool{now: true, 0: true, now + 1: false, -1: false, 1 << 62: false, -1 << 63: false} {
			r := sample()
			*field(r) = at
			if r.Plausible(now) != want {
				t.Errorf("%s at %d: %v", name, at, !want)
			}
		}
	}
}

// The clock went back between two records if the later one says the earlier time, or one that has yet to come.
func TestOutlived(t *testing.T) {
	t.Parallel()
	first := &Record{Number: 5, WrittenAt: 20}
	for _, test := range []struct {
		number uint64
		at     int64
		want   bool
	}{
		{6, 19, true}, {6, 20, false}, {6, 30, false}, {6, 31, true},
		{5, 19, false}, {5, 31, false}, {4, 19, false}, {4, 21, false}, {4, 31, false},
	} {
		if got := first.Outlived(&Record{Number: test.number, WrittenAt: test.at}, 30); got != test.want {
			t.Errorf("by number %d at %d: %v", test.number, test.at, got)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(sample().Append(nil))
	f.Add([]byte{Version})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, again := New(2, 2), New(2, 2)
		if r.Decode(b) && (!again.Decode(r.Append(nil)) || !reflect.DeepEqual(r, again)) {
			t.Errorf("%+v reads back as %+v", r, again)
		}
	})
}
