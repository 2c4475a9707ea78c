package lint

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/healthgate/healthgate/envoy/internal/document"
	"github.com/healthgate/healthgate/envoy/must"
	"go.yaml.in/yaml/v3"
)

// warnings reads a document and returns what is said of it.
func warnings(t *testing.T, text string) string {
	t.Helper()
	d, err := document.Parse("f.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	var out strings.Builder
	for _, p := range Check(d) {
		out.WriteString(p.Error() + "\n")
	}
	return out.String()
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	var good string
	datadriven.RunTest(t, "testdata/warnings.txt", func(t *testing.T, d *datadriven.TestData) string {
		if d.Cmd == "good" {
			good = d.Input + "\n"
			return warnings(t, good)
		}
		var before, after string
		for line := range strings.Lines(d.Input + "\n") {
			if old, is := strings.CutPrefix(line, "-"); is {
				before += old
			} else {
				after += strings.TrimPrefix(line, "+")
			}
		}
		if !strings.Contains(good, before) {
			d.Fatalf(t, "the document has no %s", before)
		}
		return warnings(t, strings.Replace(good, before, after, 1))
	})
}

// decode returns what stands in a configuration or a dump of Envoy.
func decode(t *testing.T, text string) (out any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return out
}

func TestClusters(t *testing.T) {
	t.Parallel()
	datadriven.RunTest(t, "testdata/clusters.txt", func(t *testing.T, d *datadriven.TestData) string {
		app := "[{name: app, " + d.Input + "]"
		envoy := decode(t, "[{probes: [{cluster: app}]}, ["+app+"], "+app+"]") // a dump holds a static cluster twice
		var out strings.Builder
		for _, w := range Clusters([]string{"unknown", "app", "app"}, envoy) {
			fmt.Fprintf(&out, "probe %d: %s\n", w.Probe, w.What)
		}
		return out.String()
	})
}

func TestListener(t *testing.T) {
	t.Parallel()
	datadriven.RunTest(t, "testdata/listeners.txt", func(t *testing.T, d *datadriven.TestData) string {
		listener, trusted, _ := strings.Cut(d.Input, "\n")
		c := must.Get(document.Parse("f.yaml", []byte("endpoints:\n"+
			"- {name: a, paths: [/a], trusted: {cidrs: [10.0.0.0/8], peer: {filter_state: k}}}\n"+
			"- {name: b, paths: [/b], trusted: {"+trusted+"}}\n")))(t)
		found := listeners(decode(t, "{dynamic: [{listener: {filter_chains: [{}], "+listener+"}}]}"))
		if len(found) != 1 {
			d.Fatalf(t, "found %d listeners", len(found))
		}
		var out strings.Builder
		for _, w := range Listener(found[0], c.Config) {
			fmt.Fprintf(&out, "endpoint %d: %s\n", w.Endpoint, w.What)
		}
		return out.String()
	})
	if found := listeners([]any{map[string]any{"address": 1}}); len(found) > 0 {
		t.Errorf("%v is no listener", found)
	}
}

// A listener without a plugin is none of its business.
func TestListenersOfOthers(t *testing.T) {
	t.Parallel()
	d := must.Get(document.Parse("f.yaml",
		[]byte("endpoints: [{name: a, paths: [/a], trusted: {cidrs: [10.0.0.0/8]}}]")))(t)
	for filter, warnings := range map[string]int{"{typed_config: {config: {vm_config: {vm_id: healthgate}}}}": 1,
		"{config_discovery: {}}": 1, "{name: router}": 0} {
		text := "listeners: [{address: {pipe: {path: /a}}, filter_chains: [{filters: [" + filter + "]}]}]"
		if found, err := Rendered(d, text); err != nil || len(found) != warnings {
			t.Errorf("%s: %v, %v", filter, found, err)
		}
	}
}

// TestCounted: a probe of the health of a cluster that this Envoy cannot have.
func TestCounted(t *testing.T) {
	t.Parallel()
	d := must.Get(document.Parse("f.yaml", []byte(`endpoints:
- {name: a, paths: [/hc], trusted: {cidrs: ["::1"]}, probes: {names: [p]}}
probes:
- {name: p, cluster_health: {cluster: "a:b", min_healthy_percent: 50}}
- {name: q, xds: {}}
admin: {cluster: envoy_admin}
`)))(t)
	const listeners = "listeners: [{name: web}]"
	for text, want := range map[string]string{
		"static_resources: {" + listeners + "}": "f.yaml:4:30: probes[0].cluster_health.cluster: this Envoy has no such " +
			"cluster, so the probe fails: add the cluster, or name one that is there",
		"static_resources: {" + listeners + ", clusters: [{name: 'a:b', connect_timeout: 1s}]}":                   "",
		"static_resources: {" + listeners + ", clusters: [{name: c, alt_stat_name: 'a:b', connect_timeout: 1s}]}": "",
		"static_resources: {" + listeners + "}\ndynamic_resources: {cds_config: {ads: {}}}":                       "",
		"static_resources: {clusters: [{name: c, connect_timeout: 1s}]}":                                          "",
	} {
		got := ""
		for _, f := range must.Get(Rendered(d, text))(t) {
			got += f.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// A probe without a host asks for no name in TLS that the application has.
func TestNameInTLS(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"", ", host: shop.example"} {
		probes := "probes: [{name: p, cluster: app, path: /" + host + "}]"
		const endpoints = "endpoints: [{name: a, paths: [/a], trusted: {cidrs: ['::1']}, probes: {names: [p]}}]\n"
		d := must.Get(document.Parse("f.yaml", []byte(endpoints+probes)))(t)
		for cluster, warned := range map[string]bool{
			"transport_socket: {name: tls}, x: {upstream_http_protocol_options: {auto_sni: true}}":  true,
			"transport_socket: {name: tls}, x: {upstream_http_protocol_options: {auto_sni: false}}": false,
			"upstream_http_protocol_options: {auto_sni: true}":                                      false,
		} {
			found := must.Get(Rendered(d, "[{"+strings.TrimSpace(endpoints)+", "+probes+"}, "+
				"{name: app, connect_timeout: 1s, "+cluster+"}]"))(t)
			want := "f.yaml:2:10: probes[0]: the cluster \"app\" asks for the name in TLS that a request's Host has " +
				"(auto_sni), and this probe's is localhost: give it the host that users ask for"
			if warned = warned && host == ""; len(found) > 0 != warned || warned && found[0].Error() != want {
				t.Errorf("%s, %s: %v", host, cluster, found)
			}
		}
	}
}

// What the repository ships has nothing to warn of, and warnings come in the order of the file.
func TestShipped(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"../../healthgate.yaml", "../../examples/istio-sidecar/healthgate.yaml",
		"../../examples/istio-gateway/healthgate.yaml"} {
		d := must.Get(document.Read(file))(t)
		if found := Check(d); len(found) > 0 {
			t.Error(found)
		}
	}
	text := must.Read(t, "../../healthgate.yaml")
	d := must.Get(document.Parse("f.yaml", []byte(strings.NewReplacer("127.0.0.1/32", "0.0.0.0/0", "interval: 1s",
		"interval: 100ms").Replace(text))))(t)
	line, found := 0, Check(d)
	for _, p := range found {
		if p.Line < line {
			t.Errorf("line %d comes after %d", p.Line, line)
		}
		line = p.Line
	}
	if len(found) != 6 {
		t.Errorf("%v", found)
	}
}

// Matchers of one header that no request meets together are alternatives that somebody meant.
func TestContradictions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		a, b  string
		wrong bool
	}{
		{"exact: a", "exact: b", true}, {"exact: a", "exact: A, ignore_case: true", false},
		{"prefix: ELB", "prefix: Goog", true},
		{"prefix: ELB", "prefix: ELB-Health", false}, {"prefix: elb, ignore_case: true", "prefix: ELB-Health", false},
		{"suffix: a", "suffix: b", true}, {"suffix: ba", "suffix: a", false}, {"prefix: a", "suffix: b", false},
		{"exact: ab", "prefix: a", false}, {"prefix: b", "exact: ab", true}, {"suffix: b", "exact: ab", false},
		{"exact: ab", "suffix: a", true},
		{"contains: c", "exact: ab", true}, {"contains: b", "exact: ab", false}, {"contains: b", "contains: a", false},
		{"present_match: false", "exact: a", true}, {"present_match: true", "present_match: false", true},
		{"present_match: false", "present_match: false", false}, {"present_match: true", "exact: a", false},
	} {
		t.Run(test.a, func(t *testing.T) {
			for _, name := range []string{"x", "X", "y"} {
				found := warnings(t, "admin: {cluster: c}\nendpoints: [{name: a, paths: [/a], trusted: {cidrs: ['::1']}, "+
					"headers: [{name: x, "+test.a+"}, {name: "+name+", "+test.b+"}]}]\n")
				if (found != "") != (test.wrong && name != "y") || strings.Count(found, "\n") > 1 {
					t.Errorf("%s and %s of %s: %s", test.a, test.b, name, found)
				}
			}
		})
	}
}
