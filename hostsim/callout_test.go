package hostsim_test

import (
	"encoding/binary"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/healthgate/healthgate/hostsim"
)

const callBackend = `http_call "backend" ":path=/p\n:method=POST\n:authority=b\nx=1" "body" "" 500`

func TestHTTPCall(t *testing.T) {
	t.Parallel()
	backend := hostsim.Upstream("backend", echo)
	runCalls(t, []callCase{
		{
			name: "who is called, and with what, is checked first",
			script: `
				request_headers http_call "none" ":path=/\n:method=GET\n:authority=b" "" "" 0
				request_headers http_call "backend" ":method=GET\n:authority=b" "" "" 0
				request_headers http_call "backend" ":path=/\n:authority=b" "" "" 0
				request_headers http_call "backend" ":path=/\n:method=GET" "" "" 0
				request_headers http_call "backend" ":path=/\n:method=GET\n:authority=b" "" "" -1
				request_headers http_call "down" ":path=/\n:method=GET\n:authority=b" "" "" 0`,
			opts:  []hostsim.Option{backend, hostsim.Upstream("down", nil)},
			drive: get,
			want: `
				request_headers http_call "none" ":path=/\n:method=GET\n:authority=b" "" "" 0 = 2
				request_headers http_call "backend" ":method=GET\n:authority=b" "" "" 0 = 2
				request_headers http_call "backend" ":path=/\n:authority=b" "" "" 0 = 2
				request_headers http_call "backend" ":path=/\n:method=GET" "" "" 0 = 2
				request_headers http_call "backend" ":path=/\n:method=GET\n:authority=b" "" "" -1 = 2
				request_headers http_call "down" ":path=/\n:method=GET\n:authority=b" "" "" 0 = 10`,
		}, {
			name: "the answer",
			script: `trace
				request_headers ` + callBackend + `
				http_call_response get_header_map_value 6 ":status"
				http_call_response get_header_map_value 6 "content-type"
				http_call_response get_header_map_pairs 7
				http_call_response get_buffer_bytes 4 0 100
				http_call_response get_status
				log get_header_map_value 6 ":status"`,
			opts:  []hostsim.Option{backend},
			drive: func(h *hostsim.Host) { h.Worker(0).Start(nil); h.Advance(time.Second) },
			want: `
				configure(1)
				context_create(2 1)
				request_headers(2 6 1)
				request_headers ` + callBackend + ` = 0 4
				http_call_response(1 4 5 12 0)
				http_call_response get_header_map_value 6 ":status" = 0 "202"
				http_call_response get_header_map_value 6 "content-type" = 0 "text/plain"
				http_call_response get_header_map_pairs 7 = 0 {}
				http_call_response get_buffer_bytes 4 0 100 = 0 "POST /p body"
				http_call_response get_status = 0 0 "" null
				response_headers(2 5 0)
				response_body(2 11 0)
				response_body(2 0 1)
				log(2)
				log get_header_map_value 6 ":status" = 1
				done(2)
				delete(2)`,
		},
	})
	faults := []struct {
		name  string
		fault hostsim.CalloutFault
		at    time.Duration // when the callback came; 0 for never
		want  string
	}{
		{"late", hostsim.CalloutFault{Delay: 200 * time.Millisecond}, 200 * time.Millisecond,
			`http_call_response get_header_map_value 6 ":status" = 0 "202"`},
		{"too late", hostsim.CalloutFault{Delay: time.Second}, 500 * time.Millisecond,
			`http_call_response get_header_map_value 6 ":status" = 0 "504"`},
		{"refused", hostsim.CalloutFault{Kind: hostsim.CalloutConnectFailure, Delay: time.Millisecond}, time.Millisecond,
			`http_call_response get_header_map_value 6 ":status" = 0 "503"`},
		{"reset", hostsim.CalloutFault{Kind: hostsim.CalloutReset, Delay: time.Millisecond}, time.Millisecond,
			`http_call_response get_header_map_value 6 ":status" = 2`},
		{"timeout", hostsim.CalloutFault{Kind: hostsim.CalloutTimeout}, 500 * time.Millisecond,
			`http_call_response get_header_map_value 6 ":status" = 0 "504"`},
		{"never", hostsim.CalloutFault{Kind: hostsim.CalloutNever}, 500 * time.Millisecond,
			`http_call_response get_header_map_value 6 ":status" = 0 "504"`},
		{"lost", hostsim.CalloutFault{Kind: hostsim.CalloutLost}, 0, ""},
		{"inline", hostsim.CalloutFault{Kind: hostsim.CalloutInlineFailure}, 0, ""},
	}
	for _, f := range faults {
		t.Run("fault/"+f.name, func(t *testing.T) {
			t.Parallel()
			host := newHost(t, `
				request_headers `+callBackend+`
				http_call_response get_header_map_value 6 ":status"
				http_call_response get_status`, backend)
			host.FaultCallouts("backend", f.fault)
			before := host.Now()
			host.Worker(0).Start(nil)
			host.Advance(time.Minute)
			var at time.Duration
			got := ""
			for _, e := range host.Logs() {
				if len(e.Message) > 18 && e.Message[:18] == "http_call_response" {
					if got == "" {
						got, at = e.Message, e.Time.Sub(before)
					}
				}
			}
			if got != f.want || at != f.at {
				t.Errorf("got %q at %v, want %q at %v", got, at, f.want, f.at)
			}
		})
	}
	t.Run("a reset has a status and no headers", func(t *testing.T) {
		t.Parallel()
		host := newHost(t, "trace\nrequest_headers "+callBackend+"\nhttp_call_response get_status", backend)
		host.FaultAllCallouts("backend", &hostsim.CalloutFault{Kind: hostsim.CalloutReset})
		host.Worker(0).Get("/")
		if count(host, "worker 0", "http_call_response(1 4 0 0 0)") != 1 ||
			count(host, "worker 0", `http_call_response get_status = 0 11 "reset"`) != 1 {
			t.Error(logged(host, "worker 0"))
		}
	})
	t.Run("what the upstream gets", func(t *testing.T) {
		t.Parallel()
		host := newHost(t, "request_headers "+callBackend, backend)
		host.Worker(0).Get("/")
		seen := host.UpstreamRequests("backend")
		if len(seen) != 1 || seen[0].Method() != "POST" || seen[0].Path() != "/p" || seen[0].Authority() != "b" ||
			string(seen[0].Body) != "body" || seen[0].Header.Get("x") != "1" || seen[0].Header.Get("content-length") != "4" {
			t.Errorf("%+v", seen)
		}
	})
	t.Run("calls die with their VM", func(t *testing.T) {
		t.Parallel()
		host := newHost(t, "trace\nrequest_headers "+callBackend, backend)
		host.SetLatency("backend", 100*time.Millisecond)
		host.Worker(0).Get("/")
		host.Shutdown()
		host.Advance(time.Second)
		if n := count(host, "worker 0", "http_call_response(1 4 5 12 0)"); n != 0 {
			t.Error("an answer came to a plugin that was gone")
		}
	})
}

