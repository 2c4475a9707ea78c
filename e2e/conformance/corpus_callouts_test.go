package conformance

import (
	"strings"
	"time"
)

// call is an http_call to the case's backend.
func call(path string) string {
	return ` http_call "{case}-backend" ":method=GET\n:path=` + path + `\n:authority=a" "" "" 5000`
}

// answered is what a plugin can ask when a call is over.
const answered = `
	http_call_response get_header_map_pairs 6
	http_call_response get_header_map_size 6
	http_call_response get_header_map_value 6 ":status"
	http_call_response get_header_map_value 6 "missing"
	http_call_response get_header_map_pairs 7
	http_call_response get_buffer_bytes 4 0 1000
	http_call_response get_buffer_status 4
	http_call_response get_status
	http_call_response add_header_map_value 6 "x" "y"
	http_call_response set_buffer_bytes 4 0 0 "x"
	http_call_response set_effective_context $stream
	http_call_response get_header_map_value 0 ":path"
	http_call_response continue_stream 0`

// callout makes a call in the request's headers, and goes on when the answer is there.
func callout(name, line string) *Case {
	script := "request_headers" + line + "\nrequest_headers return 1"
	return &Case{Name: "call " + name, Script: script + answered, Steps: get("/")}
}

var calloutCases = []*Case{
	callout("ok", call("/echo")),
	callout("with trailers", call("/trailers")),
	callout("with many fields", call("/fields")),
	callout("empty", call("/empty")),
	callout("no content", call("/none")),
	callout("status 500", call("/status/500")),
	callout("status 404", call("/status/404")),
	callout("large", call("/big/900")),
	callout("reset", call("/reset")),
	callout("cut", call("/cut")),
	callout("refused", ` http_call "refused" ":method=GET\n:path=/\n:authority=a" "" "" 5000`),
	callout("with body", ` http_call "{case}-backend" ":method=POST\n:path=/echo\n:authority=a\nx-a=1\nx-a=2" "the body" "" 5000`),
	callout("with body and trailers", ` http_call "{case}-backend" ":method=POST\n:path=/echo\n:authority=a" "the body" "t=1\nu=2" 5000`),
	callout("with trailers only", ` http_call "{case}-backend" ":method=POST\n:path=/echo\n:authority=a" "" "t=1\nu=2" 5000`),
	callout("with no timeout", ` http_call "{case}-backend" ":method=GET\n:path=/echo\n:authority=a" "" "" 0`),
	callout("with a scheme and odd fields", ` http_call "{case}-backend" ":method=GET\n:path=/echo\n:authority=a\n:scheme=https\nX-Upper=1\nx-forwarded-for=1.2.3.4" "" "" 5000`),
	callout("of method head", ` http_call "{case}-backend" ":method=HEAD\n:path=/echo\n:authority=a" "" "" 5000`),
	{Name: "call times out", Silent: []string{"backend"}, Script: `
		request_headers http_call "{case}-backend" ":method=GET\n:path=/echo\n:authority=a" "" "" 100
		request_headers return 1` + answered, Steps: get("/")},
	{Name: "call refused at once", Script: `
		request_headers http_call "unknown" ":method=GET\n:path=/\n:authority=a" "" "" 5000
		request_headers http_call "" ":method=GET\n:path=/\n:authority=a" "" "" 5000
		request_headers http_call "{case}-backend" ":path=/\n:authority=a" "" "" 5000
		request_headers http_call "{case}-backend" ":method=GET\n:authority=a" "" "" 5000
		request_headers http_call "{case}-backend" ":method=GET\n:path=/" "" "" 5000
		request_headers http_call "{case}-backend" "" "" "" 5000
		request_headers http_call "{case}-backend" ":method=GET\n:path=/\n:authority=a" "" "" -1
		request_headers http_call "empty" ":method=GET\n:path=/\n:authority=a" "" "" 5000
		request_headers get_status
		http_call_response get_header_map_pairs 6`, Steps: get("/")},
	{Name: "calls at once", Silent: []string{"application"}, Unordered: true, Script: `
		request_headers` + call("/echo") + `
		request_headers` + call("/echo") + `
		request_headers` + call("/echo") + `
		request_headers return 1
		http_call_response say "an answer"
		http_call_response set_effective_context $stream
		http_call_response get_header_map_value 0 ":path"`, Steps: []Step{{Async: true, Request: &Request{}},
		{Await: "http_call_response(1 12"}}},
	{Name: "call id is not used up by a refusal", Unordered: true, Script: `
		request_headers http_call "unknown" ":method=GET\n:path=/\n:authority=a" "" "" 5000
		request_headers http_call "empty" ":method=GET\n:path=/\n:authority=a" "" "" 5000
		request_headers` + call("/echo"), Steps: append(get("/"), Step{Await: "http_call_response(1"})},
	{Name: "call answered by a local reply", Script: `
		request_headers` + call("/status/403") + `
		request_headers return 1
		http_call_response set_effective_context $stream
		http_call_response` + localReply, Steps: get("/")},
	{Name: "call answered without an effective context", Script: `
		request_headers` + call("/status/403") + `
		request_headers return 1
		http_call_response set_tick_period_milliseconds 50
		http_call_response` + localReply + `
		http_call_response continue_stream 0
		tick set_effective_context $stream
		tick continue_stream 0
		tick set_tick_period_milliseconds 0`, Steps: get("/")},
	{Name: "call from response headers", Script: `
		response_headers` + call("/echo") + `
		response_headers return 1
		http_call_response set_effective_context $stream
		http_call_response get_header_map_value 2 ":status"
		http_call_response continue_stream 1`, Steps: get("/")},
	{Name: "call from log", Script: `
		log` + call("/echo") + `
		http_call_response get_header_map_value 6 ":status"`, Steps: append(get("/"), Step{Await: "http_call_response get_header"})},
	{Name: "call from a call's answer", Unordered: true, Script: `
		request_headers` + call("/echo/1") + `
		request_headers return 1
		http_call_response once
		http_call_response` + call("/echo/2") + `
		http_call_response set_effective_context $stream
		http_call_response continue_stream 0`, Steps: append(get("/"), Step{Await: "http_call_response(1 8"})},
	{Name: "call from a tick", Script: `
		request_headers set_tick_period_milliseconds 20
		tick` + call("/echo") + `
		tick set_tick_period_milliseconds 0
		http_call_response get_header_map_value 6 ":status"`, Steps: append(get("/"), Step{Await: "http_call_response get_header"})},
	{Name: "call buffers after the answer", Script: `
		request_headers` + call("/echo") + `
		request_headers return 1
		http_call_response set_effective_context $stream
		http_call_response continue_stream 0
		response_headers get_header_map_pairs 6
		response_headers get_buffer_bytes 4 0 10
		response_headers get_status`, Steps: get("/")},
}

