package lint

import (
	"os"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/envoy/internal/document"
)

const good = `endpoints:
- name: a
  paths: [/hc]
  trusted: {cidrs: [10.0.0.0/8]}
  maintenance: {keys: [k]}
  probes: {names: [p]}
probes:
- {name: p, cluster: app, path: /alive}
admin: {cluster: adm}
`

// Each case is the good document with one part replaced, and what is said of it.
func TestWarnings(t *testing.T) {
	t.Parallel()
	const cidrs, keys, probe, admin, names = "cidrs: [10.0.0.0/8]", "keys: [k]", "path: /alive", "cluster: adm", "names: [p]"
	for _, test := range []struct{ old, new, want string }{
		{"", "", ""},
		{cidrs, "cidrs: [10.0.0.0/8, 0.0.0.0/0]", "f.yaml:4:33: endpoints[0].trusted.cidrs[1]: 0.0.0.0/0 is everyone"},
		{cidrs, `cidrs: ["::/0"]`, "f.yaml:4:21: endpoints[0].trusted.cidrs[0]: ::/0 is everyone"},
		{cidrs + "}", cidrs + "}\n  hosts: [\"::1\"]",
			`f.yaml:5:11: endpoints[0].hosts[0]: "::1" is no host`}, // the plugin's own
		{cidrs + "}", cidrs + "}\n  methods: [CONNECT]", "f.yaml:5:13: endpoints[0].methods[0]: such a request has no path"},
		{"/hc", "/a/../hc", `f.yaml:3:11: endpoints[0].paths[0]: "/a/../hc" is met only where`},
		{"/hc", "//hc", `endpoints[0].paths[0]: "//hc" is met only where`},
		{"/hc", "/.hc/..", `endpoints[0].paths[0]: "/.hc/.." is met only where`},
		{"/hc", "/.hc/...", ""},
		{cidrs + "}", cidrs + "}\n  headers: [{name: a, exact: ELB/*}]",
			`endpoints[0].headers[0]: "ELB/*" has a '*', which stands for itself`},
		{cidrs, cidrs + ", peer: forwarded", "endpoints[0].trusted.peer: whoever can send X-Forwarded-For"},
		{cidrs, cidrs + ", peer: {filter_state: k}", ""},
		{cidrs, "providers: [gcp]", "endpoints[0].trusted.providers[0]: Google's front ends send user traffic"},
		{cidrs + "}", "providers: [gcp]}\n  headers: [{name: user-agent, prefix: GoogleHC/}]", ""},
		{cidrs + "}", "providers: [azure]}\n  healthy: {status: 204}",
			"endpoints[0].trusted.providers[0]: Azure's load balancer takes 200 alone"},
		{cidrs + "}", "providers: [azure]}\n  healthy: {action: pass}", ""},
		{keys, keys + "}\n  healthy: {status: 503", "endpoints[0].healthy.status: load balancers take 503 as unhealthy"},
		{keys, keys + "}\n  unhealthy: {status: 200", "endpoints[0].unhealthy.status: load balancers take 200 as healthy"},
		{keys, keys + "}\n  unhealthy: {status: probe", ""},
		{keys, keys + "}\n  unknown: {status: 301", "endpoints[0].unknown.status: load balancers take 301 as healthy"},
		{keys, keys + ", status: 399", "endpoints[0].maintenance.status: load balancers take 399 as healthy"},
		{keys, "status: 503", "f.yaml:5:3: endpoints[0].maintenance: nothing switches it on"},
		{keys, "route_metadata: true", ""},
		{keys, "keys: [k, a/b]", `endpoints[0].maintenance.keys[1]: "a/b" has characters other than`},
		{keys, "keys: [k, k.reason]", `endpoints[0].maintenance.keys[1]: "k.reason" is where the reason of "k" is kept`},
		{keys, `keys: ["k.{zone}"]`, ""},
		{probe, probe + ", interval: 400ms", "f.yaml:8:41: probes[0].interval: 400ms is below the timeout, 500ms"},
		{probe, probe + ", interval: 500ms", ""},
		{admin, admin + ", interval: 6s", "admin.max_age: 10s is less than two intervals"},
		{admin, admin + ", interval: 5s", ""},
		{"  maintenance: {keys: [k]}\n", "", ""},
		{probe + "}", probe + "}\n- {name: q, cluster: app, path: /q}", `f.yaml:9:3: probes[1]: no endpoint names "q"`},
		{probe, probe + ", expected_statuses: [{start: 100, end: 200}]",
			"f.yaml:6:3: endpoints[0].probes: the policy can't hold: it needs 1 healthy probes, and of these at most 0"},
		{names + "}\nprobes:",
			"names: [p, q]}\nprobes:\n- {name: q, cluster: app, path: /alive, expected_statuses: [{start: 503, end: 504}]}",
			"endpoints[0].probes: the policy can't hold: it needs 2 healthy probes, and of these at most 1"},
		{names + "}\nprobes:",
			"names: [p, q], policy: any}\nprobes:\n- {name: q, cluster: app, path: /alive, expected_statuses: [{start: 503, end: 504}]}", ""},
		{names + "}\nprobes:",
			"names: [p, q]}\nprobes:\n- {name: q, cluster: app, path: /other, expected_statuses: [{start: 503, end: 504}]}", ""},
		{names + "}\n", names + "}\n- {name: b, paths: [/x, /hc], methods: [GET], trusted: {cidrs: [10.0.0.0/8]}}\n",
			`f.yaml:7:25: endpoints[1].paths[1]: is never reached: the endpoint "a" before it takes every such request of /hc`},
		{names + "}\n", names + "}\n- {name: b, paths: [/hc], methods: [POST], trusted: {cidrs: [10.0.0.0/8]}}\n", ""},
		{names + "}\n", names + "}\n- {name: b, paths: [/hc], methods: [], trusted: {cidrs: [10.0.0.0/8]}}\n", ""},
		{cidrs + "}\n",
			cidrs +
				"}\n  hosts: [h]\n- {name: b, paths: [/hc], trusted: {cidrs: [10.0.0.0/8]}, maintenance: {keys: [k]}}\n- name: c\n  paths: [/c]\n  trusted: {cidrs: ['::1']}\n", ""},
	} {
		text := strings.Replace(good, test.old, test.new, 1)
		d, err := document.Parse("f.yaml", []byte(text))
		if err != nil {
			t.Errorf("%v:\n%s", err, text)
			continue
		}
		found := Check(d)
		switch {
		case test.want == "" && len(found) > 0:
			t.Errorf("%s:\n%v", text, found[0])
		case test.want != "" && (len(found) != 1 || !strings.Contains(found[0].Error(), test.want)):
			t.Errorf("%s:\n got %v\nwant %s", text, found, test.want)
		}
	}
}

