package merge

import (
	"encoding/json"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/envoy/internal/document"
	"github.com/healthgate/healthgate/envoy/internal/render"
	"github.com/healthgate/healthgate/envoy/must"
	"github.com/healthgate/healthgate/envoy/rendertest"
)

const clusters = `  clusters:
  - name: app
    type: STRICT_DNS
    load_assignment:
      cluster_name: app
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: app.one, port_value: 80}}}}]}]
`

// inBrackets write a configuration as JSON, in one line and in many, and as YAML in braces.
var inBrackets = []func(t *testing.T, s *source) File{
	styles[4].write,
	func(_ *testing.T, s *source) File { return File{"envoy.json", s.flow(clone(s.root))} },
	styles[2].write,
}

// What changes in a configuration after a merge is put right by the next, and lint says it.
func TestMergedAgain(t *testing.T) {
	t.Parallel()
	asked := must.Get(document.Parse("healthgate.yaml", []byte("{endpoints: [{name: a, paths: [/hc], "+
		"trusted: {cidrs: [10.0.0.0/8]}, probes: {names: [p]}, maintenance: {route_metadata: true}}], "+
		"probes: [{name: p, cluster: app, path: /}]}")))(t)
	o := Options{Common: render.Common{Wasm: "hg.wasm", RouteKey: "healthgate.route_maintenance"}}
	other := must.Get(document.Parse("healthgate.yaml", []byte("{endpoints: [{name: a, paths: [/new], "+
		"trusted: {cidrs: [10.0.0.0/8]}, probes: {names: [p, q]}}, {name: b, paths: [/b], trusted: {cidrs: [10.0.0.0/8]}}], "+
		"probes: [{name: p, cluster: app, path: /}, {name: q, cluster: api, path: /}]}")))(t)
	const route = "- {match: {prefix: /}, route: {cluster: app}}\n"
	const strays = `the cluster "healthgate_app" leads elsewhere, or in another way, than "app"`
	bootstrap := web("- name: v\n  domains: [x.example]\n  routes:\n  " + route)
	bootstrap.Text = short.Replace(bootstrap.Text) + clusters + strings.NewReplacer("  clusters:\n", "", "app", "api").
		Replace(clusters)
	merged := must.Get(Merge(asked, []File{bootstrap}, o))(t).Files[0]
	for _, test := range []struct {
		name string
		old  []string // each followed by what comes in its place, the first time
		said string   // by lint
		want []string // what there is then, and behind ! what there is not
	}{
		{"nothing", nil, "", []string{"address: app.one"}},
		{"the application moves", []string{"{address: app.one, port_value: 80}", "{address: app.two, port_value: 80}"},
			strays, []string{"!app.one"}},
		{"the application gets TLS", []string{"type: STRICT_DNS\n", "transport_socket: {name: tls}\n    type: STRICT_DNS\n"},
			strays, []string{"!app.two"}},
		{"the application speaks HTTP/2", []string{"type: STRICT_DNS", "http2_protocol_options: {}\n    type: STRICT_DNS"},
			strays, nil},
		{"the application's name is resolved otherwise", []string{"type: STRICT_DNS", "dns_lookup_family: V6_ONLY\n" +
			"    type: STRICT_DNS"}, strays, nil},
		{"the application's hosts are of a subset", []string{"lb_endpoints: [{", "lb_endpoints: [{metadata: {a: b}, "},
			strays, nil},
		{"a host of the application's is taken out", []string{"lb_endpoints: [{", "lb_endpoints: " +
			"[{health_status: DRAINING, "}, strays, nil},
		{"the copy is changed by hand", []string{"- name: healthgate_app\n", "- name: healthgate_app\n" +
			"    upstream_bind_config: {}\n"}, strays,
			[]string{"!upstream_bind"}},
		{"the filter is changed by hand", []string{"FAIL_RELOAD", "FAIL_OPEN"}, "", []string{"FAIL_RELOAD"}},
		{"the application answers slowly", []string{"type: STRICT_DNS", "connect_timeout: 9s\n    type: STRICT_DNS"},
			strays, nil},
		{"the application's hosts come by EDS", []string{"type: STRICT_DNS", "eds_cluster_config: {eds_config: {ads: {}}}\n" +
			"    type: EDS"}, strays, nil},
		{"the application has more hosts", []string{"port_value: 80}}}}]", "port_value: 80}}}}, {endpoint: {address: " +
			"{socket_address: {address: app.two, port_value: 80}}}}]"},
			strays, nil},
		{"the application's host is for when others fail", []string{"endpoints: [{lb", "endpoints: [{priority: 1, lb"},
			strays, nil},
		{"the application's host has another weight", []string{"lb_endpoints: [{", "lb_endpoints: " +
			"[{load_balancing_weight: 9, "}, strays, nil},
		{"the application's host is elsewhere", []string{"endpoints: [{lb", "endpoints: [{locality: {zone: a}, lb"},
			strays, nil},
		{"the application gets fewer requests", []string{"cluster_name: app\n", "cluster_name: app\n      " +
			"policy: {overprovisioning_factor: 100}\n"},
			strays, nil},
		{"the application's localities have weights", []string{"type: STRICT_DNS", "common_lb_config: " +
			"{locality_weighted_lb_config: {}}\n    type: STRICT_DNS"},
			strays, nil},
		{"the application's name stands for one host", []string{"type: STRICT_DNS", "type: LOGICAL_DNS"},
			strays, nil},
		{"his own routes go", []string{"              " + route, ""},
			`virtual host "v": the routes for checks are not those`, []string{"status: 404"}},
		{"a virtual host takes all", []string{"domains: [x.example]", `domains: [x.example, "*"]`},
			`virtual host "healthgate" was made for checks that another one takes now`, []string{"!direct_response"}},
		{"in maintenance by hand", []string{route, "- {match: {prefix: /}, route: {cluster: app}, metadata: " +
			"{filter_metadata: {healthgate: {maintenance: true}}}}\n"}, `virtual host "v": the routes for checks are not those`,
			[]string{"- {match: {prefix: /}, route: {cluster: app}, metadata: {filter_metadata: {healthgate: {maint"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := merged
			for i := 0; i < len(test.old); i += 2 {
				if !strings.Contains(f.Text, test.old[i]) {
					t.Fatalf("there is no %q in\n%s", test.old[i], f.Text)
				}
				f.Text = strings.Replace(f.Text, test.old[i], test.old[i+1], 1)
			}
			said := lines("", must.Get(Lint([]File{f}, asked))(t).Wrong)
			if !strings.Contains(said, test.said) || test.said == "" && said != "" {
				t.Errorf("lint says %s", said)
			}
			result := must.Get(Merge(asked, []File{f}, o))(t)
			again := result.Files[0]
			replaced := strings.Contains(test.said, "healthgate_app") || test.name == "the filter is changed by hand"
			if told := lines("", result.Notes); strings.Contains(told, "is made anew") != replaced {
				t.Errorf("it notes %s", told)
			}
			for _, want := range test.want {
				if what, not := strings.CutPrefix(want, "!"); strings.Contains(again.Text, what) == not {
					t.Errorf("%q in\n%s", want, again.Text)
				}
			}
			if found := must.Get(Lint([]File{again}, asked))(t); len(found.Wrong) > 0 {
				t.Errorf("lint still says %s", lines("", found.Wrong))
			}
			for _, asked := range []*document.Document{asked, other} {
				want := asLists(Plain(must.Get(Merge(asked, []File{f}, o))(t).Files))
				for _, style := range inBrackets {
					said := style(t, must.Get(parse(f))(t))
					again, err := Merge(asked, []File{said}, o)
					if err != nil {
						t.Fatalf("%s: %v\n%s", said.Name, err, said.Text)
					}
					if text := again.Files[0].Text; json.Valid([]byte(text)) != (said.Name == "envoy.json") ||
						!reflect.DeepEqual(asLists(Plain(again.Files)), want) {
						t.Errorf("%s: merged again:\n%s", said.Name, text)
					}
				}
			}
		})
	}
}

