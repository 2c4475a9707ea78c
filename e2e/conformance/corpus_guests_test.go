package conformance

// secretBody is what the guests that look into bodies look for.
var secretBody = []Step{
	{Request: &Request{Path: "/secret"}}, {Request: &Request{Path: "/echo"}}, {Request: &Request{Path: "/none"}},
}

// guestCases run the plugins of other SDKs and of none, see hostsim/testdata/guests.
var guestCases = []*Case{
	{Name: "rust headers", Guest: "rust-http_headers", Steps: []Step{
		{Request: &Request{Path: "/hello"}}, {Request: &Request{Path: "/fields"}},
	}},
	{Name: "rust body", Guest: "rust-http_body", Steps: secretBody},
	{Name: "rust big body", Guest: "rust-http_body", Steps: get("/big/300000")},
	{Name: "rust body with trailers", Guest: "rust-http_body", Steps: get("/trailers")},
	{Name: "rust config", Guest: "rust-http_config", Config: "a value", Steps: get("/fields")},
	{Name: "rust config of nothing", Guest: "rust-http_config", Steps: get("/")},
	{Name: "rust config that is no UTF-8", Guest: "rust-http_config", Config: "\u00e9\u00fc", Steps: get("/")},
	{Name: "rust callout", Guest: "rust-http_auth_random", Backend: "httpbin", Steps: get("/")},
	{Name: "rust callout without a cluster", Guest: "rust-http_auth_random", Alone: true, Steps: append(get("/"), get("/")...)},
	{Name: "rust timer", Guest: "rust-hello_world", Repeats: true, Steps: append(await("lucky number"), get("/")...)},
	{Name: "tinygo headers", Guest: "tinygo-http_headers", Config: `{"header": "x-added", "value": "yes"}`, Steps: []Step{
		{Request: &Request{Path: "/fields", Header: [][2]string{{"test", "1"}, {"X", "2"}}}},
	}},
	{Name: "tinygo body", Guest: "tinygo-http_body", Config: "set", Steps: []Step{
		{Request: &Request{Method: "POST", Path: "/echo", Body: "body", Header: [][2]string{{"buffer-operation", "append"}}}},
		{Request: &Request{Method: "POST", Path: "/echo", Body: "body", Header: [][2]string{{"buffer-operation", "prepend"}}}},
		{Request: &Request{Method: "POST", Path: "/echo", Body: "body"}},
		{Request: &Request{Path: "/echo"}},
	}},
	{Name: "tinygo body echoed", Guest: "tinygo-http_body", Config: "echo", Steps: post("/", "back to you")},
	{Name: "tinygo callout", Guest: "tinygo-http_auth_random", Backend: "httpbin", Alone: true, Steps: []Step{
		{Request: &Request{Path: "/fields"}}, {Request: &Request{Path: "/status/404"}}, {Request: &Request{Path: "/bytes"}},
	}},
	{Name: "tinygo callout without a cluster", Guest: "tinygo-http_auth_random", Alone: true, Steps: get("/")},
	{Name: "tinygo metrics", Guest: "tinygo-metrics", Metrics: "proxy_wasm_go.", Steps: append(get("/"), get("/echo")...)},
	{Name: "tinygo postponed", Guest: "tinygo-postpone_requests", Steps: append(get("/"), get("/echo")...)},
	{Name: "tinygo shared data", Guest: "tinygo-shared_data", Steps: append(get("/"), get("/")...)},
	{Name: "tinygo timer", Guest: "tinygo-helloworld", Repeats: true, Steps: append(get("/"), Step{Await: "OnTick called"})},
	{Name: "c reactor", Guest: "c-reactor", Steps: append(get("/fields"), get("/refuse/this")...)},
	{Name: "c command", Guest: "c-command", Config: "from the operator", Steps: append(post("/echo", "a body"), get("/refuse")...)},
	{Name: "c command that constructs again", Guest: "c-command_wrapped", Steps: append(get("/"), get("/")...)},
}
