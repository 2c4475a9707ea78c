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
	"github.com/healthgate/healthgate/envoy/must"
)

var (
	manyKeys = flag.String("keys", "20000", "how many runtime keys TestManyKeys gives an Envoy, separated by commas")
	window   = flag.Duration("window", 0, "for how long TestManyKeys measures what polls cost")
)

// TestManyKeys throws maintenance in an Envoy with very many runtime keys, all of which Envoy writes for each poll.
// With -window its log has the table of docs/runtime.md.
func TestManyKeys(t *testing.T) {
	t.Parallel()
	for keys := range strings.SplitSeq(*manyKeys, ",") {
		t.Run(keys, func(t *testing.T) {
			t.Parallel()
			n := must.Get(strconv.Atoi(keys))(t)
			testKeys(t, n)
		})
	}
}

func testKeys(t *testing.T, keys int) {
	config := envoytest.Shipped(t, envoytest.Wasm(t), app.Start(t).Port)
	layer := envoytest.Object{}
	for i := range keys {
		layer[fmt.Sprintf("some.service.some_feature_flag_%05d", i)] = "100"
	}
	insertLayers(config, envoytest.Object{"name": "many", "static_layer": layer})
	e := envoytest.Start(t, config, 1)
	url := "http://" + config.Listener("ingress").Address()
	envoytest.Eventually(t, envoytest.Limit, "healthy", func() error { return answers(url+check, fine) })

	const took = "wasmcustom.healthgate_runtime_poll_milliseconds"
	if e.Stats(took)[took] == 0 && keys > 5000 {
		t.Error("the cost of a poll is not told")
	}
	if *window > 0 {
		measure(t, e, keys)
	}
	for _, turn := range []struct{ value, want string }{{"true", sorry}, {"", fine}} {
		e.SetRuntime("healthgate.maintenance", turn.value)
		// A poll that times out, as it may on a loaded machine, puts the next one off by twenty times as long.
		late := envoytest.Eventually(t, 20*envoytest.CalloutTimeout+2*envoytest.Limit, "seen",
			func() error { return answers(url+check, turn.want) })
		t.Logf("%d keys: %q seen after %.1f s", keys, turn.value, late.Seconds())
	}
}

// measure tells how often the plugin polls, what a poll costs, and how much of its time Envoy's main thread is busy.
func measure(t *testing.T, e *envoytest.Envoy, keys int) {
	const polls, took = "cluster.envoy_admin.upstream_rq_200", "wasmcustom.healthgate_runtime_poll_milliseconds"
	before, begun, start := e.Stats(polls)[polls], mainThread(t, e), time.Now()
	time.Sleep(*window)
	seconds := time.Since(start).Seconds()
	share := (mainThread(t, e) - begun).Seconds() / seconds
	// /ready is asked as well, every second.
	runtime := max(float64(e.Stats(polls)[polls]-before)-seconds, 0) / seconds
	t.Logf("| %d | %.3f s/s | %.2f | %d ms |", keys, share, runtime, e.Stats(took)[took])
}

// mainThread returns the CPU time that Envoy's main thread has used.
func mainThread(t *testing.T, e *envoytest.Envoy) time.Duration {
	t.Helper()
	stat := must.Get(os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/stat", e.PID(), e.PID())))(t)
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')'):]))
	var ticks int
	for _, field := range fields[12:14] { // utime and stime, in hundredths of a second
		n := must.Get(strconv.Atoi(field))(t)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
