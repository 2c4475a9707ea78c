package monitor

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/duration"
)

// Envoy answers for a probe that took too long with a 504 at the timeout; an application's 504 comes before it.
func TestTimeout(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		elapsed int64
		status  uint32
		line    string
		want    uint32
		failed  int
	}{
		{"the application's 504", 300 * ms, 504, "status 504", 504, 0},
		{"just before the timeout", 499*ms - 1, 504, "status 504", 504, 0},
		{"within the timer's resolution", 499 * ms, 504, "timed out after 500ms, counts as 503", 503, 1},
		{"Envoy's 504", 500 * ms, 504, "timed out after 500ms, counts as 503", 503, 1},
		{"Envoy's 504, late", 700 * ms, 504, "timed out after 500ms, counts as 503", 503, 1},
		{"another status at the timeout", 500 * ms, 500, "status 500", 500, 0},
		{"an application's 503", 1 * ms, 503, "status 503", 503, 0},
	} {
		r := newRig(probes(), nil)
		number := r.Due()[0].Number
		r.now += test.elapsed
		r.Answered(0, number, test.status, nil)
		r.said(t, test.name, `probe "p": unhealthy: `+test.line)
		p := r.Record.Probes[0]
		if p.Status != test.want || r.bad != test.failed || !p.Seen || p.Healthy || int64(p.LatencyMs) != test.elapsed/ms ||
			p.StartedAt != start || p.ChangedAt != r.now {
			t.Errorf("%s: %+v, %d failed", test.name, p, r.bad)
		}
	}
}

// Whatever a probe expects: without a response there was no success.
func TestNoResponseIsNoSuccess(t *testing.T) {
	t.Parallel()
	c := probes()
	c.Probes[0].ExpectedStatuses = []config.StatusRange{{Start: 503, End: 505}}
	for _, test := range []struct {
		name    string
		result  func(r *rig, number uint32)
		healthy bool
		line    string
	}{
		{"an expected 503", func(r *rig, n uint32) { r.Answered(0, n, 503, nil) }, true, "healthy: status 503"},
		{"an expected 504", func(r *rig, n uint32) { r.Answered(0, n, 504, nil) }, true, "healthy: status 504"},
		{"reset", func(r *rig, n uint32) { r.Failed(0, n, "no response") }, false, "unhealthy: no response, counts as 503"},
		{"timeout", func(r *rig, n uint32) { r.now += 500 * ms; r.Answered(0, n, 504, nil) }, false, "unhealthy: timed out after 500ms, counts as 503"},
		{"never answered", func(r *rig, _ uint32) { r.now += 1501 * ms; r.Due() }, false, "unhealthy: was never answered, counts as 503"},
	} {
		r := newRig(c, nil)
		test.result(r, r.Due()[0].Number)
		if p := r.Record.Probes[0]; !p.Seen || p.Healthy != test.healthy {
			t.Errorf("%s: %+v", test.name, p)
		}
		r.said(t, test.name, `probe "p": `+test.line)
	}
}

func TestLostCallout(t *testing.T) {
	t.Parallel()
	r := newRig(probes(), nil)
	first := r.Due()[0].Number
	r.now += 1500 * ms // the timeout and the grace
	if len(r.Due()) != 0 || r.bad != 0 {
		t.Error("given up too early")
	}
	r.now++
	begun := r.Due()
	if len(begun) != 1 || begun[0].Number == first || r.bad != 1 {
		t.Fatalf("%v, %d failed", begun, r.bad)
	}
	r.Answered(0, first, 200, nil) // far too late
	r.Failed(0, first, "reset")
	if p := r.Record.Probes[0]; p.Healthy || r.bad != 1 {
		t.Errorf("a late answer was taken: %+v", p)
	}
	r.Answered(0, begun[0].Number, 200, nil)
	r.said(t, "the next one", `probe "p": unhealthy: was never answered, counts as 503`, `probe "p": healthy: status 200`)
}

// The first result decides; after it, as many in a row as the threshold says.
func TestThresholds(t *testing.T) {
	t.Parallel()
	c := full()
	c.Probes[0].UnhealthyThreshold, c.Probes[0].HealthyThreshold = 2, 3
	r := newRig(c, nil)
	for i, step := range []struct {
		status uint32
		want   string // healthy, status, streak
		lines  []string
	}{
		{500, "false 500 0", []string{`probe "p": unhealthy: status 500`}},
		{200, "false 500 1", nil},
		{200, "false 500 2", nil},
		{502, "false 502 0", nil},
		{200, "false 502 1", nil},
		{200, "false 502 2", nil},
		{200, "true 200 0", []string{`probe "p": healthy: status 200`}},
		{500, "true 200 1", nil},
		{200, "true 200 0", nil},
		{500, "true 200 1", nil},
		{501, "false 501 0", []string{`probe "p": unhealthy: status 501`}},
		{502, "false 502 0", nil},
	} {
		r.answer(t, probeCallout, step.status, "")
		p := r.Record.Probes[0]
		if got := fmt.Sprint(p.Healthy, p.Status, p.Streak); got != step.want {
			t.Errorf("step %d: %s, want %s", i, got, step.want)
		}
		if changed := r.now == p.ChangedAt; changed != (step.lines != nil) {
			t.Errorf("step %d: changed at this moment: %v", i, changed)
		}
		r.said(t, fmt.Sprint("step ", i), step.lines...)
	}
}

func TestRequests(t *testing.T) {
	t.Parallel()
	c := full()
	p := &c.Probes[0]
	p.Cluster, p.Method, p.Host, p.Path = "app", "HEAD", "h", "/alive"
	m := newRig(c, nil)
	for callout, want := range []Request{
		{"app", "HEAD", "h", "/alive", 500 * duration.Millisecond},
		{"a", "GET", "localhost", "/runtime?format=json", 500 * duration.Millisecond},
		{"a", "GET", "localhost", "/ready", 500 * duration.Millisecond},
	} {
		if got := m.Request(Callout(callout)); got != want {
			t.Errorf("%d: %+v", callout, got)
		}
	}
	if got := CalloutNames(c); !reflect.DeepEqual(got, []string{"probe_p", "admin_runtime", "admin_ready"}) {
		t.Errorf("names %q", got)
	}
	if got := CalloutNames(probes()); !reflect.DeepEqual(got, []string{"probe_p"}) {
		t.Errorf("names without admin: %q", got)
	}
	if got := m.due(); !reflect.DeepEqual(got, []Callout{0, 1, 2}) {
		t.Errorf("begun %v", got)
	}
}
