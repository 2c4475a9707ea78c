package conformance

var flowCases = []*Case{
	{Name: "callbacks in order", Steps: []Step{{Request: &Request{Method: "POST", Path: "/trailers", Body: "body",
		Trailer: [][2]string{{"a", "1"}}}}}},
	{Name: "two streams one after the other", Steps: append(get("/"), get("/echo")...)},
	{Name: "pause in request headers and continue by tick", Script: `
		request_headers return 1
		request_headers set_tick_period_milliseconds 20
		tick set_effective_context 2
		tick get_header_map_value 0 ":path"
		tick add_header_map_value 0 "x-late" "1"
		tick continue_stream 0
		tick get_header_map_value 0 ":path"
		tick set_tick_period_milliseconds 0`, Steps: get("/echo")},
	{Name: "pause with a body that waits", Script: `
		request_headers return 1
		request_headers set_tick_period_milliseconds 50
		tick set_effective_context 2
		tick continue_stream 0
		tick set_tick_period_milliseconds 0`, Steps: post("/echo", "hello")},
	{Name: "pause with a body and trailers that wait", Script: `
		request_headers return 1
		request_headers set_tick_period_milliseconds 50
		tick set_effective_context 2
		tick continue_stream 0
		tick set_tick_period_milliseconds 0`, Steps: []Step{{Request: &Request{Method: "POST", Path: "/echo", Body: "hello",
		Trailer: [][2]string{{"a", "1"}}}}}},
	{Name: "stop iteration allowed", AllowStop: true, Script: `
		request_headers return 1
		request_body get_buffer_bytes 0 0 100`, Steps: post("/echo", "hello")},
	{Name: "stop iteration allowed and trailers", AllowStop: true, Script: `
		request_headers return 1
		request_trailers get_header_map_pairs 1`, Steps: []Step{{Request: &Request{Method: "POST", Path: "/echo", Body: "hello",
		Trailer: [][2]string{{"a", "1"}}}}}},
	{Name: "pause in request body", Script: `
		request_body once
		request_body return 1
		request_body set_tick_period_milliseconds 50
		tick set_effective_context 2
		tick get_buffer_bytes 0 0 100
		tick continue_stream 0
		tick set_tick_period_milliseconds 0`, Steps: post("/echo", "hello")},
	{Name: "pause in request trailers", Script: `
		request_trailers return 1
		request_trailers set_tick_period_milliseconds 20
		tick set_effective_context 2
		tick get_header_map_pairs 1
		tick add_header_map_value 1 "x-late" "1"
		tick continue_stream 0
		tick set_tick_period_milliseconds 0`, Steps: []Step{{Request: &Request{Method: "POST", Path: "/echo", Body: "hello",
		Trailer: [][2]string{{"a", "1"}}}}}},
	{Name: "pause in response headers", Script: `
		response_headers return 1
		response_headers set_tick_period_milliseconds 50
		tick set_effective_context 2
		tick get_header_map_value 2 ":status"
		tick add_header_map_value 2 "x-late" "1"
		tick continue_stream 1
		tick set_tick_period_milliseconds 0`, Steps: get("/echo")},
	{Name: "pause in response body", Script: `
		response_headers remove_header_map_value 2 "content-length"
		response_body once
		response_body return 1
		response_body set_tick_period_milliseconds 50
		tick set_effective_context 2
		tick get_buffer_bytes 1 0 100
		tick set_buffer_bytes 1 0 -1 "changed"
		tick continue_stream 1
		tick set_tick_period_milliseconds 0`, Steps: get("/echo")},
	{Name: "pause in response trailers", Script: `
		response_trailers return 1
		response_trailers set_tick_period_milliseconds 50
		tick set_effective_context 2
		tick get_header_map_pairs 3
		tick continue_stream 1
		tick set_tick_period_milliseconds 0`, Steps: get("/trailers")},
	{Name: "continue without a pause", Script: `
		request_headers continue_stream 0
		request_headers get_header_map_value 0 ":path"
		response_headers continue_stream 1
		response_headers get_header_map_value 2 ":status"`, Steps: get("/echo")},
	{Name: "continue and pause in one callback", Script: `
		request_headers continue_stream 0
		request_headers return 1`, Steps: get("/echo")},
	{Name: "continue of other streams", Script: `
		request_headers continue_stream 2
		request_headers continue_stream 3
		request_headers continue_stream 4
		request_headers continue_stream 99
		request_headers close_stream 99
		request_headers close_stream 2
		request_headers close_stream 3
		configure continue_stream 0
		configure continue_stream 1
		configure close_stream 0`, Steps: get("/echo")},
	{Name: "close the request in its headers", Script: `
		request_headers close_stream 0
		request_headers return 1`, Steps: get("/echo")},
	{Name: "close the response in its headers", Script: `
		response_headers close_stream 1
		response_headers return 1`, Steps: get("/echo")},
	{Name: "close the response in its body", Script: `
		response_body once
		response_body close_stream 1`, Steps: get("/echo")},
	{Name: "results that are no actions", Script: `
		request_headers return 2
		request_body return 7
		response_headers return 3
		response_body return 0`, Steps: get("/echo")},
	{Name: "stop all and watermark", Script: `
		request_headers return 4
		request_headers set_tick_period_milliseconds 50
		tick set_effective_context 2
		tick continue_stream 0
		tick set_tick_period_milliseconds 0`, Steps: post("/echo", "hello")},
	{Name: "the application resets", Steps: get("/reset")},
	{Name: "the application cuts its answer", Steps: get("/cut")},
	{Name: "forwarded for", Script: `
		request_headers get_property "source\x00address"
		request_headers get_header_map_value 0 "x-forwarded-for"`, Steps: []Step{{Request: &Request{
		Header: [][2]string{{"x-forwarded-for", "10.9.9.9, 10.8.8.8"}}}}}},
	{Name: "forwarded for and a remote address", Remote: true, Script: `
		request_headers get_property "source\x00address"
		request_headers get_header_map_pairs 0`, Steps: []Step{{Request: &Request{
		Header: [][2]string{{"x-forwarded-for", "10.9.9.9"}}}}}},
	{Name: "forwarded for and a trusted hop", Remote: true, Hops: 1, Script: `
		request_headers get_property "source\x00address"
		request_headers get_header_map_pairs 0`, Steps: []Step{{Request: &Request{
		Header: [][2]string{{"x-forwarded-for", "10.9.9.9"}}}}}},
	{Name: "a remote address alone", Remote: true, Script: `
		request_headers get_property "source\x00address"
		request_headers get_header_map_pairs 0`, Steps: get("/")},
}

