package hostsim_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/hostsim"
)

// grpcFrame is a message on the wire.
func grpcFrame(message string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
}

// grpcDialogue answers each message at once, and ends with the plugin. ended gets why.
func grpcDialogue(ended chan<- error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		for {
			head := make([]byte, 5)
			_, err := io.ReadFull(r.Body, head)
			if err != nil {
				w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
				ended <- err
				return
			}
			message := make([]byte, binary.BigEndian.Uint32(head[1:]))
			if _, err := io.ReadFull(r.Body, message); err != nil {
				panic(err)
			}
			if string(message) == "die" {
				panic(http.ErrAbortHandler)
			}
			_, _ = w.Write(grpcFrame("re: " + string(message)))
			w.(http.Flusher).Flush()
		}
	}
}

const dialogue = `trace
	configure once
	request_headers grpc_stream "backend" "svc" "m" "" >s
	request_headers grpc_send $s "one" 0
	grpc_receive get_buffer_bytes 5 0 100`

func TestGrpcStream(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 8)
	backend := hostsim.Upstream("backend", grpcDialogue(ended))
	for _, c := range []struct {
		name, script string
		fault        *hostsim.CalloutFault
		want         string
	}{
		{"both sides talk in turn", `
			grpc_receive grpc_send $s "two" 0
			grpc_receive grpc_close $s
			grpc_close get_status`, nil, `
			grpc_initial(1 6 3)
			grpc_receive(1 6 7)
			grpc_receive get_buffer_bytes 5 0 100 = 0 "re: one"
			grpc_receive grpc_send $s "two" 0 = 0
			grpc_receive grpc_close $s = 0
			grpc_receive(1 6 7)
			grpc_receive get_buffer_bytes 5 0 100 = 0 "re: two"
			grpc_receive grpc_send $s "two" 0 = 0
			grpc_receive grpc_close $s = 0
			grpc_trailing(1 6 1)
			grpc_close(1 6 0)
			grpc_close get_status = 0 0 "via_upstream"`},
		{"the upstream resets", `
			grpc_receive grpc_send $s "die" 0
			grpc_close get_status
			grpc_close grpc_send $s "more" 0
			grpc_close grpc_close $s`, nil, `
			grpc_initial(1 6 3)
			grpc_receive(1 6 7)
			grpc_receive get_buffer_bytes 5 0 100 = 0 "re: one"
			grpc_receive grpc_send $s "die" 0 = 0
			grpc_trailing(1 6 0)
			grpc_close(1 6 13)
			grpc_close get_status = 0 13 "" null
			grpc_close grpc_send $s "more" 0 = 0
			grpc_close grpc_close $s = 0`},
		{"the plugin cancels", `
			grpc_receive grpc_cancel $s
			grpc_receive grpc_cancel $s`, nil, `
			grpc_initial(1 6 3)
			grpc_receive(1 6 7)
			grpc_receive get_buffer_bytes 5 0 100 = 0 "re: one"
			grpc_receive grpc_cancel $s = 0
			grpc_receive grpc_cancel $s = 1`},
		{"refused", `
			grpc_initial get_header_map_pairs 4
			grpc_trailing get_header_map_value 5 "grpc-status"
			grpc_close get_status`, &hostsim.CalloutFault{Kind: hostsim.CalloutConnectFailure}, `
			grpc_initial(1 6 0)
			grpc_initial get_header_map_pairs 4 = 0 {}
			grpc_trailing(1 6 4)
			grpc_trailing get_header_map_value 5 "grpc-status" = 0 "14"
			grpc_close(1 6 14)
			grpc_close get_status = 0 14 "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure{upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}}"`},
		{"reset", "", &hostsim.CalloutFault{Kind: hostsim.CalloutReset}, `
			grpc_trailing(1 6 0)
			grpc_close(1 6 13)`},
		{"never", "", &hostsim.CalloutFault{Kind: hostsim.CalloutNever}, ``},
		{"at once", "", &hostsim.CalloutFault{Kind: hostsim.CalloutInlineFailure}, `
			grpc_close(1 6 14)`},
	} {
		t.Run(c.name, func(t *testing.T) {
			host := newHost(t, dialogue+c.script, backend)
			if c.fault != nil {
				host.FaultCallouts("backend", *c.fault)
			}
			host.Worker(0).Get("/")
			host.Advance(time.Second)
			lines := slices.DeleteFunc(strings.Split(logged(host, "worker 0"), "\n"), func(line string) bool {
				return !strings.HasPrefix(line, "grpc_")
			})
			wantLines(t, strings.Join(lines, "\n"), c.want)
			if err := host.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	if first, second := <-ended, <-ended; !errors.Is(first, io.EOF) || errors.Is(second, io.EOF) {
		t.Errorf("the plugin's close came as %v, its cancel as %v", first, second)
	}
}

// TestGrpcStreamLate is an upstream that takes its time for each answer.
func TestGrpcStreamLate(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	host := newHost(t, dialogue, hostsim.Upstream("backend", grpcDialogue(ended)))
	host.SetLatency("backend", 30*time.Millisecond)
	host.Worker(0).Get("/")
	if strings.Contains(host.LogText(), "grpc_initial") {
		t.Error("it came at once")
	}
	host.Advance(30 * time.Millisecond)
	if !strings.Contains(host.LogText(), `"re: one"`) {
		t.Errorf("it did not come:\n%s", host.LogText())
	}
	if got := string(host.UpstreamRequests("backend")[0].Body); got != string(grpcFrame("one")) {
		t.Errorf("the upstream got %q", got)
	}
	if err := host.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; errors.Is(err, io.EOF) {
		t.Error("a closed host ended the stream as the plugin would")
	}
}

// TestGrpcRealUpstream has a server with HTTP/2 at the other end, for a stream and a call.
func TestGrpcRealUpstream(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 2)
	server := httptest.NewUnstartedServer(grpcDialogue(ended))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	defer server.Close()
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	host := newHost(t, dialogue+`
		grpc_receive grpc_close $s
		request_headers grpc_call "backend" "svc" "m" "" "alone" 5000`, hostsim.UpstreamURL("backend", u))
	host.Worker(0).Get("/")
	for end := time.Now().Add(time.Minute); !strings.Contains(host.LogText(), "grpc_close(1 6 0)"); {
		if time.Now().After(end) {
			t.Fatalf("the stream does not end:\n%s", host.LogText())
		}
		host.Advance(time.Millisecond)
	}
	for _, want := range []string{`"re: one"`, `"re: alone"`, "grpc_trailing(1 6 1)"} {
		if !strings.Contains(host.LogText(), want) {
			t.Errorf("nothing logged with %s in it:\n%s", want, host.LogText())
		}
	}
}
