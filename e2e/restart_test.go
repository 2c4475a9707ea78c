package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// TestRestart sets maintenance on disk: it outlives Envoy, ended in order
// or not, and no check is answered healthy on the way.
func TestRestart(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	config := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	b := start(t, a, config, 2)
	b.settle(t)
	config.SetMaintenance(true, key)
	b.within(t, interval+slack, 503, sorry)

	for _, end := range []func(*envoytest.Envoy){(*envoytest.Envoy).Stop, (*envoytest.Envoy).Kill} {
		w := watch(t, b.balancer)
		end(b.envoy)
		// What a balancer sees from here on: no connection, then answers that are not healthy.
		b.envoy = envoytest.Start(t, config, 2)
		b.within(t, envoytest.Limit, 503, sorry)
		w.Saw(t, "503 UNKNOWN", "503 "+sorry)
	}

	config.SetMaintenance(false, key)
	b.within(t, interval+slack, 200, "OK")
}

// TestHotRestart starts an Envoy in another one's place, as Envoy's hot-restarter.py does. The new one knows nothing of
// what the old one found, and says so until its own probes are answered, within their interval.
func TestHotRestart(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	config := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	config.HotRestart = true
	base := filepath.Join(t.TempDir(), "base")
	config.Args = []string{"--use-dynamic-base-id", "--base-id-path", base, "--drain-time-s", "1"}
	b := start(t, a, config, 2)
	b.settle(t)
	b.everywhere(t, 200, "OK")
	id := must.Get(os.ReadFile(base))(t)

	w := watch(t, b.balancer)
	config.Args = []string{"--base-id", string(id), "--restart-epoch", "1", "--drain-time-s", "1",
		"--parent-shutdown-time-s", "2"}
	child := envoytest.Start(t, config, 2)
	envoytest.Eventually(t, envoytest.Limit, "the old one's end", func() error {
		return b.envoy.Log.Has("shutting down due to child request")
	})
	(&bench{app: a, envoy: child, balancer: b.balancer}).everywhere(t, 200, "OK")
	w.Saw(t, "200 OK", "503 UNKNOWN")
	if n := a.Count(check); n > 0 {
		t.Errorf("the application saw %d health checks", n)
	}
}
