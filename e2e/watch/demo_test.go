package watch

import (
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// find returns the path of a program that this machine must have.
func find(t testing.TB, program, debian string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%s is missing; install it (Debian, Ubuntu: apt-get install %s)", program, debian)
	}
	return path
}

// run runs a program in the repository's root, and returns what it printed on both outputs.
func run(t testing.TB, program string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = envoytest.Root
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// launch starts a program in the repository's root, and stops it when the test ends.
func launch(t testing.TB, program string, args ...string) *envoytest.Log {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = envoytest.Root
	_, log := envoytest.Program(t, cmd)
	return log
}

// demo is what `make run` starts, with a plugin that crashes when it is told to.
type demo struct {
	t                   testing.TB
	envoy, admin, nodes string // URLs
}

func startDemo(t testing.TB) *demo {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "demo")
	if out, err := run(t, "go", "build", "-o", binary, "./envoy/cmd/demo"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var ports [3]string
	for i := range ports {
		ports[i] = strconv.Itoa(must.Port(t))
	}
	launch(t, binary, "-port", ports[0], "-admin-port", ports[1], "-app-port", ports[2], "-state", t.TempDir(),
		"-wasm", envoytest.FaultyWasm(t), "-envoy", envoytest.Binary(t))
	d := &demo{t: t, envoy: "http://127.0.0.1:" + ports[0], admin: "http://127.0.0.1:" + ports[1],
		nodes: "http://127.0.0.1:" + ports[2] + "/demo/node/"}
	envoytest.Eventually(t, envoytest.StartLimit, "the demo is healthy", func() error {
		status, body, err := d.get(d.envoy + "/my-service/healthcheck")
		if err != nil || status != 200 {
			return fmt.Errorf("%d %s %w", status, body, err)
		}
		return nil
	})
	return d
}

func (d *demo) do(method, url string, headers ...string) (int, string, error) {
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		return 0, "", err
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	a, err := envoytest.Read(envoytest.Client.Do(r))
	return a.Status, a.Body, err
}

func (d *demo) get(url string) (int, string, error) { return d.do("GET", url) }

// post is what the demo's guide says to type.
func (d *demo) post(url string) {
	d.t.Helper()
	if status, body, err := d.do("POST", url); err != nil || status != 200 {
		d.t.Fatalf("POST %s: %d %v %s", url, status, err, body)
	}
}

func (d *demo) setRuntime(pairs ...string) {
	d.t.Helper()
	var query []string
	for i := 0; i < len(pairs); i += 2 {
		// Envoy takes a plus sign for one, not for a space.
		query = append(query, pairs[i]+"="+strings.ReplaceAll(url.QueryEscape(pairs[i+1]), "+", "%20"))
	}
	d.post(d.admin + "/runtime_modify?" + strings.Join(query, "&"))
}

// metrics returns what Prometheus scrapes without any filter.
func (d *demo) metrics() string {
	d.t.Helper()
	status, body, err := d.get(d.admin + "/stats/prometheus")
	if err != nil || status != 200 {
		d.t.Fatalf("metrics: %d %v", status, err)
	}
	return body
}

func readFile(t testing.TB, path ...string) string {
	t.Helper()
	return must.Read(t, filepath.Join(append([]string{envoytest.Root}, path...)...))
}
