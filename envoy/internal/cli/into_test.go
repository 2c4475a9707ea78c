package cli

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/envoy/must"
)

const bootstrap = `admin: {address: {socket_address: {address: 127.0.0.1, port_value: 9901}}}
dynamic_resources: {lds_config: {path_config_source: {path: /etc/envoy/lds/web.yaml}}}
static_resources: {clusters: [{name: app, connect_timeout: 1s}]}
`

const listeners = `resources:
- "@type": type.googleapis.com/envoy.config.listener.v3.Listener
  name: web
  filter_chains:
  - filters:
    - name: http
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
        http_filters: [{name: router}]
        route_config:
          virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: web}}]}]
`

// Files are merged to where they stand to each other: into another folder, and into the same.
func TestInto(t *testing.T) {
	t.Parallel()
	folder, other, file := t.TempDir(), t.TempDir(), write(t, minimal)
	main, more := filepath.Join(folder, "envoy.yaml"), filepath.Join(folder, "web.yaml")
	for name, text := range map[string]string{main: bootstrap, more: listeners} {
		must.Write(t, name, text)
	}
	is := func(code int, want string, args ...string) {
		t.Helper()
		_, stderr, got := call(t, args...)
		if got != code || !strings.Contains(stderr, want) {
			t.Errorf("%q: exit code %d, %s", args, got, stderr)
		}
	}
	is(2, "--output: is needed: there are 2 files", "render", "envoy", file, "--into", main)
	is(2, "--output: "+file+" is FILE itself, which would be lost", "render", "envoy", file, "--into", main, "-o", file)
	device := filepath.Join(t.TempDir(), "device") // as /dev/stdout, beside which root could write
	must.Do(t, os.Symlink("/dev/null", device))
	is(2, "--output: "+device+" is no file, and 2 files are written: name a file for "+main, "render", "envoy", file,
		"--into", main, "-o", device)
	beside := filepath.Join(other, "web.yaml")
	must.Write(t, beside, minimal)
	is(2, "--output: "+beside+" is FILE itself, which would be lost", "render", "envoy", beside, "--into", main,
		"-o", filepath.Join(other, "envoy.yaml"))
	for _, flag := range []string{"--wasm", "--rtds-file"} {
		is(2, "--output: "+beside+" is "+flag+" itself, which would be lost", "render", "envoy", file, flag, beside,
			"-o", beside)
	}
	odd := write(t, strings.Replace(minimal, "{route_metadata: true}", `{keys: ["k l"]}`, 1))
	is(2, `"k l" has characters other than`, "render", "envoy", odd, "--into", main)
	taken := t.TempDir()
	must.Do(t, os.Mkdir(filepath.Join(taken, "web.yaml"), 0o755))
	is(1, "web.yaml is a folder", "render", "envoy", file, "--into", main, "-o", filepath.Join(taken, "envoy.yaml"))
	if left := must.Get(os.ReadDir(taken))(t); len(left) != 1 {
		t.Errorf("one of two files could not be written, and there are %v", left)
	}
	is(0, "--wasm: there is no build/healthgate.wasm here", "render", "envoy", file)
	is(0, "--runtime-dir: there is no build/runtime here", "render", "envoy", file, "--wasm", "/hg.wasm")
	_, said, _ := call(t, "render", "envoy", file, "--wasm", "/hg.wasm", "--runtime-dir", "")
	if strings.Contains(said, "--") {
		t.Errorf("all paths are given, and it says %s", said)
	}
	is(2, "--output: "+more+" is one of the files that are merged, and would be lost", "render", "envoy", file,
		"--into", main, "-o", filepath.Join(folder, "merged.yaml"))
	must.Do(t, os.Symlink(more, filepath.Join(folder, "linked.yaml")))
	is(2, "linked.yaml is one of the files that are merged", "render", "envoy", file, "--into", main,
		"-o", filepath.Join(folder, "linked.yaml"))
	is(2, "--zone: does not go with --into", "render", "envoy", file, "--into", main, "--zone", "a")
	is(2, "has no healthgate; give healthgate.yaml", "lint", main)
	is(1, `web.yaml:9:23: listener "web": the filter is missing`, "lint", main, file)
	is(2, "give the one that Envoy starts with", "lint", more, file)
	is(0, "note:", "render", "envoy", file, "--into", more, "--into", main, "-o", filepath.Join(other, "envoy.yaml"))
	again := filepath.Join(t.TempDir(), "again") // the same file by another path
	must.Do(t, os.Symlink(folder, again))
	is(0, "note:", "render", "envoy", file, "--into", main, "--into", filepath.Join(again, "web.yaml"),
		"-o", filepath.Join(t.TempDir(), "envoy.yaml"))
	is(0, "", "lint", filepath.Join(other, "envoy.yaml"), file)
	is(0, "", "lint", filepath.Join(other, "envoy.yaml"))
	for _, warning := range []string{"takes this, with clusters and runtime layers, at a restart alone, but " +
		filepath.Join(folder, "web.yaml") + " at once", "", "at a restart alone\n"} { // in place, again, the bootstrap alone
		if warning == "at a restart alone\n" {
			must.Write(t, main, bootstrap)
		}
		_, stderr, code := call(t, "render", "envoy", file, "--into", main, "-o", main)
		if code != 0 || !strings.Contains(stderr, warning) || strings.Contains(stderr, "at a restart") == (warning == "") {
			t.Errorf("in place: exit code %d, %s", code, stderr)
		}
	}
	for _, name := range []string{"envoy.yaml", "web.yaml"} {
		a, errA := os.ReadFile(filepath.Join(folder, name))
		b, errB := os.ReadFile(filepath.Join(other, name))
		if errA != nil || errB != nil || string(a) != string(b) || !strings.Contains(string(a), "healthgate") {
			t.Errorf("%v %v: %s differs:\n%s\n%s", errA, errB, name, a, b)
		}
		wrong := strings.Replace(string(a), "names: [p]", "names: [nope]", 1)
		must.Write(t, filepath.Join(folder, name), wrong)
	}
	is(2, more+":", "lint", main)
}

