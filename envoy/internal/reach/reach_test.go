package reach

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/filter/config"
	"go.yaml.in/yaml/v3"
)

// Parts of what /config_dump has.
const (
	settings = `{endpoints: [{name: e, paths: [/a], trusted: {cidrs: [10.0.0.0/8]}, maintenance: {keys: [k, "z.{zone}"], route_metadata: true}, probes: {names: [p]}},
		{name: other, paths: [/o], trusted: {cidrs: [10.0.0.0/8]}}], probes: [{name: p, cluster: probes, path: /p}], admin: {cluster: adm}}`
	wasm   = `{"@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm, config: {configuration: {value: ` + settings + `}}}`
	gated  = `{name: hg, disabled: true, typed_config: ` + wasm + `}`
	always = `{name: hg, typed_config: ` + wasm + `}`
	// Routes.
	throw = `{match: {path: /a, runtime_fraction: {runtime_key: by, default_value: {}}}, metadata: {filter_metadata: {healthgate: {maintenance: true}}},
		typed_per_filter_config: {hg: {}}, route: {cluster: app}}, `
	gate  = `{match: {path: /a}, typed_per_filter_config: {hg: {}}, route: {cluster: app}}, `
	other = `{match: {path: /o}, typed_per_filter_config: {hg: {}}, route: {cluster: app}}, `
	rest  = `{match: {prefix: /}, route: {cluster: app}}`
)

func host(domain, routes string) string {
	return `{name: "` + domain + `", domains: ["` + domain + `"], routes: [` + routes + `]}, `
}

func chain(filters, routes string) string {
	return `{filters: [{typed_config: {"@type": x.http_connection_manager.v3.HttpConnectionManager, http_filters: [` + filters + `, {name: router}], ` + routes + `}}]}, `
}

func hostsOf(hosts string) string { return `route_config: {virtual_hosts: [` + hosts + `]}` }

func listener(name, chains string) string {
	return `{listener: {name: ` + name + `, address: {socket_address: {address: 10.0.0.7, port_value: 80}}, filter_chains: [` + chains + `]}}, `
}

func one(name, filters, hosts string) string {
	return listener(name, chain(filters, hostsOf(hosts)))
}

// first is the shipped listener.
var first = one("first", gated, host("*", throw+gate+other+rest))

// envoy reads an Envoy with these listeners, and more parts of a configuration.
func envoy(t *testing.T, listeners string, more ...string) *Envoy {
	t.Helper()
	const place = `{endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 10.0.0.8, port_value: 80}}}}]}]}`
	text := `configs:
- {"@type": x.BootstrapConfigDump, bootstrap: {node: {cluster: shop}, static_resources: {listeners: [{name: twice, filter_chains: [{}]}]},
    layered_runtime: {layers: [{name: base, static_layer: {}}, {name: disk, disk_layer: {symlink_root: /r, append_service_cluster: true, subdirectory: s}},
      {name: rtds, rtds_layer: {rtds_config: {path_config_source: {path: /rtds.yaml}}}}, {name: hand, admin_layer: {}}]}}}
- {"@type": x.ClustersConfigDump, static_clusters: [{cluster: {name: app, load_assignment: ` + place + `}}, {cluster: {name: again, load_assignment: ` + place + `}}, {cluster: {name: adm}}], dynamic_active_clusters: [{cluster: {name: probes}}]}
- {"@type": x.ListenersConfigDump, static_listeners: [` + listeners + `], dynamic_listeners: [{warming_state: ` + strings.TrimSuffix(one("warming", "{}", host("*", rest)), ", ") + `}]}
` + strings.Join(more, "\n")
	var dump any
	if err := yaml.Unmarshal([]byte(text), &dump); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	asJSON, err := json.Marshal(dump)
	if err == nil {
		err = json.Unmarshal(asJSON, &dump)
	}
	if err != nil {
		t.Fatal(err)
	}
	return Read(dump, config.Node{Zone: "b"})
}

func edit(text, old, with string) string { return strings.Replace(text, old, with, 1) }

