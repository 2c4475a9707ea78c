package operator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// TestShutdown goes through what can come between, and leaves the Envoy ended.
func TestShutdown(t *testing.T) {
	t.Parallel()
	i := start(t)
	run(t, "shutdown", key, "--admin", i.admin).is(t, 1,
		`the key healthgate.maintenance does not switch the endpoint "middleware"`, "nothing was changed")
	i.is(t, 200, "OK")

	// Checks come to one of two endpoints, and nobody says so for the other.
	stop := envoytest.Repeat(t, 200*time.Millisecond, func() { _, _, _ = i.get() })
	stranger := &http.Client{Transport: &http.Transport{
		DialContext: envoytest.DialerFrom("127.0.0.2", envoytest.Limit).DialContext}}
	stopped := envoytest.Repeat(t, 50*time.Millisecond, func() { _ = use(stranger, "http://"+i.listen+check) })
	out := run(t, "maintenance", "on", "--admin", i.admin, "--wait-checks", "3", "--wait-idle", "-o", "json")
	out.is(t, 0, "of my-service came from addresses that it does not trust")
	stopped()
	steps(t, out.stdout, "closed", "seen", "idle")
	run(t, "release", "--admin", i.admin, "--timeout", "10m").is(t, 1, "holding",
		"my-service is in maintenance by the key healthgate.maintenance, too: healthgate release healthgate.maintenance")
	run(t, "release", key, "--admin", i.admin).is(t, 0, "holding", "open: by the key")
	i.is(t, 200, "OK")
	run(t, "shutdown", "--admin", i.admin, "--timeout", "12s").is(t, 1, "closed: POST /healthcheck/fail",
		"not seen in the time that was given: middleware has answered no check (after 30s without one it counts as seen: "+
			"--quiet); its health checks fail, and stay so",
		"healthgate release")
	i.is(t, 503, "DRAINING")
	run(t, "release", "--admin", i.admin).is(t, 0, "open: POST /healthcheck/ok",
		"no check was seen that got success from middleware: `healthgate check` sends one")
	i.is(t, 200, "OK")
	run(t, "release", "--admin", i.admin).is(t, 0) // open already

	cmd, said := command(t, "shutdown", "--admin", i.admin, "--quiet", "1m"), &envoytest.Log{}
	begin(t, cmd, said)
	must.Do(t, cmd.Process.Signal(syscall.SIGTERM))
	ends(t, cmd, said, "interrupted: ", "its health checks fail, and stay so")
	stop()

	// A request that runs, for less than the 15 s that Envoy gives it, and another Envoy that hangs.
	release, answered := i.app.Hold("/work"), make(chan error, 1)
	go func() { answered <- use(http.DefaultClient, "http://"+i.listen+"/work") }()
	envoytest.Eventually(t, envoytest.Limit, "the request runs", func() error {
		if i.app.Count("/work") == 0 {
			return fmt.Errorf("it has not come")
		}
		return nil
	})
	silent := must.Get(net.Listen("tcp", "127.0.0.1:0"))(t)
	defer silent.Close()
	hangs := silent.Addr().String()
	run(t, "shutdown", "--admin", i.admin, "--admin", hangs, "--quiet", "1s", "--timeout", "10s").is(t, 1,
		i.admin+": seen: failed checks: middleware 0, then none for 1s; my-service 0, then none for 1s\n",
		i.admin+": draining: POST /drain_listeners?graceful, which only a restart takes back\n",
		"not idle in the time that was given: requests that run: 1",
		"it drains, which can't be taken back", hangs+": no answer in time", "nothing was changed")
	release()
	out = run(t, "shutdown", "--admin", i.admin, "--quiet", "1s", "--quit", "-o", "json")
	out.is(t, 0)
	steps(t, out.stdout, "closed", "seen", "draining", "idle", "gone")
	if err := <-answered; err != nil {
		t.Error(err)
	}
	run(t, "shutdown", "--admin", i.admin).is(t, 1, "connection refused", "nothing was changed")
}

// A key on disk closes a sidecar, whose outbound side stays for what its application still asks for. Nobody reads what
// the command says.
func TestShutdownByKey(t *testing.T) {
	t.Parallel()
	all := replaced(t, filepath.Join(envoytest.Root, shipped), "- name: middleware\n",
		"- name: middleware\n  maintenance: {keys: [healthgate.maintenance]}\n")
	port := must.Port(t)
	i := render(t, all, "--admin", envoytest.Loopback(port))
	i.admin = envoytest.Loopback(port)
	text := must.Read(t, i.config)
	c := envoytest.FromYAML(t, text, port)
	out := c.AddListener("outbound")
	c.Listener("ingress").Object["traffic_direction"] = "INBOUND"
	out.Object["traffic_direction"] = "OUTBOUND"
	i.envoy = envoytest.Start(t, c, 2)
	i.eventually(t, 200, "OK")

	cmd := command(t, "shutdown", key, "--runtime-dir", i.runtimeDir, "--admin", i.admin, "--quiet", "3s")
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var said envoytest.Log
	cmd.Stdout, cmd.Stderr = writer, &said
	must.Do(t, errors.Join(reader.Close(), cmd.Start(), writer.Close()))
	ends(t, cmd, &said, "broken pipe")
	envoytest.Eventually(t, envoytest.Limit, "the inbound listener is closed", func() error {
		if _, _, err := i.get(); errors.Is(err, syscall.ECONNREFUSED) {
			return nil
		}
		return fmt.Errorf("it is open")
	})
	if err := use(http.DefaultClient, "http://"+out.Address()+"/"); err != nil {
		t.Errorf("the outbound listener: %v", err)
	}
	run(t, "shutdown", key, "--runtime-dir", i.runtimeDir, "--admin", i.admin, "--quiet", "1s").is(t, 0,
		"closed: by the key healthgate.maintenance\n", "draining: POST /drain_listeners?graceful&inboundonly, ", "idle: ")
	run(t, "shutdown", key, "--runtime-dir", i.runtimeDir, "--admin", i.admin, "--quiet", "1s", "--quit", "-o", "json").
		is(t, 0, `"name": "gone"`, `"on": null`) // nobody says it any more
}

