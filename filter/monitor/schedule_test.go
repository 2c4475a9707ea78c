package monitor

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/lean/duration"
	"github.com/healthgate/healthgate/filter/maintenance"
	"github.com/healthgate/healthgate/filter/snapshot"
)

func TestTickPeriod(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		admin  duration.Duration
		probes []duration.Duration
		want   duration.Duration
	}{
		{0, nil, 250 * duration.Millisecond},
		{duration.Minute, []duration.Duration{duration.Hour}, 250 * duration.Millisecond},
		{400 * duration.Millisecond, nil, 100 * duration.Millisecond},
		{400 * duration.Millisecond, []duration.Duration{duration.Second}, 100 * duration.Millisecond},
		{duration.Second, []duration.Duration{duration.Second, 100 * duration.Millisecond, 200 * duration.Millisecond},
			25 * duration.Millisecond},
	} {
		c := &config.Config{}
		if test.admin != 0 {
			c.Admin = &config.Admin{Interval: test.admin}
		}
		for _, p := range test.probes {
			c.Probes = append(c.Probes, config.Probe{Interval: p})
		}
		if got := TickPeriod(c); got != test.want {
			t.Errorf("admin %v, probes %v: %v, want %v", test.admin, test.probes, got, test.want)
		}
	}
}

func TestHeartbeat(t *testing.T) {
	t.Parallel()
	r := newRig(full(), nil)
	write := func() { r.Record.WrittenAt = r.now; r.Written() }
	if !r.WriteDue() {
		t.Error("a new leader does not write at once")
	}
	write()
	if r.WriteDue() {
		t.Error("written twice")
	}
	if r.now += 500*ms - 1; r.WriteDue() {
		t.Error("written before the heartbeat")
	}
	if r.now++; !r.WriteDue() {
		t.Error("the heartbeat is not due")
	}
	write()
	for _, step := range []struct {
		name string
		do   func()
		want bool
	}{
		{"a first result", func() { r.answer(t, probeCallout, 200, "") }, true},
		{"the same result", func() { r.answer(t, probeCallout, 200, "") }, false},
		{"a streak begins", func() { r.answer(t, probeCallout, 500, "") }, true},
		{"a streak ends", func() { r.answer(t, probeCallout, 200, "") }, true},
		{"a first reading", func() { r.answer(t, runtimeCallout, 200, document()) }, true},
		{"the same reading", func() { r.answer(t, runtimeCallout, 200, document()) }, false},
		{"a value", func() { r.answer(t, runtimeCallout, 200, document(entry("k", "on"))) }, true},
		{"its reason", func() {
			r.answer(t, runtimeCallout, 200, document(entry("k", "on"), entry("k.reason", "x")))
		}, true},
		{"live, for the first time", func() { r.answer(t, readyCallout, 200, "LIVE\n") }, true},
		{"live", func() { r.answer(t, readyCallout, 200, "LIVE\n") }, false},
		{"draining", func() { r.answer(t, readyCallout, 503, "DRAINING\n") }, true},
		{"still draining", func() { r.answer(t, readyCallout, 503, "DRAINING\n") }, false},
		{"no reading", func() { r.answer(t, runtimeCallout, 500, "") }, false},
	} {
		t.Run(step.name, func(t *testing.T) {
			step.do()
			if r.Record.WrittenAt = r.now; r.WriteDue() != step.want {
				t.Errorf("%s: changed: %v", step.name, !step.want)
			}
			r.Written()
		})
	}
}

// A new leader keeps the rhythm of the one before: its first callouts come when the old one's would have come.
func TestTakeoverKeepsTheRhythm(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name            string
		started, polled int64
		first, second   int64 // when the probe and the polls begin, after the takeover
	}{
		{"nothing began", 0, 0, 0, 0},
		{"just now", start, start, 1000 * ms, 1000 * ms},
		{"a while ago", start - 300*ms, start - 900*ms, 700 * ms, 100 * ms},
		{"long ago", start - 5000*ms, start - 1000*ms, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			record := snapshot.New(2, 1)
			record.WrittenAt = start
			for f, at := range map[*snapshot.Finding]int64{
				&record.Probes[0].Finding: test.started, &record.Runtime: test.polled, &record.Ready: test.polled,
			} {
				if f.StartedAt = at; at != 0 {
					f.At = at
				}
			}
			r := newRig(full(), record)
			begun := map[int]int64{}
			for step := int64(0); step <= 1000; step += 50 {
				r.now = start + step*ms
				for _, c := range r.due() {
					if _, again := begun[c]; !again {
						begun[c] = step * ms
					}
				}
			}
			if begun[probeCallout] != test.first || begun[runtimeCallout] != test.second ||
				begun[readyCallout] != test.second || len(begun) != 3 {
				t.Errorf("%s: %v", test.name, begun)
			}
		})
	}
}

