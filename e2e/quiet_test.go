package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
	"go.yaml.in/yaml/v3"
)

// TestQuietChecks: answers to checks are Envoy's 5xx, as many as the filter counts itself; so docs/watching.md's query
// leaves them out. With envoy/watching/quiet-checks.yml they are none. What strangers send stays what it is.
func TestQuietChecks(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	config := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	text := must.Get(os.ReadFile(filepath.Join(envoytest.Root, "envoy", "watching", "quiet-checks.yml")))(t)
	var filters []any
	must.Do(t, yaml.Unmarshal(text, &filters))
	quiet := config.AddListener("quiet")
	quiet.HCM()["http_filters"] = slices.Insert(quiet.Filters(), 0, filters...)
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
