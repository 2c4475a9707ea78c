package e2e

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// TestOnDemand: while nobody checks, nobody asks the application; checks that come at once have it asked once, and each
// gets what was found, also those of a configuration that is replaced meanwhile.
func TestOnDemand(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	config := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	l := config.Listener("ingress")
	l.Change(func(s object) {
		for _, p := range s["probes"].([]any) {
			p := p.(object)
			delete(p, "interval")
			delete(p, "unhealthy_threshold")
			p["timeout"], p["on_demand"] = "20s", object{"max_age": "1s"}
		}
	})
	file := filepath.Join(t.TempDir(), "listeners.json")
	envoytest.PublishListener(t, file, l)
	config.ListenersFrom(file)
	b := (&bench{app: a, envoy: envoytest.Start(t, config, 4)}).at(l)
	b.tooOld()
	if n := a.Count(alive("stats")); n > 0 {
		t.Errorf("the application was asked %d times, and there was no check", n)
	}
	const checks = 400
	for _, step := range []struct {
		name   string
		status int
		body   string
		asked  int
		during func()
	}{
		{"healthy", 200, "OK", 1, func() {}},
		{"unhealthy", 500, "FAILED", 1, func() {}},
		{"healthy again", 200, "OK", 1, func() {}},
		{"an update", 200, "OK", 2, func() { // the new configuration knows nothing of what the old one has asked
			reply(l, "FINE")
			envoytest.PublishListener(t, file, l)
			envoytest.Eventually(t, envoytest.Limit, "the listener is replaced", func() error {
				return b.envoy.Stat("listener_manager.listener_in_place_updated", 1)
			})
		}},
	} {
		t.Run(step.name, func(t *testing.T) {
			b.tooOld()
			for _, node := range nodes {
				a.Answer(alive(node), step.status)
			}
			before := a.Count(alive("stats"))
			release := a.Hold(alive("inbound"))
			var wait sync.WaitGroup
			for range checks {
				wait.Go(func() { b.balancer.get(t, check).is(t, step.status, step.body) })
			}
			envoytest.Eventually(t, envoytest.Limit, "all of them wait", func() error {
				return b.envoy.Stat("http.ingress.downstream_rq_active", checks)
			})
			step.during()
			release()
			wait.Wait()
			if n := a.Count(alive("stats")) - before; n < 1 || n > step.asked {
				t.Errorf("the application was asked %d times, want %d", n, step.asked)
			}
		})
	}
	if n := a.Count(check); n > 0 {
		t.Errorf("the application saw %d health checks", n)
	}
}

// tooOld waits until nothing that was found is younger than a second, by the leader's heartbeats.
func (b *bench) tooOld() { b.envoy.Grows("wasmcustom.healthgate_snapshot_writes_total", 4) }