// grpcEcho answers the first message, or status 5 if it is empty.
var grpcEcho = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Trailer", "Grpc-Status, Grpc-Message")
	w.WriteHeader(http.StatusOK)
	if len(body) > 5 {
		w.Write(body)
		w.Header().Set("Grpc-Status", "0")
		return
	}
	w.Header().Set("Grpc-Status", "5")
	w.Header().Set("Grpc-Message", "nothing there")
})

func TestGrpc(t *testing.T) {
	t.Parallel()
	backend := hostsim.Upstream("backend", grpcEcho)
	runCalls(t, []callCase{
		{
			name: "a unary call answers with the message alone",
			script: `trace
				tick grpc_call "backend" "svc" "m" "k=v" "hello" 1000
				tick set_tick_period_milliseconds 0
				configure set_tick_period_milliseconds 10
				grpc_receive get_buffer_bytes 5 0 100`,
			opts:  []hostsim.Option{backend},
			drive: func(h *hostsim.Host) { h.Advance(time.Second) },
			want: `
				configure(1)
				configure set_tick_period_milliseconds 10 = 0
				tick(1)
				tick grpc_call "backend" "svc" "m" "k=v" "hello" 1000 = 0 5
				tick set_tick_period_milliseconds 0 = 0
				grpc_receive(1 5 5)
				grpc_receive get_buffer_bytes 5 0 100 = 0 "hello"`,
		}, {
			name: "or with its failure alone",
			script: `
				request_headers grpc_call "backend" "svc" "m" "" "" 1000
				request_headers grpc_call "none" "svc" "m" "" "" 1000
				request_headers grpc_call "\n\t\n\abackend" "svc" "m" "" "x" 1000
				request_headers grpc_call "\n\x06\n\x04gone" "svc" "m" "" "x" 1000
				request_headers grpc_cancel 5
				request_headers grpc_cancel 5
				request_headers grpc_cancel 4
				request_headers grpc_send 9 "x" 1
				grpc_close get_status`,
			opts:  []hostsim.Option{backend},
			drive: get,
			want: `
				request_headers grpc_call "backend" "svc" "m" "" "" 1000 = 0 5
				request_headers grpc_call "none" "svc" "m" "" "" 1000 = 4
				request_headers grpc_call "\n\t\n\abackend" "svc" "m" "" "x" 1000 = 0 9
				request_headers grpc_call "\n\x06\n\x04gone" "svc" "m" "" "x" 1000 = 10
				request_headers grpc_cancel 5 = 0
				request_headers grpc_cancel 5 = 1
				request_headers grpc_cancel 4 = 2
				request_headers grpc_send 9 "x" 1 = 2
				grpc_close get_status = 0 14 "Cluster not available"`,
		}, {
			name: "a stream answers with everything",
			script: `trace
				configure once
				request_headers grpc_stream "backend" "svc" "m" "" >s
				request_headers grpc_send $s "one" 0
				request_headers grpc_send $s "three" 1
				grpc_initial get_header_map_value 4 "content-type"
				grpc_receive get_buffer_bytes 5 0 100
				grpc_trailing get_header_map_value 5 "grpc-status"
				grpc_close grpc_close $s
				grpc_close grpc_close $s`,
			opts:  []hostsim.Option{backend},
			drive: get,
			want: `
				configure(1)
				context_create(2 1)
				request_headers(2 9 1)
				request_headers grpc_stream "backend" "svc" "m" "" >s = 0 6
				request_headers grpc_send $s "one" 0 = 0
				request_headers grpc_send $s "three" 1 = 0
				grpc_initial(1 6 5)
				grpc_initial get_header_map_value 4 "content-type" = 0 "application/grpc"
				grpc_receive(1 6 3)
				grpc_receive get_buffer_bytes 5 0 100 = 0 "one"
				grpc_receive(1 6 5)
				grpc_receive get_buffer_bytes 5 0 100 = 0 "three"
				grpc_trailing(1 6 1)
				grpc_trailing get_header_map_value 5 "grpc-status" = 0 "0"
				grpc_close(1 6 0)
				grpc_close grpc_close $s = 0
				grpc_close grpc_close $s = 1
				response_headers(2 5 0)
				response_body(2 11 0)
				response_body(2 0 1)
				log(2)
				done(2)
				delete(2)`,
		},
	})
	t.Run("what the upstream gets", func(t *testing.T) {
		t.Parallel()
		host := newHost(t, `request_headers grpc_call "backend" "svc" "m" "k=v" "hello" 1000`, backend)
		host.Worker(0).Get("/")
		seen := host.UpstreamRequests("backend")
		if len(seen) != 1 || seen[0].Path() != "/svc/m" || seen[0].Header.Get("k") != "v" ||
			binary.BigEndian.Uint32(seen[0].Body[1:]) != 5 || string(seen[0].Body[5:]) != "hello" {
			t.Errorf("%+v", seen)
		}
	})
}

