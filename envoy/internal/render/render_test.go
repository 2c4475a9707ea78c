package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/envoy/internal/document"
	"github.com/healthgate/healthgate/envoy/must"
	"go.yaml.in/yaml/v3"
)

// nasty holds what a writer could get wrong: characters that mean something to YAML, texts that look like something
// else.
const nasty = `# about the file

endpoints:
# why
- name: "yes"  # a name
  paths: ["/a'b\"c", '/x{y}&*[z]', "/-:", /~, /%20!$;=@]
  trusted: {cidrs: ["::1"], peer: {filter_state: "a: 'b'\t# c"}}
  untrusted: {action: reply, status: 404, body: "---\n...\n\n  - a: b\n\t#c  \n \n"}
  healthy:
    body: |
      line

        indented: yes
      # no comment
    headers: {x-a: "%REQ(:PATH)%", "x-b!": '$command'}
  maintenance: {keys: ["a.{zone}", k, "on"], route_metadata: true, body: off}
  probes: {names: [p], policy: {at_least: 1}}
- {name: on, paths: [/second], trusted: {cidrs: ["10.0.0.0/8"], peer: {filter_state: other}},
   maintenance: {route_metadata: true}}
probes:
- {name: p, cluster: "outbound|80||a.b", path: "/q?a=b&c='d'", host: "h: 1", healthy_threshold: 16, interval: 1.5s}
admin: {cluster: 'prometheus_stats', max_age: 20s}
`

func parse(t testing.TB, text string) *document.Document {
	t.Helper()
	return must.Get(document.Parse("f.yaml", []byte(text)))(t)
}

// decode reads the documents of a YAML stream, in the types of JSON.
func decode(t testing.TB, text string) []any {
	t.Helper()
	var out []any
	for reader := yaml.NewDecoder(strings.NewReader(text)); ; {
		var v any
		err := reader.Decode(&v)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		out = append(out, numbers(v))
	}
}

// collect returns the values of a field, wherever it stands.
func collect(v any, name string) []any {
	var out []any
	switch v := v.(type) {
	case []any:
		for _, child := range v {
			out = append(out, collect(child, name)...)
		}
	case map[string]any:
		for field, child := range v {
			if field == name {
				out = append(out, child)
			}
			out = append(out, collect(child, name)...)
		}
	}
	return out
}

var (
	envoyOptions = EnvoyOptions{
		Common: Common{Wasm: "/a b/x.wasm", RuntimeDir: "/run/x",
			RouteKey: "r.{endpoint}"}, Listen: "127.0.0.1:80", Admin: "unix:///a",
		Clusters: []string{"app=[::1]:80", "outbound|80||a.b=h:7"}, Node: Node{"i", "c", "r", "z"},
	}
	istioOptions = IstioOptions{
		Common: Common{Wasm: "/hg/x.wasm", RuntimeDir: "/run/x",
			RouteKey: "r.{endpoint}"}, Name: "hg", Namespace: "ns", Port: 80, AdminPort: 15000,
		Selector: []string{"app.kubernetes.io/name=yes"},
	}
)

// The files that are shipped, and one with all that a writer could get wrong, in every form.
func TestShippedFilesInEveryForm(t *testing.T) {
	t.Parallel()
	says(t, parse(t, nasty), istioOptions.Common)
	for _, made := range everyForm(parse(t, nasty), istioOptions.Common) {
		if strings.Contains(made.text, "about the file") || !strings.Contains(made.text, "# why") {
			t.Errorf("%s: the wrong comments came along", made.name)
		}
		for line := range strings.Lines(made.text) {
			if strings.TrimSpace(line) == "" && line != "\n" {
				t.Errorf("%s: a line of blanks", made.name)
			}
		}
	}
	for _, file := range []string{"healthgate.yaml", "examples/istio-sidecar/healthgate.yaml",
		"examples/istio-gateway/healthgate.yaml"} {
		d := must.Get(document.Read("../../" + file))(t)
		says(t, d, istioOptions.Common)
	}
}

// replaceClusters lets the probes of a configuration go through clusters of their own in the place of busy ones.
func replaceClusters(configuration map[string]any, busy func(string) bool) {
	probes, _ := configuration["probes"].([]any)
	for _, p := range probes {
		if p, is := p.(map[string]any); is && busy(p["cluster"].(string)) {
			p["cluster"] = OwnPrefix + p["cluster"].(string)
		}
	}
}

