package conformance

// Cases about several workers, the end of a plugin, and clients that leave.

var threadCases = []*Case{
	{Name: "workers configure", Workers: 3, Unordered: true, Script: `
		vm_start define_metric 0 "{case}.started" >s
		vm_start increment_metric $s 1
		configure define_metric 0 "{case}.configured" >c
		configure increment_metric $c 1
		configure define_metric 1 "{case}.gauge" >g
		configure record_metric $g 7`},
	{Name: "workers tick", Workers: 3, Unordered: true, Script: `
		configure set_tick_period_milliseconds 300
		tick set_tick_period_milliseconds 0
		tick define_metric 0 "{case}.ticks" >t
		tick increment_metric $t 2`, Steps: await("tick define_metric")},
	{Name: "workers share data", Workers: 3, Unordered: true, Repeats: true, Script: `
		configure set_tick_period_milliseconds 300
		tick get_shared_data "k"
		request_headers set_shared_data "k" "from a worker" 0`, Steps: steps(await(`"k" = 1`), get("/"), await(`= 0 "from a worker"`))},
	{Name: "workers and a queue", Workers: 3, Unordered: true, Script: `
		configure register_shared_queue "q" >q
		request_headers enqueue_shared_queue $q "one"
		queue_ready dequeue_shared_queue $q
		queue_ready dequeue_shared_queue $q`, Steps: append(get("/"), await("queue_ready dequeue")...)},
	{Name: "workers lose one VM", Workers: 3, Unordered: true, Repeats: true, Script: `
		configure set_tick_period_milliseconds 300
		tick say "alive"
		request_headers trap`, Steps: append(get("/"), await("alive")...)},

	{Name: "shutdown", Shutdown: true, Script: `done say "over"`},
	{Name: "shutdown after a stream", Shutdown: true, Steps: get("/echo")},
	{Name: "shutdown with a tick", Shutdown: true, Repeats: true, Script: `
		configure set_tick_period_milliseconds 300
		done set_tick_period_milliseconds 0`, Steps: await("tick(")},
	{Name: "shutdown put off", Shutdown: true, Unordered: true, Repeats: true, Script: `
		configure set_tick_period_milliseconds 300
		tick done
		done return 0`, Steps: await("tick done")},
	{Name: "shutdown put off for a callout", Shutdown: true, Unordered: true, Script: `
		done http_call "{case}-backend" ":method=POST\n:path=/echo\n:authority=a" "bye" "" 5000
		done return 0
		http_call_response get_buffer_bytes 4 0 100
		http_call_response done`},
	{Name: "shutdown leaves shared data, and no metrics", Shutdown: true, Script: `
		done set_shared_data "k" "v" 0
		delete get_shared_data "k"
		delete define_metric 0 "{case}.deleted" >m
		delete increment_metric $m 1`},

	{Name: "client leaves a request that waits", Script: `
		request_headers return 1
		log get_header_map_value 0 ":path"
		log get_property "response\x00flags"
		log get_property "response\x00code"`, Steps: leave("/", "request_headers(")},
	{Name: "client leaves while the application is silent", Silent: []string{"application"}, Script: `
		log get_header_map_value 2 ":status"
		log get_property "response\x00code"
		log get_property "response\x00code_details"`, Steps: leave("/", "request_headers(")},
	{Name: "client leaves a response that waits", Script: `
		response_headers return 1
		log get_header_map_value 2 ":status"
		log get_property "response\x00code"`, Steps: leave("/echo", "response_headers(")},
	{Name: "client leaves a response body that waits", Script: `
		response_body return 1`, Steps: leave("/echo", "response_body(")},
	{Name: "client leaves during a callout", Silent: []string{"backend"}, Script: `
		request_headers return 1
		request_headers http_call "{case}-backend" ":method=GET\n:path=/\n:authority=a" "" "" 3000
		http_call_response set_effective_context $stream
		http_call_response continue_stream 0
		http_call_response send_local_response 200 "" "late" "" -1`,
		Steps: append(leave("/", "request_headers http_call"), await("http_call_response send_local_response")...)},
	{Name: "client leaves and another comes", Script: `
		request_headers once
		request_headers return 1`, Steps: append(leave("/", "request_headers("), get("/echo")...)},

	{Name: "numbers of shared data", Alone: true, Script: `
		configure set_shared_data "a" "1" 0
		configure get_shared_data "a" >c
		configure set_shared_data "b" "1" 0
		configure get_shared_data "b"
		request_headers get_shared_data "a" >c
		request_headers set_shared_data "a" "2" $c
		request_headers get_shared_data "a"
		request_headers set_shared_data "a" "3" $c
		request_headers set_shared_data "new" "1" 1000000
		request_headers get_shared_data "new"
		request_headers register_shared_queue "q"
		request_headers register_shared_queue "r"
		request_headers register_shared_queue "q"`, Steps: get("/")},
}

func leave(path, when string) []Step {
	return []Step{{Request: &Request{Path: path}, Leave: when}}
}
