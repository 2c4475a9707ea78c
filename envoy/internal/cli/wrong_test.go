package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/healthgate/healthgate/envoy/must"
)

const minimal = `endpoints:
- name: a
  paths: [/hc]
  trusted: {cidrs: [10.0.0.0/8]}
  maintenance: {route_metadata: true}
  probes: {names: [p]}
probes:
- {name: p, cluster: app, path: /alive}
admin: {cluster: adm}
`

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "healthgate.yaml")
	must.Write(t, file, text)
	return file
}

// withDefaults gives flags their values where the arguments have none.
func withDefaults(args []string, defaults ...string) []string {
	for flag := range slices.Chunk(defaults, 2) {
		given := func(arg string) bool { return arg == flag[0] || strings.HasPrefix(arg, flag[0]+"=") }
		if !slices.ContainsFunc(args, given) {
			args = append(args, flag...)
		}
	}
	return args
}

func TestWrongInput(t *testing.T) {
	scenarios := must.Get(filepath.Abs("testdata/wrong.txt"))(t)
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"shop.yaml":  minimal,
		"bad.yaml":   strings.Replace(minimal, "10.0.0.0/8", "10.0.0.1/8", 1),
		"two.yaml":   strings.NewReplacer("cidrs", "cidr", "path: /alive", "path: alive").Replace(minimal),
		"keyed.yaml": strings.Replace(minimal, "{route_metadata: true}", `{keys: ["k.{zone}"]}`, 1),
		"none.yaml":  strings.Replace(minimal, "admin: {cluster: adm}\n", "", 1),
		"ided.yaml":  strings.Replace(minimal, "{route_metadata: true}", `{keys: ["k.{node_id}"]}`, 1),
		"odd.yaml":   strings.Replace(minimal, "{route_metadata: true}", `{keys: ["k l"]}`, 1),
	} {
		must.Write(t, name, text)
	}
	datadriven.RunTest(t, scenarios, func(t *testing.T, d *datadriven.TestData) string {
		args := strings.Fields(d.Input)
		switch d.Cmd {
		case "istio":
			args = withDefaults(append([]string{"render", "istio-wasmplugin", "shop.yaml", "--cluster", "app=127.0.0.1:80"},
				args...), "--port", "80", "--selector", "app=shop", "--wasm", "oci://a/b:1")
		case "gateway":
			args = withDefaults(append([]string{"render", "envoy-gateway", "keyed.yaml", "--cluster", "app=127.0.0.1:80"},
				args...), "--gateway", "g", "--backend", "shop:80", "--wasm", "oci://a/b:1")
		}
		stdout, stderr, code := call(t, args...)
		if stdout != "" || strings.Contains(stderr, "s3cret") {
			t.Errorf("healthgate %s: %q, %s", args, stdout, stderr)
		}
		if code != 2 {
			stderr += fmt.Sprintf("exit code %d\n", code)
		}
		return stderr
	})
	for want, args := range map[string][]string{
		`--node-id: "a\xff" is not UTF-8`:                            {"render", "envoy", "shop.yaml", "--node-id", "a\xff"},
		`--zone: "a\nb" is not a list with commas`:                   {"render", "kubernetes", "shop.yaml", "--zone", "a\nb"},
		`"http://a:1/b c": a space in a URL is written %20`:          {"check", "http://a:1/b c", "--as", "alb"},
		`--verify: "http://a:1/b ": a space in a URL is written %20`: {"maintenance", "on", "--verify", "http://a:1/b "},
	} {
		if _, stderr, code := call(t, args...); code != 2 || stderr != "healthgate: "+want+"\n" {
			t.Errorf("%q: exit code %d, %s", args, code, stderr)
		}
	}
	if left, err := os.ReadDir("."); err != nil || len(left) != 7 {
		t.Errorf("%v, %v", left, err)
	}
}

func TestWarningsDoNotFailUnlessStrict(t *testing.T) {
	t.Parallel()
	file := write(t, strings.Replace(minimal, "10.0.0.0/8", "0.0.0.0/0", 1))
	for _, test := range []struct {
		args []string
		code int
	}{{[]string{"validate", file}, 0}, {[]string{"validate", "--strict", file}, 1}} {
		stdout, stderr, code := call(t, test.args...)
		if code != test.code || stdout != file+": valid: 1 endpoint, 1 probe, 0 maintenance keys\n" ||
			!strings.HasPrefix(stderr, "warning: "+file+":4:21: endpoints[0].trusted.cidrs[0]: 0.0.0.0/0 is everyone") {
			t.Errorf("%q: exit code %d\n%s%s", test.args, code, stdout, stderr)
		}
	}
}

// What is rendered gets a warning where a probe may ask one host or another, and none where there is one.
func TestRenderWarnsOfSeveralHosts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ cluster, flags, want string }{
		{"app", "envoy --admin 127.0.0.1:1", ""},
		{"app", "envoy --cluster app=app.internal:80", `the cluster "healthgate_app" has the hosts that a name stands for`},
		{"app", "istio-envoyfilter --selector a=b --port 80 --cluster app=127.0.0.1:80", ""},
		{`"inbound|80||"`, "istio-envoyfilter --selector a=b --port 80", ""},
		{"app", "envoy-gateway --gateway g --backend b --wasm oci://a/b:1 --cluster app=127.0.0.1:80", ""},
		{"app", "envoy-gateway --gateway g --backend b --wasm oci://a/b:1 --cluster app=app.internal:80",
			`the cluster "app" has the hosts that a name stands for`},
		{`"outbound|80||a.b"`, "istio-wasmplugin --selector a=b --port 80 --wasm /hg/x.wasm",
			`the cluster "healthgate_outbound|80||a.b" has the hosts of a service`},
	} {
		t.Run(test.cluster, func(t *testing.T) {
			file := write(t, strings.NewReplacer("cluster: app", "cluster: "+test.cluster, "{route_metadata: true}",
				"{keys: [k]}").Replace(minimal))
			_, stderr, code := call(t, append([]string{"render"},
				strings.Fields(strings.Replace(test.flags, " ", " "+file+" ", 1))...)...)
			if warned := strings.HasPrefix(stderr, "warning: "+file+":8:13: probes[0].cluster: "+test.want); code != 0 ||
				warned != (test.want != "") {
				t.Errorf("render %s: exit code %d, %q", test.flags, code, stderr)
			}
		})
	}
}

// A file is written as a whole or not at all.
func TestOutput(t *testing.T) {
	t.Parallel()
	file, out := write(t, minimal), filepath.Join(t.TempDir(), "envoy.yaml")
	want, _, _ := call(t, "render", "envoy", file)
	if _, stderr, code := call(t, "render", "envoy", file, "-o", out); code != 0 {
		t.Fatal(stderr)
	}
	got, err := os.ReadFile(out)
	if err != nil || string(got) != want {
		t.Errorf("%v, the file differs from standard output", err)
	}
	if got, _, _ := call(t, "render", "envoy", file, "-o", "-"); got != want {
		t.Error("-o - is not standard output")
	}
	if _, _, code := call(t, "render", "envoy", file, "-o", out, "--listen", "x"); code != 2 {
		t.Errorf("exit code %d", code)
	}
	if after, err := os.ReadFile(out); err != nil || string(after) != string(got) {
		t.Errorf("a refused rendering touched the file: %v", err)
	}
	if left, err := os.ReadDir(filepath.Dir(out)); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
}
