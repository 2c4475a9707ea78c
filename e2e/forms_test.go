package e2e

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// formed is a request of testdata/forms.yaml.
type formed struct {
	Request, Host string
	Headers       []string
	Answer        string
}

// forms returns those of a kind of listener: "forms" or "normalized".
func forms(t *testing.T, listener string) []formed {
	t.Helper()
	var all map[string][]formed
	testdata(t, "forms.yaml", &all)
	return all[listener]
}

// normalized lets Envoy normalize paths, and its routes ignore what follows a semicolon in them.
func normalized(l *envoytest.Listener) {
	maps.Copy(l.HCM(), object{"normalize_path": true, "merge_slashes": true,
		"path_with_escaped_slashes_action": "UNESCAPE_AND_FORWARD"})
	envoytest.At[object](l.HCM(), "route_config")["ignore_path_parameters_in_path_matching"] = true
}

func testForms(t *testing.T, b *bench, requests []formed) {
	for _, r := range requests {
		t.Run(r.Request, func(t *testing.T) {
			method, target, _ := strings.Cut(r.Request, " ")
			headers := r.Headers
			switch r.Host {
			case "none":
			case "":
				headers = append(headers, "Host: shop.example")
			default:
				headers = append(headers, "Host: "+r.Host)
			}
			if got := b.balancer.says(t, method, target, headers...); got != r.Answer {
				t.Errorf("%q: answered %q, want %q", headers, got, r.Answer)
			}
		})
	}
}

// says returns what a request is answered, such as `200 OK`, or `400` when Envoy itself refuses it.
func (c client) says(t testing.TB, method, target string, headers ...string) string {
	t.Helper()
	version := "1.0"
	if slices.ContainsFunc(headers, func(h string) bool { return strings.HasPrefix(h, "Host: ") }) {
		version = "1.1"
	}
	lines := append([]string{fmt.Sprintf("%s %s HTTP/%s", method, target, version)}, headers...)
	a, err := c.raw(method, strings.Join(append(lines, "Connection: close"), "\r\n")+"\r\n\r\n")
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	if a.Header.Get("X-App") == "" && a.Status >= 300 && a.Status != 503 {
		a.Body = ""
	}
	return strings.TrimSpace(fmt.Sprint(a.Status, " ", a.Body))
}

// luaType is the type of the Lua filter.
const luaType = "envoy.extensions.filters.http.lua.v3.Lua"

// crowd puts beside the virtual host of the routes others that do without the gate's, and in front of the filter one
// that changes paths, after which Envoy chooses the route anew.
func crowd(l *envoytest.Listener) {
	own := envoytest.At[object](l.HCM(), "route_config", "virtual_hosts", 0)
	hosts := []any{own}
	for name, edit := range map[string]func(host object, routes []any){
		"bare.example": func(host object, routes []any) { host["routes"] = routes[len(routes)-1:] },
		"front.example": func(host object, routes []any) {
			host["routes"] = append(routes[len(routes)-1:], routes...)
		},
		"tls.example": func(host object, _ []any) { host["require_tls"] = "ALL" },
		"off.example": func(_ object, routes []any) {
			for _, r := range routes {
				r.(object)["typed_per_filter_config"] = object{
					"healthgate": envoytest.Any("envoy.config.route.v3.FilterConfig", object{"disabled": true}),
				}
			}
		},
	} {
		host := envoytest.Clone(own)
		host["name"], host["domains"] = name, []any{name}
		edit(host, envoytest.At[[]any](host, "routes"))
		hosts = append(hosts, host)
	}
	own["domains"] = []any{"shop.example"}
	envoytest.At[object](l.HCM(), "route_config")["virtual_hosts"] = hosts
	filter := object{
		"name": "rewrite",
		"typed_config": envoytest.Any(luaType, object{
			"default_source_code": object{"inline_string": fmt.Sprintf(`
				local changed = {["/to-check"] = %[1]q, [%[2]q] = %[1]q, [%[3]q] = "/shop"}
				function envoy_on_request(handle)
					local path = changed[handle:headers():get(":path")]
					if path then handle:headers():replace(":path", path) end
				end`, check, empty, statusPath)},
		}),
	}
	l.HCM()["http_filters"] = append([]any{filter}, l.Filters()...)
}

// TestWhereGatesDiffer: a gate by route follows the routes, a gate by matcher the path that the filter would see.
func TestWhereGatesDiffer(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	config := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	matcher := config.AddListener("matcher")
	matcherGate(t, matcher)
	early := config.AddListener("early")
	early.HCM()["http_filters"] = early.Filters()[1:]
	crowd(matcher)
	crowd(config.Listener("ingress"))
	b := start(t, a, config, 1)
	b.settle(t)
	for _, test := range []struct {
		name, host, target string
		route, matcher     string
	}{
		{"routes of another virtual host", "bare.example", check, "200 app " + check, "200 OK"},
		{"no virtual host", "unknown.example", check, "404", "200 OK"},
		{"a route in front", "front.example", check, "200 app " + check, "200 OK"},
		{"a virtual host for TLS only", "tls.example", check, "301", "200 OK"},
		{"routes that disable the filter", "off.example", check, "200 app " + check, "200 app " + check},
		{"another path changed to an endpoint's", "shop.example", "/to-check", "200 app " + check, "200 OK"},
		{"an endpoint's path changed to another's", "shop.example", empty, "200 OK", "200 OK"},
		{"an endpoint's path changed to none", "shop.example", statusPath, "200 app /shop", "200 app /shop"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for listener, want := range map[string]string{"ingress": test.route, "matcher": test.matcher} {
				b := b.at(config.Listener(listener))
				if got := b.balancer.says(t, "GET", test.target, "Host: "+test.host); got != want {
					t.Errorf("%s: answered %q, want %q", listener, got, want)
				}
			}
		})
	}
	t.Run("routes ahead of their filter", func(t *testing.T) {
		b.at(early).balancer.get(t, check).isApp(t, check)
	})
}

// TestGateFromControlPlane: the routes come by RDS and the filter by ECDS, each on its own.
func TestGateFromControlPlane(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	config := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	l := config.Listener("ingress")
	write := func(name string, resource object) object {
		file := filepath.Join(t.TempDir(), name)
		must.Write(t, file, envoytest.Text(object{"resources": []any{resource}}))
		return object{"resource_api_version": "V3", "path_config_source": object{"path": file}}
	}
	routes := write("routes.json", envoytest.Any("envoy.config.route.v3.RouteConfiguration",
		envoytest.At[object](l.HCM(), "route_config")))
	delete(l.HCM(), "route_config")
	l.HCM()["rds"] = object{"route_config_name": "ingress", "config_source": routes}
	plugin := l.Wasm()
	l.Filters()[0] = object{"name": "healthgate", "disabled": true, "config_discovery": object{
		"config_source": write("filter.json", envoytest.Any("envoy.config.core.v3.TypedExtensionConfig",
			object{"name": "healthgate", "typed_config": plugin})),
		"type_urls": []any{plugin["@type"]},
	}}
	b := start(t, a, config, 2)
	b.settle(t)
	testHealthy(t, b)
	testPaths(t, b)
	testUntrusted(t, b)
	testMaintenanceRoute(t, b)
}
