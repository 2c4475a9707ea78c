package monitor

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/lean/duration"
	"github.com/healthgate/healthgate/filter/snapshot"
)

// Whatever a probe expects: without a response there was no success.
func TestNoResponseIsNoSuccess(t *testing.T) {
	t.Parallel()
	c := probes()
	c.Probes[0].Cluster = "app"
	c.Probes[0].ExpectedStatuses = []config.StatusRange{{Start: 503, End: 505}}
	for _, test := range []struct {
		name    string
		result  func(r *rig, number uint32)
		healthy bool
		line    string
	}{
		{"an expected 503", func(r *rig, n uint32) { r.Answered(0, n, upstream(503, "")) }, true, "healthy: status 503"},
		{"an expected 504", func(r *rig, n uint32) { r.Answered(0, n, upstream(504, "")) }, true, "healthy: status 504"},
		{"reset", func(r *rig, n uint32) { r.Failed(0, n, snapshot.CutOff) }, false,
			"unhealthy: reset within the response, counts as 503"},
		{"no connection", func(r *rig, n uint32) { r.Answered(0, n, local(503, "")) }, false,
			"unhealthy: no response, counts as 503"},
		{"no cluster", func(r *rig, n uint32) { r.Failed(0, n, snapshot.NoCluster) }, false,
			`unhealthy: there is no cluster "app", counts as 503`},
		{"no host", func(r *rig, n uint32) { r.Failed(0, n, snapshot.NoHost) }, false,
			`unhealthy: no healthy host, or an open circuit breaker, in cluster "app", counts as 503`},
		{"refused", func(r *rig, n uint32) { r.Failed(0, n, snapshot.Refused) }, false,
			"unhealthy: Envoy refused to send it, counts as 503"},
		{"timeout", func(r *rig, n uint32) { r.Answered(0, n, local(504, "")) }, false,
			"unhealthy: timed out after 500ms, counts as 503"},
		{"never answered", func(r *rig, _ uint32) { r.now += 1501 * ms; r.Due() }, false,
			"unhealthy: was never answered, counts as 503"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(c, nil)
			test.result(r, r.Due()[0].Number)
			if p := r.Record.Probes[0]; p.At != r.now || p.Healthy != test.healthy {
				t.Errorf("%s: %+v", test.name, p)
			}
			r.said(t, test.name, `probe "p": `+test.line)
		})
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
	r.Answered(0, first, upstream(200, "")) // far too late
	r.Failed(0, first, snapshot.CutOff)
	if p := r.Record.Probes[0]; p.Healthy || r.bad != 1 {
		t.Errorf("a late answer was taken: %+v", p)
	}
	r.Answered(0, begun[0].Number, upstream(200, ""))
	r.said(t, "the next one", `probe "p": unhealthy: was never answered, counts as 503`, `probe "p": healthy: status 200`)
}

// What an unhealthy probe finds is told when it changes, and at most once in ten seconds; the last change is always
// told.
func TestAnotherFailureIsTold(t *testing.T) {
	t.Parallel()
	c := probes()
	c.Probes[0].UnhealthyThreshold = 1
	r := newRig(c, nil)
	for i, step := range []struct {
		seconds int64
		result  func(number uint32)
		line    string
	}{
		{0, func(n uint32) { r.Answered(0, n, upstream(500, "")) }, "unhealthy: status 500"},
		{9, func(n uint32) { r.Answered(0, n, local(504, "")) }, ""},
		{1, func(n uint32) { r.Answered(0, n, local(504, "")) }, "still unhealthy: timed out after 500ms, counts as 503"},
		{60, func(n uint32) { r.Answered(0, n, local(504, "")) }, ""},
		{1, func(n uint32) { r.Answered(0, n, upstream(503, "")) }, "still unhealthy: status 503"},
		{9, func(n uint32) { r.Failed(0, n, snapshot.CutOff) }, ""},
		{1, func(n uint32) { r.Answered(0, n, upstream(503, "")) }, ""}, // as was told
		{1, func(n uint32) { r.Failed(0, n, snapshot.NoHost) },
			`still unhealthy: no healthy host, or an open circuit breaker, in cluster "", counts as 503`},
		{1, func(n uint32) { r.Answered(0, n, upstream(200, "")) }, "healthy: status 200"},
		{1, func(n uint32) { r.Answered(0, n, upstream(204, "")) }, "unhealthy: status 204"},
	} {
		r.now += step.seconds * int64(duration.Second)
		if i > 0 {
			r.Record.Probes[0].At = r.now - int64(duration.Second) // it was asked meanwhile
		}
		step.result(r.Due()[0].Number)
		var want []string
		if step.line != "" {
			want = []string{`probe "p": ` + step.line}
		}
		r.said(t, fmt.Sprint("step ", i), want...)
	}
	// A new leader knows what the last one told.
	r.now += int64(duration.Second)
	next := newRigAt(r.now, c, r.Record)
	for _, status := range []uint32{204, 501} {
		next.now = r.now + int64(duration.Minute)
		next.Record.Probes[0].At = next.now - int64(duration.Second)
		next.Answered(0, next.Due()[0].Number, upstream(status, ""))
		r.now = next.now
	}
	next.said(t, "the next leader", `probe "p": still unhealthy: status 501`)
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
		t.Run(step.want, func(t *testing.T) {
			r.answer(t, probeCallout, step.status, "")
			p := r.Record.Probes[0]
			if got := fmt.Sprint(p.Healthy, p.Status, p.Streak); got != step.want {
				t.Errorf("step %d: %s, want %s", i, got, step.want)
			}
			if changed := r.now == p.ChangedAt; changed != (step.lines != nil) {
				t.Errorf("step %d: changed at this moment: %v", i, changed)
			}
			r.said(t, fmt.Sprint("step ", i), step.lines...)
		})
	}
}

func TestRequests(t *testing.T) {
	t.Parallel()
	c := full()
	p := &c.Probes[0]
	p.Cluster, p.Method, p.Host, p.Path = "app", "HEAD", "h", "/alive"
	m := newRig(c, nil)
	for i, want := range []string{"app: HEAD h /alive", "a: GET localhost /runtime?format=json",
		"a: GET localhost /ready"} {
		c := m.callouts[i]
		if got := c.Cluster + ": " + c.Method + " " + c.Host + " " + c.Path; got != want ||
			c.Timeout != 500*duration.Millisecond {
			t.Errorf("%d: %s, %v", i, got, c.Timeout)
		}
	}
	if got := Names(c); !reflect.DeepEqual(got, []string{"probe_p", "admin_runtime", "admin_ready"}) {
		t.Errorf("names %q", got)
	}
	c.Admin.IgnoreDraining = true
	if got := Names(c); !reflect.DeepEqual(got, []string{"probe_p", "admin_runtime"}) {
		t.Errorf("names with draining ignored: %q", got)
	}
	if got := newRig(c, nil).due(); !reflect.DeepEqual(got, []int{0, 1}) {
		t.Errorf("begun with draining ignored: %v", got)
	}
	c.Admin.IgnoreDraining = false
	if got := Names(probes()); !reflect.DeepEqual(got, []string{"probe_p"}) {
		t.Errorf("names without admin: %q", got)
	}
	if got := m.due(); !reflect.DeepEqual(got, []int{0, 1, 2}) {
		t.Errorf("begun %v", got)
	}
}
