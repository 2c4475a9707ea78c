package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// formed is a request in some form, and what it is answered.
type formed struct{ method, target, headers, want string }

const anyHost = "Host: shop.example\r\n"

var forms = []formed{
	{"GET", check, anyHost, "200 OK"},
	{"HEAD", check, anyHost, "200"},
	{"POST", check, anyHost, "200 app " + check}, // not one of the endpoint's methods
	{"GET", check + "?", anyHost, "200 OK"},
	{"GET", check + "?a=/shop&b=?#", anyHost, "400"},
	{"GET", check + "?a=/shop&b=?", anyHost, "200 OK"},
	{"GET", check + "#fragment", anyHost, "400"},
	// The absolute form, as a proxy gets it.
	{"GET", "http://other.example" + check, anyHost, "200 OK"},
	{"GET", "http://other.example" + check + "?a", anyHost, "200 OK"},
	{"GET", "http://other.example/shop" + check, anyHost, "200 app /shop" + check},
	{"GET", "http://other.example", anyHost, "200 app /"},
	// Hosts, or none.
	{"GET", check, "Host: 10.0.0.1:8080\r\n", "200 OK"},
	{"GET", check, "Host: [::1]\r\n", "200 OK"},
	{"GET", check, "", "200 OK"},
	{"OPTIONS", check, "", "200 OK"},
	// Near misses.
	{"GET", check + ";a=b", anyHost, "200 app " + check + ";a=b"},
	{"GET", "/my-service;a=b/healthcheck", anyHost, "200 app /my-service;a=b/healthcheck"},
	{"GET", check + "/", anyHost, "200 app " + check + "/"},
	{"GET", check + "%3F", anyHost, "200 app " + check + "%3F"},
	{"GET", check + "%00", anyHost, "200 app " + check + "%00"},
	{"GET", "/my-service%2Fhealthcheck", anyHost, "200 app /my-service%2Fhealthcheck"},
	{"GET", "/%6Dy-service/healthcheck", anyHost, "200 app /%6Dy-service/healthcheck"},
	{"GET", "/MY-SERVICE/healthcheck", anyHost, "200 app /MY-SERVICE/healthcheck"},
	{"GET", "/" + check, anyHost, "200 app /" + check},
	{"GET", "/." + check, anyHost, "200 app /." + check},
	{"GET", "/x/.." + check, anyHost, "200 app /x/.." + check},
	{"GET", `\my-service\healthcheck`, anyHost, "400"},
	// No path at all.
	{"OPTIONS", "*", anyHost, "404"},
	{"CONNECT", "shop.example:80", anyHost, "404"},
	// What claims to be about another path.
	{"GET", "/shop", anyHost + "X-Envoy-Original-Path: " + check + "\r\nX-Original-Url: " + check + "\r\n", "200 app /shop"},
	{"GET", check, anyHost + "X-Envoy-Original-Path: /shop\r\nX-Rewrite-Url: /shop\r\n", "200 OK"},
}

// normalForms are answered so by a listener that normalizes paths.
var normalForms = []formed{
	{"GET", check, anyHost, "200 OK"},
	{"GET", "/x/.." + check, anyHost, "200 OK"},
	{"GET", "/." + check + "?a=/../b", anyHost, "200 OK"},
	{"GET", "//my-service///healthcheck", anyHost, "200 OK"},
	{"GET", "/my-service%2Fhealthcheck", anyHost, "200 OK"},
	{"GET", `/my-service\healthcheck`, anyHost, "200 OK"},
	{"GET", "http://other.example/x/.." + check, anyHost, "200 OK"},
	{"GET", check + "/..", anyHost, "200 app /my-service/"},
	{"GET", check + ";a=b", anyHost, "200 app " + check + ";a=b"}, // a route takes it; the plugin matches exactly
	{"GET", "/../.." + check, anyHost, "200 OK"},
}