// What has no result is asked at once, whenever it was asked before: the answer was lost with the leader that waited.
func TestTakeoverAsksForWhatIsNotKnown(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		at   int64
		want []int
	}{
		{"never", 0, []int{probeCallout, runtimeCallout, readyCallout}},
		{"too long ago", start - int64(3*duration.Minute+500*duration.Millisecond) - 1, []int{probeCallout}},
		{"long ago", start - int64(3*duration.Minute), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := full()
			c.Probes[0].Interval, c.Admin.Interval = duration.Minute, duration.Minute
			record := snapshot.New(2, 1)
			record.WrittenAt = start
			for _, f := range []*snapshot.Finding{&record.Probes[0].Finding, &record.Runtime, &record.Ready} {
				f.StartedAt, f.At = start-14*int64(duration.Second), test.at
			}
			if got := newRig(c, record).due(); !reflect.DeepEqual(got, test.want) {
				t.Errorf("%s: %v are asked, want %v", test.name, got, test.want)
			}
		})
	}
}

// A poll of runtime that took long is followed by a pause of twenty times that, whoever leads then. One that could
// not be read may have met a main thread that was busy with something else.
func TestExpensivePolls(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		end  func(r *rig)
		took int64
		next int64 // after its end
	}{
		{"cheap", func(r *rig) { r.Answered(runtimeCallout, r.flying[runtimeCallout], upstream(200, document())) }, 3, 997},
		{"read", func(r *rig) { r.Answered(runtimeCallout, r.flying[runtimeCallout], upstream(200, document())) }, 370, 7400},
		{"read, after long",
			func(r *rig) { r.Answered(runtimeCallout, r.flying[runtimeCallout], upstream(200, document())) }, 499, 9980},
		{"timed out", func(r *rig) { r.Answered(runtimeCallout, r.flying[runtimeCallout], local(504, "")) }, 500, 500},
		{"not read", func(r *rig) { r.Answered(runtimeCallout, r.flying[runtimeCallout], upstream(500, "")) }, 200, 800},
		{"cut off", func(r *rig) { r.Failed(runtimeCallout, r.flying[runtimeCallout], snapshot.CutOff) }, 200, 800},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(full(), nil)
			r.due()
			r.Answered(readyCallout, r.flying[readyCallout], upstream(200, "LIVE\n"))
			r.now += test.took * ms
			test.end(r)
			ended := r.now
			if want := duration.Duration(test.took * ms); len(r.polls) != 1 || r.polls[0] != want {
				t.Errorf("%s: %v are told, want %v", test.name, r.polls, want)
			}
			next := func(r *rig) int64 {
				for {
					for _, c := range r.due() {
						if c == runtimeCallout {
							return (r.now - ended) / ms
						}
					}
					r.now += ms
				}
			}
			r.Record.WrittenAt = r.now
			record := *r.Record
			other := newRigAt(r.now, full(), &record)
			if got := next(r); got != test.next {
				t.Errorf("%s: the next one begins after %d ms, want %d", test.name, got, test.next)
			}
			if record.Runtime.At != 0 && next(other) != test.next {
				t.Errorf("%s: another leader polls earlier", test.name)
			}
		})
	}
}

