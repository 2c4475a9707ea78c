package simtest

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
)

// TestModule checks what a host sees of the module before it runs: the host calls that it imports, the callbacks that
// it exports, and how many bytes V8 has to compile in each Envoy. WASI's imports are checked by hostsim, as Envoy
// does.
func TestModule(t *testing.T) {
	t.Parallel()
	wasm, err := module()
	if err != nil {
		t.Fatal(err)
	}
	runtime := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigInterpreter())
	t.Cleanup(func() { _ = runtime.Close(context.Background()) })
	compiled, err := runtime.CompileModule(t.Context(), wasm)
	if err != nil {
		t.Fatal(err)
	}
	most := 199_000
	var calls []string
	for _, f := range compiled.ImportedFunctions() {
		from, name, _ := f.Import()
		if from == "env" {
			calls = append(calls, name)
		} else if name == "sched_yield" { // only the scheduler of standard Go needs it
			most = 2_629_000
		}
	}
	slices.Sort(calls)
	// An undefined symbol of C becomes an import of env, without a word from TinyGo.
	if want := []string{"proxy_continue_stream", "proxy_define_metric", "proxy_dequeue_shared_queue",
		"proxy_enqueue_shared_queue", "proxy_get_buffer_bytes", "proxy_get_header_map_pairs",
		"proxy_get_header_map_value", "proxy_get_metric", "proxy_get_property", "proxy_get_shared_data", "proxy_http_call",
		"proxy_increment_metric", "proxy_log", "proxy_record_metric", "proxy_register_shared_queue",
		"proxy_remove_header_map_value", "proxy_replace_header_map_value", "proxy_resolve_shared_queue",
		"proxy_send_local_response", "proxy_set_effective_context", "proxy_set_shared_data",
		"proxy_set_tick_period_milliseconds"}; !slices.Equal(calls, want) {
		t.Errorf("host calls:\n%q, want\n%q", calls, want)
	}
	var exports []string
	for name := range compiled.ExportedFunctions() {
		if !strings.HasPrefix(name, "fm") { // TinyGo's fmaximum and its like, which no host calls
			exports = append(exports, name)
		}
	}
	slices.Sort(exports)
	if want := []string{"_initialize", "proxy_abi_version_0_2_0", "proxy_on_configure", "proxy_on_context_create",
		"proxy_on_done", "proxy_on_http_call_response", "proxy_on_memory_allocate", "proxy_on_queue_ready",
		"proxy_on_request_body", "proxy_on_request_headers", "proxy_on_request_trailers",
		"proxy_on_response_headers", "proxy_on_tick", "proxy_on_vm_start"}; !slices.Equal(exports, want) {
		t.Errorf("exports:\n%q, want\n%q", exports, want)
	}
	if len(wasm) > most {
		t.Errorf("the module has %d bytes, more than %d", len(wasm), most)
	}
	readme, err := os.ReadFile("../../README.md")
	size := fmt.Sprintf("| %.2g MB |", float64(most)/1e6) // each Go makes another
	if err != nil || !strings.Contains(string(readme), size) {
		t.Errorf("README does not say %q of it: %v", size, err)
	}
}
