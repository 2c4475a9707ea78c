package hostsim_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/hostsim"
)

// callCase runs a script and compares what worker 0 logged.
type callCase struct {
	name   string
	script string
	opts   []hostsim.Option
	drive  func(h *hostsim.Host) // nil: nothing
	want   string
}

func get(h *hostsim.Host) {
	h.Worker(0).Do(&hostsim.Request{Header: hostsim.Header{{"x", "1"}, {"x", "2"}, {"empty", ""}}})
}

func post(h *hostsim.Host) {
	h.Worker(0).Do(&hostsim.Request{Method: "POST", Path: "/p", Body: []byte("0123456789")})
}

func runCalls(t *testing.T, cases []callCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			host := newHost(t, c.script, c.opts...)
			if c.drive != nil {
				c.drive(host)
			}
			wantLines(t, logged(host, "worker 0"), c.want)
		})
	}
}

func TestSharedData(t *testing.T) {
	t.Parallel()
	runCalls(t, []callCase{
		{
			name:   "a missing key is NotFound",
			script: `request_headers get_shared_data "k"`,
			drive:  get,
			want:   `request_headers get_shared_data "k" = 1`,
		}, {
			name: "cas 0 overwrites, the numbers count over the whole store and are never 0",
			script: `
				request_headers set_shared_data "a" "1" 0
				request_headers set_shared_data "b" "2" 0
				request_headers set_shared_data "a" "3" 0
				request_headers get_shared_data "a"
				request_headers get_shared_data "b"`,
			drive: get,
			want: `
				request_headers set_shared_data "a" "1" 0 = 0
				request_headers set_shared_data "b" "2" 0 = 0
				request_headers set_shared_data "a" "3" 0 = 0
				request_headers get_shared_data "a" = 0 "3" 3
				request_headers get_shared_data "b" = 0 "2" 2`,
		}, {
			name: "another cas must be the present one",
			script: `
				request_headers set_shared_data "a" "1" 0
				request_headers set_shared_data "a" "2" 7
				request_headers set_shared_data "a" "2" 1
				request_headers get_shared_data "a"`,
			drive: get,
			want: `
				request_headers set_shared_data "a" "1" 0 = 0
				request_headers set_shared_data "a" "2" 7 = 8
				request_headers set_shared_data "a" "2" 1 = 0
				request_headers get_shared_data "a" = 0 "2" 2`,
		}, {
			name: "a missing key is created whatever the cas",
			script: `
				request_headers set_shared_data "a" "1" 99
				request_headers get_shared_data "a"`,
			drive: get,
			want: `
				request_headers set_shared_data "a" "1" 99 = 0
				request_headers get_shared_data "a" = 0 "1" 1`,
		}, {
			name: "an empty key and an empty value are legal",
			script: `
				request_headers set_shared_data "" "" 0
				request_headers get_shared_data ""`,
			drive: get,
			want: `
				request_headers set_shared_data "" "" 0 = 0
				request_headers get_shared_data "" = 0 "" null 1`,
		}, {
			name: "a rival wins the compare-and-swap",
			script: `
				request_headers set_shared_data "a" "1" 0
				request_headers set_shared_data "a" "2" 1
				request_headers set_shared_data "a" "2" 2`,
			opts:  []hostsim.Option{hostsim.LoseCAS("a", 2)},
			drive: get,
			want: `
				request_headers set_shared_data "a" "1" 0 = 0
				request_headers set_shared_data "a" "2" 1 = 8
				request_headers set_shared_data "a" "2" 2 = 0`,
		},
	})
}

