package e2e

import (
	"strconv"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// The nodes of the application, as envoy/bootstrap.yaml probes them.
var nodes = []string{"inbound", "outbound", "stats"}

func alive(node string) string { return "/" + node + "/isalive" }

// The interval of envoy/bootstrap.yaml, the timeout that the tests put into it, and what a loaded machine may add: a
// stop of seconds now and then. What the filter itself takes, to the millisecond, is tested in hostsim's virtual time.
const (
	interval = time.Second
	timeout  = envoytest.CalloutTimeout
	slack    = 6 * time.Second
)

// TestShipped runs envoy/bootstrap.yaml, as operators copy it.
func TestShipped(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{2, 4} {
		t.Run(strconv.Itoa(workers)+" workers", func(t *testing.T) {
			t.Parallel()
			testShipped(t, workers)
		})
	}
}

// testShipped runs its parts one after the other, on one Envoy. Each part leaves everything healthy.
func testShipped(t *testing.T, workers int) {
	a := app.Start(t)
	b := start(t, a, envoytest.Shipped(t, envoytest.Wasm(t), a.Port), workers)
	b.settle(t)
	for _, part := range []struct {
		name string
		run  func(*testing.T, *bench)
	}{
		{"healthy", testHealthy},
		{"nodes", testNodes},
		{"gone", testGone},
		{"maintenance by a key", testMaintenanceKey},
		{"maintenance of a zone", testMaintenanceZone},
		{"maintenance until a time", testMaintenanceUntil},
		{"maintenance by a value that is none", testMaintenanceUnknown},
		{"maintenance by route", testMaintenanceRoute},
		{"draining", testDraining},
		{"paths", testPaths},
		{"untrusted", testUntrusted},
		{"metrics", testMetrics},
		{"log", testLog},
		{"access log", testAccessLog},
		{"status", testStatus},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.run(t, b) }) {
			return // the next part would only repeat what is wrong
		}
	}
	// Counted over everything above: no health check of a trusted source reached the application.
	for _, path := range []string{check, empty, statusPath} {
		for _, r := range a.Seen(path) {
			if r.Headers.Get("X-Expected") == "" {
				t.Errorf("the application saw a health check: %+v", r)
			}
		}
	}
}
