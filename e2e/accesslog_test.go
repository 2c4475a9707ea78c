package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
	"go.yaml.in/yaml/v3"
)

// TestAccessLogOfFailures: with envoy/watching/access-log.yml the checks that failed are logged, those that went well
// are not, and the application's requests are.
func TestAccessLogOfFailures(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	c := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	text := must.Get(os.ReadFile(filepath.Join(envoytest.Root, "envoy", "watching", "access-log.yml")))(t)
	var log []any
	must.Do(t, yaml.Unmarshal(text, &log))
	c.Listener("ingress").HCM()["access_log"] = log
	b := start(t, a, c, 1)
	b.settle(t)

	b.balancer.get(t, check).is(t, 200, "OK")
	b.balancer.get(t, empty).is(t, 200, "")
	b.balancer.get(t, statusPath)
	b.balancer.get(t, "/shop").isApp(t, "/shop")
	b.stranger.get(t, check).isApp(t, check)
	a.Answer(alive("inbound"), 500)
	b.within(t, interval+slack, 500, "FAILED")
	b.balancer.get(t, statusPath)
	a.Answer(alive("inbound"), 200)
	b.settle(t)
	b.envoy.SetRuntime("healthgate.maintenance", "true")
	b.within(t, interval+slack, 503, sorry)
	b.balancer.get(t, "/last").isApp(t, "/last")
	envoytest.Eventually(t, envoytest.Limit, "access log written", func() error { return b.envoy.AccessLog.Has("/last") })

	var got []string
	for _, line := range b.envoy.AccessLog.Lines() {
		_, request, _ := strings.Cut(line, `"`)
		fields := strings.Fields(request) // GET PATH HTTP/1.1" STATUS DETAILS DURATION
		got = append(got, strings.Join([]string{fields[1], fields[3], fields[4]}, " "))
	}
	want := []string{
		"/shop 200 via_upstream",
		check + " 200 via_upstream",
		check + " 500 healthgate_unhealthy",
		check + " 503 healthgate_maintenance",
		"/last 200 via_upstream",
	}
	// How often a check fails until the test has seen it, or until the application is found well, is a matter of time.
	got = slices.Compact(got)
	if got[0] == check+" 503 healthgate_unknown" { // the test may have been faster than the first probes
		got = got[1:]
	}
	if !slices.Equal(got, want) {
		t.Errorf("logged %q\nwant %q", got, want)
	}
}
