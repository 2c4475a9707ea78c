package monitor

import (
	"strings"
	"testing"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/lean/duration"
	"github.com/healthgate/healthgate/filter/snapshot"
)

type world struct {
	now int64
	log []string
	bad int
	// polls has how long each poll of runtime took.
	polls []duration.Duration
}

func (w *world) Monotonic() int64       { return w.now }
func (w *world) Wall() int64            { return w.now }
func (w *world) Info(s string)          { w.log = append(w.log, s) }
func (w *world) Warn(s string)          { w.log = append(w.log, s) }
func (w *world) CalloutFailed(*Callout) { w.bad++ }
func (w *world) ValueUnrecognized()     { w.bad++ }

func (w *world) RuntimePolled(took duration.Duration) { w.polls = append(w.polls, took) }

func probes() *config.Config {
	return &config.Config{Probes: []config.Probe{{Name: "p", Interval: duration.Second,
		Timeout:            500 * duration.Millisecond,
		UnhealthyThreshold: 2, HealthyThreshold: 1, ExpectedStatuses: []config.StatusRange{{Start: 200, End: 201}}}}}
}

func TestRateAndThresholds(t *testing.T) {
	t.Parallel()
	w := &world{now: int64(duration.Hour)}
	m := New(probes(), snapshot.New(0, 1), w, w)
	n := 0
	statuses := []uint32{200, 500, 200, 500, 500, 200}
	for i := range 120 { // 30 s, each tick late by up to 90 ms
		w.now = int64(duration.Hour) + int64(i)*int64(250*duration.Millisecond) + int64(i*37%90)*int64(duration.Millisecond)
		for _, s := range m.Due() {
			if n++; n <= len(statuses) {
				m.Answered(s.Callout, s.Number, upstream(statuses[n-1], ""))
			} else {
				m.Answered(s.Callout, s.Number, upstream(200, ""))
			}
			m.Answered(s.Callout, s.Number, upstream(500, "")) // a second answer is late and ignored
		}
	}
	if n != 30 {
		t.Errorf("%d probes in 30 s", n)
	}
	want := `probe "p": healthy: status 200|probe "p": unhealthy: status 500|probe "p": healthy: status 200`
	if got := strings.Join(w.log, "|"); got != want {
		t.Errorf("log %s, want %s", got, want)
	}
	w.now += int64(duration.Hour)
	if len(m.Due()) != 1 || len(m.Due()) != 0 {
		t.Error("a gap is not followed by exactly one probe")
	}
	if w.now += int64(1501 * duration.Millisecond); len(m.Due()) != 1 || w.bad != 1 {
		t.Error("a lost callout did not count as failed")
	}
}
