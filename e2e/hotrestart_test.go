package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

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