func TestSharedQueues(t *testing.T) {
	t.Parallel()
	runCalls(t, []callCase{
		{
			name: "ids start at 1, and the same name is the same queue",
			script: `
				request_headers register_shared_queue "q"
				request_headers register_shared_queue "r"
				request_headers register_shared_queue "q"`,
			drive: get,
			want: `
				request_headers register_shared_queue "q" = 0 1
				request_headers register_shared_queue "r" = 0 2
				request_headers register_shared_queue "q" = 0 1`,
		}, {
			name: "unknown is NotFound, drained is Empty",
			script: `
				request_headers resolve_shared_queue "" "q"
				request_headers dequeue_shared_queue 1
				request_headers enqueue_shared_queue 1 "x"
				request_headers register_shared_queue "q"
				request_headers dequeue_shared_queue 1
				request_headers enqueue_shared_queue 1 "x"
				request_headers enqueue_shared_queue 1 ""
				request_headers dequeue_shared_queue 1
				request_headers dequeue_shared_queue 1
				request_headers dequeue_shared_queue 1`,
			drive: get,
			want: `
				request_headers resolve_shared_queue "" "q" = 1
				request_headers dequeue_shared_queue 1 = 1
				request_headers enqueue_shared_queue 1 "x" = 1
				request_headers register_shared_queue "q" = 0 1
				request_headers dequeue_shared_queue 1 = 7
				request_headers enqueue_shared_queue 1 "x" = 0
				request_headers enqueue_shared_queue 1 "" = 0
				request_headers dequeue_shared_queue 1 = 0 "x"
				request_headers dequeue_shared_queue 1 = 0 "" null
				request_headers dequeue_shared_queue 1 = 7`,
		}, {
			name: "an empty vm_id is one's own",
			script: `
				request_headers register_shared_queue "q"
				request_headers resolve_shared_queue "" "q"
				request_headers resolve_shared_queue "mine" "q"
				request_headers resolve_shared_queue "other" "q"`,
			opts:  []hostsim.Option{hostsim.VMID("mine")},
			drive: get,
			want: `
				request_headers register_shared_queue "q" = 0 1
				request_headers resolve_shared_queue "" "q" = 0 1
				request_headers resolve_shared_queue "mine" "q" = 0 1
				request_headers resolve_shared_queue "other" "q" = 1`,
		}, {
			name: "the last registrant alone is told, after the call that enqueued",
			script: `
				configure register_shared_queue "q"
				request_headers enqueue_shared_queue 1 "x"
				request_headers say "enqueued"
				queue_ready dequeue_shared_queue 1`,
			opts:  []hostsim.Option{hostsim.Workers(2)},
			drive: func(h *hostsim.Host) { h.Worker(1).Get("/"); h.Worker(0).Get("/") },
			want: `
				configure register_shared_queue "q" = 0 1
				request_headers enqueue_shared_queue 1 "x" = 0
				enqueued`,
		},
	})
	t.Run("the registrant", func(t *testing.T) {
		t.Parallel()
		host := newHost(t, `
			configure register_shared_queue "q"
			queue_ready dequeue_shared_queue 1`, hostsim.Workers(2))
		if !host.Enqueue("q", "hello") || host.Enqueue("no such queue", "x") {
			t.Error("Enqueue found the wrong queues")
		}
		wantLines(t, logged(host, "worker 1"), `
			configure register_shared_queue "q" = 0 1
			queue_ready dequeue_shared_queue 1 = 0 "hello"`)
	})
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	runCalls(t, []callCase{
		{
			name: "each define has its own id, one name is one stat",
			script: `
				request_headers define_metric 0 "c" >a
				request_headers define_metric 0 "c" >b
				request_headers define_metric 1 "g"
				request_headers define_metric 2 "h"
				request_headers define_metric 3 "x"
				request_headers increment_metric $a 2
				request_headers increment_metric $b 3
				request_headers get_metric $a`,
			drive: get,
			want: `
				request_headers define_metric 0 "c" >a = 0 4
				request_headers define_metric 0 "c" >b = 0 8
				request_headers define_metric 1 "g" = 0 5
				request_headers define_metric 2 "h" = 0 6
				request_headers define_metric 3 "x" = 2
				request_headers increment_metric $a 2 = 0
				request_headers increment_metric $b 3 = 0
				request_headers get_metric $a = 0 5`,
		}, {
			name: "counters only go up",
			script: `
				request_headers define_metric 0 "c" >a
				request_headers increment_metric $a 0
				request_headers increment_metric $a -1
				request_headers record_metric $a 7
				request_headers record_metric $a 7
				request_headers get_metric $a`,
			drive: get,
			want: `
				request_headers define_metric 0 "c" >a = 0 4
				request_headers increment_metric $a 0 = 2
				request_headers increment_metric $a -1 = 2
				request_headers record_metric $a 7 = 0
				request_headers record_metric $a 7 = 0
				request_headers get_metric $a = 0 14`,
		}, {
			name: "gauges go anywhere, histograms cannot be read",
			script: `
				request_headers define_metric 1 "g" >g
				request_headers define_metric 2 "h" >h
				request_headers increment_metric $g 5
				request_headers increment_metric $g -2
				request_headers get_metric $g
				request_headers record_metric $g 40
				request_headers get_metric $g
				request_headers record_metric $h 1
				request_headers get_metric $h
				request_headers increment_metric $h 1`,
			drive: get,
			want: `
				request_headers define_metric 1 "g" >g = 0 5
				request_headers define_metric 2 "h" >h = 0 6
				request_headers increment_metric $g 5 = 0
				request_headers increment_metric $g -2 = 0
				request_headers get_metric $g = 0 3
				request_headers record_metric $g 40 = 0
				request_headers get_metric $g = 0 40
				request_headers record_metric $h 1 = 0
				request_headers get_metric $h = 2
				request_headers increment_metric $h 1 = 2`,
		}, {
			name: "unknown ids are NotFound",
			script: `
				request_headers get_metric 400
				request_headers get_metric 401
				request_headers get_metric 402
				request_headers increment_metric 400 1
				request_headers increment_metric 402 1
				request_headers record_metric 402 1`,
			drive: get,
			want: `
				request_headers get_metric 400 = 1
				request_headers get_metric 401 = 1
				request_headers get_metric 402 = 2
				request_headers increment_metric 400 1 = 1
				request_headers increment_metric 402 1 = 2
				request_headers record_metric 402 1 = 1`,
		},
	})
}

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

