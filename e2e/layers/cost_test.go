package layers

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

var window = flag.Duration("window", 20*time.Second, "for how long TestCostOfPolling measures")

// TestCostOfPolling gives Envoy ever more runtime keys. All of them are written for each poll; the polls are so far
// apart that Envoy's main thread keeps nearly all of its time. The log has the table of docs/runtime.md.
func TestCostOfPolling(t *testing.T) {
	t.Parallel()
	for _, keys := range []int{100, 1000, 5000, 10_000, 20_000} {
		t.Run(strconv.Itoa(keys), func(t *testing.T) {
			t.Parallel()
			testCost(t, keys)
		})
	}
}

func testCost(t *testing.T, keys int) {
	config := envoytest.Shipped(t, envoytest.Wasm(t), app.Start(t).Port)
	layer := envoytest.Object{}
	for i := range keys {
		layer[fmt.Sprintf("some.service.some_feature_flag_%05d", i)] = "100"
	}
	insertLayers(config, envoytest.Object{"name": "many", "static_layer": layer})
	e := envoytest.Start(t, config, 1)
	url := "http://" + config.Listener("ingress").Address()
	envoytest.Eventually(t, envoytest.Limit, "healthy", func() error { return answers(url+check, fine) })

	const polls, took = "cluster.envoy_admin.upstream_rq_200", "wasmcustom.healthgate_runtime_poll_milliseconds"
	before, begun, start := e.Stats(polls)[polls], mainThread(t, e), time.Now()
	time.Sleep(*window)
	seconds := time.Since(start).Seconds()
	share := (mainThread(t, e) - begun).Seconds() / seconds
	// /ready is asked as well, every second.
	runtime := max(float64(e.Stats(polls)[polls]-before)-seconds, 0) / seconds
	cost := e.Stats(took)[took]
	if cost == 0 && keys > 5000 {
		t.Error("the cost of a poll is not told")
	}
	if share > 0.12 {
		t.Errorf("the main thread was busy for %.3f of its time", share)
	}

	var late time.Duration
	for round := range 4 {
		value, want := "true", sorry
		if round%2 == 1 {
			value, want = "", fine
		}
		e.SetRuntime("healthgate.maintenance", value)
		// A poll that times out, as it may on a loaded machine, puts the next one off by twenty times as long.
		late = max(late, envoytest.Eventually(t, 20*envoytest.CalloutTimeout+2*envoytest.Limit, "seen",
			func() error { return answers(url+check, want) }))
	}
	t.Logf("| %d | %.2f | %d ms | %.3f s/s | %.1f s |", keys, runtime, cost, share, late.Seconds())
}

// mainThread returns the CPU time that Envoy's main thread has used.
func mainThread(t *testing.T, e *envoytest.Envoy) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/stat", e.PID(), e.PID()))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')'):]))
	var ticks int
	for _, field := range fields[12:14] { // utime and stime, in hundredths of a second
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
