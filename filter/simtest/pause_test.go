package simtest

import (
	"testing"
	"time"

	"github.com/healthgate/healthgate/hostsim"
)

// After a pause of the process no check is healthy on what was found before it, in whatever order Envoy comes to do
// what fell due meanwhile: checks that wait in its sockets, ticks, and answers to what was asked before.
func TestPause(t *testing.T) {
	t.Parallel()
	const onlyKeys = `{"endpoints": [{"name": "e", "paths": ["` + check + `"], "trusted": {"cidrs": ["10.0.0.0/8"]},
		"maintenance": {"keys": ["maintenance"]}}], "admin": {"cluster": "envoy_admin"}}`
	for _, tt := range []struct {
		name, config string
		slow         string // the cluster whose answers are under way when the pause begins
		meanwhile    func(*sim)
	}{
		{"probes", watchdog, "", func(s *sim) { s.answer("app", "*", 500, "") }},
		{"probe under way", watchdog, "app", func(s *sim) { s.answer("app", "*", 500, "") }},
		{"maintenance", onlyKeys, "", func(s *sim) { s.Admin().SetRuntime("maintenance", "true") }},
		{"poll under way", onlyKeys, "envoy_admin", func(s *sim) { s.Admin().SetRuntime("maintenance", "true") }},
		{"draining", onlyKeys, "", func(s *sim) { s.Admin().SetDraining(true) }},
		{"ready under way", onlyKeys, "envoy_admin", func(s *sim) { s.Admin().SetDraining(true) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(12) {
				s := newReady(t, tt.config, hostsim.Workers(2), hostsim.Shuffled(), hostsim.Seed(seed))
				if tt.slow != "" {
					s.SetLatency(tt.slow, 400*time.Millisecond)
				}
				s.Advance(5*time.Second + time.Duration(seed)*90*time.Millisecond)
				tt.meanwhile(s)
				answered := 0
				for i := range s.Workers() {
					s.Host.Worker(i).StartIn(time.Second, &hostsim.Request{Path: check, Peer: balancer}, func(r *hostsim.Reply) {
						answered++
						if r.Status == 200 {
							t.Errorf("seed %d: worker %d: a check that waited got 200", seed, i)
						}
					})
				}
				s.JumpMonotonic([]time.Duration{13 * time.Second, time.Hour}[seed%2])
				if answered != s.Workers() {
					t.Fatalf("seed %d: %d of %d checks were answered", seed, answered, s.Workers())
				}
				resumed := s.Elapsed()
				for ; s.Elapsed() < resumed+4*time.Second; s.Advance(50 * time.Millisecond) {
					for i := range s.Workers() {
						if r := s.ask(i, check); r.Status == 200 {
							t.Fatalf("seed %d: worker %d: 200, %v after the pause", seed, i, s.Elapsed()-resumed)
						}
					}
				}
				if r := s.ask(0, check); r.Details == "healthgate_unknown" {
					t.Errorf("seed %d: still unknown", seed)
				}
			}
		})
	}
}
