package e2e

import (
	"slices"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// TestGates runs the filter behind the other gates that Envoy has, and without one: nothing but the cost differs.
func TestGates(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	config := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	gates := map[string]func(*envoytest.Listener){
		"none":          withoutGate,
		"skip":          skipGate,
		"enabled route": routeGate,
		"text":          asText,
	}
	for name, edit := range gates {
		edit(config.AddListener(name))
	}
	b := start(t, a, config, 2)
	for name := range gates {
		b := b.at(config.Listener(name))
		b.settle(t)
		t.Run(name, func(t *testing.T) {
			testHealthy(t, b)
			testPaths(t, b)
			testUntrusted(t, b)
			testMaintenanceRoute(t, b)
		})
	}
}

// setFilter replaces the gate of the shipped configuration.
func setFilter(l *envoytest.Listener, filter envoytest.Object) { l.Filters()[0] = filter }

func withoutGate(l *envoytest.Listener) {
	setFilter(l, envoytest.Object{"name": "healthgate", "typed_config": l.Wasm()})
}

// skipGate makes a stream skip the Wasm filter unless the shipped gate would have made one for it.
func skipGate(l *envoytest.Listener) {
	matches := envoytest.At[envoytest.Object](l.Filters(), 0, "typed_config", "xds_matcher", "matcher_list", "matchers", 0, "predicate")
	setFilter(l, envoytest.Object{
		"name": "healthgate",
		"typed_config": envoytest.Any("envoy.extensions.common.matching.v3.ExtensionWithMatcher", envoytest.Object{
			"extension_config": envoytest.Object{"name": "healthgate", "typed_config": l.Wasm()},
			"xds_matcher": envoytest.Object{"matcher_list": envoytest.Object{"matchers": []any{envoytest.Object{
				"predicate": envoytest.Object{"not_matcher": matches},
				"on_match": envoytest.Object{"action": envoytest.Object{
					"name":         "skip",
					"typed_config": envoytest.Any("envoy.extensions.filters.common.matcher.action.v3.SkipFilter", nil),
				}},
			}}}},
		}),
	})
}

// routeGate disables the filter and enables it on the routes of the endpoints.
func routeGate(l *envoytest.Listener) {
	setFilter(l, envoytest.Object{"name": "healthgate", "disabled": true, "typed_config": l.Wasm()})
	enabled := envoytest.Object{
		"healthgate": envoytest.Any("envoy.config.route.v3.FilterConfig", envoytest.Object{"config": envoytest.Object{}}),
	}
	routes := l.Routes()
	routes[0].(envoytest.Object)["typed_per_filter_config"] = enabled // the maintenance route
	for _, path := range []string{check, empty} {
		routes = slices.Insert(routes, 1, any(envoytest.Object{
			"match":                   envoytest.Object{"path": path},
			"route":                   envoytest.Object{"cluster": "app"},
			"typed_per_filter_config": enabled,
		}))
	}
	envoytest.At[envoytest.Object](l.HCM(), "route_config", "virtual_hosts", 0)["routes"] = routes
}

// asText keeps the gate and writes the plugin's configuration as JSON in a string.
func asText(l *envoytest.Listener) { l.SetSettingsText(envoytest.Text(l.Settings())) }
