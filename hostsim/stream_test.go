package hostsim_test

import (
	"cmp"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/healthgate/healthgate/hostsim"
)

// streamCase sends one request and compares the callbacks in worker 0 and the reply.
type streamCase struct {
	name   string
	script string
	opts   []hostsim.Option
	req    *hostsim.Request
	want   string

	status    int
	body      string
	details   string
	flags     string // "-" if empty
	forwarded bool
	reset     bool
	appBody   string
}

func TestStreams(t *testing.T) {
	t.Parallel()
	app := hostsim.Application(echo)
	cases := []streamCase{
		{
			name:   "a request passes",
			script: "trace", opts: []hostsim.Option{app},
			want: `
				context_create(2 1)
				request_headers(2 6 1)
				response_headers(2 5 0)
				response_body(2 6 0)
				response_body(2 0 1)
				log(2)
				done(2)
				delete(2)`,
			status: 202, body: "GET / ", details: "via_upstream", forwarded: true,
		}, {
			name:   "with a body, and trailers both ways",
			script: "trace",
			opts: []hostsim.Option{hostsim.EnableTrailers(true), hostsim.Application(http.HandlerFunc(
				func(w http.ResponseWriter, r *http.Request) {
					b, _ := io.ReadAll(r.Body)
					w.Header().Set("Trailer", "T")
					w.Write(b)
					w.Header().Set("T", r.Trailer.Get("Rt"))
				}))},
			req: &hostsim.Request{Method: "POST", Chunks: [][]byte{[]byte("ab"), []byte("cd")},
				Trailer: hostsim.Header{{"rt", "v"}}},
			want: `
				context_create(2 1)
				request_headers(2 6 0)
				request_body(2 2 0)
				request_body(2 2 0)
				request_trailers(2 1)
				response_headers(2 6 0)
				response_body(2 4 0)
				response_trailers(2 1)
				log(2)
				done(2)
				delete(2)`,
			status: 200, body: "abcd", details: "via_upstream", forwarded: true, appBody: "abcd",
		}, {
			name: "a local reply from request headers passes the plugin",
			script: `trace
				request_headers send_local_response 403 "a b\tc" "no" "x=1" -1
				request_headers return 0
				response_headers get_header_map_pairs 2
				response_headers get_header_map_value 0 ":path"`,
			want: `
				context_create(2 1)
				request_headers(2 6 1)
				request_headers send_local_response 403 "a b\tc" "no" "x=1" -1 = 0
				response_headers(2 4 0)
				response_headers get_header_map_pairs 2 = 0 {:status=403 x=1 content-length=2 content-type=text/plain}
				response_headers get_header_map_value 0 ":path" = 0 "/"
				response_body(2 2 1)
				log(2)
				done(2)
				delete(2)`,
			status: 403, body: "no", details: "a_b_c",
		}, {
			name: "a local reply without a body has no response body callback, nor a content type",
			script: `trace
				request_headers send_local_response 204 "" "" "content-type=text/html" -1
				response_headers get_header_map_pairs 2`,
			want: `
				context_create(2 1)
				request_headers(2 6 1)
				request_headers send_local_response 204 "" "" "content-type=text/html" -1 = 0
				response_headers(2 1 1)
				response_headers get_header_map_pairs 2 = 0 {:status=204}
				log(2)
				done(2)
				delete(2)`,
			status: 204,
		}, {
			name: "a local reply from response headers goes straight out",
			script: `trace
				response_headers send_local_response 500 "late" "oops" "" -1`,
			opts: []hostsim.Option{app},
			want: `
				context_create(2 1)
				request_headers(2 6 1)
				response_headers(2 5 0)
				response_headers send_local_response 500 "late" "oops" "" -1 = 0
				log(2)
				done(2)
				delete(2)`,
			status: 500, body: "oops", details: "late", forwarded: true,
		}, {
			name: "a local reply after the headers are sent resets",
			script: `trace
				response_body once
				response_body send_local_response 500 "late" "oops" "" -1`,
			opts: []hostsim.Option{app},
			want: `
				context_create(2 1)
				request_headers(2 6 1)
				response_headers(2 5 0)
				response_body(2 6 0)
				response_body send_local_response 500 "late" "oops" "" -1 = 0
				log(2)
				done(2)
				delete(2)`,
			status: 202, details: "late", forwarded: true, reset: true,
		}, {
			name: "a local reply to HEAD has a length and no body",
			script: `trace
				request_headers send_local_response 200 "" "four" "" -1`,
			req: &hostsim.Request{Method: "HEAD"},
			want: `
				context_create(2 1)
				request_headers(2 6 1)
				request_headers send_local_response 200 "" "four" "" -1 = 0
				response_headers(2 3 1)
				log(2)
				done(2)
				delete(2)`,
			status: 200,
		}, {
			name: "a local reply to gRPC is trailers only",
			script: `trace
				request_headers send_local_response 403 "" "no way" "" 7
				response_headers get_header_map_pairs 2`,
			req: &hostsim.Request{Method: "POST", Header: hostsim.Header{{"content-type", "application/grpc"}}},
			want: `
				context_create(2 1)
				request_headers(2 7 1)
				request_headers send_local_response 403 "" "no way" "" 7 = 0
				response_headers(2 4 1)
				response_headers get_header_map_pairs 2 = 0 {:status=200 content-type=application/grpc grpc-status=7 grpc-message=no way}
				log(2)
				done(2)
				delete(2)`,
			status: 200,
		}, {
			name: "a pause in headers stops the body, which comes whole when a callout continues",
			script: `trace
				request_headers http_call "backend" ":path=/\n:method=GET\n:authority=b" "" "" 1000
				request_headers return 1
				http_call_response set_effective_context $stream
				http_call_response continue_stream 0`,
			opts: []hostsim.Option{app, hostsim.Upstream("backend", echo)},
			req:  &hostsim.Request{Method: "POST", Chunks: [][]byte{[]byte("ab"), []byte("cd")}},
			want: `
				context_create(2 1)
				request_headers(2 6 0)
				request_headers http_call "backend" ":path=/\n:method=GET\n:authority=b" "" "" 1000 = 0 4
				http_call_response(1 4 5 6 0)
				http_call_response set_effective_context $stream = 0
				http_call_response continue_stream 0 = 0
				request_body(2 4 1)
				response_headers(2 5 0)
				response_body(2 11 0)
				response_body(2 0 1)
				log(2)
				done(2)
				delete(2)`,
			status: 202, body: "POST / abcd", details: "via_upstream", forwarded: true, appBody: "abcd",
		}, {
			name: "a body is held back, seen whole, and changed",
			script: `trace
				request_body once
				request_body return 1
				request_body get_buffer_bytes 0 0 100`,
			opts: []hostsim.Option{app},
			req:  &hostsim.Request{Method: "POST", Chunks: [][]byte{[]byte("ab"), []byte("cd")}},
			want: `
				context_create(2 1)
				request_headers(2 6 0)
				request_body(2 2 0)
				request_body get_buffer_bytes 0 0 100 = 0 "ab"
				request_body(2 4 0)
				request_body(2 0 1)
				response_headers(2 5 0)
				response_body(2 11 0)
				response_body(2 0 1)
				log(2)
				done(2)
				delete(2)`,
			status: 202, body: "POST / abcd", details: "via_upstream", forwarded: true, appBody: "abcd",
		}, {
			name: "closing the stream resets it",
			script: `trace
				request_headers close_stream 0
				request_headers return 1`,
			want: `
				context_create(2 1)
				request_headers(2 6 1)
				request_headers close_stream 0 = 0
				log(2)
				done(2)
				delete(2)`,
			details: "wasm_close_stream", reset: true,
		}, {
			name: "a stream that nobody continues is ended after five minutes",
			script: `trace
				request_headers return 1`,
			want: `
				context_create(2 1)
				request_headers(2 6 1)
				response_headers(2 3 0)
				response_body(2 14 1)
				log(2)
				done(2)
				delete(2)`,
			status: 504, body: "stream timeout", details: "stream_idle_timeout", flags: "SI",
		}, {
			name: "too much to hold back",
			script: `trace
				request_body return 1`,
			opts: []hostsim.Option{hostsim.BufferLimit(3)},
			req:  &hostsim.Request{Method: "POST", Body: []byte("abcd")},
			want: `
				context_create(2 1)
				request_headers(2 7 0)
				request_body(2 4 0)
				response_headers(2 3 0)
				response_body(2 17 1)
				log(2)
				done(2)
				delete(2)`,
			status: 413, body: "Payload Too Large", details: "request_payload_too_large", forwarded: true,
		}, {
			name: "in a callout's callback, the stream must be named",
			script: `trace
				request_headers http_call "backend" ":path=/\n:method=GET\n:authority=b" "" "" 1000
				request_headers return 1
				http_call_response send_local_response 200 "" "lost" "" -1
				http_call_response set_effective_context $stream
				http_call_response send_local_response 200 "found" "found" "" -1`,
			opts: []hostsim.Option{hostsim.Upstream("backend", echo)},
			want: `
				context_create(2 1)
				request_headers(2 6 1)
				request_headers http_call "backend" ":path=/\n:method=GET\n:authority=b" "" "" 1000 = 0 4
				http_call_response(1 4 5 6 0)
				http_call_response send_local_response 200 "" "lost" "" -1 = 0
				http_call_response set_effective_context $stream = 0
				http_call_response send_local_response 200 "found" "found" "" -1 = 0
				response_headers(2 3 0)
				response_body(2 5 1)
				log(2)
				done(2)
				delete(2)`,
			status: 200, body: "found", details: "found",
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			host := newHost(t, c.script, c.opts...)
			before := logged(host, "worker 0")
			r := host.Worker(0).Do(c.req)
			got := logged(host, "worker 0")
			if before != "" {
				got = got[len(before)+1:]
			}
			wantLines(t, got, c.want)
			if flags := cmp.Or(c.flags, "-"); r.Flags != flags {
				t.Errorf("flags %s, want %s", r.Flags, flags)
			}
			if r.Status != c.status || string(r.Body) != c.body || r.Details != c.details || r.Forwarded != c.forwarded ||
				r.Reset != c.reset {
				t.Errorf("reply %+v", r)
			}
			if r.Upstream != nil && string(r.Upstream.Body) != c.appBody {
				t.Errorf("the application got %q, want %q", r.Upstream.Body, c.appBody)
			}
		})
	}
}