// A copy of a cluster from a file of CDS does not change with it, which is said; one beside it is mended there.
func TestCopiesOfCDS(t *testing.T) {
	t.Parallel()
	asked := must.Get(document.Parse("healthgate.yaml", []byte("{endpoints: [{name: a, paths: [/hc], "+
		"trusted: {cidrs: [10.0.0.0/8]}, probes: {names: [p]}}], probes: [{name: p, cluster: app, path: /}]}")))(t)
	o := Options{Common: render.Common{Wasm: "hg.wasm"}}
	bootstrap := web("- {name: v, domains: ['*'], routes: [{match: {prefix: /}, route: {cluster: app}}]}")
	bootstrap.Text = short.Replace(bootstrap.Text) + "dynamic_resources: {cds_config: {}}\n"
	const start = `- "@type": type.googleapis.com` + "/envoy" + typeCluster + "\n"
	app := start + strings.TrimPrefix(strings.Replace(clusters, "  - ", "    ", 1), "  clusters:\n")
	files := []File{bootstrap, {"cds.yaml", "resources:\n" + strings.ReplaceAll(app, "    ", "  ")}}
	r := must.Get(Merge(asked, files, o))(t)
	if said := lines("", r.Notes); !strings.Contains(said, `"healthgate_app", its copy for probes, does not change`) {
		t.Errorf("it says %s", said)
	}
	files[1].Text += strings.NewReplacer("name: app", "name: healthgate_app", "app.one", "app.old").Replace(
		strings.TrimPrefix(files[1].Text, "resources:\n"))
	r = must.Get(Merge(asked, files, o))(t)
	if text := r.Files[1].Text; strings.Contains(text, "app.old") || strings.Count(text, typeCluster) != 2 ||
		strings.Contains(r.Files[0].Text, "name: healthgate_app") {
		t.Errorf("there are\n%s\n%s", r.Files[0].Text, text)
	}
}