func TestUpstreamRules(t *testing.T) {
	t.Parallel()
	t.Run("no healthy upstream", func(t *testing.T) {
		t.Parallel()
		r := newHost(t, "", hostsim.Application(nil)).Worker(0).Get("/")
		if r.Status != 503 || string(r.Body) != "no healthy upstream" || r.Details != "no_healthy_upstream" {
			t.Errorf("%+v", r)
		}
	})
	t.Run("an application that breaks off", func(t *testing.T) {
		t.Parallel()
		r := newHost(t, "", hostsim.Application(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		}))).Worker(0).Get("/")
		if r.Status != 503 || r.Details != "upstream_reset_before_response_started{connection_termination}" {
			t.Errorf("%+v", r)
		}
	})
	t.Run("source address", func(t *testing.T) {
		t.Parallel()
		for _, c := range []struct {
			opts      []hostsim.Option
			xff, want string
		}{
			{nil, "", "10.0.0.1:1234"},
			{nil, "1.1.1.1, 2.2.2.2", "2.2.2.2:0"},
			{nil, "rubbish", "10.0.0.1:1234"},
			{[]hostsim.Option{hostsim.XFFNumTrustedHops(1)}, "1.1.1.1, 2.2.2.2", "1.1.1.1:0"},
			{[]hostsim.Option{hostsim.UseRemoteAddress(true)}, "1.1.1.1", "10.0.0.1:1234"},
			{[]hostsim.Option{hostsim.UseRemoteAddress(true), hostsim.XFFNumTrustedHops(1)}, "1.1.1.1", "1.1.1.1:0"},
		} {
			host := newHost(t, `request_headers get_property "source\x00address"`, c.opts...)
			req := &hostsim.Request{Peer: "10.0.0.1:1234"}
			if c.xff != "" {
				req.Header = hostsim.Header{{"x-forwarded-for", c.xff}}
			}
			host.Worker(0).Do(req)
			wantLines(t, logged(host, "worker 0"), `request_headers get_property "source\x00address" = 0 "`+c.want+`"`)
		}
	})
}
