package docs

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

func TestMain(m *testing.M) { envoytest.Main(m, 8) }

func TestReadme(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	r.read("README.md")
	for _, log := range r.left {
		if said := log.Tail(1 << 20); strings.Contains(said, "Ready. In another terminal") {
			r.tryGuide(said)
			return
		}
	}
	t.Error("README.md does not say make run")
}

func TestInstallation(t *testing.T) {
	t.Parallel()
	newReader(t).read("docs/installation.md")
}

func TestHostsim(t *testing.T) {
	t.Parallel()
	newReader(t).read("hostsim/README.md")
}

func TestPluginAuthors(t *testing.T) {
	t.Parallel()
	newReader(t).read("docs/hostsim.md")
}

// operating are the documents for those who have an Envoy with healthgate.
var operating = []string{
	"docs/status.md", "docs/runtime.md", "docs/runbook.md", "docs/watching.md", "docs/command.md", "docs/istio.md",
	"docs/envoy-gateway.md", "docs/load-balancers.md", "docs/fleet.md",
}

func TestOperating(t *testing.T) {
	t.Parallel()
	lib := t.TempDir()
	board := envoytest.Loopback(must.Port(t))
	r := newReader(t, "/var/lib/envoy", lib, "127.0.0.1:8090", board,
		"healthgate serve", "healthgate serve --listen "+board,
		":9000", envoytest.Loopback(must.Port(t)), ":9001", envoytest.Loopback(must.Port(t)))
	must.Do(t, os.Mkdir(filepath.Join(lib, "runtime"), 0o755))
	write(t, filepath.Join(lib, "rtds.yaml"),
		`resources: [{"@type": type.googleapis.com/envoy.service.runtime.v3.Runtime, name: healthgate}]`, 0o600)
	must.Do(t, r.run(r.change.Replace(`
go build -o build/ ./envoy/cmd/healthgate ./envoy/cmd/demo
export PATH="$PWD/build:$PATH"
healthgate render envoy envoy/healthgate.yaml --wasm '`+envoytest.Wasm(t)+`' --zone eu-1a --cluster app=127.0.0.1:7070 \
	--listen 127.0.0.1:10000 --admin 127.0.0.1:9901 \
	--runtime-dir /var/lib/envoy/runtime/current --rtds-file /var/lib/envoy/rtds.yaml -o build/envoy.yaml
`), "…\n"))
	r.leave("the application", r.change.Replace("build/demo -app-only"), "…\n")
	r.leave("Envoy", `"$ENVOY" -c build/envoy.yaml`, "…\n[…] starting main dispatch loop\n…\n")
	stop := envoytest.Repeat(t, 200*time.Millisecond, func() { // a load balancer
		_, _ = envoytest.Read(envoytest.Client.Get(r.change.Replace("http://127.0.0.1:10000/my-service/healthcheck")))
	})
	for _, document := range operating {
		r.read(document)
	}
	stop()
	must.Do(t, r.run(r.change.Replace(`
healthgate maintenance off --runtime-dir /var/lib/envoy/runtime/current
healthgate maintenance off --rtds-file /var/lib/envoy/rtds.yaml
healthgate maintenance off healthgate.maintenance.zone.eu-1a --rtds-file /var/lib/envoy/rtds.yaml
healthgate maintenance off --admin 127.0.0.1:9901
`), "…\n"))
	r.read("docs/shutdown.md") // the last: it drains
}

// documents lists all of the repository.
func documents(t testing.TB) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(envoytest.Root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && slices.Contains(append(ours, "testdata"), entry.Name()) {
			return fs.SkipDir
		}
		if filepath.Ext(path) == ".md" {
			name, _ := filepath.Rel(envoytest.Root, path)
			out = append(out, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// elsewhere is how commands begin that a document may have in a console block, beside make: they need a cluster, a
// cloud, a registry, another toolchain, or a machine for themselves.
var elsewhere = []string{"kubectl ", "istioctl ", "docker ", "skopeo ", "setsid ",
	"go install github.com/", "tinygo ", "aws ", "npm install ", "node_modules/"}

// TestAllIsRead: each block of shell is run by a test of this package, or says that it can't be.
func TestAllIsRead(t *testing.T) {
	t.Parallel()
	read := append([]string{"docs/installation.md", "hostsim/README.md", "docs/hostsim.md", "README.md",
		"docs/shutdown.md"}, operating...)
	for _, document := range documents(t) {
		for _, b := range blocks(t, document) {
			switch b.language {
			case "sh", "sh until-ctrl-c", "output":
				if !slices.Contains(read, document) {
					t.Errorf("%s:%d: no test runs this", document, b.line)
				}
			case "console":
				for line := range strings.Lines(strings.ReplaceAll(b.text, "\\\n", " ")) {
					words := strings.Fields(line)
					if words[0] == "make" {
						cmd := exec.Command("make", "-n", words[1])
						cmd.Dir = envoytest.Root
						if out, err := cmd.CombinedOutput(); err != nil {
							t.Errorf("%s:%d: %s", document, b.line, out)
						}
					} else if !slices.ContainsFunc(elsewhere, func(begin string) bool { return strings.HasPrefix(line, begin) }) {
						t.Errorf("%s:%d: this can be run: %s", document, b.line, line)
					}
				}
			case "bash", "shell", "zsh", "shell-session":
				t.Errorf("%s:%d: no test knows %q: it is sh or console", document, b.line, b.language)
			}
		}
	}
}
