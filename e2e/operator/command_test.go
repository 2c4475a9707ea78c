// Package operator tests the healthgate command as an operator runs it: built, in a process of its own, against real
// Envoys whose configuration it rendered.
package operator

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// result is what a run of the command leaves.
type result struct {
	command        string
	stdout, stderr string
	code           int
}

// command returns the command with its arguments, in the repository's folder, not started yet.
func command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	path := must.Get(envoytest.Command())(t)
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = envoytest.Root
	return cmd
}

func run(t testing.TB, args ...string) result {
	t.Helper()
	cmd := command(t, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{strings.Join(args, " "), stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// is fails the test unless the command exited so and said all of this.
func (r result) is(t testing.TB, code int, said ...string) {
	t.Helper()
	for _, text := range said {
		if !strings.Contains(r.stdout+r.stderr, text) {
			t.Errorf("healthgate %s does not say %q", r.command, text)
		}
	}
	if strings.Contains(r.stdout+r.stderr, "\x1b") {
		t.Errorf("healthgate %s writes colours into a pipe", r.command)
	}
	if r.code != code {
		t.Errorf("healthgate %s: exit code %d, want %d", r.command, r.code, code)
	}
	if t.Failed() {
		t.Fatalf("healthgate %s said:\n%s%s", r.command, r.stdout, r.stderr)
	}
}

const check = "/my-service/healthcheck"

// instance is an Envoy whose configuration the command rendered from envoy/healthgate.yaml.
type instance struct {
	app                          *app.App
	envoy                        *envoytest.Envoy
	listen, admin                string
	folder                       string
	runtimeDir, rtdsFile, config string
}

const shipped = "envoy/healthgate.yaml"

// render renders the configuration of an Envoy from a healthgate.yaml, with more flags.
func render(t testing.TB, file string, flags ...string) *instance {
	t.Helper()
	i := &instance{app: app.Start(t), listen: envoytest.Loopback(must.Port(t)), folder: t.TempDir()}
	i.runtimeDir = filepath.Join(i.folder, "runtime", "current")
	i.rtdsFile = filepath.Join(i.folder, "rtds.yaml")
	i.config = filepath.Join(i.folder, "envoy.yaml")
	must.Do(t, os.Mkdir(filepath.Dir(i.runtimeDir), 0o700))
	args := append([]string{"render", "envoy", patient(t, file), "--cluster", "app=" + envoytest.Loopback(i.app.Port),
		"--wasm", envoytest.Wasm(t), "-o", i.config}, flags...)
	for flag, value := range map[string]string{"--listen": i.listen, "--runtime-dir": i.runtimeDir} {
		if !slices.Contains(flags, flag) {
			args = append(args, flag, value)
		}
	}
	run(t, args...).is(t, 0)
	return i
}

// patient writes a copy of a healthgate.yaml whose probes and polls have the tests' timeout.
func patient(t testing.TB, file string) string {
	t.Helper()
	if !filepath.IsAbs(file) {
		file = filepath.Join(envoytest.Root, file)
	}
	return replaced(t, file, "timeout: 500ms", "timeout: "+envoytest.CalloutTimeout.String())
}

// replaced writes a copy of a file with another text in the place of each old one, of which there must be some.
func replaced(t testing.TB, file, old, text string) string {
	t.Helper()
	before := must.Read(t, file)
	after := strings.ReplaceAll(before, old, text)
	if after == before {
		t.Fatalf("%s has no %q", file, old)
	}
	out := filepath.Join(t.TempDir(), filepath.Base(file))
	must.Write(t, out, after)
	return out
}

// start starts an Envoy with the shipped healthgate.yaml, and an admin address on TCP.
func start(t testing.TB, flags ...string) *instance {
	t.Helper()
	return startFile(t, shipped, flags...)
}

// startRecorded starts an Envoy whose plugin has written a record, and returns the address of its admin, too.
func startRecorded(t *testing.T, c *envoytest.Config, workers int) (*envoytest.Envoy, string) {
	t.Helper()
	envoy := envoytest.Start(t, c, workers)
	envoytest.Eventually(t, envoytest.Limit, "a record", func() error {
		return envoy.Stat("wasmcustom.healthgate_probe_up.probe.stats", 1)
	})
	return envoy, envoytest.Loopback(c.AdminPort)
}

func startFile(t testing.TB, file string, flags ...string) *instance {
	t.Helper()
	port := must.Port(t)
	i := render(t, file, append(flags, "--admin", envoytest.Loopback(port))...)
	i.admin = envoytest.Loopback(port)
	text := must.Read(t, i.config)
	i.envoy = envoytest.Start(t, envoytest.FromYAML(t, text, port), 2)
	i.eventually(t, 200, "OK")
	return i
}

// get sends a health check on a connection of its own.
func (i *instance) get() (int, string, error) {
	a, err := envoytest.Read(envoytest.Client.Get("http://" + i.listen + check))
	return a.Status, a.Body, err
}

func (i *instance) answers(status int, body string) func() error {
	return func() error {
		if gotStatus, gotBody, err := i.get(); err != nil || gotStatus != status || gotBody != body {
			return fmt.Errorf("%d %q, %w", gotStatus, gotBody, err)
		}
		return nil
	}
}

// is fails the test unless each worker answers so.
func (i *instance) is(t testing.TB, status int, body string) {
	t.Helper()
	for range 20 {
		if err := i.answers(status, body)(); err != nil {
			t.Fatalf("want %d %q, got %v", status, body, err)
		}
	}
}

func (i *instance) eventually(t testing.TB, status int, body string) {
	t.Helper()
	envoytest.Eventually(t, envoytest.Limit, fmt.Sprintf("%d %q", status, body), i.answers(status, body))
}
