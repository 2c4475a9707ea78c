package operator

import (
	"net/http"
	"path/filepath"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// kept is a client that keeps its connection, as many load balancers do.
func kept(t *testing.T, url string) func(what string, status int) {
	t.Helper()
	client := envoytest.ClientFrom("127.0.0.1", true)
	ask := func(what string, status int) {
		t.Helper()
		if a := must.Get(envoytest.Read(client.Get(url)))(t); a.Status != status {
			t.Errorf("%s: %v, want %d", what, a, status)
		}
	}
	ask("the first check", http.StatusOK)
	return ask
}

// TestEarlierConfigurationDrains: an update changes a filter chain, and Envoy keeps the connections of the one before,
// which had no gate, for its drain time. What they get nobody can tell: on does not say that it is done.
func TestEarlierConfigurationDrains(t *testing.T) {
	t.Parallel()
	c := envoytest.Shipped(t, envoytest.Wasm(t), app.Start(t).Port)
	gated := c.Listener("ingress")
	before := &envoytest.Listener{Object: envoytest.Clone(gated.Object)}
	before.SetRoutes([]any{last(before)})
	file := filepath.Join(t.TempDir(), "listeners.json")
	envoytest.PublishListener(t, file, before)
	c.ListenersFrom(file)
	c.Args = []string{"--drain-time-s", "600", "--drain-strategy", "gradual"}
	envoy, admin, url := envoytest.Start(t, c, 1), envoytest.Loopback(c.AdminPort), "http://"+gated.Address()+check
	old := kept(t, url)
	envoytest.PublishListener(t, file, gated)
	envoytest.Eventually(t, envoytest.Limit, "the update", func() error {
		return envoy.Stat("wasmcustom.healthgate_probe_up.probe.stats", 1)
	})
	const drains = "an earlier configuration of Envoy still drains: a connection that it has keeps getting its answers"
	run(t, "maintenance", "on", "--admin", admin, "--wait", "8s").is(t, 1, drains, "--verify URL")
	run(t, "status", "--admin", admin, "--expect", "maintenance").is(t, 1, "not for sure: "+drains)
	run(t, "maintenance", "on", "--admin", admin, "--verify", url).is(t, 0, "note: "+admin+": "+drains)
	old("a check on the old connection", http.StatusOK)
	run(t, "maintenance", "off", "--admin", admin, "--verify", url).is(t, 0, "note: "+admin+": "+drains)
}

// TestCrashedForGood: where a plugin that has crashed is not loaded again, one worker's may have: off does not say that
// it is done, and --verify meets each worker.
func TestCrashedForGood(t *testing.T) {
	t.Parallel()
	c := envoytest.Shipped(t, envoytest.FaultyWasm(t), app.Start(t).Port)
	c.MayCrash = true
	c.Listener("ingress").Plugin()["failure_policy"] = "FAIL_CLOSED"
	_, admin := startRecorded(t, c, 4)
	url := "http://" + c.Listener("ingress").Address() + check
	off := []string{"maintenance", "off", "--admin", admin}
	run(t, off...).is(t, 1, "the key is off, and it is not for sure what checks get", "--verify URL")
	run(t, append(off, "--verify", url)...).is(t, 0, "note: ", "its failure_policy is not FAIL_RELOAD")
	run(t, "status", "--admin", admin, "--expect", "healthy").is(t, 1, "its failure_policy is not FAIL_RELOAD")
	request := must.Get(http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil))(t)
	request.Header.Set("X-Healthgate-Fault", "crash")
	must.Get(envoytest.Read(http.DefaultClient.Do(request)))(t)
	for range 3 {
		run(t, append(off, "--verify", url)...).is(t, 1, "as from a worker whose plugin has crashed")
	}
	run(t, "maintenance", "on", "--admin", admin).is(t, 0)
}