func TestLifecycle(t *testing.T) {
	t.Parallel()
	t.Run("canary and workers", func(t *testing.T) {
		t.Parallel()
		host := newHost(t, `trace
			configure set_shared_data "who" "x" 0
			configure get_shared_data "who"`, hostsim.Workers(2))
		wantLines(t, logged(host, "base"), "")
		for thread, cas := range map[string]string{"canary": "1", "main": "2", "worker 0": "3", "worker 1": "4"} {
			wantLines(t, logged(host, thread), `configure(1)
				configure set_shared_data "who" "x" 0 = 0
				configure get_shared_data "who" = 0 "x" `+cas)
		}
	})
	t.Run("a refused configuration", func(t *testing.T) {
		t.Parallel()
		_, err := hostsim.New(script(t), hostsim.PluginConfig("configure say \"bad\"\nconfigure return 0"))
		var le *hostsim.LoadError
		if !errors.As(err, &le) || le.Message != "Failed to configure base Wasm plugin" ||
			len(le.Logs) != 1 || le.Logs[0].Message != "bad" {
			t.Errorf("err = %v", err)
		}
	})
	t.Run("shutdown at once", func(t *testing.T) {
		t.Parallel()
		host := newHost(t, "trace")
		host.Shutdown()
		wantLines(t, logged(host, "worker 0"), "configure(1)\ndone(1)\ndelete(1)")
		if r := host.Worker(0).Get("/"); !r.Forwarded {
			t.Error("a plugin that is gone stood in the way")
		}
	})
	t.Run("shutdown does not wait for a plugin that is not done", func(t *testing.T) {
		t.Parallel()
		host := newHost(t, `trace
			configure set_tick_period_milliseconds 1000
			done return 0
			tick done
			configure define_metric 0 "m"`)
		if _, ok := host.Metric("m"); !ok {
			t.Error("no metric before the shutdown")
		}
		host.Shutdown()
		host.Advance(3 * time.Second)
		wantLines(t, logged(host, "worker 0"), `
			configure(1)
			configure set_tick_period_milliseconds 1000 = 0
			configure define_metric 0 "m" = 0 4
			done(1)`)
		if n := host.Metrics(); len(n) != 0 {
			t.Errorf("metrics after the shutdown: %v", n)
		}
	})
}

