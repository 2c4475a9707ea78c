package reach

import (
	"fmt"
	"slices"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/dump"
)

// needed are the capabilities without which the plugin does not answer as it should: what it calls, but for its log,
// and what Envoy calls, but for what no restriction takes away.
var needed = strings.Fields(`clock_time_get proxy_define_metric proxy_get_buffer_bytes proxy_get_header_map_pairs
	proxy_get_header_map_value proxy_get_metric proxy_get_property proxy_get_shared_data proxy_http_call
	proxy_increment_metric proxy_on_configure proxy_on_context_create proxy_on_done proxy_on_http_call_response
	proxy_on_request_headers proxy_on_response_headers proxy_on_tick proxy_on_vm_start proxy_record_metric
	proxy_remove_header_map_value proxy_replace_header_map_value proxy_send_local_response proxy_set_shared_data
	proxy_set_tick_period_milliseconds`)

// onDemand are those without which it does not answer checks that need a probe on demand.
var onDemand = strings.Fields(`proxy_continue_stream proxy_dequeue_shared_queue proxy_enqueue_shared_queue
	proxy_on_queue_ready proxy_register_shared_queue proxy_resolve_shared_queue proxy_set_effective_context`)

// ofBodies are those without which it does not answer checks whose body names a service of gRPC.
var ofBodies = []string{"proxy_on_request_body", "proxy_on_request_trailers"}

// restricted says which capabilities the filter's configuration takes from the plugin; "" for none that it needs. An
// empty list restricts nothing.
func (f *filter) restricted() string {
	allowed := object(f.wasm, "config", "capability_restriction_config", "allowed_capabilities")
	names := slices.Clone(needed)
	if f.plugin.Config.OnDemand {
		names = append(names, onDemand...)
	}
	if f.plugin.Config.NamesServices() {
		names = append(names, ofBodies...)
	}
	missing := slices.DeleteFunc(names, func(name string) bool { return dump.At(allowed, name) != nil })
	if len(allowed) == 0 || len(missing) == 0 {
		return ""
	}
	return fmt.Sprintf("its capability_restriction_config leaves out %s, which the plugin needs",
		strings.Join(missing, ", "))
}

// Restricted says what a plugin's filter takes from it that it needs; "" for nothing.
func (e *Envoy) Restricted() string {
	for _, d := range e.doors {
		for _, f := range d.filters {
			if why := f.restricted(); why != "" {
				return d.where + ": " + why
			}
		}
	}
	return ""
}