// Whatever cluster an operator names, probes ask the same target through one that no route leads to: it has no
// outlier detection, and its circuit breakers count the probes alone.
func TestProbesHaveClustersOfTheirOwn(t *testing.T) {
	t.Parallel()
	sidecar, gateway := istioOptions, istioOptions
	gateway.Gateway, gateway.RouteCluster = true, "outbound|80||app.shop.svc"
	sidecar.Clusters = []string{"stats=127.0.0.1:9"}
	envoy := envoyOptions
	envoy.Clusters = []string{"app=127.0.0.1:7", "stats=127.0.0.1:9"}
	for _, test := range []struct {
		name, cluster string
		render        func(*document.Document) (string, error)
		asked, target string // target as it stands in the cluster
	}{
		{"Envoy, the application's", "app", func(d *document.Document) (string, error) { return Envoy(d, envoy) },
			"healthgate_app", `{"address":"127.0.0.1","port_value":7}`},
		{"Envoy, another", "stats", func(d *document.Document) (string, error) { return Envoy(d, envoy) },
			"stats", `{"address":"127.0.0.1","port_value":9}`},
		{"EnvoyFilter, an added one", "stats",
			func(d *document.Document) (string, error) { return IstioEnvoyFilter(d, sidecar) },
			"stats", `{"address":"127.0.0.1","port_value":9}`},
		{"EnvoyFilter, inbound", "inbound|80||",
			func(d *document.Document) (string, error) { return IstioEnvoyFilter(d, sidecar) },
			"healthgate_inbound|80||", `{"address":"127.0.0.1","port_value":80}`},
		{"WasmPlugin, inbound", "inbound|80||",
			func(d *document.Document) (string, error) { return IstioWasmPlugin(d, sidecar) },
			"healthgate_inbound|80||", `{"address":"127.0.0.1","port_value":80}`},
		{"EnvoyFilter, outbound", "outbound|80|v1|app.shop.svc",
			func(d *document.Document) (string, error) { return IstioEnvoyFilter(d, gateway) },
			"healthgate_outbound|80|v1|app.shop.svc", `"service_name":"outbound|80|v1|app.shop.svc"`},
		{"WasmPlugin, outbound", "outbound|80||app.shop.svc",
			func(d *document.Document) (string, error) { return IstioWasmPlugin(d, gateway) },
			"healthgate_outbound|80||app.shop.svc", `"service_name":"outbound|80||app.shop.svc"`},
	} {
		for _, asks := range []string{"path: /q", "grpc: {}"} {
			t.Run(test.name+", "+asks, func(t *testing.T) {
				t.Parallel()
				out := must.Get(test.render(parse(t, `
endpoints:
- {name: a, paths: [/a], trusted: {cidrs: ["::1"]}, maintenance: {route_metadata: true}, probes: {names: [p, q]}}
probes:
- {name: p, cluster: `+test.cluster+`, `+asks+`}  # why
- {name: q, cluster: `+test.cluster+`, `+asks+`}
- {name: r, gauge: {stat: server.live, above: 1}}  # through the cluster of admin
admin: {cluster: adm}
`)))(t)
				documents := decode(t, out)
				for _, v := range collect(collect(documents, "probes"), "cluster") {
					if v != test.asked {
						t.Errorf("a probe goes through %v, not %s", v, test.asked)
					}
				}
				for _, v := range collect(collect(documents, "route"), "cluster") {
					if v == test.asked {
						t.Errorf("a route leads to %v, too", v)
					}
				}
				made := slices.DeleteFunc(append(collect(documents, "clusters"), collect(documents, "value")...), func(v any) bool {
					return !slices.Contains(collect(v, "name"), any(test.asked))
				})
				text := must.Get(json.Marshal(made))(t)
				if len(made) != 1 || !strings.Contains(string(text), test.target) || strings.Contains(string(text), "outlier") {
					t.Errorf("the cluster %s, to %s: %s", test.asked, test.target, text)
				}
				if strings.Contains(string(text), "http2_protocol_options") != (asks == "grpc: {}") {
					t.Errorf("HTTP/2 is for gRPC: %s", text)
				}
				if !strings.Contains(out, "# why") {
					t.Error("a comment is lost")
				}
			})
		}
	}
}

