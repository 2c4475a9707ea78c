package e2e

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// TestRestart sets maintenance on disk, by the command that operators have for it: it outlives Envoy, ended in order
// or not, and no check is answered healthy on the way.
func TestRestart(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	config := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	diskLayer(t, config, "init")
	b := start(t, a, config, 2)
	b.settle(t)
	diskLayer(t, config, "set", key, "true")
	b.within(t, interval+slack, 503, sorry)

	for _, end := range []func(*envoytest.Envoy){(*envoytest.Envoy).Stop, (*envoytest.Envoy).Kill} {
		w := watch(t, b.balancer, check)
		end(b.envoy)
		// What a balancer sees from here on: no connection, then answers that are not healthy.
		b.envoy = envoytest.Start(t, config, 2)
		b.within(t, envoytest.Limit, 503, sorry)
		w.saw(t, "503 UNKNOWN", "503 "+sorry)
	}

	diskLayer(t, config, "delete", key)
	b.within(t, interval+slack, 200, "OK")
}

func diskLayer(t testing.TB, config *envoytest.Config, args ...string) {
	t.Helper()
	command := filepath.Join(envoytest.Root, "envoy", "disk-layer")
	out, err := exec.Command(command, append([]string{config.Disk()}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("envoy/disk-layer %v: %v\n%s", args, err, out)
	}
}