// Files in other folders than the bootstrap's are found where they lie, by names with .. behind links too, written to
// where they are meant to be, and not guessed of two.
func TestIntoOtherFolders(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, folder := range []string{"etc", "real/deep", "real/etc", "real/out", "lds", "out"} {
		must.Do(t, os.MkdirAll(folder, 0o755))
	}
	must.Do(t, os.Symlink("real/deep", "link")) // link/../etc is real/etc
	elsewhere := must.Get(filepath.Abs("lds/web.yaml"))(t)
	reads := strings.Replace(bootstrap, "/etc/envoy/lds/web.yaml", elsewhere, 1)
	for _, test := range []struct {
		name   string
		files  map[string]string
		args   []string
		want   string // of the error
		merged []string
	}{
		{"in place", map[string]string{"etc/envoy.yaml": reads, "lds/web.yaml": listeners},
			[]string{"--into", "etc/envoy.yaml", "--into", "lds/web.yaml", "-o", "etc/envoy.yaml"}, "",
			[]string{"etc/envoy.yaml", "lds/web.yaml"}},
		{"in place, not given", map[string]string{"etc/envoy.yaml": reads, "lds/web.yaml": listeners},
			[]string{"--into", "etc/envoy.yaml", "-o", "etc/envoy.yaml"},
			elsewhere + ", which etc/envoy.yaml reads, lies elsewhere", nil},
		{"to another folder", map[string]string{"etc/envoy.yaml": reads, "lds/web.yaml": listeners},
			[]string{"--into", "etc/envoy.yaml", "-o", "link/../out/envoy.yaml"}, "",
			[]string{"real/out/envoy.yaml", "real/out/web.yaml"}},
		{"to another folder, which is not there", map[string]string{"etc/envoy.yaml": reads, "lds/web.yaml": listeners},
			[]string{"--into", "etc/envoy.yaml", "-o", "link/../new/envoy.yaml"}, "",
			[]string{"real/new/envoy.yaml", "real/new/web.yaml"}},
		{"beside it",
			map[string]string{"real/etc/envoy.yaml": bootstrap, "real/etc/web.yaml": listeners, "etc/web.yaml": "a: b"},
			[]string{"--into", "link/../etc/envoy.yaml", "-o", "link/../etc/envoy.yaml"}, "",
			[]string{"real/etc/envoy.yaml", "real/etc/web.yaml"}},
		{"one of two", map[string]string{"etc/envoy.yaml": reads, "lds/web.yaml": listeners, "etc/web.yaml": listeners},
			[]string{"--into", "etc/envoy.yaml", "-o", "etc/envoy.yaml"},
			"etc/envoy.yaml: the file that it reads may be etc/web.yaml or " + elsewhere + "; give the right one, too", nil},
		{"one of two, given",
			map[string]string{"etc/envoy.yaml": reads, "lds/web.yaml": listeners, "etc/web.yaml": listeners},
			[]string{"--into", "etc/envoy.yaml", "--into", "lds/web.yaml", "-o", "etc/envoy.yaml"}, "",
			[]string{"etc/envoy.yaml", "lds/web.yaml"}},
	} {
		for name, text := range test.files {
			must.Write(t, name, text)
		}
		must.Write(t, "healthgate.yaml", minimal)
		_, stderr, code := call(t, append([]string{"render", "envoy", "healthgate.yaml"}, test.args...)...)
		if want := min(2*len(test.want), 2); code != want || !strings.Contains(stderr, test.want) {
			t.Errorf("%s: exit code %d, %s", test.name, code, stderr)
		}
		var merged []string
		must.Do(t, filepath.WalkDir(".", func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() {
				if strings.Contains(must.Read(t, path), "healthgate") {
					merged = append(merged, path)
				}
				err = os.Remove(path)
			}
			return err
		}))
		if !slices.Equal(merged, test.merged) {
			t.Errorf("%s: merged are %v", test.name, merged)
		}
	}
}

