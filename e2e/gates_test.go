package e2e

import (
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// TestGates runs the filter behind the other gates that Envoy has, and without one: nothing but the cost differs. A
// request is answered the same in whatever form it comes.
func TestGates(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	config := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	gates := map[string]func(testing.TB, *envoytest.Listener){
		"none":    withoutGate,
		"skip":    skipGate,
		"matcher": matcherGate,
		"text":    asText,
	}
	for name, edit := range gates {
		edit(t, config.AddListener(name))
	}
	normalized(config.AddListener("normalized"))
	l := config.AddListener("matcher, normalized")
	matcherGate(t, l)
	normalized(l)
	b := start(t, a, config, 2)
	b.settle(t)
	for name := range gates {
		b := b.at(config.Listener(name))
		b.settle(t)
		t.Run(name, func(t *testing.T) {
			testHealthy(t, b)
			testPaths(t, b)
			testUntrusted(t, b)
			testMaintenanceRoute(t, b)
			testForms(t, b, forms(t, "forms"))
		})
	}
	t.Run("route", func(t *testing.T) { testForms(t, b, forms(t, "forms")) })
	for _, name := range []string{"normalized", "matcher, normalized"} {
		t.Run(name, func(t *testing.T) { testForms(t, b.at(config.Listener(name)), forms(t, "normalized")) })
	}
}

// matcherGate replaces the shipped gate, which is by route, by what `render envoy --gate matcher` writes.
func matcherGate(t testing.TB, l *envoytest.Listener) {
	t.Helper()
	gate, routes, err := envoytest.ByMatcher(object{"name": "envoy.filters.http.wasm", "typed_config": l.Wasm()})
	if err != nil {
		t.Fatal(err)
	}
	l.Filters()[0] = gate
	l.SetRoutes(routes)
}

func withoutGate(t testing.TB, l *envoytest.Listener) {
	t.Helper()
	matcherGate(t, l)
	l.Filters()[0] = object{"name": "healthgate", "typed_config": l.Wasm()}
}

// skipGate makes a stream skip the Wasm filter unless the gate by matcher would have made one for it.
func skipGate(t testing.TB, l *envoytest.Listener) {
	t.Helper()
	matcherGate(t, l)
	matches := envoytest.At[object](l.Filters(), 0, "typed_config", "xds_matcher", "matcher_list", "matchers", 0,
		"predicate")
	l.Filters()[0] = object{
		"name": "healthgate",
		"typed_config": envoytest.Any("envoy.extensions.common.matching.v3.ExtensionWithMatcher", object{
			"extension_config": object{"name": "healthgate", "typed_config": l.Wasm()},
			"xds_matcher": object{"matcher_list": object{"matchers": []any{object{
				"predicate": object{"not_matcher": matches},
				"on_match": object{"action": object{
					"name":         "skip",
					"typed_config": envoytest.Any("envoy.extensions.filters.common.matcher.action.v3.SkipFilter", nil),
				}},
			}}}},
		}),
	}
}

// asText keeps the gate and writes the plugin's configuration as JSON in a string.
func asText(_ testing.TB, l *envoytest.Listener) { l.SetSettingsText(envoytest.Text(l.Settings())) }
