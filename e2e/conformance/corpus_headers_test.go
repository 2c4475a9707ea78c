package conformance

import (
	"slices"
	"strconv"
	"strings"
)

var fieldsRequest = []Step{{Request: &Request{Path: "/fields?q=1", Header: [][2]string{
	{"x", "1"}, {"x", "2"}, {"empty", ""}, {"User-Agent", "test"}, {"cookie", "a=1"}, {"cookie", "b=2"},
}}}}

// mapCalls are the calls that a header map knows, for the map whose number is in place of N.
const mapCalls = `
	PHASE get_header_map_value N "x"
	PHASE get_header_map_value N "X"
	PHASE get_header_map_value N "empty"
	PHASE get_header_map_value N "missing"
	PHASE get_header_map_value N ""
	PHASE get_header_map_value N ":path"
	PHASE get_header_map_value N ":status"
	PHASE get_header_map_size N
	PHASE get_header_map_pairs N`

const mapChanges = `
	PHASE add_header_map_value N "x-new" "1"
	PHASE add_header_map_value N "X-New" "2"
	PHASE add_header_map_value N "x-none" ""
	PHASE get_header_map_value N "x-none"
	PHASE replace_header_map_value N "x" "3"
	PHASE replace_header_map_value N "x-replaced" "4"
	PHASE remove_header_map_value N "empty"
	PHASE remove_header_map_value N "missing"
	PHASE get_header_map_pairs N
	PHASE get_header_map_size N`

