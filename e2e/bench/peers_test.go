package bench

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// The paths and texts of envoy/bootstrap.yaml, and what an application answers.
const (
	checkPath   = "/my-service/healthcheck"
	trafficPath = "/shop" // not a health check

	maintenance = "Under maintenance. Remove maintenance file when complete"
	application = "application\n"
)

// The peers that others are compared with: health checks with the native filter, other requests with a server that does
// not know of health checks.
const (
	noFilter = "no filter"
	native   = "`health_check` filter"
	flask    = "Flask, no middleware"
)

// peer is one way to answer health checks.
type peer struct {
	name    string
	answers string // the body of a healthy check
	checks  bool   // it answers health checks
	base    string // the peer that its other requests, start and memory are compared with; "" if it has no other requests
	alike   bool   // it starts as the peer before it does

	// What it has to prove before it is measured: it
	knowsSource bool // answers trusted addresses alone
	runtimeKey  bool // has maintenance by a runtime key
	route       bool // has maintenance by the route
	asksNodes   bool // fails with the application's nodes

	listen func(testing.TB, *envoytest.Listener) // makes it of the shipped listener
	wsgi   string                                // its WSGI application, if it is no Envoy

	// While it runs.
	address string
	pid     int
}

// plugin is a Wasm module.
type plugin struct{ name, id, file string }

func built(name string) string { return filepath.Join(envoytest.Root, "build", name) }

// gated returns a plugin as a peer, behind the shipped gate.
func (p plugin) gated() *peer {
	return &peer{
		name: p.name + ", gate by route", answers: "OK", checks: true, base: noFilter,
		knowsSource: true, runtimeKey: true, route: true, asksNodes: true,
		listen: p.use,
	}
}

// otherwise returns the plugin behind another gate.
func (p plugin) otherwise(gate string, filter func(testing.TB, envoytest.Object) envoytest.Object) *peer {
	other := p.gated()
	other.name, other.alike = p.name+", "+gate, true
	other.listen = func(t testing.TB, l *envoytest.Listener) {
		p.use(t, l)
		wasm := l.Filters()[0].(envoytest.Object)
		delete(wasm, "disabled")
		setFilters(l, filter(t, wasm))
	}
	return other
}

// use gives the shipped filter another module. Listeners with the same plugin share its VMs.
func (p plugin) use(_ testing.TB, l *envoytest.Listener) {
	l.Plugin()["name"], l.Plugin()["root_id"] = p.id, p.id
	vm := envoytest.At[envoytest.Object](l.Plugin(), "vm_config")
	vm["vm_id"], vm["code"] = p.id, envoytest.Object{"local": envoytest.Object{"filename": p.file}}
}

// setFilters leaves the router and these filters, which the routes do not need to enable.
func setFilters(l *envoytest.Listener, filters ...any) {
	shipped := l.Filters()
	l.HCM()["http_filters"] = append(filters, shipped[len(shipped)-1])
	for _, route := range l.Routes() {
		delete(route.(envoytest.Object), "typed_per_filter_config")
	}
}

// ofEnvoy returns the peers that are filters of Envoy; gates are those of healthgate's own builds.
func ofEnvoy(healthgate ...plugin) []*peer {
	peers := []*peer{
		{name: noFilter, base: noFilter, listen: func(_ testing.TB, l *envoytest.Listener) { setFilters(l) }},
		{name: native, checks: true, base: noFilter, listen: func(_ testing.TB, l *envoytest.Listener) {
			setFilters(l, filter("health_check", "health_check.v3.HealthCheck", envoytest.Object{
				"pass_through_mode": false,
				"headers":           []any{envoytest.Parse(`{"name": ":path", "string_match": {"exact": "` + checkPath + `"}}`)},
			}))
		}},
		{name: "Lua filter", answers: "OK", checks: true, base: noFilter, knowsSource: true, route: true,
			listen: func(_ testing.TB, l *envoytest.Listener) {
				source := filepath.Join(envoytest.Root, "e2e", "bench", "peers", "lua", "healthcheck.lua")
				setFilters(l, filter("envoy.filters.http.lua", "lua.v3.Lua",
					envoytest.Object{"default_source_code": envoytest.Object{"filename": source}}))
				envoytest.At[envoytest.Object](l.Routes(), 0, "metadata", "filter_metadata")["envoy.filters.http.lua"] =
					envoytest.Object{"maintenance": true}
			}},
	}
	for _, p := range healthgate {
		peers = append(peers, p.gated(),
			p.otherwise("gate by matcher", func(t testing.TB, wasm envoytest.Object) envoytest.Object {
				gate, _, err := envoytest.ByMatcher(wasm)
				if err != nil {
					t.Fatal(err)
				}
				return gate
			}),
			p.otherwise("no gate", func(_ testing.TB, wasm envoytest.Object) envoytest.Object { return wasm }))
	}
	return peers
}

// ofOthers returns the Python servers.
func ofOthers() []*peer {
	return []*peer{
		{name: "watchdog (Flask, gunicorn)", answers: "OK", checks: true, asksNodes: true, wsgi: "watchdog:app"},
		{name: flask, base: flask, wsgi: "middleware:bare"},
		{name: "WSGI middleware (Flask, gunicorn)", checks: true, base: flask, knowsSource: true,
			wsgi: "middleware:application"},
	}
}

func filter(name, kind string, config envoytest.Object) envoytest.Object {
	return envoytest.Object{"name": name, "typed_config": envoytest.Any("envoy.extensions.filters.http."+kind, config)}
}

// answerItself makes the routes answer instead of leading to an application. An other request is the cheapest there is
// then, and a filter's share in it the largest. A check that gets as far as the routes was not answered.
func answerItself(l *envoytest.Listener) {
	for _, route := range l.Routes() {
		route := route.(envoytest.Object)
		reply := envoytest.Object{"status": 200, "body": envoytest.Object{"inline_string": application}}
		if _, exact := route["match"].(envoytest.Object)["path"]; exact {
			reply = envoytest.Object{"status": 404}
		}
		delete(route, "route")
		maps.Copy(route, envoytest.Object{"direct_response": reply})
	}
}

// bold marks healthgate in a table.
func (p *peer) title() string {
	if strings.HasPrefix(p.name, "healthgate") {
		return "**" + p.name + "**"
	}
	return p.name
}