// What of it cannot work is said, as lint says it.
func TestIntoUnreached(t *testing.T) {
	t.Parallel()
	file, into := write(t, minimal), filepath.Join(t.TempDir(), "envoy.yaml")
	_, listener, _ := strings.Cut(listeners, "\n")
	listener = strings.ReplaceAll(listener, "cluster: web", "cluster: app")
	off := `typed_per_filter_config: {healthgate: {"@type": type.googleapis.com/envoy.config.route.v3.FilterConfig, ` +
		`disabled: true}}`
	for hosts, want := range map[string]string{"name: all": "", "name: all, " + off: "no route enables the filter for"} {
		must.Write(t, into, "admin: {address: {socket_address: {address: 127.0.0.1, port_value: 9901}}}\n"+
			"static_resources:\n  clusters: [{name: app, connect_timeout: 1s}]\n  listeners:\n  "+
			strings.ReplaceAll(strings.Replace(listener, "name: all", hosts, 1), "\n", "\n  "))
		_, stderr, code := call(t, "render", "envoy", file, "--into", into, "--gate", "matcher", "--wasm", "/hg.wasm")
		if code != 0 || !strings.Contains(stderr, want) || want == "" && strings.Contains(stderr, "warning") {
			t.Errorf("%s: exit code %d, %s", hosts, code, stderr)
		}
	}
}

// What a merge leaves as it is, and is wrong, is said, also of the listeners that are chosen.
func TestIntoLeavesWrong(t *testing.T) {
	t.Parallel()
	file, into := write(t, minimal), filepath.Join(t.TempDir(), "envoy.yaml")
	web := filepath.Join(filepath.Dir(into), "web.yaml")
	must.Write(t, into, bootstrap)
	must.Write(t, web, strings.ReplaceAll(listeners, "cluster: web", "cluster: app"))
	run := func(want string, args ...string) {
		t.Helper()
		_, stderr, code := call(t, append([]string{"render", "envoy", file, "--into", into, "-o", into}, args...)...)
		if code != 0 || !strings.Contains(stderr, want) || want == "" && strings.Contains(stderr, "web.yaml: ") ||
			strings.Count(stderr, `the layer "late"`) > 1 {
			t.Errorf("%q: exit code %d, %s", args, code, stderr)
		}
	}
	run("", "--wasm", "/hg.wasm")
	merged := must.Read(t, web)
	for _, kind := range []string{"ext_authz.v3.ExtAuthz", "local_ratelimit.v3.LocalRateLimit",
		"jwt_authn.v3.JwtAuthentication", "basic_auth.v3.BasicAuth"} {
		text := strings.Replace(merged, "http_filters:\n", "http_filters:\n        - {name: login, typed_config: "+
			`{"@type": type.googleapis.com/envoy.extensions.filters.http.`+kind+"}}\n", 1)
		must.Write(t, web, text)
		const want = `web.yaml: listener "web": the filter stands behind "login", which looks at users or counts them: ` +
			"checks may not come through; move it to the front"
		run(want)
		run(want, "--listener", "web")
		if must.Read(t, web) != text {
			t.Errorf("%s: it is\n%s", kind, must.Read(t, web))
		}
	}
	must.Write(t, web, strings.Replace(merged, "name: web\n", "name: web\n  address: {socket_address: {address: "+
		"127.0.0.1, port_value: 9901}}\n", 1))
	must.Write(t, into, strings.Replace(must.Read(t, into), "admin_layer: {}\n", "admin_layer: {}\n"+
		"  - {name: late, static_layer: {healthgate.route_maintenance: 100}}\n", 1))
	run("web.yaml: Envoy listens at 127.0.0.1:9901 already: give this listener another address")
	run(`the layer "late" has healthgate.route_maintenance, and comes after "admin"`)
}

