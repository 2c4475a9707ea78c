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
				request_headers call_foreign_function "set_envoy_filter_state" "\n\fenvoy.string\x12\x01v"
				request_headers get_property "filter_state\x00envoy.string"`,
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
				request_headers call_foreign_function "set_envoy_filter_state" "\n\x01k\x12\x01v" = 1
				request_headers call_foreign_function "set_envoy_filter_state" "\n\fenvoy.string\x12\x01v" = 0 "" null
				request_headers get_property "filter_state\x00envoy.string" = 0 "v"`,
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
