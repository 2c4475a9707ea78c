package istio

import (
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// TestMain runs two tests at once: each has a control plane and an Envoy of its own, which both take a processor while
// they start.
func TestMain(m *testing.M) { envoytest.Main(m, 2) }

// TestSuite brings the filter to an Envoy in every way, through a control plane, and asks of each what is asked of an
// Envoy with a file.
func TestSuite(t *testing.T) {
	t.Parallel()
	for _, w := range ways {
		t.Run(w.String(), func(t *testing.T) {
			t.Parallel()
			testWay(t, w)
		})
	}
}

// testWay runs its parts one after the other, on one Envoy. Each part leaves everything healthy.
func testWay(t *testing.T, w way) {
	b := start(t, w)
	for _, part := range []struct {
		name string
		run  func(*testing.T, *bench)
	}{
		{"healthy", testHealthy},
		{"nodes", testNodes},
		{"gone", testGone},
		{"maintenance by a key", testMaintenanceKey},
		{"maintenance until a time", testMaintenanceUntil},
		{"maintenance by route", testMaintenanceRoute},
		{"maintenance by a ConfigMap", testConfigMap},
		{"draining", testDraining},
		{"paths", testPaths},
		{"untrusted", testUntrusted},
		{"metrics", testMetrics},
		{"live edit", testLiveEdit},
		{"mistake", testMistake},
		{"neighbour", testNeighbour},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.run(t, b) }) {
			return // the next part would only repeat what is wrong
		}
	}
	// Counted over everything above: no health check of a trusted source reached the application.
	for _, path := range []string{check, empty} {
		n := 0
		for _, r := range b.app.Seen(path) {
			if r.Headers.Get("X-Expected") == "" && r.At.After(b.started) {
				n++
			}
		}
		if n > 0 {
			t.Errorf("the application saw %d checks of %s", n, path)
		}
	}
}
