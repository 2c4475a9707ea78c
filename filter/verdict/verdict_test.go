package verdict

import (
	"testing"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/lean/duration"
	"github.com/healthgate/healthgate/filter/maintenance"
	"github.com/healthgate/healthgate/filter/snapshot"
)

type clock struct{ mono, wall int64 }

func (c clock) Monotonic() int64 { return c.mono }
func (c clock) Wall() int64      { return c.wall }

const now = int64(duration.Hour)

func ago(d duration.Duration) int64 { return now - int64(d) }

// world is a healthy endpoint with one key and two probes; each case breaks something of it.
type world struct {
	c     *config.Config
	e     *config.Endpoint
	r     *snapshot.Record
	route bool
}

func newWorld() *world {
	e := config.Endpoint{
		Healthy: config.Reply{Status: 200}, Unhealthy: config.Reply{Status: 503, ProbeStatus: true},
		Unknown: config.Reply{Status: 521}, Draining: config.Reply{Status: 522}, Untrusted: config.Reply{Status: 403},
		Maintenance: config.Maintenance{Keys: []int{0}, Reply: config.Reply{Status: 520}},
		Probes:      config.Policy{Names: []int{0, 1}, Need: 2},
	}
	c := &config.Config{Endpoints: []config.Endpoint{e}, Admin: &config.Admin{MaxAge: 5 * duration.Second}}
	r := snapshot.New(1, 2)
	r.WrittenAt, r.Runtime.At, r.Ready.At = ago(duration.Second), ago(duration.Second), ago(duration.Second)
	for i := range r.Probes {
		r.Probes[i] = probe(true, 200)
		c.Probes = append(c.Probes, config.Probe{Interval: duration.Second, Timeout: 500 * duration.Millisecond})
	}
	return &world{c: c, e: &c.Endpoints[0], r: r}
}

// probe is the state of a probe that was seen just now.
func probe(healthy bool, status int) snapshot.Probe {
	return snapshot.Probe{Finding: snapshot.Finding{Outcome: snapshot.Answered, Status: uint32(status), At: now},
		Healthy: healthy}
}

// degrades has the second probe degrade the endpoint, and no longer fail it.
func (w *world) degrades() {
	w.e.Probes = config.Policy{Names: []int{0}, Need: 1}
	w.e.Degraded = config.Degraded{Probes: []int{1}, Reply: config.Reply{Status: 200}}
}
func (w *world) bare()           { w.e.Probes, w.e.Maintenance.Keys = config.Policy{}, nil }
func (w *world) sick(status int) { w.r.Probes[1] = probe(false, status) }
func (w *world) on()             { w.r.Keys[0].Switch = maintenance.Switch{On: true} }

