package operator

import (
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// TestStatusOfHostsim: its admin has no configuration, so what checks get is not known; the status endpoint tells.
func TestStatusOfHostsim(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	binary, settings := filepath.Join(folder, "hostsim"), filepath.Join(folder, "healthgate.json")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./hostsim/cmd/hostsim")
	build.Dir = envoytest.Root
	must.Do(t, build.Run())
	envoytest.Shipped(t, envoytest.Wasm(t), must.Port(t)).Listener("ingress").Change(func(s envoytest.Object) {
		must.Write(t, settings, string(must.Get(json.Marshal(s))(t)))
	})
	listen, admin := envoytest.Loopback(must.Port(t)), envoytest.Loopback(must.Port(t))
	envoytest.Program(t, exec.CommandContext(t.Context(), binary, "serve", "--wasm", envoytest.Wasm(t), "--config",
		settings, "--listen", listen, "--admin", admin))
	url := "http://" + listen + "/healthgate/status"
	envoytest.Eventually(t, envoytest.Limit, "the status endpoint tells", func() error {
		r := run(t, "status", "--status-url", url)
		if !strings.Contains(r.stdout, "middleware  200 healthy") {
			return errors.New(r.stdout + r.stderr)
		}
		return nil
	})
	run(t, "status", "--admin", admin).is(t, 0, "2 of 2 health checks not known",
		"its configuration can't be read: GET /config_dump was answered 404", "a status endpoint tells more: --status-url")
	run(t, "status", "--admin", admin, "--expect", "healthy").is(t, 1, "my-service is not known to be healthy")
}
