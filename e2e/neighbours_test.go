package e2e

import (
	"slices"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// TestNeighbours: two plugins with one vm_id, as all of them have in Istio, share VMs and shared data. Their
// configurations have the same names for different things, and neither sees the other's.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	mine, other := app.Start(t), app.Start(t)
	config := envoytest.Shipped(t, envoytest.Wasm(t), mine.Port)
	config.AddCluster("other", other.Port)
	neighbour := config.AddListener("neighbour")
	neighbour.Change(func(s object) {
		for i := range nodes {
			envoytest.At[object](s, "probes", i)["cluster"] = "other"
		}
		envoytest.At[object](s, "endpoints", 0, "maintenance")["keys"] = []any{"neighbour.maintenance"}
	})
	config.Listener("ingress").Change(func(s object) {
		s["endpoints"] = slices.Delete(s["endpoints"].([]any), 1, 2) // which has the path empty
	})
	b := start(t, mine, config, 2)
	next := b.at(neighbour)
	b.settle(t)
	next.settle(t)

	for range 10 { // whichever worker answers, the request before may have been the other plugin's
		b.balancer.get(t, empty).isApp(t, empty)
		next.balancer.get(t, empty).is(t, 200, "")
	}

	w := watch(t, b.balancer)
	other.Answer(alive("stats"), 500)
	next.within(t, interval+slack, 500, "FAILED")
	b.envoy.SetRuntime("neighbour.maintenance", "true")
	next.within(t, interval+slack, 503, sorry)
	w.Saw(t, "200 OK")
	other.Answer(alive("stats"), 200)
	b.envoy.SetRuntime("neighbour.maintenance", "")
	next.within(t, interval+slack, 200, "OK")
	next.everywhere(t, 200, "OK")

	w = watch(t, next.balancer)
	mine.Answer(alive("inbound"), 404)
	b.within(t, interval+slack, 404, "FAILED")
	b.envoy.SetRuntime(key, "true")
	b.within(t, interval+slack, 503, sorry)
	w.Saw(t, "200 OK")
}
