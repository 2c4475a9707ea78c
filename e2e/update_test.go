package e2e

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// TestUpdate changes the configuration of a running Envoy, as a control plane does: its listener comes from a file.
func TestUpdate(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	config := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	l := config.Listener("ingress")
	file := filepath.Join(t.TempDir(), "listeners.json")
	envoytest.PublishListener(t, file, l)
	config.ListenersFrom(file)
	b := (&bench{app: a, envoy: envoytest.Start(t, config, 2)}).at(l)
	b.settle(t)

	t.Run("reply", func(t *testing.T) {
		w := watch(t, b.balancer)
		reply(l, "FINE")
		envoytest.PublishListener(t, file, l)
		b.within(t, envoytest.Limit, 200, "FINE")
		// A worker may still have the old listener when another one has the new.
		b.everywhere(t, 200, "FINE")
		// The probes are the same, so what was known of them is still known.
		w.Saw(t, "200 OK", "200 FINE")
	})

	t.Run("mistake", func(t *testing.T) {
		w := watch(t, b.balancer)
		bad := &envoytest.Listener{Object: envoytest.Clone(l.Object)}
		bad.Change(func(s object) {
			envoytest.At[object](s, "endpoints", 0, "trusted")["cidrs"] = []any{"10.0.0.0/33"}
		})
		envoytest.PublishListener(t, file, bad)
		envoytest.Eventually(t, envoytest.Limit, "refusal", func() error {
			return b.envoy.Stat("listener_manager.lds.update_rejected", 1)
		})
		envoytest.Eventually(t, envoytest.Limit, "the place in the log", func() error {
			return b.envoy.Log.Has(`healthgate: config: endpoints[0].trusted.cidrs[0]: "10.0.0.0/33" is not a CIDR`)
		})
		for range 20 {
			b.balancer.get(t, check).is(t, 200, "FINE")
		}
		w.Saw(t, "200 FINE")
	})

	t.Run("probes", func(t *testing.T) {
		a.Answer("/new/isalive", 500)
		w := watch(t, b.balancer)
		l.Change(func(s object) {
			s["probes"] = append(s["probes"].([]any),
				object{"name": "new", "cluster": "healthgate_app", "path": "/new/isalive"})
			policy := envoytest.At[object](s, "endpoints", 0, "probes")
			policy["names"] = append(policy["names"].([]any), "new")
		})
		envoytest.PublishListener(t, file, l)
		b.within(t, envoytest.Limit, 500, "FAILED")
		// Until the new probe has been answered once, nothing is known.
		w.Saw(t, "200 FINE", "503 UNKNOWN", "500 FAILED")
		a.Answer("/new/isalive", 200)
		b.within(t, interval+slack, 200, "FINE")
	})

	// What is asked stays the same: nothing is forgotten, and nothing asked more often, although the configurations before
	// are still at work for the drain time.
	t.Run("timing", func(t *testing.T) {
		w := watch(t, b.balancer)
		for n := range 5 {
			l.Change(func(s object) {
				envoytest.At[object](s, "probes", 0)["unhealthy_threshold"] = n + 5
			})
			reply(l, fmt.Sprint("FINE ", n))
			envoytest.PublishListener(t, file, l)
			b.within(t, envoytest.Limit, 200, fmt.Sprint("FINE ", n))
		}
		b.everywhere(t, 200, "FINE 4")
		w.Saw(t, "200 FINE", "200 FINE 0", "200 FINE 1", "200 FINE 2", "200 FINE 3", "200 FINE 4")
		b.probesAtTheirRate(t, func(time.Time) {})
		b.becomes(t, "wasmcustom.healthgate_probe_up.probe.inbound", 1)
		b.envoy.SetRuntime(key, "true")
		b.within(t, interval+slack, 503, sorry)
		b.becomes(t, "wasmcustom.healthgate_maintenance.endpoint.my-service", 1)
		b.envoy.SetRuntime(key, "")
		b.within(t, interval+slack, 200, "FINE 4")
		b.becomes(t, "wasmcustom.healthgate_maintenance.endpoint.my-service", 0)
		if n := len(b.envoy.Log.Lines("maintenance: endpoint \"my-service\": on")); n != 1 {
			t.Errorf("the log tells %d times that maintenance is on", n)
		}
		b.leaders(t)
	})

	// An earlier configuration comes back, whose contexts Envoy still has, older than those of the one it replaces.
	t.Run("back", func(t *testing.T) {
		before := &envoytest.Listener{Object: envoytest.Clone(l.Object)}
		l.Change(func(s object) {
			envoytest.At[object](s, "endpoints", 0)["maintenance"] = object{"keys": []any{"other"}}
		})
		envoytest.PublishListener(t, file, l)
		b.envoy.SetRuntime("other", "true")
		b.within(t, envoytest.Limit, 503, sorry)
		b.becomes(t, "wasmcustom.healthgate_maintenance.endpoint.my-service", 1)
		envoytest.PublishListener(t, file, before)
		b.everywhere(t, 200, "FINE 4")
		b.becomes(t, "wasmcustom.healthgate_maintenance.endpoint.my-service", 0)
	})

	if n := a.Count(check); n > 0 {
		t.Errorf("the application saw %d health checks", n)
	}
}

// reply changes the body of the healthy reply.
func reply(l *envoytest.Listener, body string) {
	l.Change(func(s object) { envoytest.At[object](s, "endpoints", 0, "healthy")["body"] = body })
}