// One poll of runtime after another is not answered: the pauses grow, to twenty times the timeout of 500 ms. When it is
// answered again, a single slow answer counts for as much as the one before.
func TestMissedPolls(t *testing.T) {
	t.Parallel()
	r := newRig(full(), nil)
	poll := func(took int64, end func(r *rig)) (began int64) {
		t.Helper()
		for !slices.Contains(r.due(), runtimeCallout) {
			r.now += ms
		}
		began = r.now
		r.now += took * ms
		end(r)
		return began
	}
	read := func(r *rig) { r.Answered(runtimeCallout, r.flying[runtimeCallout], upstream(200, document())) }
	timeout := func(r *rig) { r.Answered(runtimeCallout, r.flying[runtimeCallout], local(504, "")) }
	poll(2, read)
	var pauses []int64
	for range 26 {
		ended := r.now
		pauses = append(pauses, (poll(500, timeout)-ended)/ms)
	}
	if want := []int64{998, 500, 500, 500, 500, 563}; !slices.Equal(pauses[:6], want) ||
		pauses[25] != 10000 {
		t.Errorf("pauses of %v ms, want %v… 10000", pauses, want)
	}
	poll(400, read)
	ended := r.now
	r.Record.WrittenAt = ended
	record := *r.Record
	other := newRigAt(ended, full(), &record)
	if pause := (poll(400, read) - ended) / ms; pause != 600 {
		t.Errorf("a pause of %d ms after one slow answer, want what is left of the interval, 600", pause)
	}
	if other.now += 600 * ms; !slices.Contains(other.due(), runtimeCallout) {
		t.Error("another leader waits longer")
	}
	ended = r.now
	if pause := (poll(1, read) - ended) / ms; pause != 8000 {
		t.Errorf("a pause of %d ms after two slow answers, want 8000", pause)
	}
}

// takenOver is the record of a leader that found probe "p" healthy, key "k" unrecognized and Envoy draining.
func takenOver(streak uint32, at int64) *snapshot.Record {
	r := snapshot.New(2, 1)
	r.WrittenAt, r.Runtime.At, r.Ready.At, r.Draining = start, at, at, true
	r.Keys[0] = snapshot.Key{Switch: maintenance.Switch{On: true}, Value: "ture", Reason: "why"}
	r.Probes[0] = snapshot.Probe{Finding: snapshot.Finding{Outcome: snapshot.Answered, Status: 200, At: at},
		Healthy: true, Streak: streak}
	return r
}

func TestTakeover(t *testing.T) {
	t.Parallel()
	reading := document(entry("k", "ture"), entry("k.reason", "why"))
	for _, test := range []struct {
		name   string
		streak uint32
		at     int64
		status uint32
		want   string // healthy, status, streak
		lines  []string
	}{
		{"well, and still so", 0, start - 1, 200, "true 200 0", nil},
		{"one failure, below the threshold", 0, start - 1, 500, "true 200 1", nil},
		{"one more failure reaches it", 1, start - 1, 500, "false 500 0", []string{`probe "p": unhealthy: status 500`}},
		{"a success ends the streak", 1, start - 1, 200, "true 200 0", nil},
		{"at its limit", 0, start - int64(10*duration.Second), 500, "true 200 1", nil},
		{"stale: one failure decides", 0, start - int64(10*duration.Second) - 1, 500, "false 500 0",
			[]string{`probe "p": unhealthy: status 500`}},
		{"stale: one success decides", 1, start - int64(10*duration.Second) - 1, 200, "true 200 0",
			[]string{`probe "p": healthy: status 200`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(full(), takenOver(test.streak, test.at))
			r.answerNow(t, probeCallout, test.status, "")
			p := r.Record.Probes[0]
			if got := fmt.Sprint(p.Healthy, p.Status, p.Streak); got != test.want || p.At != r.now {
				t.Errorf("%s: %s, want %s", test.name, got, test.want)
			}
			r.said(t, test.name, test.lines...)
			r.answer(t, runtimeCallout, 200, reading)
			r.answer(t, readyCallout, 503, "DRAINING\n")
			r.said(t, test.name+": what is known is not logged again")
			if r.bad != 0 {
				t.Errorf("%s: counted again", test.name)
			}
		})
	}
}

// Readings do not outlive a time without a leader, whatever on_stale says; what was on stays on until it is read to
// be off.
func TestTakeoverAfterAGap(t *testing.T) {
	t.Parallel()
	for gap, kept := range map[duration.Duration]bool{snapshot.MaxAge: true, snapshot.MaxAge + 1: false} {
		record := takenOver(0, start-1)
		record.WrittenAt = start - int64(gap)
		r := newRig(full(), record).Record
		if (r.Runtime.At != 0) != kept || (r.Ready.At != 0) != kept || !r.Draining || !r.Keys[0].Switch.On {
			t.Errorf("%v: %+v", gap, r)
		}
	}
}

