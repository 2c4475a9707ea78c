package e2e

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// TestLimitsInFront: what Envoy refuses before any filter it refuses checks, too. The runbook knows these answers by
// what a load balancer sees.
func TestLimitsInFront(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	config := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	folder := t.TempDir()
	pressure := filepath.Join(folder, "pressure")
	press := func(value string) { // Envoy reads the file anew when another is moved onto it
		next := filepath.Join(folder, "next")
		must.Do(t, errors.Join(os.WriteFile(next, []byte(value), 0o600), os.Rename(next, pressure)))
	}
	press("0")
	const limit = 3
	manager := envoytest.At[object](config.Bootstrap, "overload_manager")
	monitors := manager["resource_monitors"].([]any)
	envoytest.At[object](monitors[0], "typed_config")["max_active_downstream_connections"] = limit
	manager["refresh_interval"] = "0.1s"
	manager["resource_monitors"] = append(monitors, object{
		"name": "injected",
		"typed_config": envoytest.Any("envoy.extensions.resource_monitors.injected_resource.v3.InjectedResourceConfig",
			object{"filename": pressure}),
	})
	manager["actions"] = []any{envoytest.Parse(`{"name": "envoy.overload_actions.stop_accepting_requests",
		"triggers": [{"name": "injected", "threshold": {"value": 0.9}}]}`)}
	envoytest.At[object](config.Bootstrap, "admin")["ignore_global_conn_limit"] = true
	b := start(t, a, config, 1)
	b.settle(t)

	press("1")
	envoytest.Eventually(t, envoytest.Limit, "overloaded", b.balancer.gets(check, 503, "envoy overloaded"))
	press("0")
	b.settle(t)

	const refused = "downstream_global_cx_overflow"
	overflows := func() (n int) {
		for _, value := range b.envoy.Stats(refused) {
			n += value
		}
		return n
	}
	before := overflows()
	for range limit { // whatever has been closed by now
		conn := must.Get(b.stranger.dial())(t)
		t.Cleanup(func() { _ = conn.Close() })
	}
	envoytest.Eventually(t, envoytest.Limit, "the connection is closed", func() error {
		got, err := b.balancer.request("GET", check, "")
		if err == nil {
			return fmt.Errorf("answered %v", got)
		}
		for _, closed := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE} {
			if errors.Is(err, closed) {
				return nil
			}
		}
		return err
	})
	envoytest.Eventually(t, envoytest.Limit, "it is counted", func() error { // Envoy counts after it has closed
		if overflows() == before {
			return errors.New("no " + refused)
		}
		return nil
	})
}