// A copy of a cluster is made whatever characters its name has, which stands in a comment, too.
func TestCopiesOfOddNames(t *testing.T) {
	t.Parallel()
	for some := range slices.Chunk(strange(), 30) {
		name := rendertest.Double("a" + strings.Trim(string(some), "\x00") + "b")
		asked := must.Get(document.Parse("f", []byte("{endpoints: [{name: a, paths: [/hc], trusted: {cidrs: [10.0.0.0/8]}, "+
			"probes: {names: [p]}}], probes: [{name: p, cluster: "+name+", path: /}]}")))(t)
		bootstrap := web("- {name: v, domains: ['*'], routes: [{match: {prefix: /}, route: {cluster: " + name + "}}]}")
		bootstrap.Text = short.Replace(bootstrap.Text) + strings.ReplaceAll(clusters, "name: app", "name: "+name)
		r, err := Merge(asked, []File{bootstrap}, Options{Common: render.Common{Wasm: "hg.wasm"}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if found := must.Get(Lint(r.Files, asked))(t); len(found.Wrong) > 0 {
			t.Errorf("%s: %s", name, lines("", found.Wrong))
		}
	}
}

// A merge into one listener alone is not silently followed by one into all.
func TestMoreListeners(t *testing.T) {
	t.Parallel()
	asked := must.Get(document.Parse("f", []byte("{endpoints: [{name: a, paths: [/hc], "+
		"trusted: {cidrs: [10.0.0.0/8]}}]}")))(t)
	f := web("- {name: v, domains: ['*'], routes: [{match: {prefix: /}, route: {cluster: app}}]}")
	_, listener, _ := strings.Cut(f.Text, "listeners:\n")
	f.Text = short.Replace(f.Text + strings.NewReplacer("name: web", "name: edge", "8080", "8081", "{cluster: app}",
		"{cluster: app}, typed_per_filter_config: {other: {}}").Replace(listener))
	o := Options{Common: render.Common{Wasm: "hg.wasm"}, Listeners: []string{"web"}}
	r := must.Get(Merge(asked, []File{f}, o))(t)
	if found := must.Get(Lint(r.Files, asked, "web"))(t).Wrong; len(found) > 0 { // of the other one's filters
		t.Errorf("lint says %s", lines("", found))
	}
	for _, want := range []string{"", `listener "edge" gets healthgate now, as another has it: --listener`, ""} {
		if said := lines("", r.Warnings); !strings.Contains(said, want) || want == "" && said != "" {
			t.Errorf("it says %q, not %q", said, want)
		}
		o.Listeners = nil
		r = must.Get(Merge(asked, r.Files, o))(t)
	}
}

// Addresses of one machine are not one address: what is there at another than is asked for now is mended, or refused.
func TestLoopback(t *testing.T) {
	t.Parallel()
	const file = "{admin: {cluster: adm}, endpoints: [{name: a, paths: [/hc], trusted: {cidrs: [10.0.0.0/8]}, " +
		"probes: {names: [p, q]}}], probes: [{name: p, cluster: app, path: /}, {name: q, cluster: more, path: /}]}"
	asked := must.Get(document.Parse("healthgate.yaml", []byte(file)))(t)
	all := []string{"127.0.0.1", "127.0.0.2", "0.0.0.0", "::", "::1", "localhost"}
	for _, from := range all {
		for _, to := range all {
			port := func(port string) (a, b string) { return net.JoinHostPort(from, port), net.JoinHostPort(to, port) }
			o := Options{Common: render.Common{Wasm: "hg.wasm"}, Clusters: []string{"more=127.0.0.1:82"}}
			bootstrap := web("- {name: v, domains: ['*'], routes: [{match: {prefix: /}, route: {cluster: app}}]}")
			bootstrap.Text = short.Replace(bootstrap.Text) + strings.Replace(clusters, "app.one", `"`+from+`"`, 1) +
				"admin: {address: {socket_address: {address: 127.0.0.1, port_value: 9901}}}\n"
			merged := must.Get(Merge(asked, []File{bootstrap}, o))(t).Files
			moved := merged[0]
			moved.Text = strings.Replace(moved.Text, `"`+from+`"`, `"`+to+`"`, 1)
			for _, c := range must.Get(read(must.Get(Merge(asked, []File{moved}, o))(t).Files))(t).clusters {
				if at := hosts(c)[0]; strings.HasSuffix(c.text("name"), "app") && at != net.JoinHostPort(to, "80") {
					t.Errorf("from %s to %s: %s leads to %s", from, to, c.text("name"), at)
				}
			}
			refuses := func(f File, o Options, want string) {
				t.Helper()
				if _, err := Merge(asked, []File{f}, o); (want == "") != (err == nil) ||
					err != nil && !strings.Contains(err.Error(), want) {
					t.Errorf("from %s to %s: %v, not %q", from, to, err, want)
				}
			}
			again := func(first, second Options, want string) {
				t.Helper()
				if from == to {
					want = ""
				}
				refuses(must.Get(Merge(asked, []File{bootstrap}, first))(t).Files[0], second, want)
			}
			x, y := o, o
			x.Clusters, y.Clusters = []string{"more=" + from + ":82"}, []string{"more=" + to + ":82"}
			again(x, y, "other hosts than --cluster")
			if from == "localhost" || to == "localhost" { // where nothing listens
				continue
			}
			x, y = o, o
			x.Listen, y.Listen = port("8090")
			again(x, y, "has another address than --listen")
			x, y = o, o
			x.Metrics, y.Metrics = port("9102")
			again(x, y, "has another address than --metrics-listen")
			bootstrap.Text, _, _ = strings.Cut(bootstrap.Text, "admin: {address")
			x, y = o, o
			x.Admin, y.Admin = port("9901")
			again(x, y, "has another address than --admin")
			moved = must.Get(Merge(asked, []File{bootstrap}, x))(t).Files[0]
			before, admin, _ := strings.Cut(moved.Text, "\nadmin:")
			moved.Text = before + "\nadmin:" + strings.Replace(strings.ReplaceAll(admin, `"`, ""), from, `"`+to+`"`, 1)
			want := `the cluster "adm", which is admin.cluster in healthgate.yaml, is not known to lead to admin: give it`
			if at, listens := port("9901"); leads(at, listens, false) {
				want = ""
			}
			refuses(moved, o, want)
		}
	}
	for listens, is := range map[string][]string{ // what leads there
		"127.0.0.1": {"127.0.0.1", "localhost V4_ONLY"}, "127.0.0.2": {"127.0.0.2"}, `"::1"`: {"::1", "localhost V6_ONLY"},
		"0.0.0.0": {"127.0.0.1", "127.0.0.2", "0.0.0.0", "localhost V4_ONLY"}, `"::"`: {"::", "::1", "localhost V6_ONLY"},
		`"::", ipv4_compat: true`: {"127.0.0.1", "127.0.0.2", "::", "::1", "localhost V4_ONLY", "localhost V6_ONLY"},
	} {
		for _, at := range append(all, "localhost V4_ONLY", "localhost V6_ONLY", "localhost V4_PREFERRED") {
			host, family, _ := strings.Cut(at, " ")
			adm := strings.NewReplacer("name: app", "name: adm", "app.one", `"`+host+`"`, ": 80", ": 9901").Replace(clusters)
			if family != "" {
				adm += "    dns_lookup_family: " + family + "\n"
			}
			bootstrap := web("- {name: v, domains: ['*'], routes: [{match: {prefix: /}, route: {cluster: app}}]}")
			bootstrap.Text = short.Replace(bootstrap.Text) + adm +
				"admin: {address: {socket_address: {address: " + listens + ", port_value: 9901}}}\n"
			m := &merger{envoy: must.Get(read([]File{bootstrap}))(t)}
			may := host == "localhost" && len(is) > 1
			if got := m.ofAdmin("adm", false); got != slices.Contains(is, at) || m.ofAdmin("adm", true) != (got || may) {
				t.Errorf("%s leads to %s: %t", at, listens, got)
			}
		}
	}
}

// What is missing beside keys of a static layer that stand in objects is put beside these objects.
func TestNestedKeys(t *testing.T) {
	t.Parallel()
	asked := must.Get(document.Parse("f", []byte("{admin: {cluster: adm}, endpoints: [{name: a, paths: [/hc], "+
		"trusted: {cidrs: [10.0.0.0/8]}, maintenance: {keys: [shop.a.one, shop.b]}}]}")))(t)
	for _, layer := range []string{" {shop: {b: true}}", "\n      shop: {b: true}\n      c: 1",
		"\n      shop:\n        b: true", " {shop: {a: {one: false}}}", " {shop: {a: {one: false}, b: true}}"} {
		bootstrap := web("- {name: v, domains: ['*'], routes: [{match: {prefix: /}, route: {cluster: app}}]}")
		bootstrap.Text = short.Replace(bootstrap.Text) + clusters +
			"admin: {address: {socket_address: {address: 127.0.0.1, port_value: 9901}}}\n" +
			"layered_runtime:\n  layers:\n  - name: own\n    static_layer:" + layer + "\n"
		r, err := Merge(asked, []File{bootstrap}, Options{Common: render.Common{Wasm: "hg.wasm"}})
		if err != nil {
			t.Errorf("%s: %v", layer, err)
			continue
		}
		layers := must.Get(read(r.Files))(t).bootstrap
		root := cursor{source: layers, n: layers.root}
		keys, own := map[string]bool{}, root.list("layered_runtime", "layers")[0].get("static_layer")
		flatten(own, "", keys)
		if !keys["shop.a.one"] || !keys["shop.b"] || keys["shop.shop.b"] || keys["shop.a.shop.b"] {
			t.Errorf("%s: the keys are %v", layer, keys)
		}
	}
}

// A new listener takes no address at which another one takes connections, whatever its form is.
func TestTaken(t *testing.T) {
	t.Parallel()
	asked := must.Get(document.Parse("f", []byte("{endpoints: [{name: a, paths: [/hc], "+
		"trusted: {cidrs: [10.0.0.0/8]}}]}")))(t)
	for listener, taken := range map[string]map[string]bool{
		`{socket_address: {address: "::", port_value: 90, ipv4_compat: true}}`: {"0.0.0.0:90": true, "127.0.0.1:90": true,
			"[::]:90": true, "[::1]:90": true, "0.0.0.0:91": false},
		`{socket_address: {address: "::", port_value: 90}}`: {"0.0.0.0:90": false, "[::1]:90": true},
		"{socket_address: {address: 10.0.0.1, port_value: 89}}\n    additional_addresses: [{address: {socket_address: " +
			"{address: 0.0.0.0, port_value: 90}}}]": {"0.0.0.0:90": true, "127.0.0.1:90": true, "0.0.0.0:89": true,
			"127.0.0.1:89": false},
		"{socket_address: {protocol: UDP, address: 0.0.0.0, port_value: 90}}": {"0.0.0.0:90": false},
	} {
		for listen, taken := range taken {
			f := web("- {name: v, domains: ['*'], routes: [{match: {prefix: /}, route: {cluster: app}}]}")
			f.Text = short.Replace(f.Text) + "  - name: other\n    address: " + listener + "\n"
			_, err := Merge(asked, []File{f}, Options{Common: render.Common{Wasm: "hg.wasm"}, Listen: listen})
			if (err != nil) != taken || err != nil && !strings.Contains(err.Error(), "Envoy listens here, and would at") {
				t.Errorf("--listen %s beside %s: %v", listen, listener, err)
			}
		}
	}
}