func TestProperties(t *testing.T) {
	t.Parallel()
	request := &hostsim.Request{
		Method: "PUT", Path: "/a?b=c", Authority: "example.org", Peer: "10.1.2.3:4567",
		Header:        hostsim.Header{{"user-agent", "test"}, {"x", "1"}, {"x", "2"}},
		FilterState:   map[string]string{"hc.peer": "10.9.9.9"},
		RouteName:     "main",
		RouteMetadata: map[string]map[string]any{"healthgate": {"maintenance": true, "n": 1.5, "l": []any{"a", "b"}}},
	}
	do := func(h *hostsim.Host) { h.Worker(0).Do(request) }
	runCalls(t, []callCase{
		{
			name: "attributes of the request",
			script: `
				request_headers get_property "request\x00path"
				request_headers get_property "request\x00url_path"
				request_headers get_property "request\x00query"
				request_headers get_property "request\x00host"
				request_headers get_property "request\x00method"
				request_headers get_property "request\x00useragent"
				request_headers get_property "request\x00headers\x00x"
				request_headers get_property "request\x00headers\x00y"
				request_headers get_property "source\x00address"
				request_headers get_property "source\x00port"
				request_headers get_property "request\x00protocol\x00"
				request_headers get_property "request\x00nothing"
				request_headers get_property "nothing"
				response_headers get_property "request\x00path"
				response_headers get_property "response\x00code"`,
			drive: do,
			want: `
				request_headers get_property "request\x00path" = 0 "/a?b=c"
				request_headers get_property "request\x00url_path" = 0 "/a"
				request_headers get_property "request\x00query" = 0 "b=c"
				request_headers get_property "request\x00host" = 0 "example.org"
				request_headers get_property "request\x00method" = 0 "PUT"
				request_headers get_property "request\x00useragent" = 0 "test"
				request_headers get_property "request\x00headers\x00x" = 0 "1,2"
				request_headers get_property "request\x00headers\x00y" = 1
				request_headers get_property "source\x00address" = 0 "10.1.2.3:4567"
				request_headers get_property "source\x00port" = 0 "\xd7\x11\x00\x00\x00\x00\x00\x00"
				request_headers get_property "request\x00protocol\x00" = 0 "HTTP/1.1"
				request_headers get_property "request\x00nothing" = 1
				request_headers get_property "nothing" = 1
				response_headers get_property "request\x00path" = 1
				response_headers get_property "response\x00code" = 0 "\xc8\x00\x00\x00\x00\x00\x00\x00"`,
		}, {
			name: "metadata, filter state and the node",
			script: `
				configure get_property "xds\x00node\x00id"
				configure get_property "xds\x00node\x00locality\x00zone"
				configure get_property "node\x00id"
				configure get_property "request\x00path"
				configure get_property "plugin_name"
				configure get_property "plugin_root_id"
				configure get_property "plugin_vm_id"
				request_headers get_property "filter_state\x00hc.peer"
				request_headers get_property "filter_state\x00none"
				request_headers get_property "xds\x00route_name"
				request_headers get_property "xds\x00route_metadata\x00filter_metadata\x00healthgate\x00maintenance"
				request_headers get_property "xds\x00route_metadata\x00filter_metadata\x00healthgate\x00n"
				request_headers get_property "xds\x00route_metadata\x00filter_metadata\x00healthgate\x00l\x001"
				request_headers get_property "xds\x00route_metadata\x00filter_metadata\x00none\x00x"
				request_headers get_property "route_metadata"`,
			opts: []hostsim.Option{hostsim.Node{ID: "n1", Zone: "z1"}, hostsim.PluginName("p"), hostsim.RootID("r"),
				hostsim.VMID("v")},
			drive: do,
			want: `
				configure get_property "xds\x00node\x00id" = 0 "n1"
				configure get_property "xds\x00node\x00locality\x00zone" = 0 "z1"
				configure get_property "node\x00id" = 1
				configure get_property "request\x00path" = 1
				configure get_property "plugin_name" = 0 "p"
				configure get_property "plugin_root_id" = 0 "r"
				configure get_property "plugin_vm_id" = 0 "v"
				request_headers get_property "filter_state\x00hc.peer" = 0 "10.9.9.9"
				request_headers get_property "filter_state\x00none" = 1
				request_headers get_property "xds\x00route_name" = 0 "main"
				request_headers get_property "xds\x00route_metadata\x00filter_metadata\x00healthgate\x00maintenance" = 0 "\x01"
				request_headers get_property "xds\x00route_metadata\x00filter_metadata\x00healthgate\x00n" = 0 "\x00\x00\x00\x00\x00\x00\xf8?"
				request_headers get_property "xds\x00route_metadata\x00filter_metadata\x00healthgate\x00l\x001" = 0 "b"
				request_headers get_property "xds\x00route_metadata\x00filter_metadata\x00none\x00x" = 1
				request_headers get_property "route_metadata" = 1`,
		}, {
			name: "a property of several parts is written and never found",
			script: `
				configure set_property "k" "v"
				request_headers set_property "k" "v"
				request_headers get_property "k"
				request_headers set_property "a\x00b" "v"
				request_headers get_property "a\x00b"
				response_headers get_property "k"`,
			drive: do,
			want: `
				configure set_property "k" "v" = 1
				request_headers set_property "k" "v" = 0
				request_headers get_property "k" = 0 "v"
				request_headers set_property "a\x00b" "v" = 0
				request_headers get_property "a\x00b" = 1
				response_headers get_property "k" = 0 "v"`,
		},
	})
}

