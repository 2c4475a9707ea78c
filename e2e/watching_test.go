package e2e

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
	"go.yaml.in/yaml/v3"
)

// watching reads a file of envoy/watching, which an operator copies into Envoy's configuration.
func watching(t *testing.T, name string) (list []any) {
	t.Helper()
	must.Do(t, yaml.Unmarshal([]byte(must.Read(t, filepath.Join(envoytest.Root, "envoy", "watching", name))), &list))
	return list
}

// TestAccessLogOfFailures: with envoy/watching/access-log.yml the checks that failed are logged, those that went well
// are not, and the application's requests are.
func TestAccessLogOfFailures(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	c := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	c.Listener("ingress").HCM()["access_log"] = watching(t, "access-log.yml")
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

// TestQuietChecks: answers to checks are Envoy's 5xx, as many as the filter counts itself; so docs/watching.md's query
// leaves them out. With envoy/watching/quiet-checks.yml they are none. What strangers send stays what it is.
func TestQuietChecks(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	config := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	quiet := config.AddListener("quiet")
	quiet.HCM()["http_filters"] = slices.Insert(quiet.Filters(), 0, watching(t, "quiet-checks.yml")...)
	for _, r := range quiet.Routes() {
		if enables, is := r.(object)["typed_per_filter_config"].(object); is {
			enables["healthgate.quiet"] = enables["healthgate"]
		}
	}
	b := start(t, a, config, 1)
	b.settle(t)
	b.envoy.SetRuntime(key, "true")
	b.within(t, interval+slack, 503, sorry)

	const (
		counted     = "wasmcustom.healthgate_checks_total.endpoint.my-service.verdict.maintenance"
		quietHeader = "X-Envoy-Upstream-Healthchecked-Cluster"
	)
	for _, test := range []struct {
		name string
		*bench
		traffic int // of 20 checks
	}{{"ingress", b, 20}, {"quiet", b.at(quiet), 0}} {
		class := func(n string) int {
			name := "http." + test.name + ".downstream_rq_" + n + "xx"
			return b.envoy.Stats("^" + name + "$")[name]
		}
		failed, maintenance, served := class("5"), b.envoy.Stats(counted)[counted], class("2")
		for range 20 {
			test.balancer.get(t, check).is(t, 503, sorry)
		}
		if n := class("5") - failed; n != test.traffic {
			t.Errorf("%s: 20 checks in maintenance are %d answers of 5xx, want %d", test.name, n, test.traffic)
		}
		if n := b.envoy.Stats(counted)[counted] - maintenance; n != 20 {
			t.Errorf("%s: healthgate counts %d of 20", test.name, n)
		}
		stranger := test.stranger.get(t, check)
		stranger.isApp(t, check)
		if stranger.Header.Get(quietHeader) != "" {
			t.Errorf("%s: a stranger gets %v", test.name, stranger)
		}
		test.balancer.get(t, "/shop").isApp(t, "/shop")
		if n := class("2") - served; n != 2 {
			t.Errorf("%s: two requests of users are %d of 2xx", test.name, n)
		}
	}

	// As the file says.
	b.at(quiet).balancer.get(t, check).has(t, quietHeader, "healthgate")
	b.envoy.Post("/healthcheck/fail")
	b.at(quiet).within(t, interval+slack, 503, "")
}