// An Envoy that dies while it is waited for ends the wait.
func TestShutdownOfOneThatDies(t *testing.T) {
	t.Parallel()
	i := start(t)
	cmd, said := command(t, "shutdown", "--admin", i.admin, "--quiet", "10m", "--timeout", "10m"), &envoytest.Log{}
	begin(t, cmd, said)
	i.envoy.Kill()
	ends(t, cmd, said, "connection refused", "when it was asked last, its health checks failed; `healthgate status ")
}

// begin starts a shutdown, and waits until it has closed the instance.
func begin(t *testing.T, cmd *exec.Cmd, said *envoytest.Log) {
	t.Helper()
	cmd.Stdout, cmd.Stderr = said, said
	must.Do(t, cmd.Start())
	envoytest.Eventually(t, envoytest.Limit, "closed", func() error { return said.Has("closed: ") })
}

// ends waits until a command has failed, and said so.
func ends(t *testing.T, cmd *exec.Cmd, said *envoytest.Log, texts ...string) {
	t.Helper()
	err := cmd.Wait()
	if said.Has(texts...) != nil || cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("%v, it said:\n%s", err, said.Tail(20))
	}
}

// steps fails the test unless the document has these steps, and no error.
func steps(t *testing.T, document string, want ...string) {
	t.Helper()
	var states []struct {
		Steps []struct{ Name string }
		Error string
	}
	var got []string
	d := json.NewDecoder(bytes.NewReader([]byte(document)))
	if err := d.Decode(&states); err != nil || len(states) != 1 || states[0].Error != "" {
		t.Fatalf("%v\n%s", err, document)
	}
	for _, s := range states[0].Steps {
		got = append(got, s.Name)
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("its steps are %q, want %q", got, want)
	}
}

// TestStartsClosed: an Envoy that starts closed stays so until it is told to open, and until its probes hold.
func TestStartsClosed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, closed string
		args         []string
		edit         func(t *testing.T, i *instance, bootstrap envoytest.Object)
	}{
		{"flags_path", "DRAINING", nil, func(t *testing.T, _ *instance, bootstrap envoytest.Object) {
			folder := t.TempDir()
			must.Do(t, os.WriteFile(filepath.Join(folder, "drain"), nil, 0o600))
			bootstrap["flags_path"] = folder
		}},
		{"a key in the static layer", sorry, []string{key, "--override"},
			func(_ *testing.T, _ *instance, bootstrap envoytest.Object) {
				envoytest.At[envoytest.Object](bootstrap, "layered_runtime", "layers", 0, "static_layer")[key] = true
			}},
		{"a key on disk", sorry, []string{key, "--runtime-dir", "RUNTIME"},
			func(t *testing.T, i *instance, _ envoytest.Object) {
				run(t, "maintenance", "on", "--runtime-dir", i.runtimeDir).is(t, 0)
			}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			port := must.Port(t)
			i := render(t, shipped, "--admin", envoytest.Loopback(port))
			i.admin = envoytest.Loopback(port)
			text := must.Read(t, i.config)
			c := envoytest.FromYAML(t, text, port)
			test.edit(t, i, c.Bootstrap)
			i.app.Answer("/outbound/isalive", 500)
			i.envoy = envoytest.Launch(t, c, 2)
			i.eventually(t, 503, test.closed)
			envoytest.Eventually(t, envoytest.Limit, "two probes are up", func() error {
				const up = "wasmcustom.healthgate_probe_up.probe."
				return errors.Join(i.envoy.Stat(up+"inbound", 1), i.envoy.Stat(up+"stats", 1))
			})
			release := []string{"release", "--admin", i.admin}
			for _, arg := range test.args {
				release = append(release, strings.ReplaceAll(arg, "RUNTIME", i.runtimeDir))
			}
			run(t, append(release, "--timeout", "8s")...).is(t, 1, "not holding in the time that was given: "+
				"my-service needs 3 of its 3 probes up, and these are not: outbound", "nothing was changed")
			i.is(t, 503, test.closed)
			i.app.Answer("/outbound/isalive", 200)
			if test.name == "a key on disk" { // which is another Envoy's, too
				run(t, append(release, "--admin", envoytest.Loopback(must.Port(t)))...).is(t, 1,
					i.admin+": nothing was changed: another Envoy is not ready", "connection refused")
				i.is(t, 503, test.closed)
			}
			run(t, release...).is(t, 0, "holding: ", "open: ")
			i.is(t, 200, "OK")
		})
	}
}
