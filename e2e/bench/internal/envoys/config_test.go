package envoys

import (
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// What is measured is what operators copy: the shipped gate around another filter, the shipped plugin but for its file.
func TestConfig(t *testing.T) {
	t.Parallel()
	c, err := New(t.TempDir(), 7070)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	filter := c.Wasm("one", "/one.wasm", c.Settings())
	first, err := c.Listen("first", c.Routes(), filter)
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.Listen("second", nil, c.Gated(c.Wasm("two", "/two.wasm", Object{"endpoints": "x"})))
	if err != nil {
		t.Fatal(err)
	}

	listeners := envoytest.At[[]any](c.Bootstrap, "static_resources", "listeners")
	if len(listeners) != 2 || first == second {
		t.Fatalf("%d listeners, ports %d and %d", len(listeners), first, second)
	}
	filters := func(listener int) []any {
		hcm := manager(listeners[listener].(Object))
		if _, logs := hcm["access_log"]; logs {
			t.Errorf("listener %d writes an access log", listener)
		}
		return envoytest.At[[]any](hcm, "http_filters")
	}
	plugin := func(filter Object) Object { return envoytest.At[Object](filter, "typed_config", "config") }
	wasm := plugin(filters(0)[0].(Object))
	if wasm["failure_policy"] != "FAIL_RELOAD" || envoytest.At[string](wasm, "vm_config", "code", "local", "filename") != "/one.wasm" {
		t.Errorf("the plugin is %s", envoytest.Text(wasm))
	}
	gated := filters(1)
	if len(gated) != 2 || gated[1].(Object)["name"] != "envoy.filters.http.router" {
		t.Errorf("the filters are %v", gated)
	}
	inside := envoytest.At[Object](action(gated[0].(Object)), "typed_config")
	if got := envoytest.At[string](plugin(inside), "vm_config", "vm_id"); got != "two" {
		t.Errorf("the gate leads to %s", envoytest.Text(inside))
	}
	// The parts are copies: another filter does not change those that are there.
	if got := envoytest.At[string](wasm, "configuration", "value", "endpoints", 0, "name"); got != "my-service" {
		t.Errorf("the first plugin's endpoint is %q", got)
	}
}
