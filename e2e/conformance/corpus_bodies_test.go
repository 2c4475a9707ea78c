package conformance

import "strings"

var bodyCases = []*Case{
	{Name: "request body read", Script: `
		request_body get_buffer_bytes 0 0 100
		request_body get_buffer_bytes 0 2 3
		request_body get_buffer_bytes 0 5 0
		request_body get_buffer_bytes 0 9 10
		request_body get_buffer_bytes 0 10 1
		request_body get_buffer_bytes 0 99 1
		request_body get_buffer_bytes 0 0 -1
		request_body get_buffer_bytes 0 5 -1
		request_body get_buffer_status 0`, Steps: post("/echo", "0123456789")},
	{Name: "response body read", Script: `
		response_body get_buffer_bytes 1 0 100
		response_body get_buffer_bytes 1 2 3
		response_body get_buffer_bytes 1 99 1
		response_body get_buffer_status 1`, Steps: post("/echo", "0123456789")},
	{Name: "request body replaced", Script: `
		request_body set_buffer_bytes 0 0 -1 "new"
		request_body get_buffer_bytes 0 0 100
		request_headers remove_header_map_value 0 "content-length"`, Steps: post("/echo", "0123456789")},
	{Name: "request body prefix replaced", Script: `
		request_headers remove_header_map_value 0 "content-length"
		request_body set_buffer_bytes 0 0 3 "abc"
		request_body get_buffer_bytes 0 0 100`, Steps: post("/echo", "0123456789")},
	{Name: "request body prepended", Script: `
		request_headers remove_header_map_value 0 "content-length"
		request_body set_buffer_bytes 0 0 0 "abc"
		request_body get_buffer_bytes 0 0 100`, Steps: post("/echo", "0123456789")},
	{Name: "request body appended", Script: `
		request_headers remove_header_map_value 0 "content-length"
		request_body set_buffer_bytes 0 10 0 "abc"
		request_body set_buffer_bytes 0 100 5 "def"
		request_body get_buffer_bytes 0 0 100`, Steps: post("/echo", "0123456789")},
	{Name: "request body middle refused", Script: `
		request_headers remove_header_map_value 0 "content-length"
		request_body set_buffer_bytes 0 3 3 "abc"
		request_body get_buffer_bytes 0 0 100`, Steps: post("/echo", "0123456789")},
	{Name: "request body emptied", Script: `
		request_headers remove_header_map_value 0 "content-length"
		request_body set_buffer_bytes 0 0 100 ""
		request_body get_buffer_bytes 0 0 100`, Steps: post("/echo", "0123456789")},
	{Name: "response body replaced", Script: `
		response_headers remove_header_map_value 2 "content-length"
		response_body set_buffer_bytes 1 0 -1 "new"
		response_body get_buffer_bytes 1 0 100`, Steps: post("/echo", "0123456789")},
	{Name: "response body appended at its end", Script: `
		response_headers remove_header_map_value 2 "content-length"
		response_body set_buffer_bytes 1 1000 0 "+"
		response_body get_buffer_bytes 1 0 100`, Steps: post("/echo", "0123456789")},
	{Name: "request body held back", Script: `
		request_body once
		request_body return 1
		request_body get_buffer_bytes 0 0 100
		request_body get_buffer_status 0`, Steps: chunks("/echo", "one", "two", "three")},
	{Name: "request body held back and replaced", Script: `
		request_headers remove_header_map_value 0 "content-length"
		request_body get_buffer_bytes 0 0 100
		request_body set_buffer_bytes 0 0 -1 "x"
		request_body get_buffer_bytes 0 0 100
		request_body return 1`, Steps: []Step{{Async: true, Request: &Request{Method: "POST", Path: "/echo", Chunks: []string{"one", "two"},
		Trailer: [][2]string{{"end", "1"}}}}}},
	{Name: "chunks pass one by one", Script: `
		request_body get_buffer_bytes 0 0 100`, Steps: chunks("/echo", "one", "two", "three")},
	{Name: "response body held back to its end", Script: `
		response_body get_buffer_bytes 1 0 100
		response_body once
		response_body return 1`, Steps: post("/echo", "0123456789")},
	{Name: "buffers of other phases", Script: `
		request_headers get_buffer_bytes 0 0 10
		request_headers get_buffer_bytes 1 0 10
		request_headers get_buffer_status 0
		request_headers set_buffer_bytes 0 0 0 "x"
		response_headers get_buffer_bytes 0 0 10
		response_headers get_buffer_bytes 1 0 10
		response_body get_buffer_bytes 0 0 10
		request_body get_buffer_bytes 1 0 10
		log get_buffer_bytes 0 0 10
		log get_buffer_bytes 1 0 10`, Steps: post("/echo", "hello")},
	{Name: "other buffers", Script: `
		request_headers get_buffer_bytes 2 0 10
		request_headers get_buffer_bytes 3 0 10
		request_headers get_buffer_bytes 4 0 10
		request_headers get_buffer_bytes 5 0 10
		request_headers get_buffer_bytes 6 0 100
		request_headers get_buffer_bytes 7 0 10
		request_headers get_buffer_bytes 8 0 10
		request_headers get_buffer_bytes 9 0 10
		request_headers get_buffer_status 4
		request_headers get_buffer_status 7
		request_headers get_buffer_status 9
		request_headers set_buffer_bytes 4 0 0 "x"
		request_headers set_buffer_bytes 6 0 0 "x"
		request_headers set_buffer_bytes 7 0 0 "x"
		request_headers set_buffer_bytes 8 0 0 "x"
		request_headers set_buffer_bytes 9 0 0 "x"`, VMConfig: "the VM's own", Steps: get("/")},
	{Name: "configuration buffers", Script: `
		configure get_buffer_bytes 6 0 100
		configure get_buffer_bytes 7 0 20
		configure get_buffer_status 6
		configure get_buffer_status 7
		configure set_buffer_bytes 7 0 0 "x"
		configure set_buffer_bytes 6 0 0 "x"
		tick get_buffer_bytes 7 0 10`, VMConfig: "the VM's own", Steps: get("/")},
	{Name: "request trailers added with the body", Script: `
		request_body add_header_map_value 1 "added" "1"
		request_body get_header_map_pairs 1`, Steps: chunks("/echo", "one")},
	{Name: "response trailers added with the body", Script: `
		response_headers remove_header_map_value 2 "content-length"
		response_body add_header_map_value 3 "added" "1"
		response_body get_header_map_pairs 3`, Steps: post("/echo", "hello")},
	{Name: "trailers both ways", Steps: []Step{{Request: &Request{Method: "POST", Path: "/trailers", Body: "body",
		Trailer: [][2]string{{"a", "1"}, {"b", "2"}}}}}},
	{Name: "a large response", Script: `
		response_body get_buffer_status 1`, Steps: get("/big/3000")},
	{Name: "a bodiless response", Steps: get("/none")},
	{Name: "an empty response", Steps: get("/empty")},
	{Name: "a head request", Steps: []Step{{Request: &Request{Method: "HEAD", Path: "/echo"}}}},
	{Name: "request too large to hold", Script: `
		request_body return 1`, Limit: 2000, Steps: post("/echo", strings.Repeat("x", 5000))},
	{Name: "response too large to hold", Script: `
		response_body return 1`, Limit: 2000, Steps: get("/big/5000")},
}

func chunks(path string, pieces ...string) []Step {
	return []Step{{Request: &Request{Method: "POST", Path: path, Chunks: pieces}}}
}
