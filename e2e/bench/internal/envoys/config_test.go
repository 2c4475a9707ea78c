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
	routes, disabled := c.Gated(c.Routes(), c.Wasm("two", "/two.wasm", Object{"endpoints": "x"}))
	second, err := c.Listen("second", routes, disabled)
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
	ungated := filters(0)[0].(Object)
	wasm := plugin(ungated)
	if wasm["failure_policy"] != "FAIL_RELOAD" || envoytest.At[string](wasm, "vm_config", "code", "local", "filename") != "/one.wasm" {
		t.Errorf("the plugin is %s", envoytest.Text(wasm))
	}
	gated := filters(1)
	if len(gated) != 2 || gated[1].(Object)["name"] != "envoy.filters.http.router" {
		t.Errorf("the filters are %v", gated)
	}
	if got := envoytest.At[string](plugin(gated[0].(Object)), "vm_config", "vm_id"); got != "two" || gated[0].(Object)["disabled"] != true {
		t.Errorf("the filter is %s", envoytest.Text(gated[0].(Object)))
	}
	if ungated["disabled"] != nil {
		t.Error("the filter without a gate is disabled")
	}
	for i, enabled := range []map[string]bool{{}, {"two": true}} {
		for _, route := range envoytest.At[[]any](manager(listeners[i].(Object)), "route_config", "virtual_hosts", 0, "routes") {
			want := enabled
			if envoytest.At[Object](route, "match")["path"] == nil {
				want = nil
			}
			got, _ := route.(Object)[enables].(Object)
			if len(got) != len(want) || len(got) > 0 && got["two"] == nil {
				t.Errorf("listener %d: the route %s", i, envoytest.Text(route.(Object)))
			}
		}
	}
	// The parts are copies: another filter does not change those that are there.
	if got := envoytest.At[string](wasm, "configuration", "value", "endpoints", 0, "name"); got != "my-service" {
		t.Errorf("the first plugin's endpoint is %q", got)
	}
}
