package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
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
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Wrong input is told with its place and the remedy, exits with 2, and writes nothing.
func TestWrongInput(t *testing.T) {
	t.Parallel()
	file := write(t, minimal)
	bad := write(t, strings.Replace(minimal, "10.0.0.0/8", "10.0.0.1/8", 1))
	two := write(t, strings.NewReplacer("cidrs", "cidr", "path: /alive", "path: alive").Replace(minimal))
	keyed := write(t, strings.Replace(minimal, "{route_metadata: true}", `{keys: ["k.{zone}"]}`, 1))
	odd := write(t, strings.Replace(minimal, "{route_metadata: true}", `{keys: ["k l"]}`, 1))
	istio := "render istio-wasmplugin " + file +
		" --port 80 --cluster app=127.0.0.1:80 --selector app=shop --wasm oci://a/b:1 "
	sidecar := "--selector app=a --wasm /hg/p.wasm "
	for _, test := range []struct{ command, want string }{
		{"rendr", `unknown command "rendr" for "healthgate"; did you mean render? see: healthgate --help`},
		{"Status", `unknown command "Status" for "healthgate"; did you mean status?`},
		{"rendr --help", `unknown command "rendr" for "healthgate"; did you mean render?`},
		{"-h frobnicate", `unknown command "frobnicate" for "healthgate"; see: healthgate --help`},
		{"maintenance onn --help", `unknown command "onn" for "healthgate maintenance"; did you mean on?`},
		{"status --status-url http://a:1/x --admin-ca-file " + file, "--admin-key-file: are for --admin, and none is given"},
		{"frobnicate", `unknown command "frobnicate" for "healthgate"; see: healthgate --help`},
		{"render envoi", `unknown command "envoi" for "healthgate render"; did you mean envoy?`},
		{"render istio", `did you mean istio-`},
		{"on --admin a:1", `unknown command "on" for "healthgate"; did you mean maintenance? see: healthgate --help`},
		{"maintenance of k --admin a:1", `unknown command "of" for "healthgate maintenance"; did you mean `},
		{"off", `unknown command "off" for "healthgate"; did you mean maintenance?`},
		{"help rendr", `unknown command "rendr" for "healthgate"; did you mean render?`},
		{"help render envoi", `unknown command "envoi" for "healthgate render"; did you mean envoy?`},
		{"status --status-url http://a/x,http://b/x", `"http://a/x,http://b/x" is several URLs: repeat the flag for each`},
		{`render istio-envoyfilter a --selector a="`, `--selector: "a=\"" is not a list with commas`},
		{"maintenance toggle", `unknown command "toggle" for "healthgate maintenance"`},
		{"validate", "say which FILE to check, such as healthgate.yaml, or - for standard input"},
		{"validate - " + file + " -", "-, standard input, is given twice, and can be read once"},
		{"validate " + filepath.Dir(file), "error: " + filepath.Dir(file) + ": is a folder; give the healthgate.yaml in it"},
		{"render envoy " + filepath.Dir(file), filepath.Dir(file) + ": is a folder; give the healthgate.yaml in it"},
		{"validate " + bad, bad + `:4:21: endpoints[0].trusted.cidrs[0]: "10.0.0.1/8" is not a CIDR`},
		{"validate " + two, "error: " + two +
			":4:13: endpoints[0].trusted.cidr: unknown field; did you mean cidrs?\nerror: " + two + ":8:27: probes[0].path: "},
		{"render envoy " + two, "healthgate: " + two +
			":4:13: endpoints[0].trusted.cidr: unknown field; did you mean cidrs?\nhealthgate: " + two + ":8:27: "},
		{"validate " + file + ".yml", "no such file or directory"},
		{"schema x", `"x": schema takes no argument; see: healthgate schema --help`},
		{"status 127.0.0.1:9901", `"127.0.0.1:9901": an Envoy is named by a flag: --admin 127.0.0.1:9901`},
		{"maintenance on http://a:1", `"http://a:1": an Envoy is named by a flag: --admin http://a:1`},
		{"maintenance status k unix:///a", `"unix:///a": an Envoy is named by a flag: --admin unix:///a`},
		{"status --admin", "--admin: is without its value, ADDRESS"},
		{"status --admn a:1", "unknown flag: --admn; did you mean --admin? see: healthgate status --help"},
		{"status -admin a:1", "unknown flag: -admin; did you mean --admin?"},
		{"status --admin a:1 --interval 2", `--interval: "2" is not a time such as 500ms, 10s or 1m30s`},
		{"status --admin a:1 --watch=maybe", `--watch: "maybe" is neither true nor false`},
		{"maintenance on --admin a:1 --wait ever", `--wait: "ever" is not a time such as`},
		{"render istio-wasmplugin a --port web", `--port: "web" is not a whole number`},
		{"render envoy", "say which FILE to render, such as healthgate.yaml, or - for standard input"},
		{"render envoy a b", `envoy takes one FILE, and got 2: ["a" "b"]`},
		{"render envoy " + bad, bad + `:4:21: endpoints[0].trusted.cidrs[0]`},
		{"render envoy " + file + " --lissen a",
			"unknown flag: --lissen; did you mean --listen? see: healthgate render envoy --help"},
		{"render envoy " + file + " --listen localhost:80", `--listen: "localhost:80": Envoy listens on an IP address`},
		{"render envoy " + file + " --listen 127.0.0.1", `--listen: "127.0.0.1" is not HOST:PORT`},
		{"render envoy " + file + " --listen 127.0.0.1:0", `--listen: "127.0.0.1:0" is not HOST:PORT`},
		{"render envoy " + file + " --admin unix://run/a", `--admin: "unix://run/a": a Unix socket is written unix:///PATH`},
		{"render envoy " + file + " --admin a:1", `--admin: "a:1": Envoy listens on an IP address or a Unix socket`},
		{"render envoy " + file + " --cluster app", `--cluster: "app" is not NAME=HOST:PORT`},
		{"render envoy " + file + " --cluster app=a/b:1",
			`--cluster: "a/b:1": "a/b" is neither an IP address nor a host name`},
		{"render envoy " + file + " --cluster app=a:1 --cluster app=a:2", `--cluster: "app" is given twice`},
		{"render envoy " + file + " --cluster other=a:1",
			`:8:13: probes[0].cluster: there is no address for "app": give --cluster app=HOST:PORT`},
		{"render envoy " + file + " --cluster app=a:1 --cluster adm=a:1",
			`:9:9: admin.cluster: "adm" is Envoy's own admin here`},
		{"render envoy " + file + " --listen 127.0.0.1:9901", `--admin: "127.0.0.1:9901" is --listen, too`},
		{"render envoy " + file + " --rtds-file r.txt", `--rtds-file: "r.txt": Envoy tells the format by the name`},
		{"render envoy " + file + " --admin unix:///" + strings.Repeat("a", 107),
			"the path of a Unix socket has at most 107 bytes, this one 108"},
		{"render istio-envoyfilter " + file + " " + sidecar + "--port 80 --selector app=b --cluster app=a:80",
			`--selector: "app" is given twice`},
		{"render envoy " + file + " --rtds-file a.yaml --rtds-server a:1", "--rtds-server: cannot go with --rtds-file"},
		{"render envoy " + file + " --gate regex", `--gate: "regex" is neither route nor matcher`},
		{"render envoy " + file + " --wasm=", "--wasm: is needed"},
		{"render envoy " + file + " --node-id a\xff", `--node-id: "a\xff" is not UTF-8`},
		{"render envoy " + file + " --output " + file, "--output: " + file + " is FILE itself, which would be lost"},
		{"render envoy " + file + " --output=", "--output: is empty; give FILE, or leave it out"},
		{"maintenance on --admin a:1 --runtime-dir=", "--runtime-dir: is empty; give DIR, or leave it out"},
		{"maintenance off --admin a:1 --rtds-file=", "--rtds-file: is empty; give FILE"},
		{"status --status-url http://a/x --admin-ca-file x",
			"--admin-ca-file, --admin-cert-file, --admin-key-file: are for --admin, and none is given"},
		{"maintenance on --runtime-dir x --admin-auth-file x", "are for --admin, and none is given"},
		{"status --json --output table", "--json, --output: each says what is written; give one of them"},
		{"status --admin a:1 --admin-auth-file=", "--admin-auth-file: is empty; give FILE"},
		{"render envoy " + file + " -o /nonexistent/a.yaml",
			"healthgate: /nonexistent/a.yaml can't be written: no such file or directory"},
		{"render istio-envoyfilter " + file, "--selector: is needed"},
		{"render istio-envoyfilter " + file + " --selector app", `--selector: "app" is not KEY=VALUE`},
		{"render istio-envoyfilter " + file + " --workload pod", `--workload: "pod" is neither sidecar nor gateway`},
		{"render istio-envoyfilter " + file + " --port 80 --cluster app=127.0.0.1:1 --selector a=b --name A",
			`--name: "A" is no name in Kubernetes`},
		{istio + "--name a.b", `--name: "a.b" is no name in Kubernetes: lower-case letters, digits and '-'`},
		{istio + "--name a_b", `--name: "a_b" is no name in Kubernetes`},
		{istio + "--name a/b", `--name: "a/b" is no name in Kubernetes`},
		{istio + "--name a-", `--name: "a-" is no name in Kubernetes`},
		{istio + "--name " + strings.Repeat("a", 56),
			`" has 56 characters, and may have 55: a volume is named so with -runtime behind it`},
		{istio + "--name " + strings.Repeat("a", 300), `" has 300 characters, and may have 55`},
		{istio + "--namespace " + strings.Repeat("a", 64), `" has 64 characters, and Kubernetes takes 63`},
		{istio + "--namespace Shop", `--namespace: "Shop" is no name in Kubernetes`},
		{istio + "--selector b=" + strings.Repeat("a", 64),
			"the value is none that a label has in Kubernetes: at most 63 letters"},
		{istio + "--selector b=a-", `--selector: "b=a-": the value is none that a label has`},
		{istio + "--selector " + strings.Repeat("a", 64) + "=b", "the key is no label in Kubernetes: at most 63 letters"},
		{istio + "--selector Shop/a=b", `--selector: "Shop/a=b": the key is no label`},
		{istio + "--selector a/b/c=d", `--selector: "a/b/c=d": the key is no label`},
		{istio + "--selector =d", `--selector: "=d": the key is no label`},
		{istio + "--selector " + strings.Repeat("a.", 127) + "/b=c", "perhaps a DNS name of at most 253 characters"},
		{istio + "--wasm /p.wasm",
			`--wasm: "/p.wasm": a ConfigMap is mounted at /, and hides what is there; choose a folder of its own, such as /etc/healthgate/wasm`},
		{istio + "--wasm /etc/p.wasm", `--wasm: "/etc/p.wasm": a ConfigMap is mounted at /etc, and hides`},
		{istio + "--wasm /a/../p.wasm", `--wasm: "/a/../p.wasm": write the path in the proxy's container as /p.wasm`},
		{istio + "--wasm /a/b/", `--wasm: "/a/b/": write the path in the proxy's container as /a/b`},
		{istio + `--wasm C:\a\p.wasm`, `--wasm: "C:\\a\\p.wasm": a path in the proxy's container starts with a slash`},
		{istio + "--wasm /a:b/p.wasm", "Kubernetes mounts no folder with a colon in its name"},
		{istio + "--wasm /etc/healthgate/runtime/p.wasm",
			"--runtime-dir /etc/healthgate/runtime are mounted, and neither may lie in the other"},
		{istio + "--wasm /etc/healthgate/p.wasm", "neither may lie in the other"},
		{istio + "--wasm oci://a.example/b", `--wasm: "oci://a.example/b" has no tag; add one, or a digest`},
		{istio + "--wasm oci://a.example/b:1?x=y", `--wasm: "oci://a.example/b:1?x=y" is not oci://REGISTRY/IMAGE:TAG`},
		{istio + "--wasm oci://a.example/B:1", "is not oci://REGISTRY/IMAGE:TAG"},
		{istio + "--wasm file:///a/p.wasm", "is neither a path in the proxy's container, oci:// nor http(s)://"},
		{istio + "--wasm https:///p.wasm", `--wasm: "https:///p.wasm" is not https://HOST/PATH`},
		{istio + "--wasm http://a", `--wasm: "http://a" is not http://HOST/PATH`},
		{istio + "--wasm https://u:s3cret@a/p.wasm", "--wasm: holds a login, which everybody reads who may see the object"},
		{istio + "--wasm oci://a/b:1 --runtime-dir /", `--runtime-dir: "/": a ConfigMap is mounted at /, and hides`},
		{istio + "--wasm oci://a/b:1 --runtime-dir /var/run/", "write the path in the proxy's container as /var/run"},
		{istio + "--route-key k.{zone}", `--route-key: "k.{zone}" has a placeholder, and Envoy fills in none for a route`},
		{"render envoy " + file + " --route-key k.{zone}", `--route-key: "k.{zone}" has a placeholder`},
		{"render envoy " + file + " --route-key k/l", `--route-key: "k/l" has characters other than letters`},
		{"render envoy " + file + " --route-key k.reason", `--route-key: "k.reason" is where the reason of "k" is kept`},
		{"render envoy " + file + " --route-key .k", `--route-key: ".k" is no key`},
		{"render envoy " + file + " --route-key " + strings.Repeat("k", 249),
			"has 249 characters, and the name of a file in a disk layer at most 248"},
		{"render envoy " + keyed + " --zone a/b",
			keyed + `:5:24: endpoints[0].maintenance.keys[0]: "k.a/b" has characters other than`},
		{"render envoy " + keyed + " --zone a/b", "{zone} are what --node-id, --node-cluster, --region and --zone say"},
		{"render envoy " + odd, odd + `:5:24: endpoints[0].maintenance.keys[0]: "k l" has characters other than`},
		{"render istio-wasmplugin " + odd + " --selector a=b --wasm oci://a/b:1",
			odd + `:5:24: endpoints[0].maintenance.keys[0]: "k l" has characters`},
		{"render envoy " + file + " --wasm https://a/p.wasm",
			`--wasm: "https://a/p.wasm" is a URL; give a path on the machine of the Envoy`},
		{"render envoy " + file + " --wasm build/", `--wasm: "build/" is a folder; give the plugin's file in it`},
		{"render envoy " + file + " --wasm " + filepath.Dir(file), "--wasm: " + filepath.Dir(file) + " is a folder"},
		{"render envoy " + file + " --wasm ..", `--wasm: .. is a folder`},
		{"render envoy " + file + " --wasm c:/p.wasm",
			`--wasm: "c:/p.wasm" is a path of Windows, on which Envoy does not run`},
		{"render envoy " + file + " --runtime-dir /", `--runtime-dir: "/" can't be a link`},
		{"render envoy " + file + " --runtime-dir a/..", `--runtime-dir: "." can't be a link`},
		{"render istio-envoyfilter " + file + " " + sidecar + "--port 70000", "--port: 70000 is not a port"},
		{"render istio-envoyfilter " + file + " " + sidecar + "--runtime-dir run",
			`--runtime-dir: "run": a path in the proxy's container`},
		{"render istio-envoyfilter " + file + " " + sidecar + "--port 80",
			`:8:13: probes[0].cluster: Istio has no cluster "app": give --cluster`},
		{"render istio-envoyfilter " + file + " " + sidecar + "--cluster app=127.0.0.1:80",
			`:5:17: endpoints[0].maintenance.route_metadata: a maintenance route must know where to send`},
		{"render istio-envoyfilter " + file + " " + sidecar + "--workload gateway --cluster app=a:80",
			"give --route-cluster CLUSTER"},
		{"render istio-envoyfilter " + file + " " + sidecar + "--port 80 --cluster prometheus_stats=a:80",
			`--cluster: "prometheus_stats" is there already`},
		{"render istio-envoyfilter " + file + " " + sidecar + "--cluster app=a:80 --admin-port 0 --port 80",
			`--admin-port: "127.0.0.1:0" is not HOST:PORT`},
		{"render istio-envoyfilter " + file + " --selector a=b --cluster app=a:80 --port 80 --wasm oci://a/b:1",
			"oci:// is for istio-wasmplugin"},
		{"render istio-envoyfilter " + file + " --selector a=b --cluster app=a:80 --port 80 --wasm https://a/b",
			"give --wasm-cluster and --wasm-sha256"},
		{"render istio-wasmplugin " + file + " --selector a=b", "--wasm: is needed"},
		{"render istio-wasmplugin " + file + " --selector a=b --wasm build/a.wasm",
			`--wasm: "build/a.wasm": a path in the proxy's container starts with a slash`},
		{"render istio-wasmplugin " + file + " --selector a=b --wasm oci://a/b:1 --wasm-sha256 x",
			"--wasm-sha256: is not 64 lower-case hexadecimal digits"},
		{"maintenance on a b --admin a:1", `on takes one KEY, and got 2: ["a" "b"]`},
		{"maintenance on k.{zone} --admin a:1", `KEY: "k.{zone}": write what the placeholder stands for`},
		{"maintenance off k/l --admin a:1", `KEY: "k/l" has characters other than`},
		{"maintenance on k.reason --admin a:1", `KEY: "k.reason" is where the reason of "k" is kept`},
		{"maintenance on --admin localhost",
			`--admin: "localhost" is not http://HOST:PORT, HOST:PORT, https://HOST:PORT or unix:///PATH`},
		{"maintenance on --admin /run/admin.sock", `--admin: "/run/admin.sock" is not`},
		{"maintenance on --admin tcp://a:1", `--admin: "tcp://a:1" is not`},
		{"maintenance on --admin http://a:1#b", `--admin: "http://a:1#b" is not`},
		{"maintenance on --admin http://a:1/?token=s3cret",
			`--admin: "http://a:1/": leave out what begins at the question mark`},
		{"maintenance on --admin localhost:99010", `--admin: "localhost:99010": 99010 is not a port`},
		{"status --admin localhost:0", `--admin: "localhost:0": 0 is not a port`},
		{"maintenance on --admin http://ops:s3cret@a:1", "--admin: an address holds no login"},
		{"status --admin ops:s3cret@a:1",
			"write USER:PASSWORD into a file, --admin-auth-file FILE, or into HEALTHGATE_ADMIN_AUTH"},
		{"status --admin http://ops:s3cret%zz/?@a:1", "--admin: an address holds no login"},
		{"status --status-url http://ops:s3cret@a:1/x", "--status-url: a URL holds no login"},
		{"status --status-url http://ops:s3cret%zz@a:1/x", "--status-url: a URL holds no login"},
		{"maintenance status --admin a:1 --admin-auth-file /nonexistent",
			"--admin-auth-file: open /nonexistent: no such file"},
		{"status --admin a:1 --admin-ca-file " + file, "--admin-ca-file: " + file + ": has no certificate in PEM form"},
		{"status --admin https://a:1 --admin-cert-file " + file,
			"--admin-cert-file and --admin-key-file: one is of no use without the other"},
		{"maintenance on --admin unix:/a", `--admin: "unix:/a": a Unix socket is written unix:///PATH`},
		{"maintenance on --admin unix://a", `--admin: "unix://a": a Unix socket is written unix:///PATH`},
		{"maintenance on --admin a:1 --for 30", `--for: "30" is not a time such as 30m or 1h30m`},
		{"maintenance on --admin a:1 --for 1d", `--for: "1d" is not a time such as 30m or 1h30m; a day is 24h`},
		{"maintenance on --admin a:1 --for 0s", "--for: 0s is less than a second"},
		{"maintenance on --admin a:1 --until 2020-01-01T00:00:00Z", "--until: 2020-01-01T00:00:00Z has passed"},
		{"maintenance on --admin a:1 --until 9999-12-31T23:59:59-01:00",
			"--until: 9999-12-31T23:59:59-01:00 is in the year 10000 in UTC"},
		{"maintenance on --admin a:1 --until noon", `--until: "noon" is not a time such as`},
		{"maintenance on --admin a:1 --for 1m --until 06:00", "--for, --until: both say when it ends; give one of them"},
		{"maintenance off --admin a:1 --for 3m", "--for: is for on; off takes the key and its reason out now"},
		{"maintenance off --admin a:1 --reason x", "--reason: is for on"},
		{"maintenance on --admin a:1 --output yaml", `--output: "yaml" is neither table nor json`},
		{"maintenance on --admin a:1 --output json --dry-run", "--dry-run: says it in words; leave out --output"},
		{"maintenance on --admin a:1 --verify a:2/x", `--verify: "a:2/x" is not http://HOST:PORT/PATH`},
		{"maintenance on --admin a:1 --verify http://u:s3cret@a:2/x",
			"--verify: a URL holds no login, which lists of processes and logs would show: a check has none"},
		{"maintenance on --admin a:1 --verify u:s3cret@a:2/x", "--verify: a URL holds no login"},
		{"maintenance on --admin a:1 --admin a:2 --verify http://a/x",
			"--verify: give one URL for each --admin, in their order; there are 1 and 2"},
		{"maintenance on --rtds-file " + filepath.Join(filepath.Dir(file), "x.yaml") + " --verify http://a/x",
			"--verify: give one URL for each --admin"},
		{"maintenance on --admin a:1,b:2 --dry-run", `--admin: "a:1,b:2" is several addresses: repeat --admin for each`},
		{"maintenance on --admin a:1 --route --for 1m", "--for, --until: a route's key is a percentage"},
		{"maintenance on --admin a:1 --reason #4", "--reason: starts with #"},
		{"maintenance on --admin a:1 --wait 0s", "--wait: 0s is not a time to wait"},
		{"maintenance on --runtime-dir " + filepath.Dir(file),
			"--runtime-dir: " + filepath.Dir(file) + " is not a symbolic link"},
		{"maintenance on --rtds-file " + file, "--rtds-file: " + file + ": has no resource of type"},
		{"maintenance off --runtime-dir " + file + ".d",
			"--runtime-dir: " + file + ".d does not exist, so no key can be taken out"},
		{"maintenance on --runtime-dir " + file + ".d/current",
			"--runtime-dir: there is no folder " + file + ".d; is this the symlink_root of Envoy's disk_layer?"},
		{"maintenance on --subdirectory x --admin 127.0.0.1:9901", "--subdirectory is for --runtime-dir"},
		{"maintenance off --dry-run --rtds-file " + file + ".yaml",
			"--rtds-file: " + file + ".yaml does not exist, so no key can be taken out"},
		{"maintenance on --rtds-file a.yaml --runtime-dir b", "--runtime-dir and --rtds-file are two places for one key"},
		{"status --admin a:1 --expect well",
			`--expect: "well" is none of healthy, maintenance, draining, failing, unhealthy, unknown, passed, or ENDPOINT=`},
		{"status --admin a:1 --expect =healthy", `--expect: "=healthy" names no endpoint`},
		{"status --admin a:1 --expect a=", `--expect: "a=" is none of`},
		{"status --admin a:1 --expect healthy --watch", "--expect: makes an exit code, and --watch has no end"},
		{"status --admin a:1 --output yaml", `--output: "yaml" is neither table nor json`},
		{"status --admin a", `--admin: "a" is not http://HOST:PORT`},
		{"status --status-url a:1/x", `--status-url: "a:1/x" is not http://HOST:PORT/PATH`},
		{"status --admin a:1 --watch --interval 0s", "--interval: 0s is not a time to wait"},
	} {
		stdout, stderr, code := call(t, strings.Fields(test.command)...)
		wantCode := 2
		if strings.Contains(test.command, " -o ") {
			wantCode = 1 // not the input's fault
		}
		if code != wantCode || stdout != "" || !strings.Contains(stderr, test.want) || strings.Contains(stderr, "s3cret") {
			t.Errorf("healthgate %s: exit code %d, %q\n got %s\nwant … %s", test.command, code, stdout, stderr, test.want)
		}
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
		{`"outbound|80||a.b"`, "istio-wasmplugin --selector a=b --port 80 --wasm /hg/x.wasm",
			`the cluster "healthgate_outbound|80||a.b" has the hosts of a service`},
	} {
		file := write(t, strings.Replace(minimal, "cluster: app", "cluster: "+test.cluster, 1))
		_, stderr, code := call(t, append([]string{"render"},
			strings.Fields(strings.Replace(test.flags, " ", " "+file+" ", 1))...)...)
		if warned := strings.HasPrefix(stderr, "warning: "+file+":8:13: probes[0].cluster: "+test.want); code != 0 ||
			warned != (test.want != "") {
			t.Errorf("render %s: exit code %d, %q", test.flags, code, stderr)
		}
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
