package render

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/envoy/must"
	"go.yaml.in/yaml/v3"
)

var gatewayOptions = GatewayOptions{
	Common: Common{Wasm: "https://files.example/hg.wasm", WasmSHA256: strings.Repeat("a", 64), RuntimeDir: "/run/x"},
	Name:   "hg", Namespace: "ns", Gateway: "front", Listeners: []string{"http", "https"}, Backend: "app:80",
	ProxyNamespace: "proxies", AdminPort: 19000,
}

// Whatever the document says is in the objects, or the rendering is refused.
func TestEnvoyGateway(t *testing.T) {
	t.Parallel()
	d := parse(t, `endpoints:
- {name: balancer, paths: [/hc, /a~b/%20], trusted: {cidrs: ["::1"], peer: {filter_state: hg.peer}},
   maintenance: {keys: [k]}}  # why
- {name: ready, paths: [/ready, /hc], trusted: {cidrs: ["::1"]}, headers: [{name: a, exact: "b"}], probes: {names: [p]}}
probes: [{name: p, cluster: stats, path: /p}]
admin: {cluster: adm}
`)
	o := gatewayOptions
	o.Clusters, o.Hostnames = []string{"stats=127.0.0.1:7"}, []string{"*.shop.example"}
	out := must.Get(EnvoyGateway(d, o))(t)
	documents := decode(t, out)
	var configuration any
	must.Do(t, d.Node().Decode(&configuration))
	if got := collect(documents, "config"); !reflect.DeepEqual(got, []any{numbers(configuration)}) {
		t.Errorf("the filter is told %v", got)
	}
	if !strings.Contains(out, "# why") {
		t.Error("a comment is lost")
	}
	exact := func(path string) any {
		return map[string]any{"path": map[string]any{"type": "Exact", "value": path}}
	}
	matches := []any{exact("/hc"), exact("/a~b/%20"), exact("/ready")}
	if got := collect(documents, "matches"); !reflect.DeepEqual(got, []any{matches, matches}) {
		t.Errorf("the routes take %v", got)
	}
	const parents = "[map[name:front sectionName:http] map[name:front sectionName:https]]"
	if got := fmt.Sprint(collect(documents, "parentRefs")); got != "["+parents+" "+parents+"]" {
		t.Errorf("the routes belong to %s", got)
	}
	if got := fmt.Sprint(collect(documents, "backendRefs")[0]); got != "[map[name:app port:80]]" {
		t.Errorf("the application is %s", got)
	}
	var patched []string
	for _, p := range collect(documents, "jsonPatches")[0].([]any) {
		p := p.(map[string]any)
		operation := p["operation"].(map[string]any)
		patched = append(patched, fmt.Sprint(p["name"], " ", operation["path"], collect(operation, "object_key")))
	}
	if want := []string{"ns/front/http failure_policy[]", "ns/front/https failure_policy[]",
		"ns/front/http <nil> [hg.peer]",
		"ns/front/https <nil> [hg.peer]"}; !reflect.DeepEqual(patched, want) {
		t.Errorf("patches %q", patched)
	}

	var bootstrap map[string]any
	text := collect(collect(documents, "bootstrap"), "value")[0].(string)
	must.Do(t, yaml.Unmarshal([]byte(text), &bootstrap))
	if got := fmt.Sprint(collect(bootstrap, "layers")); got != "[[map[disk_layer:map[symlink_root:/run/x/..data] "+
		"name:healthgate] map[admin_layer:map[] name:healthgate_admin]]]" {
		t.Errorf("layers %s", got)
	}
	if got := fmt.Sprint(collect(bootstrap, "cluster_name"),
		collect(bootstrap, "port_value")); got != "[stats adm] [7 19000]" {
		t.Errorf("clusters and their ports: %s", got)
	}
	shipped := must.Read(t, "../../bootstrap.yaml")
	want := collect(decode(t, shipped), "stats_tags")[0]
	if got := collect(bootstrap, "stats_tags")[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("stats tags %v, want %v", got, want)
	}
}

// Without what is optional, none of it is there.
func TestTheLeastOfEnvoyGateway(t *testing.T) {
	t.Parallel()
	o := gatewayOptions
	o.Wasm, o.WasmSHA256, o.Backend = "oci://r/x:1", "", "app"
	out := must.Get(EnvoyGateway(parse(t, "endpoints: [{name: a, paths: [/], trusted: {cidrs: ['::1']}}]"), o))(t)
	for _, absent := range []string{"hostnames", "kind: Service", "sha256", "ConfigMap", "provider",
		"disk_layer", "clusters",
		"set_filter_state"} {
		if strings.Contains(out, absent) {
			t.Errorf("there is %s in\n%s", absent, out)
		}
	}
	for _, there := range []string{"image: {url: \"r/x:1\"}", "{group: gateway.envoyproxy.io, kind: Backend, name: app}"} {
		if !strings.Contains(out, there) {
			t.Errorf("there is no %s in\n%s", there, out)
		}
	}
}

// Gateway API would refuse these, so the command does, and says where they stand.
func TestPathsThatNoHTTPRouteTakes(t *testing.T) {
	t.Parallel()
	var many []string
	for i := range maxMatches + 1 {
		many = append(many, fmt.Sprintf("/%d", i))
	}
	for _, test := range []struct{ paths, want string }{
		{"/a//b", "takes no //"}, {"/a/./b", "takes no //"}, {"/a/..", "takes no //"}, {"/a%2Fb", "takes no //"},
		{`"/a{b}"`, "takes letters"}, {"/a%zz", "takes letters"}, {"/" + strings.Repeat("a", maxPath), "may have 1024"},
		{strings.Join(many, ", "), "there are 65 paths"}, {"/a/", ""}, {"/a%20b", ""},
		{strings.Join(many[1:], ", "), ""},
	} {
		_, err := EnvoyGateway(parse(t, "endpoints: [{name: a, paths: ["+test.paths+"], trusted: {cidrs: ['::1']}}]"),
			gatewayOptions)
		if err == nil && test.want != "" || err != nil && (test.want == "" || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%.30s: %v, want %s", test.paths, err, test.want)
		}
	}
}
