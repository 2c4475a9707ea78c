package hostsim_test

import (
	"testing"

	"github.com/healthgate/healthgate/hostsim"
)

func TestHeaderMaps(t *testing.T) {
	t.Parallel()
	runCalls(t, []callCase{
		{
			name: "names are lower-cased, the first value counts, empty is not missing",
			script: `
				request_headers get_header_map_value 0 ":path"
				request_headers get_header_map_value 0 "X"
				request_headers get_header_map_value 0 "empty"
				request_headers get_header_map_value 0 "missing"
				request_headers get_header_map_value 8 "x"
				request_headers add_header_map_value 0 "New" "1"
				request_headers get_header_map_value 0 "new"`,
			drive: get,
			want: `
				request_headers get_header_map_value 0 ":path" = 0 "/"
				request_headers get_header_map_value 0 "X" = 0 "1"
				request_headers get_header_map_value 0 "empty" = 0 "" null
				request_headers get_header_map_value 0 "missing" = 1
				request_headers get_header_map_value 8 "x" = 2
				request_headers add_header_map_value 0 "New" "1" = 0
				request_headers get_header_map_value 0 "new" = 0 "1"`,
		}, {
			name: "maps vanish after Continue",
			script: `
				response_headers get_header_map_value 0 ":path"
				response_headers get_header_map_pairs 0
				response_headers get_header_map_size 0
				response_headers get_header_map_value 2 ":status"
				response_body get_header_map_value 2 ":status"
				request_headers get_header_map_value 6 "x"
				request_headers get_header_map_pairs 7`,
			drive: get,
			want: `
				request_headers get_header_map_value 6 "x" = 2
				request_headers get_header_map_pairs 7 = 0 {}
				response_headers get_header_map_value 0 ":path" = 2
				response_headers get_header_map_pairs 0 = 0 {}
				response_headers get_header_map_size 0 = 2
				response_headers get_header_map_value 2 ":status" = 0 "200"
				response_body get_header_map_value 2 ":status" = 2
				response_body get_header_map_value 2 ":status" = 2`,
		}, {
			name: "the size is in bytes",
			script: `
				request_headers set_header_map_pairs 0 "a=12\nbc=3"
				request_headers get_header_map_size 0`,
			drive: get,
			want: `
				request_headers set_header_map_pairs 0 "a=12\nbc=3" = 0
				request_headers get_header_map_size 0 = 0 6`,
		}, {
			name: "replace and remove take all values",
			script: `
				request_headers replace_header_map_value 0 "x" "3"
				request_headers remove_header_map_value 0 "empty"
				request_headers remove_header_map_value 0 "x-request-id"
				request_headers get_header_map_pairs 0`,
			drive: get,
			want: `
				request_headers replace_header_map_value 0 "x" "3" = 0
				request_headers remove_header_map_value 0 "empty" = 0
				request_headers remove_header_map_value 0 "x-request-id" = 0
				request_headers get_header_map_pairs 0 = 0 {:authority=localhost :path=/ :method=GET :scheme=http x-forwarded-proto=http x=3}`,
		}, {
			name: "the access log sees the maps again, and cannot change them",
			script: `
				log get_header_map_value 0 ":path"
				log get_header_map_value 0 "missing"
				log get_header_map_value 2 ":status"
				log get_header_map_value 1 "x"
				log add_header_map_value 0 "x" "1"`,
			drive: get,
			want: `
				log get_header_map_value 0 ":path" = 0 "/"
				log get_header_map_value 0 "missing" = 1
				log get_header_map_value 2 ":status" = 0 "200"
				log get_header_map_value 1 "x" = 1
				log add_header_map_value 0 "x" "1" = 2`,
		}, {
			name: "trailers come into being in the last body callback",
			script: `
				request_body add_header_map_value 1 "t" "v"
				request_body get_header_map_value 1 "t"`,
			drive: func(h *hostsim.Host) { post(h) },
			want: `
				request_body add_header_map_value 1 "t" "v" = 2
				request_body get_header_map_value 1 "t" = 2
				request_body add_header_map_value 1 "t" "v" = 0
				request_body get_header_map_value 1 "t" = 0 "v"`,
		},
	})
}

func TestBuffers(t *testing.T) {
	t.Parallel()
	runCalls(t, []callCase{
		{
			name: "reading past the end is OK and empty",
			script: `
				request_body once
				request_body get_buffer_bytes 0 0 4
				request_body get_buffer_bytes 0 8 100
				request_body get_buffer_bytes 0 10 1
				request_body get_buffer_bytes 0 4294967295 4294967295
				request_body get_buffer_status 0
				request_body get_buffer_bytes 9 0 1`,
			drive: post,
			want: `
				request_body get_buffer_bytes 0 0 4 = 0 "0123"
				request_body get_buffer_bytes 0 8 100 = 0 "89"
				request_body get_buffer_bytes 0 10 1 = 0 "" null
				request_body get_buffer_bytes 0 4294967295 4294967295 = 0 "" null
				request_body get_buffer_status 0 = 0 10
				request_body get_buffer_bytes 9 0 1 = 2`,
		}, {
			name: "start 0 replaces the front, the end appends, the middle cannot be changed",
			script: `
				request_body once
				request_body set_buffer_bytes 0 0 3 "ab"
				request_body set_buffer_bytes 0 0 0 "<"
				request_body set_buffer_bytes 0 10 0 ">"
				request_body set_buffer_bytes 0 4 1 "x"
				request_body get_buffer_bytes 0 0 100
				request_body set_buffer_bytes 0 0 100 "all"
				request_body get_buffer_bytes 0 0 100`,
			drive: post,
			want: `
				request_body set_buffer_bytes 0 0 3 "ab" = 0
				request_body set_buffer_bytes 0 0 0 "<" = 0
				request_body set_buffer_bytes 0 10 0 ">" = 0
				request_body set_buffer_bytes 0 4 1 "x" = 2
				request_body get_buffer_bytes 0 0 100 = 0 "<ab3456789>"
				request_body set_buffer_bytes 0 0 100 "all" = 0
				request_body get_buffer_bytes 0 0 100 = 0 "all"`,
		}, {
			name: "the plugin's configuration is there in on_configure only, the VM's always",
			script: `
				configure get_buffer_bytes 7 0 9
				configure get_buffer_bytes 6 0 100
				request_headers get_buffer_bytes 7 0 9
				request_headers get_buffer_status 7
				request_headers get_buffer_bytes 6 0 100
				request_headers set_buffer_bytes 6 0 0 "x"
				request_headers get_buffer_bytes 4 0 1`,
			opts:  []hostsim.Option{hostsim.VMConfig("vm")},
			drive: get,
			want: `
				configure get_buffer_bytes 7 0 9 = 0 "\n\t\t\t\tconf"
				configure get_buffer_bytes 6 0 100 = 0 "vm"
				request_headers get_buffer_bytes 7 0 9 = 1
				request_headers get_buffer_status 7 = 1
				request_headers get_buffer_bytes 6 0 100 = 0 "vm"
				request_headers set_buffer_bytes 6 0 0 "x" = 2
				request_headers get_buffer_bytes 4 0 1 = 1`,
		},
	})
}