func checkMatcher(t *testing.T, d *document.Document, documents any) {
	t.Helper()
	var exact, prefix []string
	for _, v := range collect(documents, "value_match") {
		m := v.(map[string]any)
		if s, is := m["exact"].(string); is {
			exact = append(exact, s)
		} else {
			prefix = append(prefix, m["prefix"].(string))
		}
	}
	for _, p := range paths(d.Config) {
		if !slices.Contains(exact, p.Path) || !slices.Contains(prefix, p.Path+"?") {
			t.Errorf("the gate keeps %q out", p.Path)
		}
	}
	if len(exact) != len(paths(d.Config)) || len(prefix) != len(exact) {
		t.Errorf("the gate lets %q and %q through", exact, prefix)
	}
	if len(collect(documents, "typed_per_filter_config")) > 0 || len(collect(documents, "disabled")) > 0 {
		t.Error("a matcher's filter is disabled, or a route enables it")
	}
}

func checkNoGate(t *testing.T, _ *document.Document, documents any) {
	t.Helper()
	for _, part := range []string{"value_match", "typed_per_filter_config", "disabled"} {
		if len(collect(documents, part)) > 0 {
			t.Errorf("there is %s", part)
		}
	}
}

// checkGateRoutes: the filter is disabled. Each path has a route that enables it, once, behind those of maintenance and
// before the application's.
func checkGateRoutes(t *testing.T, d *document.Document, documents any) {
	t.Helper()
	if got := collect(documents, "disabled"); !reflect.DeepEqual(got, []any{true}) ||
		len(collect(documents, "value_match")) > 0 {
		t.Errorf("disabled is %v", got)
	}
	var got []string
	names := map[string]bool{}
	routes := collect(documents, "routes")[0].([]any)
	for i, v := range routes {
		r := v.(map[string]any)
		match := r["match"].(map[string]any)
		if name := r["name"].(string); names[name] {
			t.Errorf("two routes are %s", name)
		} else {
			names[name] = true
		}
		if enables := r["typed_per_filter_config"] != nil; enables != (i < len(routes)-1) {
			t.Errorf("route %v enables the filter: %v", match, enables)
		}
		switch path, is := match["path"].(string); {
		case match["runtime_fraction"] != nil:
			if len(got) > 0 {
				t.Errorf("route %v comes after %q", match, got)
			}
		case is:
			got = append(got, path)
		}
	}
	want := paths(d.Config)
	if !slices.EqualFunc(got, want, func(path string, p Path) bool { return path == p.Path }) {
		t.Errorf("the gate lets %q through, not %v", got, want)
	}
}

// checkParts is checkGateRoutes where each path's routes stand together, before those of others.
func checkParts(t *testing.T, d *document.Document, documents any) {
	t.Helper()
	parts := documents.([]any)[0].(map[string]any)
	routes, _ := parts["routes"].([]any)
	var first, gates []any
	enabled := map[any]bool{}
	for _, v := range routes {
		switch match := v.(map[string]any)["match"].(map[string]any); {
		case match["runtime_fraction"] == nil:
			gates, enabled[match["path"]] = append(gates, v), true
		case enabled[match["path"]]:
			t.Errorf("route %v comes after the gate's", match)
		default:
			first = append(first, v)
		}
	}
	application := map[string]any{"name": "the application's", "match": map[string]any{}}
	parts["routes"] = slices.Concat(first, gates, []any{application})
	checkGateRoutes(t, d, documents)
}

