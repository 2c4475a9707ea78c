package conformance

import "github.com/healthgate/healthgate/hostsim"

var rootCases = []*Case{
	{Name: "log levels", Script: `
		request_headers log 0 "trace"
		request_headers log 1 "debug"
		request_headers log 2 "info"
		request_headers log 3 "warning"
		request_headers log 4 "error"
		request_headers log 5 "critical"
		request_headers log 6 "none"
		request_headers log 2 ""
		request_headers log 2 "a\tb"`, Steps: get("/")},
	{Name: "log level of abi 0.2.1", ABI021: true, Script: `
		request_headers get_log_level`, Steps: get("/")},
	{Name: "abi 0.2.1", ABI021: true, Script: `
		request_headers get_header_map_pairs 0
		request_headers define_metric 0 "{case}.c" >m
		request_headers increment_metric $m 1`, Steps: get("/echo")},
	{Name: "the clock", Script: `
		request_headers get_current_time_nanoseconds`, Steps: get("/")},
	{Name: "status", Script: `
		configure get_status
		request_headers get_status`, Steps: get("/")},
	{Name: "effective context", Script: `
		request_headers set_effective_context 1
		request_headers get_header_map_value 0 ":path"
		request_headers set_effective_context 2
		request_headers get_header_map_value 0 ":path"
		request_headers set_effective_context 99
		request_headers set_effective_context 0
		request_headers get_header_map_value 0 ":path"
		configure set_effective_context 1
		configure set_effective_context 2
		configure set_effective_context 0`, Steps: get("/")},
	{Name: "effective context is forgotten", Script: `
		request_headers set_effective_context 1
		response_headers get_header_map_value 2 ":status"`, Steps: get("/")},
	{Name: "done when none is pending", Script: `
		configure done
		request_headers done
		log done
		done done`, Steps: get("/")},
	{Name: "done refused by a stream", Script: `
		done return 0`, Steps: get("/")},
	{Name: "tick on all threads", Script: `
		configure set_tick_period_milliseconds 20
		tick set_tick_period_milliseconds 0`, Steps: []Step{{Await: "tick(1)"}}},
	{Name: "tick again and again", Script: `
		tick register_shared_queue "q" >q
		tick enqueue_shared_queue $q "x"
		queue_ready set_tick_period_milliseconds 0
		request_headers set_tick_period_milliseconds 30`, Steps: append(get("/"), Step{Await: "queue_ready("})},
	{Name: "tick stopped before it comes", Script: `
		request_headers set_tick_period_milliseconds 20
		request_headers set_tick_period_milliseconds 0`, Steps: get("/")},
	{Name: "tick in the root has no maps", Script: `
		request_headers set_tick_period_milliseconds 20
		request_headers return 1
		tick get_header_map_value 0 ":path"
		tick get_header_map_pairs 0
		tick get_buffer_bytes 0 0 10
		tick get_buffer_bytes 7 0 10
		tick get_property "request\x00path"
		tick get_property "plugin_name"
		tick set_effective_context $stream
		tick continue_stream 0
		tick set_tick_period_milliseconds 0`, Steps: get("/")},
	{Name: "configuration refused", Script: `
		configure return 0`},
	{Name: "start refused", Script: `vm_start return 0`},
	{Name: "configuration refused and open", Policy: hostsim.FailOpen, Script: `
		configure return 0`, Steps: get("/")},
	{Name: "configuration traps", Script: `
		configure trap`},
	{Name: "vm start sees its configuration", VMConfig: "some", Script: `
		vm_start get_buffer_bytes 6 0 100`, Steps: get("/")},
	{Name: "the canary leaves its traces", Script: `
		configure get_shared_data "n"
		configure set_shared_data "n" "x" 0
		configure register_shared_queue "q" >q
		configure define_metric 0 "{case}.configured" >m
		configure increment_metric $m 1
		configure get_metric $m`, Steps: get("/")},
	{Name: "foreign function unknown", Script: `
		request_headers call_foreign_function "unknown" ""
		request_headers call_foreign_function "" ""`, Steps: get("/")},
	{Name: "foreign function compress", Script: `
		request_headers call_foreign_function "uncompress" "no zlib"`, Steps: get("/")},
	{Name: "foreign function clear route cache", Script: `
		request_headers call_foreign_function "clear_route_cache" ""`, Steps: get("/")},
	{Name: "queue ready on the main thread", Script: `
		configure register_shared_queue "q" >q
		request_headers set_tick_period_milliseconds 0
		request_headers enqueue_shared_queue $q "1"
		request_headers enqueue_shared_queue $q "2"`, Steps: append(get("/"), Step{Await: "queue_ready("})},
}

var trapCases = func() []*Case {
	var cases []*Case
	for _, policy := range []struct {
		name string
		hostsim.FailurePolicy
	}{{"closed", hostsim.FailClosed}, {"open", hostsim.FailOpen}, {"reload", hostsim.FailReload}} {
		for _, callback := range []string{"context_create", "request_headers", "request_body", "request_trailers",
			"response_headers", "response_body", "log", "done", "delete"} {
			cases = append(cases, &Case{
				Name: "trap in " + callback + " fails " + policy.name, Policy: policy.FailurePolicy,
				Script: callback + " trap", Steps: []Step{
					{Request: &Request{Method: "POST", Path: "/echo", Body: "hello", Trailer: [][2]string{{"a", "1"}}}},
					{Request: &Request{Path: "/echo"}},
				},
			})
		}
	}
	return append(cases, []*Case{
		{Name: "pointers out of bounds", Script: `
			request_headers raw_log 2 4294967295 10
			request_headers raw_get_property 4294967295 10 0 0
			request_headers raw_set_property 4294967295 10 0 0
			request_headers raw_get_shared_data 4294967295 10 0 0 0
			request_headers raw_set_shared_data 4294967295 10 0 0 0
			request_headers raw_get_header_map_value 0 4294967295 10 0 0
			request_headers raw_set_header_map_pairs 0 4294967295 10
			request_headers raw_set_buffer_bytes 0 0 0 4294967295 10
			request_headers raw_send_local_response 200 4294967295 10 0 0 0 0 -1
			request_headers raw_http_call 4294967295 10 0 0 0 0 0 0 0 0
			request_headers raw_define_metric 0 4294967295 10 0
			request_headers raw_get_metric 0 4294967295
			request_headers raw_get_current_time_nanoseconds 4294967295`, Steps: get("/")},
		{Name: "results out of bounds", Script: `
			request_headers define_metric 0 "{case}.c" >m
			request_headers raw_get_metric $m 4294967295
			request_headers raw_get_header_map_pairs 0 4294967295 4294967295
			request_headers raw_get_buffer_bytes 6 0 10 4294967295 4294967295`, VMConfig: "some", Steps: get("/")},
	}...)
}()
