package monitor

import (
	"fmt"
	"testing"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/duration"
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
		{duration.Second, []duration.Duration{duration.Second, 100 * duration.Millisecond, 200 * duration.Millisecond}, 25 * duration.Millisecond},
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
	write := func() bool { r.Record.WrittenAt = r.now; return r.Written() }
	if !r.WriteDue() || !write() {
		t.Error("a new leader does not write at once")
	}
	if r.WriteDue() || r.Written() {
		t.Error("written twice")
	}
	if r.now += 500*ms - 1; r.WriteDue() {
		t.Error("written before the heartbeat")
	}
	if r.now++; !r.WriteDue() || write() {
		t.Error("the heartbeat is not due, or counts as a change")
	}
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
		{"live", func() { r.answer(t, readyCallout, 200, "LIVE\n") }, false},
		{"draining", func() { r.answer(t, readyCallout, 503, "DRAINING\n") }, true},
		{"still draining", func() { r.answer(t, readyCallout, 503, "DRAINING\n") }, false},
		{"no reading", func() { r.answer(t, runtimeCallout, 500, "") }, false},
	} {
		step.do()
		if r.Record.WrittenAt = r.now; r.WriteDue() != step.want || r.Written() != step.want {
			t.Errorf("%s: changed: %v", step.name, !step.want)
		}
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
		{"after now, by a clock that went back", start + 5000*ms, start + 1, 1000 * ms, 1000 * ms},
	} {
		record := snapshot.New(2, 1, start-int64(duration.Minute))
		record.WrittenAt, record.PolledAt, record.Probes[0].StartedAt = start, test.polled, test.started
		r := newRig(full(), record)
		begun := map[Callout]int64{}
		for step := int64(0); step <= 1000; step += 50 {
			r.now = start + step*ms
			for _, c := range r.due() {
				if _, again := begun[c]; !again {
					begun[c] = step * ms
				}
			}
		}
		if begun[probeCallout] != test.first || begun[runtimeCallout] != test.second || begun[readyCallout] != test.second || len(begun) != 3 {
			t.Errorf("%s: %v", test.name, begun)
		}
	}
}

// takenOver is the record of a leader that found probe "p" healthy, key "k" unrecognized and Envoy draining.
func takenOver(streak uint32, writtenAt int64) *snapshot.Record {
	r := snapshot.New(2, 1, start-int64(duration.Minute))
	r.WrittenAt, r.RuntimeAt, r.Draining = writtenAt, writtenAt, true
	r.Keys[0] = snapshot.Key{Switch: maintenance.Switch{On: true}, Value: "ture", Reason: "why"}
	r.Probes[0] = snapshot.Probe{Seen: true, Healthy: true, Status: 200, Streak: streak}
	return r
}

func TestTakeover(t *testing.T) {
	t.Parallel()
	reading := document(entry("k", "ture"), entry("k.reason", "why"))
	for _, test := range []struct {
		name      string
		streak    uint32
		writtenAt int64
		status    uint32
		want      string // healthy, status, streak
		lines     []string
	}{
		{"well, and still so", 0, start - 1, 200, "true 200 0", nil},
		{"one failure, below the threshold", 0, start - 1, 500, "true 200 1", nil},
		{"one more failure reaches it", 1, start - 1, 500, "false 500 0", []string{`probe "p": unhealthy: status 500`}},
		{"a success ends the streak", 1, start - 1, 200, "true 200 0", nil},
		{"at the record's limit", 0, start - int64(snapshot.MaxAge), 500, "true 200 1", nil},
		{"stale: one failure decides", 0, start - int64(snapshot.MaxAge) - 1, 500, "false 500 0", []string{`probe "p": unhealthy: status 500`}},
		{"stale: one success decides", 1, start - int64(snapshot.MaxAge) - 1, 200, "true 200 0", []string{`probe "p": healthy: status 200`}},
	} {
		r := newRig(full(), takenOver(test.streak, test.writtenAt))
		stale := start-test.writtenAt > int64(snapshot.MaxAge)
		if r.Record.Probes[0].Seen == stale || !r.Maintenance(0) || r.Maintenance(1) {
			t.Errorf("%s: seen %v, maintenance %v %v", test.name, !stale, r.Maintenance(0), r.Maintenance(1))
		}
		r.answerNow(t, probeCallout, test.status, "")
		p := r.Record.Probes[0]
		if got := fmt.Sprint(p.Healthy, p.Status, p.Streak); got != test.want || !p.Seen {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
		r.said(t, test.name, test.lines...)
		r.answer(t, runtimeCallout, 200, reading)
		r.answer(t, readyCallout, 503, "DRAINING\n")
		r.said(t, test.name+": what is known is not logged again")
		if r.bad != 0 {
			t.Errorf("%s: counted again", test.name)
		}
	}
}

func TestNewRecord(t *testing.T) {
	t.Parallel()
	r := newRig(full(), nil).Record
	if r.StartedAt != start || r.RuntimeAt != 0 || r.Draining || len(r.Keys) != 2 || len(r.Probes) != 1 || r.Probes[0].Seen {
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
	if r.Record.PolledAt != gap || r.Record.Probes[0].StartedAt != gap {
		t.Errorf("began at %d and %d, not at %d", r.Record.PolledAt, r.Record.Probes[0].StartedAt, gap)
	}
	if r.now = gap + 1000*ms - 1; len(r.due()) != 0 {
		t.Error("something was caught up")
	}
	if r.now++; len(r.due()) != 3 {
		t.Error("the next ones are not due")
	}
}