var headerCases = slices.Concat(
	[]*Case{{Name: "nothing", Steps: get("/")}},
	eachMap("read", mapCalls),
	eachMap("change", mapChanges),
	[]*Case{
		{Name: "request set pairs", Script: `
			request_headers set_header_map_pairs 0 ":method=GET\n:path=/echo\n:authority=other\n:scheme=http\nx-a=1\nx-a=2"
			request_headers get_header_map_pairs 0`, Steps: fieldsRequest},
		{Name: "request set no pairs", Script: `
			request_headers set_header_map_pairs 0 ""
			request_headers get_header_map_pairs 0
			request_headers get_header_map_size 0
			request_headers send_local_response 200 "" "done" "" -1`, Steps: fieldsRequest},
		{Name: "response set pairs", Script: `
			response_headers set_header_map_pairs 2 ":status=201\nx-a=1\nx-a=2"
			response_headers get_header_map_pairs 2`, Steps: fieldsRequest},
		{Name: "request pseudo headers change", Script: `
			request_headers replace_header_map_value 0 ":path" "/echo/other?x=1"
			request_headers replace_header_map_value 0 ":method" "PUT"
			request_headers replace_header_map_value 0 ":authority" "elsewhere"
			request_headers get_header_map_pairs 0`, Steps: fieldsRequest},
		{Name: "response status change", Script: `
			response_headers replace_header_map_value 2 ":status" "418"`, Steps: fieldsRequest},
		{Name: "request host", Script: `
			request_headers get_header_map_value 0 "host"
			request_headers get_header_map_value 0 "Host"
			request_headers get_property "request\x00headers\x00host"
			request_headers replace_header_map_value 0 "host" "elsewhere"
			request_headers get_header_map_value 0 ":authority"
			request_headers get_header_map_value 0 "host"
			request_headers get_header_map_pairs 0
			response_headers add_header_map_value 2 "host" "response"
			response_headers get_header_map_value 2 "host"
			response_headers get_header_map_value 2 ":authority"`, Steps: fieldsRequest},
		{Name: "request host missing", Script: `
			request_headers remove_header_map_value 0 "host"
			request_headers get_header_map_value 0 ":authority"
			request_headers get_header_map_value 0 "host"
			request_headers get_header_map_pairs 0`, Steps: fieldsRequest},
		{Name: "request header twice", Script: `
			request_headers get_header_map_value 0 "x"
			request_headers get_property "request\x00headers\x00x"
			request_headers get_property "request\x00headers\x00cookie"
			request_headers get_property "request\x00headers\x00user-agent"
			request_headers get_header_map_pairs 0`, Steps: fieldsRequest},
		{Name: "path missing", Script: `
			request_headers remove_header_map_value 0 ":path"`, Steps: fieldsRequest},
		{Name: "method missing", Script: `
			request_headers remove_header_map_value 0 ":method"`, Steps: fieldsRequest},
		{Name: "authority missing", Script: `
			request_headers remove_header_map_value 0 ":authority"`, Steps: fieldsRequest},
		{Name: "response status missing", Script: `
			response_headers remove_header_map_value 2 ":status"`, Steps: fieldsRequest},
		{Name: "inline headers", Script: `
			request_headers add_header_map_value 0 "user-agent" "more"
			request_headers add_header_map_value 0 "cookie" "c=3"
			request_headers add_header_map_value 0 "host" "h"
			request_headers add_header_map_value 0 "x-forwarded-for" "1.2.3.4"
			request_headers add_header_map_value 0 "x-forwarded-for" "1.2.3.5"
			request_headers add_header_map_value 0 "accept" "a"
			request_headers add_header_map_value 0 "accept" "b"
			request_headers add_header_map_value 0 "content-type" "a"
			request_headers add_header_map_value 0 "content-type" "b"
			request_headers get_header_map_pairs 0`, Steps: fieldsRequest},
		{Name: "response inline headers", Script: `
			response_headers add_header_map_value 2 "content-type" "more"
			response_headers add_header_map_value 2 "set-cookie" "c=3"
			response_headers add_header_map_value 2 "server" "s"
			response_headers add_header_map_value 2 "date" "d"
			response_headers add_header_map_value 2 "x-envoy-upstream-service-time" "7"
			response_headers add_header_map_value 2 "cache-control" "a"
			response_headers add_header_map_value 2 "cache-control" "b"
			response_headers get_header_map_pairs 2`, Steps: fieldsRequest},
		{Name: "maps of other phases", Script: `
			request_headers get_header_map_value 2 "x"
			request_headers get_header_map_pairs 2
			request_headers get_header_map_size 2
			request_headers add_header_map_value 2 "x" "y"
			request_headers get_header_map_value 1 "x"
			request_headers get_header_map_value 3 "x"
			response_headers get_header_map_value 0 ":path"
			response_headers get_header_map_pairs 0
			response_headers add_header_map_value 0 "x" "y"
			response_headers set_header_map_pairs 0 "x=y"
			response_headers remove_header_map_value 0 "x"
			response_headers get_header_map_size 0
			log get_header_map_value 1 "x"
			log get_header_map_value 3 "x"
			log add_header_map_value 0 "x" "y"
			log add_header_map_value 2 "x" "y"
			log get_header_map_size 0
			done get_header_map_value 0 ":path"
			done get_header_map_pairs 0
			delete get_header_map_value 0 ":path"`, Steps: fieldsRequest},
		{Name: "maps of callouts and unknown maps", Script: `
			request_headers get_header_map_value 4 "x"
			request_headers get_header_map_value 5 "x"
			request_headers get_header_map_value 6 "x"
			request_headers get_header_map_value 7 "x"
			request_headers get_header_map_value 8 "x"
			request_headers get_header_map_value 9 "x"
			request_headers get_header_map_pairs 6
			request_headers get_header_map_pairs 9
			request_headers get_header_map_size 6
			request_headers get_header_map_size 9
			request_headers add_header_map_value 6 "x" "y"
			request_headers add_header_map_value 9 "x" "y"
			request_headers replace_header_map_value 9 "x" "y"
			request_headers remove_header_map_value 9 "x"
			request_headers set_header_map_pairs 9 "x=y"
			request_headers set_header_map_pairs 6 "x=y"`, Steps: get("/")},
		{Name: "maps in root callbacks", Script: `
			configure get_header_map_value 0 "x"
			configure get_header_map_pairs 0
			configure get_header_map_size 0
			configure add_header_map_value 0 "x" "y"
			configure get_header_map_pairs 6`, Steps: get("/")},
		{Name: "maps after a pause are kept", Script: `
			request_headers return 1
			request_body get_header_map_value 0 ":path"
			request_body replace_header_map_value 0 "x-late" "1"
			request_body get_header_map_pairs 0`, AllowStop: true, Steps: post("/echo", "hello")},
		{Name: "headers in the body phase after continue", Script: `
			request_body get_header_map_value 0 ":path"
			request_body get_header_map_pairs 0
			request_body add_header_map_value 0 "x" "y"
			response_body get_header_map_value 2 ":status"
			response_body get_header_map_pairs 2`, Steps: post("/echo", "hello")},
		{Name: "maps in log", Script: `
			log get_header_map_value 0 ":path"
			log get_header_map_value 2 ":status"
			log get_header_map_value 0 "missing"
			log get_header_map_pairs 0
			log get_header_map_pairs 2
			log get_header_map_pairs 3`, Steps: get("/trailers")},
		{Name: "header size of 300 fields", Script: `
			request_headers set_header_map_pairs 0 "` + strings.Repeat(`a=b\n`, 1030) + `"
			request_headers get_header_map_size 0
			request_headers send_local_response 200 "" "done" "" -1`, Steps: get("/")},
	},
)

// eachMap is the calls on each of a stream's four maps in its own phase.
func eachMap(name, calls string) []*Case {
	var cases []*Case
	for i, phase := range []string{"request_headers", "request_trailers", "response_headers", "response_trailers"} {
		script := strings.NewReplacer("PHASE", phase, " N", " "+strconv.Itoa(i)).Replace(calls)
		r := *fieldsRequest[0].Request
		if i%2 == 1 {
			r.Path, r.Method, r.Body, r.Trailer = "/trailers", "POST", "body", [][2]string{{"x", "1"}, {"x", "2"}, {"Empty", ""}}
		}
		cases = append(cases, &Case{Name: name + " " + phase, Script: script, Steps: []Step{{Request: &r}}})
	}
	return cases
}