func TestDecide(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(w *world)
		kind   Kind
		status uint32
	}{
		{"all is well", func(*world) {}, Healthy, 200},
		{"pass", func(w *world) { w.e.Healthy = config.Reply{Pass: true} }, Passed, 0},
		{"key before draining, stale and sick",
			func(w *world) { w.on(); w.r.Draining = true; w.r.WrittenAt = 0; w.sick(500) }, Maintenance, 520},
		{"route without a record", func(w *world) { w.route = true; w.r = nil }, Maintenance, 520},
		{"key until later", func(w *world) { w.r.Keys[0].Switch = maintenance.Switch{On: true, Until: 1001} }, Maintenance,
			520},
		{"key until now", func(w *world) { w.r.Keys[0].Switch = maintenance.Switch{On: true, Until: 1000} }, Healthy, 200},
		{"another endpoint's key", func(w *world) { w.on(); w.e.Maintenance.Keys = nil }, Healthy, 200},
		{"draining before stale and sick", func(w *world) { w.r.Draining = true; w.r.WrittenAt = 0; w.sick(500) }, Draining,
			522},
		{"draining without probes and keys", func(w *world) { w.bare(); w.r.Draining = true }, Draining, 522},
		{"no record", func(w *world) { w.r = nil }, Unknown, 521},
		{"no record, without probes and keys", func(w *world) { w.bare(); w.r = nil }, Unknown, 521},
		{"stale, without probes and keys", func(w *world) { w.bare(); w.r.WrittenAt = 0 }, Unknown, 521},
		{"no record, without probes, keys and admin", func(w *world) { w.bare(); w.c.Admin = nil; w.r = nil }, Healthy, 200},
		{"no record, without probes and keys, draining ignored",
			func(w *world) { w.bare(); w.c.Admin.IgnoreDraining = true; w.r = nil }, Healthy, 200},
		{"stale, without probes, keys and admin",
			func(w *world) { w.bare(); w.c.Admin = nil; w.r.WrittenAt = 0 }, Healthy, 200},
		{"at the record's limit", func(w *world) { w.r.WrittenAt = ago(snapshot.MaxAge) }, Healthy, 200},
		{"beyond it, before sick", func(w *world) { w.r.WrittenAt = ago(snapshot.MaxAge) - 1; w.sick(500) }, Unknown, 521},
		{"a probe not seen, the other sick", func(w *world) { w.sick(500); w.r.Probes[0].At = 0 }, Unknown, 521},
		{"a probe not seen, any", func(w *world) { w.e.Probes.Need = 1; w.r.Probes[0].At = 0 }, Unknown, 521},
		{"a probe at its limit", func(w *world) { w.r.Probes[0].At = ago(10 * duration.Second) }, Healthy, 200},
		{"a probe beyond it", func(w *world) { w.r.Probes[0].At = ago(10*duration.Second) - 1 }, Unknown, 521},
		{"a sick probe beyond it", func(w *world) { w.sick(500); w.r.Probes[1].At = ago(10*duration.Second) - 1 }, Unknown,
			521},
		{"a slow probe at its limit", func(w *world) {
			w.c.Probes[0].Interval = duration.Minute
			w.r.Probes[0].At = ago(180*duration.Second + 500*duration.Millisecond)
		}, Healthy, 200},
		{"a slow probe beyond it", func(w *world) {
			w.c.Probes[0].Interval = duration.Minute
			w.r.Probes[0].At = ago(180*duration.Second+500*duration.Millisecond) - 1
		}, Unknown, 521},
		{"draining not read yet", func(w *world) { w.r.Ready.At = 0 }, Unknown, 521},
		{"draining not read yet, nor to be", func(w *world) { w.r.Ready.At = 0; w.c.Admin.IgnoreDraining = true }, Healthy,
			200},
		{"draining not read yet, without probes and keys", func(w *world) { w.bare(); w.r.Ready.At = 0 }, Unknown, 521},
		{"draining too old, keep", func(w *world) { w.r.Ready.At = ago(duration.Minute) }, Healthy, 200},
		{"draining at max_age, fail", func(w *world) { w.r.Ready.At, w.c.Admin.FailOnStale = ago(5*duration.Second), true },
			Healthy, 200},
		{"draining too old, fail", func(w *world) { w.r.Ready.At, w.c.Admin.FailOnStale = ago(5*duration.Second)-1, true },
			Unknown, 521},
		{"draining too old, fail, on", func(w *world) { w.r.Ready.At, w.c.Admin.FailOnStale, w.r.Draining = 1, true, true },
			Draining, 522},
		{"runtime never read, no keys", func(w *world) { w.e.Maintenance.Keys = nil; w.r.Runtime.At = 0 }, Healthy, 200},
		{"runtime never read, keep", func(w *world) { w.r.Runtime.At = 0 }, Unknown, 521},
		{"runtime never read, fail", func(w *world) { w.r.Runtime.At, w.c.Admin.FailOnStale = 0, true }, Unknown, 521},
		{"as old as expensive polls make it, fail", func(w *world) {
			w.r.Runtime.TookMs, w.r.Runtime.At, w.c.Admin.FailOnStale = 400, ago(24*duration.Second), true
		}, Healthy, 200},
		{"older, fail", func(w *world) {
			w.r.Runtime.TookMs, w.r.Runtime.At, w.c.Admin.FailOnStale = 400, ago(24*duration.Second)-1, true
		}, Unknown, 521},
		{"reading at max_age, fail", func(w *world) { w.r.Runtime.At, w.c.Admin.FailOnStale = ago(5*duration.Second), true },
			Healthy, 200},
		{"reading too old, fail", func(w *world) { w.r.Runtime.At, w.c.Admin.FailOnStale = ago(5*duration.Second)-1, true },
			Unknown, 521},
		{"reading too old, keep", func(w *world) { w.r.Runtime.At = ago(duration.Minute) }, Healthy, 200},
		{"reading too old, keep, on", func(w *world) { w.r.Runtime.At = ago(duration.Minute); w.on() }, Maintenance, 520},
		{"all: one sick", func(w *world) { w.sick(500) }, Unhealthy, 500},
		{"any: one sick", func(w *world) { w.e.Probes.Need = 1; w.sick(500) }, Healthy, 200},
		{"any: both sick, the first one's status", func(w *world) {
			w.e.Probes.Need = 1
			w.sick(500)
			w.r.Probes[0] = probe(false, 502)
		}, Unhealthy, 502},
		{"probe status 404", func(w *world) { w.sick(404) }, Unhealthy, 404},
		{"probe status 400", func(w *world) { w.sick(400) }, Unhealthy, 400},
		{"a redirect is no success", func(w *world) { w.sick(399) }, Unhealthy, 503},
		{"an unexpected 204 is no success", func(w *world) { w.sick(204) }, Unhealthy, 503},
		{"probe status 599", func(w *world) { w.sick(599) }, Unhealthy, 599},
		{"a status that HTTP does not have", func(w *world) { w.sick(600) }, Unhealthy, 503},
		{"the largest of three digits", func(w *world) { w.sick(999) }, Unhealthy, 503},
		{"a status of gRPC", func(w *world) { w.sick(500); w.r.Probes[1].Outcome = snapshot.GRPCError }, Unhealthy, 503},
		{"the status of a reading of statistics",
			func(w *world) { w.sick(403); w.r.Probes[1].Outcome = snapshot.Unreadable }, Unhealthy, 503},
		{"a probe that degrades is sick", func(w *world) { w.degrades(); w.sick(500) }, Degraded, 200},
		{"it is not sick", func(w *world) { w.degrades() }, Healthy, 200},
		{"it was not seen", func(w *world) { w.degrades(); w.r.Probes[1].At = 0 }, Degraded, 200},
		{"it is at its limit", func(w *world) { w.degrades(); w.r.Probes[1].At = ago(10 * duration.Second) }, Healthy, 200},
		{"it is beyond it", func(w *world) { w.degrades(); w.r.Probes[1].At = ago(10*duration.Second) - 1 }, Degraded, 200},
		{"it and another are sick", func(w *world) { w.degrades(); w.sick(500); w.r.Probes[0] = probe(false, 502) },
			Unhealthy,
			502},
		{"it is sick, and the endpoint rests on nothing else, without a record", func(w *world) {
			w.degrades()
			w.bare()
			w.c.Admin, w.r = nil, nil
		}, Degraded, 200},
		{"fixed status", func(w *world) { w.sick(500); w.e.Unhealthy.ProbeStatus = false }, Unhealthy, 503},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld()
			test.change(w)
			got := Decide(w.c, w.e, w.r, w.route, clock{now, 1000})
			if got.Kind != test.kind || got.Status != test.status {
				t.Errorf("%s: %v %d, want %v %d", test.name, got.Kind, got.Status, test.kind, test.status)
			}
			// The time for which an answer says that it holds is when Decide gives it, with this record and wall clock.
			for _, at := range []duration.Duration{-duration.Hour, -2 * duration.Second, -duration.Second, 0,
				4 * duration.Second, 4*duration.Second + 1, 9*duration.Second + 1, duration.Hour} {
				clock := clock{now + int64(at), 1000}
				if then := Decide(w.c, w.e, w.r, w.route, clock); got.Holds(clock) && then.Kind != got.Kind ||
					!got.Holds(clock) && got.Kind != Unknown && then.Kind == got.Kind {
					t.Errorf("%s: %v holds %v later: %v, but it would be %v", test.name, got.Kind, at, got.Holds(clock), then.Kind)
				}
			}
		})
	}
	if got := Refuse(newWorld().e); got.Kind != Untrusted || got.Status != 403 {
		t.Errorf("untrusted: %v %d", got.Kind, got.Status)
	}
}