// localReply is a local response with all its parts.
const localReply = ` send_local_response 403 "some details" "no entry" "x-a=1\nx-b=2\ncontent-type=text/html" -1`

var replyCases = []*Case{
	{Name: "local reply in request headers", Script: `
		request_headers` + localReply + `
		request_headers get_header_map_value 0 ":path"
		response_headers get_header_map_pairs 2
		response_body get_buffer_bytes 1 0 100
		log get_header_map_pairs 2`, Steps: get("/")},
	{Name: "local reply without a body", Script: `
		request_headers send_local_response 204 "" "" "" -1`, Steps: get("/")},
	{Name: "local reply empty 200", Script: `
		request_headers send_local_response 200 "d" "" "content-type=text/html" -1`, Steps: get("/")},
	{Name: "local reply to head", Script: `
		request_headers send_local_response 200 "d" "body" "" -1`, Steps: []Step{{Request: &Request{Method: "HEAD"}}}},
	{Name: "local reply to a body", Script: `
		request_body` + localReply, Steps: post("/", "hello")},
	{Name: "local reply before the body came", Script: `
		request_headers` + localReply, Steps: post("/", "hello")},
	{Name: "local reply to trailers", Script: `
		request_trailers` + localReply, Steps: []Step{{Request: &Request{Method: "POST", Body: "hello",
		Trailer: [][2]string{{"a", "1"}}}}}},
	{Name: "local reply in response headers", Script: `
		response_headers` + localReply, Steps: get("/")},
	{Name: "local reply in response body that is held", Script: `
		response_headers return 4
		response_headers set_tick_period_milliseconds 50
		tick set_effective_context 2
		tick` + localReply + `
		tick set_tick_period_milliseconds 0`, Steps: get("/")},
	{Name: "local reply from the root", Script: `
		configure` + localReply, Steps: get("/")},
	{Name: "local reply by tick", Script: `
		request_headers return 1
		request_headers set_tick_period_milliseconds 20
		tick set_effective_context 2
		tick` + localReply + `
		tick set_tick_period_milliseconds 0`, Steps: get("/")},
	{Name: "local reply twice", Script: `
		request_headers` + localReply + `
		request_headers send_local_response 404 "second" "no" "" -1`, Steps: get("/")},
	{Name: "local reply from its own response headers", Script: `
		request_headers` + localReply + `
		response_headers send_local_response 404 "second" "no" "" -1`, Steps: get("/")},
	{Name: "local reply and continue", Script: `
		request_headers` + localReply + `
		request_headers continue_stream 0
		request_headers return 0`, Steps: get("/")},
	{Name: "local reply changed on its way", Script: `
		request_headers` + localReply + `
		response_headers replace_header_map_value 2 "x-a" "9"
		response_headers replace_header_map_value 2 ":status" "201"
		response_headers get_header_map_pairs 2`, Steps: get("/")},
	{Name: "local reply paused on its way", Script: `
		request_headers` + localReply + `
		response_headers return 1
		response_headers set_tick_period_milliseconds 20
		tick set_effective_context 2
		tick continue_stream 1
		tick set_tick_period_milliseconds 0`, Steps: get("/")},
	{Name: "local reply to grpc", Script: `
		request_headers send_local_response 403 "d" "no entry" "x-a=1" 7
		response_headers get_header_map_pairs 2`, Steps: []Step{{Request: &Request{Method: "POST",
		Header: [][2]string{{"content-type", "application/grpc"}}}}}},
	{Name: "local reply to grpc without a grpc status", Script: `
		request_headers send_local_response 403 "d" "no entry" "x-a=1" -1
		response_headers get_header_map_pairs 2`, Steps: []Step{{Request: &Request{Method: "POST",
		Header: [][2]string{{"content-type", "application/grpc"}}}}}},
	{Name: "local reply with a grpc status to none", Script: `
		request_headers send_local_response 403 "d" "no entry" "x-a=1" 7`, Steps: get("/")},
	{Name: "local reply with odd fields", Script: `
		request_headers send_local_response 200 "" "b" "X-Upper=1\nx-same=1\nx-same=2\nx-none=\nset-cookie=a\nset-cookie=b" -1`, Steps: get("/")},
	{Name: "local reply with odd details", Script: `
		request_headers send_local_response 200 "tab\tand  blanks|pipe" "b" "" -1`, Steps: get("/")},
	{Name: "local reply of no status", Script: `
		request_headers send_local_response 999 "d" "b" "" -1`, Steps: get("/")},
	{Name: "local reply after a reply", Script: `
		request_headers` + localReply, Steps: append(get("/"), get("/")...)},
}