func checkRoutes(t *testing.T, d *document.Document, key string, documents any) {
	t.Helper()
	want := map[string]bool{}
	for _, e := range d.Config.Endpoints {
		for _, path := range e.Paths {
			if e.Maintenance.RouteMetadata {
				want[strings.ReplaceAll(key, "{endpoint}", e.Name)+" "+path] = true
			}
		}
	}
	got := map[string]bool{}
	for _, v := range collect(documents, "match") {
		if m, is := v.(map[string]any); is && m["runtime_fraction"] != nil {
			got[m["runtime_fraction"].(map[string]any)["runtime_key"].(string)+" "+m["path"].(string)] = true
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("maintenance routes %v, want %v", got, want)
	}
}

// checkPeers: the peer that an endpoint reads is stored, once for each key.
func checkPeers(t *testing.T, d *document.Document, documents any) {
	t.Helper()
	var want []any
	for _, e := range d.Config.Endpoints {
		if key := e.Trusted.FilterState; key != "" && !slices.Contains(want, any(key)) {
			want = append(want, key)
		}
	}
	if got := collect(documents, "object_key"); !reflect.DeepEqual(got, want) {
		t.Errorf("the keys of stored peers are %q, not %q", got, want)
	}
}

// A configuration with nothing but an endpoint renders to no more than it needs.
func TestTheLeast(t *testing.T) {
	t.Parallel()
	d := parse(t, "endpoints: [{name: a, paths: [/a], trusted: {cidrs: ['::1']}}]")
	o := envoyOptions
	o.RuntimeDir, o.Clusters = "", []string{"app=127.0.0.1:1"}
	out := must.Get(Envoy(d, o))(t)
	for _, absent := range []string{"disk_layer", "static_layer", "rtds_layer", "runtime_fraction",
		"set_filter_state", "envoy_admin"} {
		if strings.Contains(out, absent) {
			t.Errorf("there is %s", absent)
		}
	}
	i := istioOptions
	i.Port, i.Wasm = 0, "oci://r/x:1"
	if out, err := IstioWasmPlugin(d, i); err != nil || strings.Contains(out, "kind: EnvoyFilter") ||
		strings.Contains(out, "ports:") {
		t.Errorf("%v\n%s", err, out)
	}
}

// Envoy watches no path without a slash, and what stands behind .. is for it to find.
func TestWatchedPaths(t *testing.T) {
	t.Parallel()
	d := parse(t, "endpoints: [{name: a, paths: [/a], trusted: {cidrs: ['::1']}}]")
	for given, want := range map[string]string{
		"current": "./current", "./current": "./current", "current/": "./current", "a//b/./current/.": "a/b/current",
		"/run//current": "/run/current", "link/../current": "link/../current", "./link/../current/./": "./link/../current",
		"../current": "../current", "/srv/link/../current": "/srv/link/../current",
	} {
		o := envoyOptions
		o.RuntimeDir, o.RTDSFile = given, "rtds.yaml"
		whole, parts := must.Get(Envoy(d, o))(t), must.Get(Parts(d, o))(t)
		for _, text := range []string{whole, parts} {
			if got := collect(any(decode(t, text)), "symlink_root"); !reflect.DeepEqual(got, []any{want}) {
				t.Errorf("%s: %v, want %s", given, got, want)
			}
		}
		if got := collect(collect(any(decode(t, whole)), "path_config_source"), "path"); got[0] != "./rtds.yaml" {
			t.Errorf("%v", got)
		}
	}
	for _, given := range []string{"/", ".", "./", "..", "a/..", "../.", "a/../", "/.."} {
		o := envoyOptions
		o.RuntimeDir = given
		_, err := Envoy(d, o)
		_, other := Parts(d, o)
		for _, err := range []error{err, other} {
			if err == nil || !strings.Contains(err.Error(), "can't be a link") {
				t.Errorf("%s: %v", given, err)
			}
		}
	}
}

// TestFormsWithoutGRPC: what cannot bring all that an endpoint of gRPC needs refuses it.
func TestFormsWithoutGRPC(t *testing.T) {
	t.Parallel()
	d := must.Get(document.Parse("healthgate.yaml",
		[]byte("endpoints: [{name: a, grpc: true, trusted: {cidrs: [\"::1\"]}}]")))(t)
	for _, form := range everyForm(d, Common{Wasm: "hg.wasm", RouteKey: "k"}) {
		if refused := form.err != nil && strings.Contains(form.err.Error(), ": endpoints[0].grpc: "); refused !=
			(form.name != "route" && form.name != "parts") {
			t.Errorf("%s: %v", form.name, form.err)
		}
	}
	if _, err := (&KubernetesOptions{Readiness: "a"}).readiness(d); err == nil {
		t.Error("the kubelet is to ask an endpoint of gRPC by GET")
	}
}

// The key of a route is not one of the plugin's: they hold different things.
func TestRouteKeyIsItsOwn(t *testing.T) {
	t.Parallel()
	o := envoyOptions
	o.RouteKey = "k"
	if _, err := Envoy(parse(t, nasty), o); err == nil ||
		!strings.Contains(err.Error(), `--route-key: "k" is one of the maintenance keys of f.yaml`) {
		t.Error(err)
	}
}

// A route knows a path alone. So endpoints on one path have one key, or one of them none.
func TestRouteKeysOfOnePath(t *testing.T) {
	t.Parallel()
	const two = `endpoints:
- {name: a, hosts: [a.example], paths: [/x, /hc], trusted: {cidrs: ["::1"]}, maintenance: {route_metadata: true}}
- {name: b, hosts: [b.example], paths: [/hc], trusted: {cidrs: ["::1"]}, maintenance: {route_metadata: true}}
`
	for _, test := range []struct{ name, text, key, want string }{
		{"two keys", two, "hg.{endpoint}",
			"f.yaml:3:41: endpoints[1].paths[0]: /hc is a path of another endpoint with route_metadata"},
		{"one key", two, "hg", ""},
		{"other paths", strings.Replace(two, "[/x, /hc]", "[/x]", 1), "hg.{endpoint}", ""},
		{"one endpoint", strings.Replace(two, "true", "false", 1), "hg.{endpoint}", ""},
		{"no key", two, "", "--route-key: must not be empty"},
	} {
		o := envoyOptions
		o.RouteKey = test.key
		out, err := Envoy(parse(t, test.text), o)
		if err == nil && test.want != "" || err != nil && (test.want == "" || !strings.HasPrefix(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %s", test.name, err, test.want)
		}
		paths := map[any]bool{}
		for _, match := range collect(collect(decode(t, out), "routes"), "match") {
			m := match.(map[string]any)
			if m["runtime_fraction"] != nil && paths[m["path"]] {
				t.Errorf("%s: two maintenance routes have the path %v", test.name, m["path"])
			}
			paths[m["path"]] = paths[m["path"]] || m["runtime_fraction"] != nil
		}
	}
}

// What a comment says to type is true of this configuration, and does what it says in a shell.
func TestCommandsInComments(t *testing.T) {
	t.Parallel()
	const text = `endpoints: [{name: a, paths: [/a], trusted: {cidrs: ["::1"]}, maintenance: {keys: [KEY, second]}}]
admin: {cluster: prometheus_stats}
`
	for _, test := range []struct {
		admin, runtimeDir, key string
		want                   []string
	}{
		{"127.0.0.1:9902", "/run/hg", "k", []string{
			"# curl -X POST 'http://127.0.0.1:9902/runtime_modify?k=true'", "are the keys: /run/hg/k.",
			`#   kubectl -n ns patch configmap hg-runtime --type merge -p '{"data": {"k": "true"}}'`,
			`#   sidecar.istio.io/userVolumeMount: '{"hg-runtime":{"mountPath":"/run/hg","readOnly":true}}'`,
		}},
		{"unix:///run/a b.sock", "/run/a'b", "hg.on", []string{
			"# curl --unix-socket '/run/a b.sock' -X POST 'http://admin/runtime_modify?hg.on=true'",
			`are the keys: /run/a'b/hg.on.`,
			`#   sidecar.istio.io/userVolumeMount: '{"hg-runtime":{"mountPath":"/run/a''b","readOnly":true}}'`,
			`#   healthgate $'/run/a\047b\012'`,
		}},
	} {
		e, i := envoyOptions, istioOptions
		e.Admin, e.RuntimeDir, i.RuntimeDir, i.Wasm = test.admin, test.runtimeDir, test.runtimeDir, "oci://a/b:1"
		i.Command = []string{"healthgate", test.runtimeDir + "\n"}
		if test.key == "k" {
			i.Command = nil
		}
		d := parse(t, strings.Replace(text, "KEY", test.key, 1))
		first := must.Get(Envoy(d, e))(t)
		second := must.Get(IstioWasmPlugin(d, i))(t)
		for _, want := range test.want {
			if !strings.Contains(first+second, want) {
				t.Errorf("there is no %s in\n%s\n%s", want, first, second)
			}
		}
	}
}

// What Istio adds to the proxy's bootstrap is JSON, and turns metric names into the same labels as the shipped
// bootstrap.
func TestIstioBootstrap(t *testing.T) {
	t.Parallel()
	out := must.Get(IstioEnvoyFilter(parse(t, nasty), istioOptions))(t)
	text, _ := collect(decode(t, out), "custom_bootstrap.json")[0].(string)
	var bootstrap map[string]any
	must.Do(t, json.NewDecoder(bytes.NewReader([]byte(text))).Decode(&bootstrap))
	shipped := must.Read(t, "../../bootstrap.yaml")
	want := collect(decode(t, shipped), "stats_tags")[0]
	if got := collect(bootstrap, "stats_tags")[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("stats tags %v, want %v", got, want)
	}
	if got := collect(bootstrap, "symlink_root"); !reflect.DeepEqual(got, []any{"/run/x/..data"}) {
		t.Errorf("symlink_root %v", got)
	}
}
