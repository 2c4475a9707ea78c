package simtest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/hostsim"
)

// demanded is a configuration with a probe on demand, and with changes.
func demanded(changes map[string]any) string {
	var config any = map[string]any{
		"endpoints": []any{
			map[string]any{"name": "e", "paths": []any{"/hc"}, "trusted": map[string]any{"cidrs": []any{"10.0.0.0/8"}},
				"probes": map[string]any{"names": []any{"app"}}, "maintenance": map[string]any{"keys": []any{"out"}}},
			map[string]any{"name": "s", "kind": "status", "paths": []any{"/status"},
				"trusted": map[string]any{"cidrs": []any{"10.0.0.0/8"}}},
		},
		"probes": []any{map[string]any{"name": "app", "cluster": "app", "path": "/alive", "timeout": "500ms",
			"on_demand": map[string]any{"max_age": "1s"}}},
		"admin": map[string]any{"cluster": "envoy_admin"},
	}
	for _, path := range slices.Sorted(maps.Keys(changes)) {
		config = changed(config, strings.Split(path, "."), changes[path])
	}
	text, err := json.Marshal(config)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// crowd are checks that come at once, on all workers in turn, and what they got.
type crowd struct {
	streams []*hostsim.Stream
	answers map[string]int
	last    time.Duration // how long the last answer took
	typed   int           // how many have a content-type
}

func (s *sim) crowd(n int, request hostsim.Request) *crowd {
	c, began := &crowd{answers: map[string]int{}}, s.Elapsed()
	for i := range n {
		r := request
		r.Path, r.Peer = cmp.Or(r.Path, "/hc"), cmp.Or(r.Peer, balancer)
		c.streams = append(c.streams, s.Worker(i%s.Workers()).StartIn(0, &r, func(reply *hostsim.Reply) {
			c.answers[fmt.Sprintf("%d %s", reply.Status, reply.Details)]++
			c.last = s.Elapsed() - began
			if reply.Header.Has("content-type") {
				c.typed++
			}
		}))
	}
	return c
}

func (c *crowd) want(t *testing.T, want string) {
	t.Helper()
	if got := strings.Trim(strings.TrimPrefix(fmt.Sprint(c.answers), "map"), "[]"); got != want {
		t.Errorf("answers: %s, want %s", got, want)
	}
}

// asked is how often the application was asked since the last call.
func (s *sim) asked(seen *int) int {
	before := *seen
	*seen = len(s.UpstreamRequests("app"))
	return *seen - before
}

// TestThousandChecksOnDemand: checks that come at once have the application asked once.
func TestThousandChecksOnDemand(t *testing.T) {
	t.Parallel()
	s, seen := newReady(t, demanded(nil), hostsim.Workers(4)), 0
	s.SetLatency("app", 100*time.Millisecond)
	s.Advance(10 * time.Second)
	if n := s.asked(&seen); n != 0 {
		t.Errorf("the application was asked %d times, and there was no check", n)
	}
	for range 3 {
		c := s.crowd(1000, hostsim.Request{})
		s.Advance(2 * time.Second)
		c.want(t, "200 healthgate_healthy:1000")
		if n := s.asked(&seen); n != 1 || c.last > 300*time.Millisecond {
			t.Errorf("the application was asked %d times, the last answer took %v", n, c.last)
		}
	}
	s.wantMetric("healthgate_checks_total.endpoint.e.verdict.healthy", 3000)
}

// TestCrowdOnDemand: whatever comes of the probe, each check that waits for it is answered once.
func TestCrowdOnDemand(t *testing.T) {
	t.Parallel()
	const more = 40 // than are answered at once
	for _, test := range []struct {
		name    string
		config  map[string]any
		workers int
		checks  int
		request hostsim.Request
		before  func(*sim) // the checks
		during  func(*sim, *crowd)
		want    string
		within  time.Duration
		asked   int
		untyped bool
	}{
		{name: "healthy", want: "200 healthgate_healthy:80", within: 220 * time.Millisecond, asked: 1},
		{name: "unhealthy", before: func(s *sim) { s.answer("app", "*", 500, "") },
			want: "500 healthgate_unhealthy:80", within: 220 * time.Millisecond, asked: 1},
		{name: "an answer without a content-type", untyped: true,
			config: map[string]any{"endpoints.e.healthy.body": "yes", "endpoints.e.healthy.content_type": ""},
			want:   "200 healthgate_healthy:80", within: 220 * time.Millisecond, asked: 1},
		{name: "a timeout", before: func(s *sim) { s.SetLatency("app", time.Minute) },
			want: "503 healthgate_unhealthy:80", within: 520 * time.Millisecond, asked: 1},
		{name: "no host", before: func(s *sim) {
			s.FaultAllCallouts("app", &hostsim.CalloutFault{Kind: hostsim.CalloutInlineFailure})
		}, want: "503 healthgate_unhealthy:80", within: 20 * time.Millisecond},
		{name: "no answer", before: func(s *sim) {
			s.FaultAllCallouts("app", &hostsim.CalloutFault{Kind: hostsim.CalloutLost})
		}, want: "503 healthgate_unknown:80", within: 620 * time.Millisecond, asked: 1},
		{name: "maintenance", before: func(s *sim) { s.Admin().SetRuntime("out", "1"); s.Advance(2 * time.Second) },
			want: "503 healthgate_maintenance:80"},
		{name: "draining", before: func(s *sim) { s.Admin().SetDraining(true); s.Advance(2 * time.Second) },
			want: "503 healthgate_draining:80"},
		{name: "maintenance by route", config: map[string]any{"endpoints.e.maintenance.route_metadata": true},
			request: hostsim.Request{RouteMetadata: map[string]map[string]any{"healthgate": {"maintenance": true}}},
			want:    "503 healthgate_maintenance:80"},
		{name: "strangers", request: hostsim.Request{Peer: "192.0.2.7:1"}, want: "200 via_upstream:80"},
		{name: "maintenance meanwhile", before: func(s *sim) { s.SetLatency("app", 400*time.Millisecond) },
			config: map[string]any{"admin.interval": "100ms"},
			during: func(s *sim, _ *crowd) { s.Admin().SetRuntime("out", "1") },
			want:   "503 healthgate_maintenance:80", within: 300 * time.Millisecond, asked: 1},
		{name: "more than may wait", workers: 1, checks: 600,
			want: "200 healthgate_healthy:512 503 healthgate_unknown:88", within: 320 * time.Millisecond, asked: 1},
		{name: "clients that leave", during: func(_ *sim, c *crowd) {
			for i, stream := range c.streams {
				if i%4 < 2 {
					stream.Disconnect()
				}
			}
		}, want: "0 downstream_remote_disconnect:40 200 healthgate_healthy:40", within: 220 * time.Millisecond, asked: 1},
		{name: "the leader crashes", config: map[string]any{"probes.app.timeout": "5s"},
			during: func(s *sim, _ *crowd) { s.thread(s.leader()).Crash() },
			want:   "200 healthgate_healthy:80", within: 2500 * time.Millisecond, asked: 2},
		{name: "the application passes", config: map[string]any{"endpoints.e.healthy.action": "pass"},
			want: "200 via_upstream:80", within: 220 * time.Millisecond, asked: 1},
		{name: "a probe that degrades", config: map[string]any{"endpoints.e.probes": nil,
			"endpoints.e.degraded": map[string]any{"probes": []string{"app"}, "status": 429}},
			before: func(s *sim) { s.answer("app", "*", 500, "") },
			want:   "429 healthgate_degraded:80", within: 220 * time.Millisecond, asked: 1},
		{name: "the status page", request: hostsim.Request{Path: "/status"},
			want: "200 healthgate_shown:80", within: 220 * time.Millisecond, asked: 1},
		{name: "a new reply", during: func(s *sim, _ *crowd) { s.update(map[string]any{"endpoints.e.healthy.status": 204}) },
			want: "200 healthgate_healthy:80", within: 400 * time.Millisecond, asked: 2},
		{name: "a new probe", during: func(s *sim, _ *crowd) {
			s.update(map[string]any{"probes.more.cluster": "app", "probes.more.path": "/more"})
		}, want: "200 healthgate_healthy:80", within: 220 * time.Millisecond, asked: 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			workers, checks, seen := max(test.workers, 2), max(test.checks, 2*more), 0
			if test.workers > 0 {
				workers = test.workers
			}
			s := newReady(t, demanded(test.config), hostsim.Workers(workers))
			s.Advance(time.Second)
			s.SetLatency("app", 100*time.Millisecond)
			if test.before != nil {
				test.before(s)
			}
			s.asked(&seen)
			c := s.crowd(checks, test.request)
			s.Advance(50 * time.Millisecond)
			if test.during != nil {
				test.during(s, c)
			}
			s.Advance(10 * time.Second)
			c.want(t, test.want)
			asked := 0
			for _, r := range s.UpstreamRequests("app")[seen:] {
				if r.Path() == "/alive" {
					asked++
				}
			}
			if asked != test.asked {
				t.Errorf("the application was asked %d times, want %d", asked, test.asked)
			}
			if test.untyped && c.typed > 0 {
				t.Errorf("%d answers have a content-type", c.typed)
			}
			if c.last > test.within {
				t.Errorf("the last answer took %v, want at most %v", c.last, test.within)
			}
		})
	}
}

func (s *sim) update(changes map[string]any) {
	s.t.Helper()
	if err := s.Update(demanded(changes)); err != nil {
		s.t.Fatal(err)
	}
}