// normalized lets Envoy normalize paths, and its routes ignore what follows a semicolon in them.
func normalized(l *envoytest.Listener) {
	with(`{"normalize_path": true, "merge_slashes": true, "path_with_escaped_slashes_action": "UNESCAPE_AND_FORWARD"}`)(l)
	envoytest.At[envoytest.Object](l.HCM(), "route_config")["ignore_path_parameters_in_path_matching"] = true
}

func testForms(t *testing.T, b *bench, requests []formed) {
	for _, r := range requests {
		if got := b.balancer.says(t, r.method, r.target, r.headers); got != r.want {
			t.Errorf("%s %s %q: answered %q, want %q", r.method, r.target, r.headers, got, r.want)
		}
	}
}

// says returns what a request is answered, such as `200 OK`, or `400` when Envoy itself refuses it.
func (c client) says(t testing.TB, method, target, headers string) string {
	t.Helper()
	version := "1.1"
	if !strings.Contains(headers, "Host: ") {
		version = "1.0"
	}
	a, err := c.raw(method, fmt.Sprintf("%s %s HTTP/%s\r\n%sConnection: close\r\n\r\n", method, target, version, headers))
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	if a.headers.Get("X-App") == "" && a.status >= 300 && a.status != 503 {
		a.body = ""
	}
	return strings.TrimSpace(fmt.Sprint(a.status, " ", a.body))
}

// crowd puts beside the virtual host of the routes others that do without the gate's, and in front of the filter one that
// changes paths, after which Envoy chooses the route anew.
func crowd(l *envoytest.Listener) {
	own := envoytest.At[envoytest.Object](l.HCM(), "route_config", "virtual_hosts", 0)
	hosts := []any{own}
	for name, edit := range map[string]func(host envoytest.Object, routes []any){
		"bare.example":  func(host envoytest.Object, routes []any) { host["routes"] = routes[len(routes)-1:] },
		"front.example": func(host envoytest.Object, routes []any) { host["routes"] = append(routes[len(routes)-1:], routes...) },
		"tls.example":   func(host envoytest.Object, _ []any) { host["require_tls"] = "ALL" },
		"off.example": func(_ envoytest.Object, routes []any) {
			for _, r := range routes {
				r.(envoytest.Object)["typed_per_filter_config"] = envoytest.Object{
					"healthgate": envoytest.Any("envoy.config.route.v3.FilterConfig", envoytest.Object{"disabled": true}),
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
	envoytest.At[envoytest.Object](l.HCM(), "route_config")["virtual_hosts"] = hosts
	filter := envoytest.Object{
		"name": "rewrite",
		"typed_config": envoytest.Any("envoy.extensions.filters.http.lua.v3.Lua", envoytest.Object{
			"default_source_code": envoytest.Object{"inline_string": fmt.Sprintf(`
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
				if got := b.balancer.says(t, "GET", test.target, "Host: "+test.host+"\r\n"); got != want {
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
	write := func(name string, resource envoytest.Object) envoytest.Object {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(envoytest.Text(envoytest.Object{"resources": []any{resource}})), 0o600); err != nil {
			t.Fatal(err)
		}
		return envoytest.Object{"resource_api_version": "V3", "path_config_source": envoytest.Object{"path": file}}
	}
	routes := write("routes.json", envoytest.Any("envoy.config.route.v3.RouteConfiguration", envoytest.At[envoytest.Object](l.HCM(), "route_config")))
	delete(l.HCM(), "route_config")
	l.HCM()["rds"] = envoytest.Object{"route_config_name": "ingress", "config_source": routes}
	plugin := l.Wasm()
	l.Filters()[0] = envoytest.Object{"name": "healthgate", "disabled": true, "config_discovery": envoytest.Object{
		"config_source": write("filter.json", envoytest.Any("envoy.config.core.v3.TypedExtensionConfig",
			envoytest.Object{"name": "healthgate", "typed_config": plugin})),
		"type_urls": []any{plugin["@type"]},
	}}
	b := start(t, a, config, 2)
	b.settle(t)
	testHealthy(t, b)
	testPaths(t, b)
	testUntrusted(t, b)
	testMaintenanceRoute(t, b)
}
