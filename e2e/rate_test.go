package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// window is how long probes are counted.
const window = 30 * time.Second

// TestProbeRate: each probe comes once per interval, whatever the number of workers and of checks.
func TestProbeRate(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	b := start(t, a, envoytest.Shipped(t, envoytest.Wasm(t), a.Port), 4)
	b.settle(t)
	startTraffic(t, b.balancer)
	w := envoytest.StartLoad(t, 20*time.Millisecond, b.balancer.checks)
	b.probesAtTheirRate(t, func(time.Time) {})
	w.Saw(t, "200 OK")
}

// TestProbeRateWhileWorkersCrash: the VMs of workers crash and are loaded again, and neither the rate of the probes
// nor ordinary traffic notices.
func TestProbeRateWhileWorkersCrash(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	b := start(t, a, envoytest.Shipped(t, envoytest.FaultyWasm(t), a.Port), 4)
	b.settle(t)
	startTraffic(t, b.balancer)
	crashes := 0
	pace := time.NewTicker(2 * time.Second)
	defer pace.Stop()
	b.probesAtTheirRate(t, func(from time.Time) {
		for time.Since(from) < window {
			b.crashFollower(t)
			crashes++
			<-pace.C
		}
	})

	// Every worker is whole again, and the load balancer sees that.
	b.everywhere(t, 200, "OK")
	reloads := b.envoy.Stats("vm_reload_success")["wasm.healthgate.vm_reload_success"]
	if reloads < 3 {
		t.Errorf("VMs of workers crashed %d times, Envoy loaded %d again", crashes, reloads)
	}
	t.Logf("VMs of workers crashed %d times, Envoy loaded %d again", crashes, reloads)
	b.leaders(t) // only VMs that do not lead crashed
	for _, node := range nodes {
		if got := logged(b.envoy.Log, fmt.Sprintf("probe %q", node)); len(got) != 1 {
			t.Errorf("probe %s changed its state: %q", node, got)
		}
	}
}

// probesAtTheirRate lets time pass until, in one window, each node was probed once per interval. A machine that stops
// for seconds makes probes come late; a filter that probes too often, or too seldom, does so in every window.
func (b *bench) probesAtTheirRate(t *testing.T, during func(from time.Time)) {
	t.Helper()
	var err error
	for range 3 {
		from := time.Now()
		during(from)
		if err = b.countProbes(t, from); err == nil {
			return
		}
		t.Logf("once more: %v", err)
	}
	t.Error(err)
}

// countProbes waits until the window after from is over, and counts what the application saw in it.
func (b *bench) countProbes(t *testing.T, from time.Time) error {
	t.Helper()
	until := from.Add(window)
	const want, tolerance = int(window / interval), int(window / interval / 10)
	for _, node := range nodes {
		path := alive(node)
		envoytest.Eventually(t, window+envoytest.Limit, "probes after the window", func() error {
			if seen := b.app.Seen(path); len(seen) == 0 || seen[len(seen)-1].At.Before(until) {
				return fmt.Errorf("%s has not been probed since %v", node, until)
			}
			return nil
		})
		n, longest, last := 0, time.Duration(0), time.Time{}
		for _, r := range b.app.Seen(path) {
			if r.At.Before(from) || !r.At.Before(until) {
				continue
			}
			if n++; !last.IsZero() {
				longest = max(longest, r.At.Sub(last))
			}
			last = r.At
		}
		t.Logf("%s: %d probes in %v, the longest pause %v", node, n, window, longest.Round(time.Millisecond))
		if n < want-tolerance || n > want+tolerance {
			return fmt.Errorf("%s was probed %d times in %v, want %d±%d", node, n, window, want, tolerance)
		}
	}
	return nil
}
