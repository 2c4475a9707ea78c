package e2e

import (
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
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