func TestNoAdmin(t *testing.T) {
	t.Parallel()
	d, err := document.Parse("f.yaml", []byte("endpoints: [{name: a, paths: [/], trusted: {cidrs: [10.0.0.0/8]}}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if found := Check(d); len(found) != 1 ||
		!strings.Contains(found[0].Error(), "there is no admin section: health checks do not see that Envoy drains") {
		t.Errorf("%v", found)
	}
}

// What the repository ships has nothing to warn of, and warnings come in the order of the file.
func TestShipped(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"../../healthgate.yaml", "../../examples/istio-sidecar/healthgate.yaml",
		"../../examples/istio-gateway/healthgate.yaml"} {
		d, err := document.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		if found := Check(d); len(found) > 0 {
			t.Error(found)
		}
	}
	text, err := os.ReadFile("../../healthgate.yaml")
	if err != nil {
		t.Fatal(err)
	}
	d, err := document.Parse("f.yaml", []byte(strings.NewReplacer("127.0.0.1/32", "0.0.0.0/0", "interval: 1s",
		"interval: 100ms").Replace(string(text))))
	if err != nil {
		t.Fatal(err)
	}
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
		{"exact: a", "exact: b", true}, {"exact: a", "exact: A, ignore_case: true",
			false}, {"prefix: ELB", "prefix: Goog", true},
		{"prefix: ELB", "prefix: ELB-Health", false}, {"prefix: elb, ignore_case: true", "prefix: ELB-Health", false},
		{"suffix: a", "suffix: b", true}, {"suffix: ba", "suffix: a", false}, {"prefix: a", "suffix: b", false},
		{"exact: ab", "prefix: a", false}, {"prefix: b", "exact: ab", true}, {"suffix: b", "exact: ab",
			false}, {"exact: ab", "suffix: a", true},
		{"contains: c", "exact: ab", true}, {"contains: b", "exact: ab", false}, {"contains: b", "contains: a", false},
		{"present_match: false", "exact: a", true}, {"present_match: true", "present_match: false", true},
		{"present_match: false", "present_match: false", false}, {"present_match: true", "exact: a", false},
	} {
		for _, name := range []string{"x", "X", "y"} {
			text := strings.Replace(good, "cidrs: [10.0.0.0/8]}",
				"cidrs: [10.0.0.0/8]}\n  headers: [{name: x, "+test.a+"}, {name: "+name+", "+test.b+"}]", 1)
			d, err := document.Parse("f.yaml", []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			found := Check(d)
			if want := test.wrong && name != "y"; (len(found) == 1) != want || len(found) > 1 {
				t.Errorf("%s and %s of %s: %v", test.a, test.b, name, found)
			}
		}
	}
}