// Each way past the plugin is found by the key, by the route or by both, and nothing in what is shipped.
func TestGaps(t *testing.T) {
	t.Parallel()
	const (
		noRoute  = "no route enables the filter for /a: its checks reach the application"
		noSwitch = "no maintenance route of by takes the checks of /a"
		nothing  = " has no healthgate: checks of /a there get the answer of "
	)
	with := func(hosts string) string { return one("first", gated, hosts) }
	healthCheck := func(path, more string) string {
		return `{name: hc, typed_config: {"@type": x.health_check.v3.HealthCheck, ` + more + `headers: [{name: ":path", string_match: {exact: ` + path + `}}]}}, `
	}
	twoHosts := func(e, f string) string {
		return edit(edit(first, "paths: [/a]", "paths: [/a], hosts: "+e), "endpoints: [", "endpoints: [{name: f, paths: [/a], hosts: "+f+", trusted: {cidrs: [10.0.0.0/8]}}, ")
	}
	before := func(conditions string) string {
		return with(host("*", edit(rest, "prefix: /", "prefix: /, "+conditions)+", "+throw+gate+other+rest))
	}
	matcher := func(match, domain string) string {
		return one("first", `{name: hg, typed_config: {extension_config: {}, xds_matcher: {predicate: {or: [{value_match: {exact: /o}}, {value_match: {`+match+`}}]}, action: `+wasm+`}}}`,
			host(domain, strings.ReplaceAll(throw, "typed_per_filter_config: {hg: {}},", "")+rest))
	}
	for _, test := range []struct {
		name, listeners string
		key             string // what is in the way of the key
		route           string
	}{
		{"shipped", first, "", ""},
		{"the filter misnamed", with(host("*", throw+edit(gate, "hg", "healthgate")+other+rest)),
			`listener "first": ` + noRoute + `; the filter's name is "hg", and typed_per_filter_config has "healthgate"`, ""},
		{"another filter's settings", with(host("*", throw+edit(gate, "hg", "router")+other+rest)), `listener "first": ` + noRoute, ""},
		{"no gate", with(host("*", throw+other+rest)), `listener "first": ` + noRoute, ""},
		{"the gate behind the rest", with(host("*", throw+other+rest+", "+gate)), `listener "first": ` + noRoute, ""},
		{"disabled once more", with(host("*", throw+edit(gate, "{}", "{disabled: true}")+other+rest)), `listener "first": ` + noRoute, ""},
		{"no route at all", with(host("*", throw+other)), `listener "first": no route takes /a: its checks get 404`, ""},
		{"a redirect", with(host("*", throw+other+`{match: {prefix: /}, redirect: {}}`)),
			`listener "first": no route enables the filter for /a: another route answers its checks`, ""},
		{"a wide gate", with(host("*", throw+edit(rest, "route:", "typed_per_filter_config: {hg: {}}, route:"))), "", ""},
		{"a gate on the virtual host", with(edit(host("*", throw+rest), "name", "typed_per_filter_config: {hg: {}}, name")), "", ""},
		{"a gate by regex", with(host("*", throw+other+edit(gate, "path: /a", "safe_regex: {regex: '/[ab]'}")+rest)), "", ""},
		{"a gate by a longer regex", with(host("*", throw+other+edit(gate, "path: /a", "safe_regex: {regex: '/[ab]b'}")+rest)), `listener "first": ` + noRoute, ""},
		{"a gate for any case", with(host("*", throw+other+edit(gate, "path: /a", "path: /A, case_sensitive: false")+rest)), "", ""},
		{"a gate that asks for a header", with(host("*", throw+other+edit(gate, "path: /a", "path: /a, headers: [{name: x}]")+rest)), `listener "first": ` + noRoute, ""},
		{"a gate that asks for what the endpoint does", strings.ReplaceAll(with(host("*", throw+other+edit(gate, "path: /a", "path: /a, headers: [{name: X}, {name: ':method', string_match: {exact: GET}}, {name: ':authority'}]")+rest)),
			"paths: [/a]", "paths: [/a], methods: [GET], hosts: [shop], headers: [{name: x, exact: y}]"), "", ""},
		{"a gate for some methods", with(host("*", throw+other+edit(gate, "path: /a", "path: /a, headers: [{name: ':method', string_match: {exact: GET}}]")+rest)), `listener "first": ` + noRoute, ""},
		{"a gate for some checks", with(host("*", throw+other+edit(gate, "path: /a", "path: /a, runtime_fraction: {default_value: {numerator: 50}}")+rest)), `listener "first": ` + noRoute, ""},
		{"a canary before the gate", with(host("*", other+edit(rest, "prefix: /", "prefix: /, headers: [{name: x}]")+", "+edit(rest, "prefix: /", "prefix: /, grpc: {}")+", "+throw+gate+rest)), "", ""},
		{"a canary for some of all before the gate", with(host("*", edit(rest, "prefix: /", "prefix: /, runtime_fraction: {default_value: {numerator: 5}}")+", "+throw+gate+other+rest)),
			`listener "first": ` + noRoute, `listener "first": ` + noSwitch},
		{"a canary for none before the gate", with(host("*", edit(rest, "prefix: /", "prefix: /, runtime_fraction: {default_value: {}}")+", "+throw+gate+other+rest)), "", ""},
		{"a part of the gate that disables it", with(host("*", throw+edit(gate, "cluster: app", "weighted_clusters: {clusters: [{name: app}, {name: app, typed_per_filter_config: {hg: {disabled: true}}}]}")+other+rest)),
			`listener "first": ` + noRoute, ""},
		{"a gate of all its parts", with(host("*", throw+edit(edit(gate, "typed_per_filter_config: {hg: {}}, ", ""), "cluster: app", "weighted_clusters: {clusters: [{name: app, typed_per_filter_config: {hg: {}}}]}")+other+rest)), "", ""},
		{"a virtual host that wants TLS", with(edit(host("*", throw+gate+other+rest), "name", "require_tls: ALL, name")),
			`listener "first": require_tls is ALL: checks of /a without TLS may get a redirect`, `listener "first": ` + noSwitch},
		{"a virtual host that wants TLS, and has it", edit(with(edit(host("*", throw+gate+other+rest), "name", "require_tls: ALL, name")), "{filters", "{transport_socket: {name: tls}, filters"), "", ""},
		{"a virtual host that wants no TLS", with(edit(host("*", throw+gate+other+rest), "name", "require_tls: NONE, name")), "", ""},
		{"another method before the gate", with(host("*", edit(rest, "prefix: /", "prefix: /, headers: [{name: ':method', string_match: {exact: POST}}]")+", "+throw+gate+other+rest)), "", ""},
		{"a method before the gate", with(host("*", edit(rest, "prefix: /", "prefix: /, headers: [{name: ':method', string_match: {exact: HEAD}}]")+", "+throw+gate+other+rest)),
			`listener "first": ` + noRoute, `listener "first": ` + noSwitch},
		{"one without a header before the gate", before("headers: [{name: x, present_match: false}]"), `listener "first": ` + noRoute, `listener "first": ` + noSwitch},
		{"one without a header, inverted, before the gate", before("headers: [{name: x, present_match: true, invert_match: true}]"), `listener "first": ` + noRoute, `listener "first": ` + noSwitch},
		{"one with a header, inverted, before the gate", before("headers: [{name: x, present_match: false, invert_match: true}]"), "", ""},
		{"one with another value before the gate", before("headers: [{name: x, string_match: {exact: y}, invert_match: true}]"), "", ""},
		{"one with an empty header before the gate", before("headers: [{name: x, string_match: {exact: y}, invert_match: true, treat_missing_header_as_empty: true}]"),
			`listener "first": ` + noRoute, `listener "first": ` + noSwitch},
		{"one for a scheme before the gate", before("headers: [{name: ':scheme', string_match: {exact: http}}]"), `listener "first": ` + noRoute, `listener "first": ` + noSwitch},
		{"one for what Envoy sets before the gate", before("headers: [{name: X-Forwarded-Proto, string_match: {exact: http}}]"), `listener "first": ` + noRoute, `listener "first": ` + noSwitch},
		{"another path's header before the gate", before("headers: [{name: ':path', string_match: {prefix: /b}}]"), "", ""},
		{"the path's header before the gate", before("headers: [{name: ':path', string_match: {prefix: /a}}]"), `listener "first": ` + noRoute, `listener "first": ` + noSwitch},
		{"all methods but one before the gate", before("headers: [{name: ':method', string_match: {exact: POST}, invert_match: true}]"), `listener "first": ` + noRoute, `listener "first": ` + noSwitch},
		{"all methods but the check's before the gate", strings.ReplaceAll(before("headers: [{name: ':method', string_match: {exact: GET}, invert_match: true}]"), "paths: [/a]", "paths: [/a], methods: [GET]"), "", ""},
		{"one without a query before the gate", before("query_parameters: [{name: x, present_match: false}]"), `listener "first": ` + noRoute, `listener "first": ` + noSwitch},
		{"one without metadata before the gate", before("dynamic_metadata: [{filter: f, invert: true}]"), `listener "first": ` + noRoute, `listener "first": ` + noSwitch},
		{"one without a certificate before the gate", before("tls_context: {presented: false}"), `listener "first": ` + noRoute, `listener "first": ` + noSwitch},
		{"one with a header and without a query before the gate", before("headers: [{name: x}], query_parameters: [{name: x, present_match: false}]"), "", ""},
		{"no gate and none needed", one("first", always, host("*", throw+rest)), "", ""},
		{"disabled by a route", one("first", always, host("*", throw+edit(gate, "{}", "{disabled: true}")+rest)), `listener "first": ` + noRoute, ""},
		{"another virtual host without", with(host("api", rest) + host("*", throw+gate+other+rest)),
			`listener "first", virtual host "api": ` + noRoute, `listener "first", virtual host "api": ` + noSwitch},
		{"the gate in another virtual host", with(host("api", throw+gate+other+rest) + host("*", rest)),
			`listener "first", virtual host "*": ` + noRoute, `listener "first", virtual host "*": ` + noSwitch},
		{"another virtual host, which the endpoint does not have",
			strings.ReplaceAll(with(host("api", rest)+host("*", throw+gate+other+rest)), "paths: [/a]", "paths: [/a], hosts: [shop]"), "", ""},
		{"the virtual host that fits best", strings.ReplaceAll(with(host("*", rest)+host("*.shop", rest)+host("shop:80", throw+gate+other+rest)+host("sho*", rest)),
			"paths: [/a]", "paths: [/a], hosts: [shop]"), "", ""},
		{"another virtual host without any route", with(host("api", "") + host("*", throw+gate+other+rest)), "", ""},
		{"no virtual host for some", with(host("api", throw+gate+other+rest)), "", ""},
		{"routes that did not come", listener("first", chain(gated, "rds: {route_config_name: none}")),
			`listener "first": its routes are not in the configuration, so whether one enables the filter for /a is not known`, ""},
		{"routes by RDS", listener("first", chain(gated, "rds: {route_config_name: r}")), "", ""},
		{"a filter by ECDS", one("first", `{name: hg, disabled: true, config_discovery: {}}`, host("*", throw+gate+rest)), "", ""},
		{"a filter by ECDS without a gate", one("first", `{name: hg, disabled: true, config_discovery: {}}`, host("*", rest)), `listener "first": ` + noRoute, ""},
		{"the gate in one of two listeners", first + one("second", gated, host("*", rest)), `listener "second": ` + noRoute, `listener "second": ` + noSwitch},
		{"the gate in both", first + one("second", gated, host("*", throw+gate+other+rest)), "", ""},
		{"a listener without", first + one("second", "{}", host("*", rest)), `listener "second"` + nothing + `the cluster "app"`, `listener "second"` + nothing + `the cluster "app"`},
		{"a listener that has the path", first + one("second", "{}", host("*", `{match: {path: /a}, route: {cluster: probes}}`)),
			`listener "second"` + nothing + `the cluster "probes"`, `listener "second"` + nothing + `the cluster "probes"`},
		{"a listener that answers itself", first + one("second", "{}", host("*", `{match: {prefix: /}, direct_response: {status: 200}}`)),
			`listener "second"` + nothing + `a route, 200`, `listener "second"` + nothing + `a route, 200`},
		{"a listener that leads to the same host", first + one("second", "{}", host("*", edit(rest, "app", "again"))),
			`listener "second"` + nothing + `the cluster "again"`, `listener "second"` + nothing + `the cluster "again"`},
		{"a listener that leads to the same host by EDS", first + one("second", "{}", host("*", edit(rest, "app", "eds"))),
			`listener "second"` + nothing + `the cluster "eds"`, `listener "second"` + nothing + `the cluster "eds"`},
		{"a health check of Envoy's in front", one("first", healthCheck("/a", "")+gated, host("*", throw+gate+other+rest)),
			`listener "first": the filter "hc" answers checks of /a before healthgate`, ""},
		{"a health check of Envoy's in front, for another path", one("first", healthCheck("/b", "")+gated, host("*", throw+gate+other+rest)), "", ""},
		{"a health check of Envoy's in front, which passes them on", one("first", healthCheck("/a", "pass_through_mode: true, ")+gated, host("*", throw+gate+other+rest)), "", ""},
		{"a health check of Envoy's behind", one("first", gated+", "+strings.TrimSuffix(healthCheck("/a", ""), ", "), host("*", throw+gate+other+rest)), "", ""},
		{"a listener that knows no HTTP", first + listener("raw", `{filters: [{typed_config: {"@type": x.tcp_proxy.v3.TcpProxy, weighted_clusters: {clusters: [{name: app}]}}}]}`),
			`listener "raw"` + nothing + `the cluster "app"`, `listener "raw"` + nothing + `the cluster "app"`},
		{"what is no HTTP in the same listener", edit(first, "filter_chains: [", `filter_chains: [{filters: [{typed_config: {"@type": x.tcp_proxy.v3.TcpProxy, cluster: app}}]}, `), "", ""},
		{"a listener for something else", first + one("second", "{}", host("*", edit(rest, "app", "probes"))), "", ""},
		{"a listener that leads anywhere", first + one("second", "{}", host("*", `{match: {prefix: /}, route: {cluster_header: x}}`)),
			`listener "second"` + nothing + `a cluster that its route chooses`, `listener "second"` + nothing + `a cluster that its route chooses`},
		{"routes that are a matcher", with(`{name: all, domains: ["*"], matcher: {}}`), `listener "first": its routes are a matcher, so whether one enables the filter for /a is not known`, ""},
		{"a listener that refuses", first + one("second", "{}", host("*", `{match: {prefix: /}, direct_response: {status: 404}}`)), "", ""},
		{"a listener that redirects", first + one("second", "{}", host("*", `{match: {prefix: /}, redirect: {https_redirect: true}}`)), "", ""},
		{"a filter chain without", listener("first", edit(chain("{}", hostsOf(host("*", edit(rest, "cluster: app", "weighted_clusters: {clusters: [{name: app}]}")))), "{", "{name: tls, ")+
			chain(gated, hostsOf(host("*", throw+gate+other+rest)))),
			`listener "first", filter chain "tls"` + nothing + `the cluster "app"`, `listener "first", filter chain "tls"` + nothing + `the cluster "app"`},
		{"the default filter chain without", edit(first, "filter_chains", "default_filter_chain: "+strings.TrimSuffix(chain("{}", hostsOf(host("*", rest))), ", ")+", filter_chains"),
			`listener "first", filter chain "2"` + nothing + `the cluster "app"`, `listener "first", filter chain "2"` + nothing + `the cluster "app"`},
		{"a sidecar's outbound listener", edit(first, "name:", "traffic_direction: INBOUND, name:") +
			edit(one("second", "{}", host("*", rest)), "name:", "traffic_direction: OUTBOUND, name:"), "", ""},
		{"by matcher", matcher("exact: /a", "*"), "", ""},
		{"by matcher, a prefix", matcher("prefix: /", "*"), "", ""},
		{"by matcher, a regex", matcher("safe_regex: {regex: '/a.*'}", "*"), "", ""},
		{"by matcher, for another path", matcher("exact: /b", "*"),
			`listener "first": the gate's matcher does not have /a: its checks reach the application`, `listener "first": ` + noSwitch},
		{"by matcher, no virtual host for some", matcher("exact: /a", "api"), "", `listener "first", for a Host that no virtual host has: ` + noSwitch},
		{"the key in one of two plugins", first + edit(one("second", gated, host("*", throw+gate+other+rest)), "keys: [k,", "keys: [l,"),
			`listener "second", endpoint "e" has /a, and not the key k`, ""},
		{"the key in one of two endpoints of a path, by their hosts", twoHosts("[shop]", "[news]"), "", ""},
		{"the key in one of two endpoints of a path, which share a host", twoHosts("[shop]", "[news, shop]"), `listener "first", endpoint "f" has /a, and not the key k`, ""},
		{"the key in one of two endpoints of a path, one for any host", twoHosts("[shop]", "[]"), `listener "first", endpoint "f" has /a, and not the key k`, ""},
		{"the maintenance route too late", with(host("*", gate+throw+other+rest)), "", `listener "first": ` + noSwitch},
		{"the maintenance route misnames the filter", with(host("*", edit(throw, "hg: ", "healthgate: ")+gate+other+rest)), "", `listener "first": ` + noSwitch},
		{"the maintenance route's default counts to 10000", with(host("*", edit(throw, "default_value: {}", "default_value: {denominator: TEN_THOUSAND}")+gate+other+rest)), "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := envoy(t, test.listeners, `- {"@type": x.RoutesConfigDump, dynamic_route_configs: [{route_config: {name: r, virtual_hosts: [`+host("*", throw+gate+other+rest)+`]}}]}`,
				`- {"@type": x.EndpointsConfigDump, dynamic_endpoint_configs: [{endpoint_config: {cluster_name: eds, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 10.0.0.8, port_value: 80}}}}]}]}}]}`,
				`- {"@type": x.EcdsConfigDump, ecds_filters: [{ecds_filter: {name: hg, typed_config: `+wasm+`}}]}`)
			for _, got := range []struct {
				by   string
				gaps []Gap
				want string
			}{{"key", e.KeyGaps("k"), test.key}, {"route", e.RouteGaps("by", "100"), test.route}} {
				var what []string
				for _, g := range got.gaps {
					what = append(what, g.What)
				}
				if all := strings.Join(what, " | "); all != got.want {
					t.Errorf("by %s: %s\nwant %s", got.by, all, got.want)
				}
			}
			for _, g := range e.KeyGaps("k") {
				if !slices.Contains(e.Gaps(), g) && !strings.Contains(g.What, "not the key") {
					t.Errorf("Gaps has no %v", g)
				}
			}
		})
	}
}

