package operator

import (
	"github.com/healthgate/healthgate/envoy/must"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// TestNotForSure: what is derived may not be so, and is not said as if it were known.
func TestNotForSure(t *testing.T) {
	t.Parallel()
	const route = "healthgate.route_maintenance"
	for _, test := range []struct {
		name string
		edit func(*envoytest.Config)
		run  func(t *testing.T, e *envoytest.Envoy, admin, ingress string)
	}{
		{"listeners that are stopped", func(*envoytest.Config) {}, func(t *testing.T, e *envoytest.Envoy, admin, _ string) {
			t.Helper()
			e.Post("/drain_listeners")
			envoytest.Eventually(t, envoytest.Limit, "stopped",
				func() error { return e.Stat("listener_manager.listener_stopped", 1) })
			run(t, "status", "--admin", admin, "--expect", "healthy").is(t, 1, "my-service  200 healthy, not for sure",
				"connection refused", "Envoy has stopped listeners", "my-service is healthy, not for sure: ")
			const closed = "Envoy has stopped listeners (drain_listeners, or a restart): who connects to one is refused"
			run(t, "maintenance", "off", "--admin", admin).is(t, 1, "the key is off, and "+closed)
			run(t, "release", "--admin", admin).is(t, 1, closed)
			run(t, "maintenance", "on", "--admin", admin).is(t, 0, "note: "+admin+": "+closed)
		}},
		{"a login in front", func(c *envoytest.Config) {
			l := c.Listener("ingress")
			l.HCM()["http_filters"] = append([]any{envoytest.Object{"name": "login", "disabled": true,
				"typed_config": envoytest.Any("envoy.extensions.filters.http.basic_auth.v3.BasicAuth", envoytest.Parse(
					`{"users": {"inline_string": "ops:{SHA}tESsBmE/yNY3lb6a0L6vVQEZNqw="}}`))}}, l.Filters()...)
			envoytest.At[envoytest.Object](gateRoute(l), "typed_per_filter_config")["login"] = envoytest.Any(
				"envoy.config.route.v3.FilterConfig", envoytest.Object{"config": envoytest.Object{}})
		}, func(t *testing.T, _ *envoytest.Envoy, admin, ingress string) {
			t.Helper()
			const may = `no check of my-service was seen, and these may refuse one: listener "ingress": the filter "login"`
			if status, _ := get(t, "http://"+ingress+check, "a"); status != 401 {
				t.Errorf("a check gets %d", status)
			}
			run(t, "status", "--admin", admin, "--expect", "my-service=healthy", "--wait", "2s").is(t, 1,
				"200 healthy, no check seen", may)
			run(t, "maintenance", "on", "--admin", admin).is(t, 0)
			run(t, "maintenance", "off", "--admin", admin).is(t, 0)
		}},
		{"an Envoy that is overloaded", func(c *envoytest.Config) {
			c.Bootstrap["overload_manager"] = envoytest.Object{
				"resource_monitors": []any{envoytest.Object{"name": "envoy.resource_monitors.fixed_heap",
					"typed_config": envoytest.Any(
						"envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig", envoytest.Object{"max_heap_size_bytes": 1})}},
				"actions": []any{envoytest.Object{"name": "envoy.overload_actions.stop_accepting_requests", "triggers": []any{
					envoytest.Object{"name": "envoy.resource_monitors.fixed_heap", "threshold": envoytest.Object{"value": 0.5}}}}},
			}
		}, func(t *testing.T, e *envoytest.Envoy, admin, _ string) {
			t.Helper()
			envoytest.Eventually(t, envoytest.Limit, "overload", func() error {
				return e.Stat("overload.envoy.overload_actions.stop_accepting_requests.active", 1)
			})
			run(t, "status", "--admin", admin, "--expect", "healthy").is(t, 1, "my-service  200 healthy, not for sure",
				"Envoy is overloaded and refuses each request before any filter", "my-service is healthy, not for sure: ")
			run(t, "maintenance", "on", "--admin", admin).is(t, 0, "on", "note: ", "Envoy is overloaded, and may refuse a check")
			run(t, "maintenance", "off", "--admin", admin, "--wait", "4s").is(t, 1, "the key is off, and Envoy is overloaded")
		}},
		{"two plugins that set one metric", func(c *envoytest.Config) {
			c.AddCluster("dead", must.Port(t))
			second := c.AddListener("second")
			envoytest.At[envoytest.Object](second.Plugin(), "vm_config")["vm_id"] = "second"
			second.Change(func(s envoytest.Object) { envoytest.At[envoytest.Object](s, "admin")["cluster"] = "dead" })
		}, func(t *testing.T, _ *envoytest.Envoy, admin, ingress string) {
			t.Helper()
			on := []string{"maintenance", "on", "--admin", admin, "--wait", "15s"} // it ends with an error
			run(t, on...).is(t, 1, "not in maintenance: my-service")
			run(t, append(on, "--verify", "http://"+ingress+check)...).is(t, 1, "not in maintenance: my-service")
			run(t, "status", "--admin", admin).is(t, 0, "my-service (ingress)  503 maintenance",
				"my-service (second)   503 unknown")
		}},
		{"a fraction in a static layer", func(c *envoytest.Config) {
			envoytest.At[envoytest.Object](c.Bootstrap, "layered_runtime", "layers", 0, "static_layer")[route] =
				envoytest.Object{"numerator": 100, "denominator": "HUNDRED"}
		}, func(t *testing.T, e *envoytest.Envoy, admin, ingress string) {
			t.Helper()
			if status, body := get(t, "http://"+ingress+check, "a"); status != 503 || body != sorry {
				t.Errorf("%d %q", status, body)
			}
			run(t, "maintenance", "off", "--route", "--admin", admin, "--wait", "2s").is(t, 1,
				`the layer "defaults" says`, "say --override here")
			run(t, "status", "--admin", admin, "--expect", "healthy").is(t, 1, "my-service  503 maintenance",
				"my-service is maintenance, not healthy")
			run(t, "maintenance", "off", "--route", "--override", "--admin", admin).is(t, 0, "off")
			run(t, "maintenance", "off", "--route", "--override", "--admin", admin, "--admin", "[::ffff:"+
				strings.Replace(admin, ":", "]:", 1)).is(t, 1, "it is the Envoy of ", "at another address: leave one of them out")
			checking(t, ingress)
			run(t, "status", "--admin", admin, "--expect", "healthy").is(t, 0)
			e.SetRuntime(route, "50")
			run(t, "maintenance", "off", "--admin", admin).is(t, 1, "still in maintenance: my-service, by "+route+" = 50, "+
				"which takes a part of the checks")
			run(t, "release", "--admin", admin).is(t, 1, "my-service is in maintenance for a part of its checks")
		}},
		{"a way past the plugin", func(c *envoytest.Config) {
			l := c.Listener("ingress")
			hosts := envoytest.At[envoytest.Object](l.HCM(), "route_config")
			hosts["virtual_hosts"] = append(hosts["virtual_hosts"].([]any),
				envoytest.Object{"name": "api", "domains": []any{"api"}, "routes": []any{last(l)}})
		}, func(t *testing.T, e *envoytest.Envoy, admin, _ string) {
			t.Helper()
			e.SetRuntime(key, "true")
			envoytest.Eventually(t, envoytest.Limit, "maintenance", func() error {
				return e.Stat("wasmcustom.healthgate_maintenance.endpoint.my-service", 1)
			})
			out := run(t, "status", "--admin", admin, "--expect", "my-service=maintenance")
			out.is(t, 1, "my-service  503 maintenance, not everywhere", "not everywhere, see the notes",
				"my-service is maintenance, not everywhere: listener")
			if out := run(t, "status", "--admin", admin, "-o", "json"); !strings.Contains(out.stdout, `"not_everywhere": true`) {
				t.Error(out.stdout)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := envoytest.Shipped(t, envoytest.Wasm(t), app.Start(t).Port)
			test.edit(c)
			envoy, admin := startRecorded(t, c, 1)
			test.run(t, envoy, admin, c.Listener("ingress").Address())
		})
	}
}
