package hostsim_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/healthgate/healthgate/hostsim"
)

// scriptWasm builds testdata/script, once per process.
var scriptWasm = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "hostsim")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "script.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-o", out, "./testdata/script")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
})

// script is the plugin that does what its configuration says.
func script(t testing.TB) []byte {
	t.Helper()
	wasm, err := scriptWasm()
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

// newHost builds a host for the script plugin and closes it with the test.
func newHost(t testing.TB, text string, opts ...hostsim.Option) *hostsim.Host {
	t.Helper()
	host, err := hostsim.New(script(t), append([]hostsim.Option{hostsim.PluginConfig(text)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	return host
}

// logged returns what was logged on a thread, one message a line.
func logged(host *hostsim.Host, thread string) string {
	var lines []string
	for _, e := range host.Logs() {
		if e.Thread == thread {
			lines = append(lines, e.Message)
		}
	}
	return strings.Join(lines, "\n")
}

// wantLines compares got with the lines of want, whose indentation does not matter.
func wantLines(t *testing.T, got, want string) {
	t.Helper()
	var lines []string
	for _, l := range strings.Split(strings.TrimSpace(want), "\n") {
		lines = append(lines, strings.TrimSpace(l))
	}
	if want := strings.Join(lines, "\n"); got != want {
		t.Errorf("got:\n%s\n\nwant:\n%s", got, want)
	}
}