// Which keys there are, and which endpoints they switch.
func TestSwitches(t *testing.T) {
	t.Parallel()
	e := envoy(t, first+first)
	if got := e.Keys(); len(e.Plugins) != 1 || len(e.Plugins[0].Places) != 1 || e.Plugins[0].Places[0].Address != "10.0.0.7:80" || !slices.Equal(got, []string{"k", "z.b"}) {
		t.Errorf("%d plugins with the keys %q", len(e.Plugins), got)
	}
	for key, want := range map[string][]string{"k": {"e"}, "z.b": {"e"}, "z.a": nil, "by": nil} {
		if got := e.Readers(key); !slices.Equal(got, want) {
			t.Errorf("%s switches %q, want %q", key, got, want)
		}
	}
	if got := e.Routes(); !slices.Equal(got, []Route{{"by", "/a", 0}}) || !slices.Equal(e.RouteKeys(), []string{"by"}) {
		t.Errorf("%v", got)
	}
	for _, test := range []struct {
		key, value string
		want       []string
	}{{"by", "100", []string{"e"}}, {"by", "99", nil}, {"by", "true", nil}, {"by", "", nil}, {"k", "100", nil}} {
		if got := e.RouteReaders(test.key, test.value); !slices.Equal(got, test.want) {
			t.Errorf("%s = %s switches %q, want %q", test.key, test.value, got, test.want)
		}
	}
	if got := e.RouteReaders("by", "100"); len(envoy(t, edit(first, "route_metadata: true", "")).RouteReaders("by", "100")) > 0 || len(got) != 1 {
		t.Error("an endpoint without route_metadata is switched by a route")
	}
}

