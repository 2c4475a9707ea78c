package operator

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// gateRoute returns a listener's route for checks when there is no maintenance.
func gateRoute(l *envoytest.Listener) envoytest.Object {
	i := slices.IndexFunc(l.Routes(), func(r any) bool { return r.(envoytest.Object)["name"] == "healthgate-my-service" })
	return l.Routes()[i].(envoytest.Object)
}

// last returns the route that takes what no other does.
func last(l *envoytest.Listener) any { return l.Routes()[len(l.Routes())-1] }

// lua returns an HTTP filter that runs code.
func lua(code string) envoytest.Object {
	return envoytest.Object{"name": "lua", "typed_config": envoytest.Any("envoy.extensions.filters.http.lua.v3.Lua",
		envoytest.Object{"default_source_code": envoytest.Object{"inline_string": code}})}
}

// asTypedStruct writes a filter as a control plane does that has no code for its type.
func asTypedStruct(filter envoytest.Object) {
	fields := envoytest.At[envoytest.Object](filter, "typed_config")
	kind := fields["@type"]
	delete(fields, "@type")
	filter["typed_config"] = envoytest.Any("xds.type.v3.TypedStruct",
		envoytest.Object{"type_url": kind, "value": fields})
}

// TestMaintenanceKnowsWhatIsInTheWay: where checks get something else than the maintenance reply, or that can't be
// known, the command says why and does not say that all is well. --verify has a check say it.
func TestMaintenanceKnowsWhatIsInTheWay(t *testing.T) {
	t.Parallel()
	const shut = "no route enables the filter for " + check + ": its checks reach the application"
	on := []string{"maintenance", "on"}
	for _, test := range []struct {
		name string
		edit func(*envoytest.Config, *envoytest.Listener)
		args []string
		want string // what is in the way
		host string // of a check that goes past the plugin; empty: none does
		at   string // the listener where it does
		gets int    // what the load balancer's check gets from the shipped listener then; 0: it does not matter
	}{
		{"the filter misnamed", func(_ *envoytest.Config, l *envoytest.Listener) {
			gateRoute(l)["typed_per_filter_config"] = envoytest.Object{"healthgte": envoytest.At[any](gateRoute(l),
				"typed_per_filter_config", "healthgate")}
		}, on, shut + `; the filter's name is "healthgate", and typed_per_filter_config has "healthgte"`, "a", "ingress", 0},
		{"a virtual host without the gate", func(_ *envoytest.Config, l *envoytest.Listener) {
			hosts := envoytest.At[envoytest.Object](l.HCM(), "route_config")
			hosts["virtual_hosts"] = append(hosts["virtual_hosts"].([]any),
				envoytest.Object{"name": "api", "domains": []any{"api"}, "routes": []any{last(l)}})
		}, on, `listener "ingress", virtual host "api": ` + shut, "api", "ingress", 503},
		{"the filter on two listeners, the gate in one", func(c *envoytest.Config, _ *envoytest.Listener) {
			second := c.AddListener("second")
			second.SetRoutes([]any{last(second)})
		}, on, `listener "second": ` + shut, "a", "second", 503},
		{"a listener without the filter", func(c *envoytest.Config, _ *envoytest.Listener) {
			second := c.AddListener("second")
			second.SetRoutes([]any{last(second)})
			second.HCM()["http_filters"] = second.Filters()[len(second.Filters())-1:]
		}, on, `listener "second" has no healthgate: checks of ` + check +
			` there get the answer of the cluster "app"`, "a", "second", 503},
		{"a listener without the filter, as a TypedStruct", func(c *envoytest.Config, l *envoytest.Listener) {
			second := c.AddListener("second")
			second.SetRoutes([]any{last(second)})
			second.HCM()["http_filters"] = second.Filters()[len(second.Filters())-1:]
			for _, of := range []*envoytest.Listener{l, second} { // also where the filter is
				asTypedStruct(envoytest.At[envoytest.Object](of.Object, "filter_chains", 0, "filters", 0))
			}
		}, on, `listener "second" has no healthgate: checks of ` + check +
			` there get the answer of the cluster "app"`, "a", "second", 503},
		{"a cluster that a filter state names", func(c *envoytest.Config, _ *envoytest.Listener) {
			c.AddCluster("other", must.Port(t))
			filter := func(kind string, fields string) any {
				return envoytest.Object{"name": kind, "typed_config": envoytest.Any("envoy.extensions.filters.network."+kind,
					envoytest.Parse(fields))}
			}
			envoytest.At[envoytest.Object](c.AddListener("second").Object, "filter_chains", 0)["filters"] = []any{
				filter("set_filter_state.v3.Config", `{"on_new_connection": [{"object_key": "envoy.tcp_proxy.cluster",
					"format_string": {"text_format_source": {"inline_string": "app"}}}]}`),
				filter("tcp_proxy.v3.TcpProxy", `{"stat_prefix": "tcp", "cluster": "other"}`),
			}
		}, on, `not for sure: listener "second" has no healthgate, and its cluster is chosen for each connection`,
			"a", "second", 503},
		{"a filter chain for the load balancer's addresses", func(c *envoytest.Config, l *envoytest.Listener) {
			c.AddCluster("other", app.Start(t).Port)
			chains := envoytest.At[[]any](l.Object, "filter_chains")
			l.Object["filter_chains"] = append(chains, envoytest.Object{
				"filter_chain_match": envoytest.Parse(
					`{"source_prefix_ranges": [{"address_prefix": "127.0.0.0", "prefix_len": 8}]}`),
				"filters": []any{envoytest.Object{"name": "tcp", "typed_config": envoytest.Any(
					"envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
					envoytest.Parse(`{"stat_prefix": "tcp", "cluster": "other"}`))}}})
		}, on, `not for sure: listener "ingress", filter chain 1: whether a check of ` + check + ` comes there, or to ` +
			`listener "ingress", filter chain 2, is not known: that filter chain is for some connections, by source_prefix`,
			"a", "ingress", 0},
		{"a filter that answers everything elsewhere", func(c *envoytest.Config, _ *envoytest.Listener) {
			c.AddCluster("other", must.Port(t))
			second := c.AddListener("second")
			second.HCM()["http_filters"] = []any{lua("function envoy_on_request(h) h:respond({[':status'] = '200'}, '') end"),
				second.Filters()[len(second.Filters())-1]}
			second.SetRoutes([]any{envoytest.Parse(`{"match": {"prefix": "/"}, "route": {"cluster": "other"}}`)})
		}, on, `not for sure: listener "second": whether the filter "lua" answers checks of ` + check, "a", "second", 503},
		{"a misspelt key beside one that is on", func(c *envoytest.Config, _ *envoytest.Listener) {
			envoytest.At[envoytest.Object](c.Bootstrap, "layered_runtime", "layers", 0,
				"static_layer")[key+".zone.local-a"] = true
		}, append(on, "healthgate.maintenence"),
			"no endpoint has the key healthgate.maintenence; there is " + key + ", " + key + ".zone.local-a", "", "", 0},
		{"any key with --route", func(*envoytest.Config, *envoytest.Listener) {}, append(on, "healthgate.rout", "--route"),
			"no maintenance route has the key healthgate.rout; there is healthgate.route_maintenance", "", "", 0},
		{"a virtual host without the maintenance route", func(_ *envoytest.Config, l *envoytest.Listener) {
			hosts := envoytest.At[envoytest.Object](l.HCM(), "route_config")
			hosts["virtual_hosts"] = append(hosts["virtual_hosts"].([]any),
				envoytest.Object{"name": "api", "domains": []any{"api"}, "routes": l.Routes()[1:]})
		}, append(on, "--route"),
			`listener "ingress", virtual host "api": no maintenance route of healthgate.route_maintenance takes the checks of ` +
				check, "api", "ingress", 503},
		{"no metrics", func(c *envoytest.Config, _ *envoytest.Listener) {
			envoytest.At[envoytest.Object](c.Bootstrap, "stats_config")["stats_matcher"] = envoytest.Object{
				"exclusion_list": envoytest.Object{"patterns": []any{envoytest.Object{"prefix": "wasmcustom"}}}}
		}, on, "its stats_matcher leaves out the plugin's metrics: let those that start with wasmcustom.healthgate_ pass",
			"", "", 503},
		{"an admin.cluster that names nothing", func(_ *envoytest.Config, l *envoytest.Listener) {
			l.Change(func(settings envoytest.Object) { envoytest.At[envoytest.Object](settings, "admin")["cluster"] = "gone" })
		}, on,
			`admin.cluster is "gone", and Envoy has no such cluster: ` +
				`the plugin can read neither maintenance keys nor draining`, "", "", 0},
		{"a route that runtime opens", func(c *envoytest.Config, l *envoytest.Listener) {
			envoytest.At[envoytest.Object](c.Bootstrap, "layered_runtime", "layers", 0, "static_layer")["canary"] = 100
			l.SetRoutes(append([]any{envoytest.Parse(`{"match": {"prefix": "/", "runtime_fraction": {"runtime_key": "canary",
				"default_value": {}}}, "route": {"cluster": "app"}}`)}, l.Routes()...))
		}, on, `listener "ingress": ` + shut, "a", "ingress", 0},
		{"a route for some clients", func(_ *envoytest.Config, l *envoytest.Listener) {
			l.SetRoutes(append([]any{envoytest.Parse(`{"match": {"prefix": "/", "headers": [{"name": "user-agent",
				"string_match": {"contains": "Go"}}]}, "route": {"cluster": "app"}}`)}, l.Routes()...))
		}, on, `not for sure: listener "ingress": whether an earlier route takes checks of ` + check + ` is not known: ` +
			`the header "user-agent"`, "a", "ingress", 0},
		{"a Lua filter behind", func(_ *envoytest.Config, l *envoytest.Listener) {
			behind := lua("function envoy_on_response(h) h:headers():replace(':' .. 'status', '200') end")
			l.HCM()["http_filters"] = append([]any{l.Filters()[0], behind}, l.Filters()[1:]...)
		}, on,
			`not for sure: listener "ingress": the filter "lua" stands behind healthgate, and whether it changes the answer`,
			"", "", 0},
		{"a Lua filter in front", func(_ *envoytest.Config, l *envoytest.Listener) {
			front := lua("function envoy_on_request(h) h:respond({[':status'] = '200'}, 'lua') end")
			l.HCM()["http_filters"] = append([]any{front}, l.Filters()...)
		}, on,
			`not for sure: listener "ingress": the filter "lua" stands before healthgate, and whether it answers checks of ` +
				check + ` is not known: its type is Lua`, "a", "ingress", 0},
		{"a matcher that skips the filter", func(_ *envoytest.Config, l *envoytest.Listener) {
			skip := envoytest.Any("envoy.extensions.filters.common.matcher.action.v3.SkipFilter", nil)
			l.Filters()[0] = envoytest.Object{"name": "healthgate", "typed_config": envoytest.Any(
				"envoy.extensions.common.matching.v3.ExtensionWithMatcher", envoytest.Object{
					"extension_config": envoytest.Object{"name": "healthgate", "typed_config": l.Wasm()},
					"xds_matcher": envoytest.Object{"matcher_tree": envoytest.Object{
						"input": envoytest.Object{"name": "path", "typed_config": envoytest.Any(
							"envoy.type.matcher.v3.HttpRequestHeaderMatchInput", envoytest.Object{"header_name": ":path"})},
						"exact_match_map": envoytest.Object{"map": envoytest.Object{check: envoytest.Object{
							"action": envoytest.Object{"name": "skip", "typed_config": skip}}}},
					}}})}
			l.SetRoutes([]any{last(l)})
		}, on, `listener "ingress": the gate's matcher does not have ` + check, "a", "ingress", 0},
		{"no RTDS layer", func(*envoytest.Config, *envoytest.Listener) {}, append(on, "--rtds-file", "RTDS"),
			`its runtime has no rtds layer, only "defaults" (static), "disk" (disk), "admin" (admin)`, "", "", 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := app.Start(t)
			c := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
			l := c.Listener("ingress")
			test.edit(c, l)
			envoy := envoytest.Start(t, c, 1)
			i := &instance{app: a, envoy: envoy, listen: l.Address(),
				admin: envoytest.Loopback(c.AdminPort), folder: t.TempDir()}
			if test.gets != 0 {
				i.eventually(t, 200, "OK")
			}
			args := slices.Clone(test.args)
			for j := range args {
				args[j] = strings.Replace(args[j], "RTDS", i.folder+"/rtds.yaml", 1)
			}
			args = append(args, "--admin", i.admin)
			run(t, args...).is(t, 1, "error: "+i.admin+": ", test.want)
			if test.host != "" {
				if status, body := get(t, "http://"+c.Listener(test.at).Address()+check,
					test.host); status != 200 || body == sorry {
					t.Errorf("past the plugin: %d %q", status, body)
				}
			}
			switch test.gets {
			case 503:
				i.eventually(t, 503, sorry)
				code := 0
				if test.name == "no metrics" { // which count the checks that the plugin answers
					code, args = 1, append(args, "--wait", "3s")
				}
				run(t, append(args, "--verify", "http://"+i.listen+check)...).is(t, code, "on")
				args[1] = "off"
				run(t, append(args, "--verify", "http://"+i.listen+check)...).is(t, code, "off")
			case 200:
				i.is(t, 200, "OK")
			}
		})
	}
}