func TestGeneralCalls(t *testing.T) {
	t.Parallel()
	runCalls(t, []callCase{
		{
			name: "contexts",
			script: `
				request_headers set_effective_context 1
				request_headers set_effective_context $stream
				request_headers set_effective_context 0
				request_headers set_effective_context 99`,
			drive: get,
			want: `
				request_headers set_effective_context 1 = 0
				request_headers set_effective_context $stream = 0
				request_headers set_effective_context 0 = 0
				request_headers set_effective_context 99 = 2`,
		}, {
			name: "done is NotFound unless it is waited for",
			script: `
				request_headers done`,
			drive: get,
			want:  `request_headers done = 1`,
		}, {
			name: "levels and the clock",
			script: `
				request_headers log 3 "hello"
				request_headers log 6 "no"
				request_headers log 1 "below the level"
				request_headers get_current_time_nanoseconds
				request_headers get_status`,
			opts:  []hostsim.Option{hostsim.StartTime(time.Unix(1, 2))},
			drive: get,
			want: `
				hello
				request_headers log 3 "hello" = 0
				request_headers log 6 "no" = 2
				request_headers log 1 "below the level" = 0
				request_headers get_current_time_nanoseconds = 0 1000000002
				request_headers get_status = 0 0 "" null`,
		}, {
			name: "streams that do not exist",
			script: `
				configure continue_stream 0
				configure close_stream 1
				configure send_local_response 200 "" "" "" -1
				request_headers continue_stream 2
				request_headers continue_stream 3
				request_headers continue_stream 4
				request_headers close_stream 4`,
			drive: get,
			want: `
				configure continue_stream 0 = 0
				configure close_stream 1 = 0
				configure send_local_response 200 "" "" "" -1 = 0
				request_headers continue_stream 2 = 0
				request_headers continue_stream 3 = 12
				request_headers continue_stream 4 = 2
				request_headers close_stream 4 = 2`,
		}, {
			name: "foreign functions",
			script: `
				request_headers call_foreign_function "upper" "abc"
				request_headers call_foreign_function "upper" ""
				request_headers call_foreign_function "broken" "abc"
				request_headers call_foreign_function "none" ""
				request_headers call_foreign_function "uncompress" "x"
				request_headers call_foreign_function "uncompress" "x\x9cKLJ\x06\x00\x02M\x01'"
				request_headers call_foreign_function "clear_route_cache" ""
				request_headers call_foreign_function "set_envoy_filter_state" "\n\x01k\x12\x01v"
				request_headers get_property "filter_state\x00k"`,
			opts: []hostsim.Option{
				hostsim.ForeignFunction("upper", func(b []byte) ([]byte, error) { return []byte(strings.ToUpper(string(b))), nil }),
				hostsim.ForeignFunction("broken", func([]byte) ([]byte, error) { return nil, errors.New("broken") }),
			},
			drive: get,
			want: `
				request_headers call_foreign_function "upper" "abc" = 0 "ABC"
				request_headers call_foreign_function "upper" "" = 0 "" null
				request_headers call_foreign_function "broken" "abc" = 2
				request_headers call_foreign_function "none" "" = 1
				request_headers call_foreign_function "uncompress" "x" = 3
				request_headers call_foreign_function "uncompress" "x\x9cKLJ\x06\x00\x02M\x01'" = 0 "abc"
				request_headers call_foreign_function "clear_route_cache" "" = 0 "" null
				request_headers call_foreign_function "set_envoy_filter_state" "\n\x01k\x12\x01v" = 0 "" null
				request_headers get_property "filter_state\x00k" = 0 "v"`,
		},
	})
}