// A route takes the part of the requests that Envoy makes of its key's value.
func TestShare(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		value           string
		otherwise, want float64
	}{
		{"100", 0, 1}, {"101", 0, 1}, {"1e2", 0, 1}, {"50", 1, .5}, {"0", 1, 0}, {"0.5", 1, 0}, {"true", .25, .25}, {"", .25, .25}, {"-5", .25, .25},
		{"numerator: 100", 0, 1}, {`{"numerator": 5000, "denominator": "TEN_THOUSAND"}`, 0, .5}, {"{denominator: MILLION, numerator: 2000000}", 0, 1},
	} {
		if got := (&Route{Otherwise: test.otherwise}).Share(test.value); got != test.want {
			t.Errorf("%s takes %g, want %g", test.value, got, test.want)
		}
	}
	e := envoy(t, edit(first, "default_value: {}", "default_value: {numerator: 2500, denominator: TEN_THOUSAND}"))
	if got := e.Routes(); len(got) != 1 || got[0].Otherwise != .25 {
		t.Errorf("%v", got)
	}
	if got := e.RouteGaps("by", "50"); len(got) != 1 || !strings.HasSuffix(got[0].What, "by = 50 puts only 50% of the checks of /a under maintenance; 100 is all") {
		t.Errorf("%v", got)
	}
}