// After the clock went back, a record from the future is ignored, but for its number.
func TestTakeoverOfTheFuture(t *testing.T) {
	t.Parallel()
	record := takenOver(0, start-1)
	record.WrittenAt, record.Number = start+1, 7
	if r := newRig(full(), record); r.Record.Number != 7 || r.Record.Runtime.At != 0 || len(r.due()) != 3 {
		t.Errorf("%+v", r.Record)
	}
}

// What could not be read is not told again by a new leader, and that it can be read again is.
func TestTakeoverOfUnread(t *testing.T) {
	t.Parallel()
	r := newRig(full(), nil)
	r.answer(t, runtimeCallout, 200, "a login page")
	r.answer(t, readyCallout, 403, "")
	r.said(t, "the first leader", `runtime: cannot be read through cluster "a": not the JSON of /runtime?format=json`,
		`draining: cannot be read through cluster "a": status 403 without the name of a state`)
	next := newRigAt(r.now, full(), r.Record)
	next.answer(t, runtimeCallout, 200, "a login page")
	next.answer(t, readyCallout, 403, "")
	next.said(t, "the next leader")
	next.answer(t, runtimeCallout, 200, document())
	next.answer(t, readyCallout, 200, "LIVE\n")
	next.said(t, "the next leader, later", "runtime: read again", "draining: read again")
}

func TestNewRecord(t *testing.T) {
	t.Parallel()
	r := newRig(full(), nil).Record
	if r.Runtime.At != 0 || r.Ready.At != 0 || r.Draining || len(r.Keys) != 2 ||
		len(r.Probes) != 1 || r.Probes[0].At != 0 {
		t.Errorf("%+v", r)
	}
}

// After a gap nothing is caught up: one callout each, and the next an interval later.
func TestGap(t *testing.T) {
	t.Parallel()
	r := newRig(full(), nil)
	r.idle()
	r.now += int64(duration.Hour) + 300*ms
	gap := r.now
	r.idle()
	if r.Record.Runtime.StartedAt != gap || r.Record.Ready.StartedAt != gap || r.Record.Probes[0].StartedAt != gap {
		t.Errorf("began at %d and %d, not at %d", r.Record.Runtime.StartedAt, r.Record.Probes[0].StartedAt, gap)
	}
	if r.now = gap + 1000*ms - 1; len(r.due()) != 0 {
		t.Error("something was caught up")
	}
	if r.now++; len(r.due()) != 3 {
		t.Error("the next ones are not due")
	}
}

// A probe on demand is sent when it is wanted, unless there is a result that still counts. Each result is written, as
// checks wait for it, and only those are told that are another than before.
func TestOnDemand(t *testing.T) {
	t.Parallel()
	c := probes()
	c.Probes[0].OnDemand, c.Probes[0].Interval = duration.Second, duration.Hour
	c.Probes[0].UnhealthyThreshold, c.Probes[0].HealthyThreshold = 1, 1
	r := newRig(c, nil)
	sent := func(when string, want bool) {
		t.Helper()
		if got := len(r.due()) > 0; got != want {
			t.Errorf("%s: sent %v, want %v", when, got, want)
		}
	}
	result := func(status uint32) {
		t.Helper()
		r.Written()
		r.Answered(0, r.flying[0], upstream(status, ""))
		if !r.WriteDue() {
			t.Error("a result is not written")
		}
	}
	want := func() { r.Want(0); r.Want(7) } // another one does not exist
	sent("nobody wants it", false)
	want()
	sent("never asked", true)
	want()
	sent("under way", false)
	result(200)
	r.said(t, "the first result", `probe "p": healthy: status 200`)
	sent("wanted before the result", false)
	want()
	sent("a result that counts", false)
	r.now += int64(duration.Second) + 1
	sent("wanted while it counted", false)
	want()
	sent("too old", true)
	result(200)
	r.said(t, "the same result")
	r.now += 10 * int64(duration.Second)
	want()
	sent("much too old", true)
	result(500)
	r.said(t, "a failure", `probe "p": unhealthy: status 500`)
	r.now += int64(duration.Second) + 1
	want()
	sent("too old again", true)
	r.now += int64(duration.Minute)
	want()
	sent("the last one was never answered", false)
	r.said(t, "no answer", `probe "p": still unhealthy: was never answered, counts as 503`)
	r.now += int64(duration.Second) + 1
	want()
	sent("after that", true)
}