// TestMaintenanceKnowsThatNothingIsInTheWay: every form of gate, routes and filter from elsewhere, and listeners for
// something else are no reason to doubt.
func TestMaintenanceKnowsThatNothingIsInTheWay(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	c := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	file := func(name string, resource envoytest.Object) envoytest.Object {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(envoytest.Text(envoytest.Object{"resources": []any{resource}})),
			0o600); err != nil {
			t.Fatal(err)
		}
		return envoytest.Object{"resource_api_version": "V3", "path_config_source": envoytest.Object{"path": path}}
	}
	const filterType = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"

	matcher := c.AddListener("matcher")
	gate, routes, err := envoytest.ByMatcher(envoytest.Object{"name": "envoy.filters.http.wasm",
		"typed_config": matcher.Wasm()})
	if err != nil {
		t.Fatal(err)
	}
	matcher.Filters()[0] = gate
	matcher.SetRoutes(routes)

	rds := c.AddListener("rds")
	table := envoytest.Clone(envoytest.At[envoytest.Object](rds.HCM(), "route_config"))
	table["name"] = "shared"
	delete(rds.HCM(), "route_config")
	rds.HCM()["rds"] = envoytest.Object{"route_config_name": "shared",
		"config_source": file("rds.json", envoytest.Any("envoy.config.route.v3.RouteConfiguration", table))}

	ecds := c.AddListener("ecds")
	filter := ecds.Filters()[0].(envoytest.Object)
	extension := envoytest.Any("envoy.config.core.v3.TypedExtensionConfig",
		envoytest.Object{"name": filter["name"], "typed_config": filter["typed_config"]})
	delete(filter, "typed_config")
	filter["config_discovery"] = envoytest.Object{"config_source": file("ecds.json", extension),
		"type_urls": []any{filterType}}

	c.AddCluster("other", app.Start(t).Port)
	for name, answer := range map[string]envoytest.Object{
		"other":    {"route": envoytest.Object{"cluster": "other"}},
		"redirect": {"redirect": envoytest.Object{"https_redirect": true}},
	} {
		l := c.AddListener(name)
		l.HCM()["http_filters"] = l.Filters()[len(l.Filters())-1:]
		answer["match"] = envoytest.Object{"prefix": "/"}
		l.SetRoutes([]any{answer})
	}

	ecds.HCM()["http_filters"] = append([]any{
		lua("function envoy_on_request(h) h:headers():replace('x-a', h:headers():get(':path')) end")}, ecds.Filters()...)

	envoy := envoytest.Start(t, c, 1)
	var all []*instance
	for _, name := range []string{"ingress", "matcher", "rds", "ecds"} {
		l := &instance{app: a, envoy: envoy, listen: c.Listener(name).Address(), admin: envoytest.Loopback(c.AdminPort)}
		l.eventually(t, 200, "OK")
		all = append(all, l)
	}
	for _, route := range [][]string{nil, {"--route"}} {
		for _, order := range []struct {
			word   string
			status int
			body   string
		}{{"on", 503, sorry}, {"off", 200, "OK"}} {
			out := run(t, append([]string{"maintenance", order.word, "--admin", all[0].admin}, route...)...)
			out.is(t, 0, order.word)
			if out.stderr != "" {
				t.Error(out.stderr)
			}
			for _, l := range all {
				l.eventually(t, order.status, order.body)
			}
		}
	}
}