// The layers are told by their kind, and what they read.
func TestLayers(t *testing.T) {
	t.Parallel()
	want := []Layer{{Name: "base", Kind: Static}, {"disk", Disk, "/r", "s/shop", ""}, {Name: "rtds", Kind: RTDS, File: "/rtds.yaml"}, {Name: "hand", Kind: Admin}}
	e := envoy(t, first)
	if !slices.Equal(e.Layers, want) || !slices.Equal(e.Of(Disk), want[1:2]) {
		t.Errorf("%+v", e.Layers)
	}
}

// What keeps a plugin from knowing is told by its real cause.
func TestFaults(t *testing.T) {
	t.Parallel()
	matcher := func(settings string) string {
		return `- {"@type": x.BootstrapConfigDump, bootstrap: {stats_config: {stats_matcher: {` + settings + `}}}}`
	}
	for _, test := range []struct{ name, listeners, more, faults, metrics string }{
		{"nothing", first, "", "", "its configuration has healthgate, and no metric"},
		{"no such admin", edit(first, "{cluster: adm}", "{cluster: adm2}"), "", `admin.cluster is "adm2", and Envoy has no such cluster`, "its configuration has healthgate"},
		{"a later version", edit(first, "endpoints: [", "later: 1, endpoints: ["), "", "a Wasm filter that looks like healthgate has a configuration that this command does not know", "its configuration has no healthgate"},
		{"bytes", edit(first, "value: "+settings, `"@type": type.googleapis.com/google.protobuf.BytesValue, value: "`+base64.StdEncoding.EncodeToString([]byte(`{"endpoints": [{"name": "e", "paths": ["/a"], "trusted": {"cidrs": ["10.0.0.0/8"]}}]}`))+`"`), "", "", "its configuration has healthgate"},
		{"another plugin", edit(first, "endpoints: [", "later: 1, parts: ["), "", "", "its configuration has no healthgate"},
		{"no such probe", edit(first, "cluster: probes", "cluster: gone"), "", `probe "p": its cluster is "gone", and Envoy has no such cluster`, "its configuration has"},
		{"no plugin", one("first", "{}", host("*", rest)), "", "", "its configuration has no healthgate"},
		{"no metric passes", first, matcher(`reject_all: true`), "", "its stats_matcher leaves out"},
		{"its metrics excluded", first, matcher(`exclusion_list: {patterns: [{prefix: http}, {contains: CUSTOM.healthgate_, ignore_case: true}]}`), "", "its stats_matcher leaves out"},
		{"others excluded", first, matcher(`exclusion_list: {patterns: [{prefix: http}, {exact: wasmcustom}]}`), "", "its configuration has healthgate, and no"},
		{"its metrics included", first, matcher(`inclusion_list: {patterns: [{suffix: rq_total}, {safe_regex: {regex: 'wasmcustom\..*'}}]}`), "", "its configuration has healthgate, and no"},
		{"others included", first, matcher(`inclusion_list: {patterns: [{safe_regex: {regex: wasmcustom}}]}`), "", "its stats_matcher leaves out"},
	} {
		e := envoy(t, test.listeners, test.more)
		if got := strings.Join(e.Faults(), " | "); !strings.HasPrefix(got, test.faults) || (got == "") != (test.faults == "") {
			t.Errorf("%s: %s", test.name, got)
		}
		if got := e.NoMetrics(); !strings.HasPrefix(got, test.metrics) {
			t.Errorf("%s: %s", test.name, got)
		}
	}
}