// TestOutOfBounds is every kind of pointer that points nowhere.
func TestOutOfBounds(t *testing.T) {
	t.Parallel()
	var script, want strings.Builder
	for _, call := range []string{
		"raw_log 2 4294967295 1", "raw_log 2 4294967280 4294967280", "raw_get_property 4294967295 4 0 0",
		"raw_set_property 0 1 4294967295 9", "raw_get_shared_data 4294967295 2 0 0 0",
		"raw_set_shared_data 0 4294967295 0 0 0", "raw_get_header_map_value 0 4294967295 4 0 0",
		"raw_get_header_map_pairs 0 4294967295 4294967295", "raw_set_header_map_pairs 0 4294967290 100",
		"raw_get_buffer_bytes 6 0 1 4294967295 4294967295", "raw_set_buffer_bytes 0 0 0 4294967295 4294967295",
		"raw_send_local_response 200 4294967295 1 0 0 0 0 0", "raw_http_call 4294967295 1 0 0 0 0 0 0 0 0",
		"raw_define_metric 0 4294967295 1 0", "raw_define_metric 0 0 0 4294967295",
		"raw_get_current_time_nanoseconds 4294967290",
	} {
		script.WriteString("request_headers " + call + "\n")
		want.WriteString("request_headers " + call + " = 6\n")
	}
	runCalls(t, []callCase{{name: "InvalidMemoryAccess", script: script.String(), drive: get, want: want.String(),
		opts: []hostsim.Option{hostsim.VMConfig("vm")}}})
}

func TestAllocationRefused(t *testing.T) {
	t.Parallel()
	runCalls(t, []callCase{{
		name: "InvalidMemoryAccess",
		script: `
			request_headers get_header_map_value 0 ":path"
			request_headers get_header_map_value 0 ":method"`,
		drive: func(h *hostsim.Host) { h.Inject(hostsim.FailAllocation(1)); get(h) },
		want: `
			request_headers get_header_map_value 0 ":path" = 6
			request_headers get_header_map_value 0 ":method" = 0 "GET"`,
	}})
}

var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(http.StatusAccepted)
	io.WriteString(w, r.Method+" "+r.URL.Path+" "+string(body))
})