func get(t testing.TB, url, host string) (int, string) {
	t.Helper()
	request := must.Get(http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil))(t)
	request.Host = host
	a := must.Get(envoytest.Read(envoytest.Client.Do(request)))(t)
	return a.Status, a.Body
}

// Each Envoy has its own clock: one that hangs leaves the others theirs.
func TestOneThatHangsUsesUpNoOtherTime(t *testing.T) {
	t.Parallel()
	silent := must.Get(net.Listen("tcp", "127.0.0.1:0"))(t)
	defer silent.Close()
	i := start(t)
	for _, where := range [][]string{nil, {"--runtime-dir", i.runtimeDir}} {
		args := append([]string{"maintenance", "on", "--admin", silent.Addr().String(), "--admin", i.admin,
			"--wait", "15s"}, where...)
		out := run(t, args...)
		out.is(t, 1, "error: "+silent.Addr().String()+": no answer in time", "my-service")
		if strings.Contains(out.stderr, i.admin) {
			t.Errorf("%s", out.stderr)
		}
		i.is(t, 503, sorry)
		run(t, append([]string{"maintenance", "off", "--admin", i.admin}, where...)...).is(t, 0, "off")
	}
}

// What is no Envoy is sent nothing but questions.
func TestNothingIsPostedToWhatIsNoEnvoy(t *testing.T) {
	t.Parallel()
	var posts atomic.Int32
	for _, body := range []string{"", "hello", "{}", `{"entries": 1}`} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet {
				posts.Add(1)
			}
			fmt.Fprint(w, body)
		}))
		defer server.Close()
		run(t, "maintenance", "on", "--wait", "2s", "--admin", server.URL).is(t, 1, "error: "+server.URL)
	}
	if n := posts.Load(); n > 0 {
		t.Errorf("%d POSTs", n)
	}
}