// The pieces alone name the lists that they go into.
func TestParts(t *testing.T) {
	t.Parallel()
	out, stderr, code := call(t, "render", "envoy", write(t, minimal), "--parts")
	for _, want := range []string{"\nhttp_filters:\n# Disabled", "\nroutes:\n- name: maintenance-a\n",
		"\n- name: healthgate_app\n", "\n- name: adm\n",
		"\nlayered_runtime:\n  layers:\n  - name: defaults\n", "\nstats_config:\n"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("exit code %d, %s: there is no %q in\n%s", code, stderr, want, out)
		}
	}
}

// What a bootstrap reads besides listeners, routes and clusters, such as secrets and runtime keys, is neither read nor
// copied. A copy is open to nobody to whom the file was not, and what nothing changes in stays untouched in its place.
func TestIntoLeavesAlone(t *testing.T) {
	shop := must.Read(t, "../../examples/kubernetes/shop.yaml")
	t.Chdir(t.TempDir())
	must.Do(t, os.Mkdir("etc", 0o755))
	others := "layered_runtime: {layers: [{name: r, rtds_layer: {name: r, rtds_config: {path_config_source: " +
		"{path: rtds.yaml}}}}]}\n"
	secrets := "  - transport_socket: {typed_config: {sds_config: {path_config_source: {path: sds.yaml}}}}\n"
	for name, text := range map[string]string{"healthgate.yaml": minimal, "etc/envoy.yaml": bootstrap + others,
		"etc/web.yaml": listeners + secrets, "etc/rtds.yaml": "", "etc/sds.yaml": "{{ a template }}",
		"shop.yaml": shop} {
		must.Write(t, name, text)
		must.Do(t, os.Chmod(name, 0o600))
	}
	is := func(path string, mode fs.FileMode) {
		t.Helper()
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	run := func(args ...string) {
		t.Helper()
		if _, stderr, code := call(t, args...); code != 0 {
			t.Errorf("%q: exit code %d, %s", args, code, stderr)
		}
	}
	run("render", "envoy", "healthgate.yaml", "--into", "etc/envoy.yaml", "-o", "out/envoy.yaml")
	if made := must.Get(os.ReadDir("out"))(t); len(made) != 2 {
		t.Errorf("there are %v", made)
	}
	is("out/envoy.yaml", 0o600)
	is("out/web.yaml", 0o600)
	run("render", "kubernetes", "healthgate.yaml", "--into", "shop.yaml", "--readiness", "a", "--image", "i:1", "-o", "k")
	is("k/base/workload.yaml", 0o600)
	is("k/base/envoy.yaml", 0o644)
	in := func(name string) fs.FileInfo { return must.Get(os.Stat("etc/" + name))(t) }
	var before []fs.FileInfo
	names := []string{"sds.yaml", "rtds.yaml", "web.yaml", "envoy.yaml"}
	for i := range 2 { // the second time nothing changes
		run("render", "envoy", "healthgate.yaml", "--into", "etc/envoy.yaml", "-o", "etc/envoy.yaml")
		for j, name := range names {
			before = append(before, in(name))
			is("etc/"+name, 0o600)
			if i > 0 && !os.SameFile(before[j], in(name)) {
				t.Errorf("%s is another file", name)
			}
		}
	}
}

// What a merge is not told stays as an earlier one wrote it; where that is several things, it says what is to be told.
func TestIntoKeepsOptions(t *testing.T) {
	t.Parallel()
	file, folder := write(t, minimal), t.TempDir()
	main := filepath.Join(folder, "envoy.yaml")
	must.Write(t, filepath.Join(folder, "web.yaml"), listeners)
	must.Write(t, main, bootstrap)
	merge := func(args ...string) (all, stderr string, code int) {
		_, stderr, code = call(t, append([]string{"render", "envoy", file, "--into", main, "-o", main}, args...)...)
		return must.Read(t, main) + must.Read(t, filepath.Join(folder, "web.yaml")), stderr, code
	}
	before, stderr, code := merge("--wasm", "/opt/hg.wasm", "--gate", "matcher", "--route-key", "shop.drain")
	if after, again, _ := merge(); code != 0 || after != before || strings.Contains(again, "--wasm") {
		t.Errorf("%s%s: it is\n%s\nand was\n%s", stderr, again, after, before)
	}
	_, web, _ := strings.Cut(before, "\nresources:\n")
	edge := strings.Replace(strings.TrimPrefix(listeners, "resources:\n"), "name: web", "name: edge", 1)
	for args, filters := range map[string]int{"--listen 127.0.0.1:8090": 2, "--listener edge": 2,
		"--listen 127.0.0.1:8090 --listener edge": 3} {
		must.Write(t, main, bootstrap)
		must.Write(t, filepath.Join(folder, "web.yaml"), "resources:\n"+web+edge)
		all, stderr, code := merge(strings.Fields(args)...)
		for _, what := range []string{"/opt/hg.wasm", "ExecuteFilterAction", `"shop.drain"`} {
			if code != 0 || strings.Count(all, what) != filters {
				t.Errorf("%s: exit code %d, %s, %q is not there %d times\n%s", args, code, stderr, what, filters, all)
			}
		}
	}
	for flag, want := range map[string]string{"--wasm=/new.wasm": "/new.wasm", "--route-key=fleet.drain": "fleet.drain",
		"--gate=route": "healthgate-a"} {
		must.Write(t, main, bootstrap)
		if after, stderr, code := merge(flag); code != 0 || strings.Contains(before, want) || !strings.Contains(after, want) {
			t.Errorf("%s: exit code %d, %s%s", flag, code, stderr, after)
		}
	}
	for old, test := range map[string][2]string{
		`"route": {"cluster": "web"}}, {match`: {`"route": {"cluster": "web"}}, {match: {path: /hc, runtime_fraction: ` +
			`{runtime_key: fleet.drain}}, metadata: {filter_metadata: {healthgate: {maintenance: true}}}}, {match`,
			"this route of maintenance for /hc has the key fleet.drain, and another has shop.drain: --route-key KEY says"},
		`"path": "/hc"`: {`"path": "/old"`,
			"--route-key: is needed: the route of maintenance for /old has the key shop.drain"},
		`"runtime_key": "shop.drain"`:     {`"runtime_key": "k l"`, `--route-key: "k l" has characters other than`},
		"local: {filename: /opt/hg.wasm}": {"remote: {}", "--wasm: is needed: the filter of listener \"web\" in "},
	} {
		text := "resources:\n" + web
		if !strings.Contains(text, old) {
			t.Fatalf("there is no %s in\n%s", old, text)
		}
		must.Write(t, filepath.Join(folder, "web.yaml"), strings.Replace(text, old, test[0], 1))
		must.Write(t, main, bootstrap)
		if _, stderr, code := merge(); code != 2 || !strings.Contains(stderr, test[1]) {
			t.Errorf("%s: exit code %d, %s", old, code, stderr)
		}
	}
	edge = strings.NewReplacer("name: web", "name: edge", "/opt", "/other").Replace(web)
	must.Write(t, filepath.Join(folder, "web.yaml"), "resources:\n"+web+edge)
	if _, stderr, code := merge(); code != 2 ||
		!strings.Contains(stderr, `is /other/hg.wasm in listener "edge", and /opt/hg.wasm before; or choose`) {
		t.Errorf("two listeners: exit code %d, %s", code, stderr)
	}
}