// property reads one in each phase in which plugins do.
func property(name string, paths ...string) *Case {
	var b strings.Builder
	for _, phase := range []string{"configure", "request_headers", "response_headers", "log"} {
		for _, path := range paths {
			b.WriteString(phase + ` get_property "` + strings.ReplaceAll(path, ".", `\x00`) + "\"\n")
		}
	}
	return &Case{Name: "property " + name, Script: b.String(), VMConfig: "", Steps: []Step{{Request: &Request{
		Path: "/echo?a=b&c=d", Authority: "example.org", Header: [][2]string{{"user-agent", "ua"}, {"referer", "r"}, {"x-a", "1"}}}}}}
}

// flags reads the response flags while the response goes by, and at the end.
func flags(name string, c *Case) *Case {
	c.Name = "response flags " + name
	c.Script += `
		response_headers get_property "response\x00flags"
		log get_property "response\x00flags"`
	return c
}

// responseSize does not count the time that the application took, which has as many digits as it has.
var responseSize = func() *Case {
	c := property("response size", "response.size", "response.total_size")
	c.Script = `response_headers remove_header_map_value 2 "x-envoy-upstream-service-time"` + "\n" + c.Script
	return c
}()

var propertyCases = []*Case{
	property("path", "request.path", "request.url_path", "request.query"),
	property("host", "request.host", "request.scheme", "request.method"),
	property("agent", "request.useragent", "request.referer", "request.protocol"),
	property("id", "request.id"),
	property("size", "request.size", "request.total_size"),
	property("headers", "request.headers.x-a", "request.headers.missing", "request.headers.:path"),
	property("response", "response.code", "response.code_details", "response.grpc_status"),
	responseSize,
	property("response flags", "response.flags"),
	flags("of no host", &Case{App: "empty", Steps: get("/")}),
	flags("of a refused connection", &Case{App: "refused", Steps: get("/")}),
	flags("of a reset", &Case{Steps: get("/reset")}),
	flags("of an answer that is cut", &Case{Steps: get("/cut")}),
	flags("of a timeout", &Case{Silent: []string{"application"}, Patience: 20 * time.Second, Steps: get("/")}),
	flags("of no route", &Case{Script: `request_headers remove_header_map_value 0 ":path"`, Steps: get("/")}),
	flags("of no method", &Case{Script: `request_headers remove_header_map_value 0 ":method"`, Steps: get("/")}),
	flags("of a local reply", &Case{Script: `request_headers send_local_response 503 "d" "b" "" -1`, Steps: get("/")}),
	flags("of a request too large", &Case{Limit: 2000, Script: `request_body return 1`, Steps: post("/echo", strings.Repeat("x", 5000))}),
	flags("of a client that leaves", &Case{Silent: []string{"application"}, Steps: leave("/", "request_headers(")}),
	property("response headers", "response.headers.content-type", "response.headers.missing", "response.trailers.x"),
	property("connection", "connection.mtls", "connection.requested_server_name", "connection.tls_version",
		"connection.subject_local_certificate", "connection.sha256_peer_certificate_digest", "connection.termination_details"),
	property("source", "source.address"),
	property("destination", "destination.address"),
	property("upstream", "upstream.address", "upstream.transport_failure_reason", "upstream.local_address", "upstream.tls_version"),
	property("node", "xds.node.id", "xds.node.cluster", "xds.node.locality.zone", "xds.node.locality.region",
		"xds.node.locality.sub_zone", "xds.node.metadata.role", "xds.node.missing"),
	property("route", "xds.route_name", "xds.virtual_host_name", "xds.filter_chain_name"),
	property("cluster", "xds.cluster_name", "xds.cluster_metadata", "xds.route_metadata"),
	property("direction", "xds.listener_direction", "xds.listener_metadata", "xds.upstream_host_metadata"),
	property("plugin", "plugin_name", "plugin_root_id", "plugin_vm_id"),
	property("without a prefix", "node", "node.id", "cluster_name", "route_name", "listener_direction"),
	property("missing", "missing", "request", "request.missing", "source", "metadata", "filter_state.x", "xds"),
	property("metadata", "metadata.filter_metadata.a.b", "upstream.filter_state.x"),
	{Name: "property of no path", Script: `request_headers get_property ""
		request_headers get_property "\x00"
		request_headers get_property "request\x00path\x00"
		request_headers get_property "request\x00\x00path"`, Steps: get("/")},
	{Name: "property set and read", Script: `
		request_headers set_property "one" "1"
		request_headers get_property "one"
		request_headers set_property "a\x00b" "2"
		request_headers get_property "a\x00b"
		request_headers get_property "a"
		request_headers get_property "filter_state\x00wasm.one"
		request_headers set_property "one" "changed"
		request_headers set_property "none" ""
		request_headers set_property "" "x"
		response_headers get_property "one"
		response_headers get_property "none"
		log get_property "one"
		configure set_property "one" "1"
		configure get_property "one"`, Steps: get("/")},
	{Name: "property of a closed response", Script: `
		request_headers send_local_response 403 "my details" "b" "" -1
		response_headers get_property "response\x00code"
		log get_property "response\x00code"
		log get_property "response\x00code_details"
		log get_property "response\x00flags"`, Steps: get("/")},
}
