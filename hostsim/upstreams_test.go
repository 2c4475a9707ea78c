package hostsim_test

import (
	"encoding/binary"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/hostsim"
)

// handler returns the upstream that a scenario names. "none" has no healthy endpoint.
func (p *player) handler(b *block, name string) http.Handler {
	if body, ok := strings.CutPrefix(name, "text:"); ok {
		body, err := strconv.Unquote(`"` + body + `"`)
		b.must(err)
		return text(body)
	}
	return oneOf(b, name, map[string]http.Handler{
		"none": nil, "echo": echo, "grpc": grpcEcho, "dialogue": grpcDialogue(p.ended),
		"body":     http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }),
		"aborts":   http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
		"trailers": http.HandlerFunc(echoWithTrailer),
	})
}

// text answers with a fixed body.
func text(body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) })
}

// echo answers with the request line and the body.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(http.StatusAccepted)
	io.WriteString(w, r.Method+" "+r.URL.Path+" "+string(body))
})

// echoWithTrailer answers with the body and with the trailer rt as t.
func echoWithTrailer(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Trailer", "T")
	w.Write(body)
	w.Header().Set("T", r.Trailer.Get("Rt"))
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

// grpcDialogue answers each message at once, and ends with the plugin; ended gets why. At "die" it resets the stream.
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
			answer := "re: " + string(message)
			w.Write(append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(answer))), answer...))
			w.(http.Flusher).Flush()
		}
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
	host := newHost(t, `
		trace
		configure once
		request_headers grpc_stream "backend" "svc" "m" "" >s
		request_headers grpc_send $s "one" 0
		grpc_receive get_buffer_bytes 5 0 100
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
