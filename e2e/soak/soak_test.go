package soak

import (
	"flag"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

var (
	checks = flag.Int("checks", 10_000_000, "how many health checks to send")
	idle   = flag.Duration("idle", 20*time.Minute, "how long the filter is to tick, probe and poll before the checks")
)

const (
	workers = 2
	// often is the interval of probes and polls: the shortest that the filter takes, so that many fit into the time.
	often = "100ms"
	// parts is into how many parts both runs are cut. The first half of each may fill what is only filled once.
	parts = 10
	// flat is how many bytes more Envoy may hold after the second half of a run than before it. Half a byte lost in
	// each of five million checks would be more.
	flat = 2 << 20
)

// TestMemoryStaysFlat starts an Envoy with the shipped configuration, lets it probe and poll, and sends health
// checks. It looks at the memory of the process before, after each tenth, and at the end.
func TestMemoryStaysFlat(t *testing.T) {
	wrk := findWrk(t)
	var probes atomic.Int64
	application := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { probes.Add(1) }))
	t.Cleanup(application.Close)

	config := envoytest.Shipped(t, envoytest.Wasm(t), application.Listener.Addr().(*net.TCPAddr).Port)
	ingress := config.Listener("ingress")
	ingress.Change(func(settings envoytest.Object) {
		for _, polled := range append(settings["probes"].([]any), settings["admin"]) {
			// A machine that is busy for seconds is not what this test is to find.
			polled.(envoytest.Object)["interval"], polled.(envoytest.Object)["timeout"] = often, "10s"
		}
		settings["admin"].(envoytest.Object)["max_age"] = "1m"
	})
	w := &watch{t: t, envoy: envoytest.Start(t, config, workers), probes: &probes}
	w.healthy()
	w.note("ready")

	for part := range parts {
		time.Sleep(*idle / parts)
		w.note("idle")
		if part+1 == parts/2 {
			w.half()
		}
	}
	w.mustBeFlat("probes and polls")

	load := startLoad(t, wrk, ingress.Address())
	for part := range parts {
		w.until(*checks/parts*(part+1), load)
		w.note("checks")
		if part+1 == parts/2 {
			w.half()
		}
	}
	w.mustBeFlat("health checks")
	load.stop()
	w.note("after")
	w.publish()
}