func TestTicks(t *testing.T) {
	t.Parallel()
	t.Run("every VM ticks, the canary does not", func(t *testing.T) {
		t.Parallel()
		host := newHost(t, "trace\nconfigure set_tick_period_milliseconds 100\n", hostsim.Workers(2))
		host.Advance(250 * time.Millisecond)
		for thread, n := range map[string]int{"canary": 0, "main": 2, "worker 0": 2, "worker 1": 2} {
			if got := count(host, thread, "tick(1)"); got != n {
				t.Errorf("%s ticked %d times, want %d", thread, got, n)
			}
		}
	})
	t.Run("0 stops, another period starts anew", func(t *testing.T) {
		t.Parallel()
		host := newHost(t, "trace\nconfigure set_tick_period_milliseconds 100\n"+
			"request_headers set_tick_period_milliseconds 300\nlog set_tick_period_milliseconds 0")
		host.Advance(150 * time.Millisecond)
		s := host.Worker(0).Start(&hostsim.Request{})
		host.Advance(time.Second)
		if !s.Done() {
			t.Error("the stream is not over")
		}
		if got := count(host, "worker 0", "tick(1)"); got != 1 {
			t.Errorf("%d ticks", got)
		}
	})
	t.Run("a stalled worker catches up with one tick", func(t *testing.T) {
		t.Parallel()
		host := newHost(t, "trace\nconfigure set_tick_period_milliseconds 100\n")
		host.Worker(0).Stall(time.Second)
		host.Advance(time.Second)
		if w, m := count(host, "worker 0", "tick(1)"), count(host, "main", "tick(1)"); w != 1 || m != 10 {
			t.Errorf("worker %d, main %d ticks", w, m)
		}
	})
	t.Run("clocks jump", func(t *testing.T) {
		t.Parallel()
		host := newHost(t, "trace\nconfigure set_tick_period_milliseconds 100\n")
		start := host.Now()
		host.JumpRealtime(-time.Hour)
		if got := host.Now().Sub(start); got != -time.Hour {
			t.Errorf("the wall clock moved by %v", got)
		}
		host.JumpMonotonic(time.Hour)
		if got := count(host, "worker 0", "tick(1)"); got != 1 {
			t.Errorf("%d ticks after the machine slept", got)
		}
		host.JumpMonotonic(-time.Hour)
		host.Advance(100 * time.Millisecond)
		if got := count(host, "worker 0", "tick(1)"); got != 2 {
			t.Errorf("%d ticks after the clock went back", got)
		}
	})
}

func count(host *hostsim.Host, thread, message string) int {
	n := 0
	for _, e := range host.Logs() {
		if e.Thread == thread && e.Message == message {
			n++
		}
	}
	return n
}
