package conformance

import "strconv"

// waits makes a script whose request waits for the callback that is named, and goes on then.
func waits(callback, script string) string {
	return script + `
		request_headers return 1
		` + callback + ` set_effective_context $stream
		` + callback + ` continue_stream 0`
}

// grpcService is a GrpcService message with envoy_grpc.cluster_name, as SDKs make it, quoted for a script.
func grpcService(cluster string) string {
	inner := "\n" + string(rune(len(cluster))) + cluster
	return strconv.Quote("\n" + string(rune(len(inner))) + inner)
}

func grpcCall(method, rest string) string {
	return `
		request_headers grpc_call "{case}-backend" "some.Service" "` + method + `" "k=v" "hello" 5000 >c` + rest
}

const grpcView = `
		grpc_receive get_buffer_bytes 5 0 100
		grpc_close get_status`

func grpcStream(method, rest string) string {
	return `
		request_headers grpc_stream "{case}-backend" "some.Service" "` + method + `" "k=v" >s
		request_headers grpc_send $s "one" 0` + rest + `
		grpc_initial get_header_map_value 4 ":status"
		grpc_initial get_header_map_value 4 "content-type"
		grpc_initial get_header_map_value 4 "x-first"
		grpc_trailing get_header_map_value 5 "grpc-status"
		grpc_trailing get_header_map_value 5 "grpc-message"
		grpc_trailing get_header_map_value 5 "x-last"` + grpcView
}

var grpcCases = grpcOn([]*Case{
	{Name: "grpc call answered", Script: waits("grpc_receive", grpcCall("echo", grpcView))},
	{Name: "grpc call of nothing", Script: waits("grpc_receive", `
		request_headers grpc_call "{case}-backend" "some.Service" "echo" "" "" 5000`+grpcView)},
	{Name: "grpc by a service message", Script: waits("grpc_receive", `
		request_headers grpc_call `+grpcService("grpc_by_a_service_message-backend")+` "some.Service" "echo" "" "x" 5000`+grpcView)},
	{Name: "grpc call answered with nothing", Script: waits("grpc_receive", grpcCall("empty", grpcView))},
	{Name: "grpc call answered at length", Script: waits("grpc_receive", grpcCall("big", `
		grpc_receive get_buffer_bytes 5 299990 100
		grpc_receive get_buffer_status 5`))},
	{Name: "grpc call fails", Script: waits("grpc_close", grpcCall("fail", grpcView))},
	{Name: "grpc call without a message", Script: waits("grpc_close", grpcCall("nothing", grpcView))},
	{Name: "grpc call fails midway", Script: waits("grpc_close", grpcCall("midway", grpcView))},
	{Name: "grpc call to a port that refuses", Script: waits("grpc_close", `
		request_headers grpc_call "refused" "some.Service" "echo" "" "x" 5000`+grpcView)},
	{Name: "grpc call to an unknown cluster", Script: `
		request_headers grpc_call "{case}-none" "some.Service" "echo" "" "x" 5000` + grpcView},
	{Name: "grpc call to an unknown cluster by a service message", Script: `
		request_headers grpc_call ` + grpcService("none") + ` "some.Service" "echo" "" "x" 5000` + grpcView},
	{Name: "grpc call cancelled", Script: grpcCall("echo", grpcView+`
		request_headers grpc_cancel $c
		request_headers grpc_cancel $c
		request_headers grpc_close $c
		request_headers grpc_send $c "more" 1`)},
	{Name: "grpc call closed", Script: grpcCall("echo", grpcView+`
		request_headers grpc_close $c
		request_headers grpc_close $c
		request_headers grpc_cancel $c`)},
	{Name: "grpc ids that are none", Script: `
		request_headers grpc_send 0 "x" 0
		request_headers grpc_send 1 "x" 0
		request_headers grpc_send 2 "x" 0
		request_headers grpc_send 6 "x" 0
		request_headers grpc_cancel 0
		request_headers grpc_cancel 1
		request_headers grpc_cancel 2
		request_headers grpc_cancel 3
		request_headers grpc_close 0
		request_headers grpc_close 1
		request_headers grpc_close 2
		request_headers grpc_close 3`},
	{Name: "grpc stream", Script: waits("grpc_close", grpcStream("each", `
		request_headers grpc_send $s "two" 0
		request_headers grpc_send $s "" 1`))},
	{Name: "grpc stream in turns", Script: waits("grpc_close", grpcStream("each", `
		grpc_receive once
		grpc_receive grpc_send $s "two" 1`))},
	{Name: "grpc stream closed by the plugin", Script: waits("grpc_close", grpcStream("each", `
		request_headers grpc_close $s
		grpc_close grpc_close $s`))},
	{Name: "grpc stream of one message", Script: waits("grpc_close", `
		request_headers grpc_stream "{case}-backend" "some.Service" "echo" "" >s
		request_headers grpc_send $s "only" 1
		request_headers grpc_send $s "late" 1`+grpcView)},
	{Name: "grpc stream that fails", Script: waits("grpc_close", grpcStream("midway", `
		request_headers grpc_close $s`))},
	{Name: "grpc stream that fails at once", Script: waits("grpc_close", grpcStream("fail", `
		request_headers grpc_close $s`))},
	{Name: "grpc stream cancelled", Script: grpcStream("each", `
		request_headers grpc_cancel $s
		request_headers grpc_cancel $s
		request_headers grpc_send $s "x" 0`)},
	{Name: "grpc stream to an unknown cluster", Script: `
		request_headers grpc_stream "{case}-none" "some.Service" "each" ""` + grpcView},
	{Name: "grpc two calls at once", Unordered: true, Script: waits("grpc_receive", grpcCall("echo", grpcCall("echo", grpcView)))},
})

// grpcOn gives the cases a server and a request.
func grpcOn(cases []*Case) []*Case {
	for _, c := range cases {
		c.Grpc, c.Steps = true, get("/")
	}
	return cases
}
