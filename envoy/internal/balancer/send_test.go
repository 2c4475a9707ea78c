package balancer

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/envoy/must"
)

// serve answers each connection's first request with a text, the next one or else the last; with none, it waits until
// the other side gives up.
func serve(t *testing.T, answers ...string) string {
	t.Helper()
	listener := must.Get(net.Listen("tcp", "127.0.0.1:0"))(t)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for i := 0; ; i++ {
			answer := answers[min(i, len(answers)-1)]
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				in := bufio.NewReader(conn)
				if _, err := http.ReadRequest(in); err != nil || answer == "" {
					_, _ = io.Copy(io.Discard, in)
					return
				}
				_, _ = io.WriteString(conn, answer)
			}()
		}
	}()
	return "http://" + listener.Addr().String() + "/hc"
}

// TestSend: what the other side does is a status, or a reason why there is none.
func TestSend(t *testing.T) {
	t.Parallel()
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
	}))
	t.Cleanup(secure.Close)
	closed := httptest.NewServer(nil)
	closed.Close()
	const ok, moved = "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 302 Found\r\nlocation: /hc\r\n\r\n"
	for _, test := range []struct {
		name, as, to, from string
		timeout            time.Duration
		want               Answer
	}{
		{"a status", "alb", serve(t, "HTTP/1.1 204 No Content\r\n\r\n"), "", time.Minute, Answer{Status: 204}},
		{"HEAD has no body", "azure-front-door", serve(t, "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n"), "", time.Minute,
			Answer{Status: 200}},
		{"any certificate", "kubelet", secure.URL + "/", "", time.Minute, Answer{Status: http.StatusTeapot}},
		{"another source", "alb", serve(t, "HTTP/1.0 200 OK\r\n\r\nOK"), "127.0.0.1", time.Minute, Answer{Status: 200}},
		{"silence", "alb", serve(t, ""), "", 50 * time.Millisecond, Answer{Failure: "no answer within 50ms"}},
		{"half an answer", "alb", serve(t, "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n"), "", time.Minute,
			Answer{Failure: "the connection was closed without a whole answer"}},
		{"something else", "alb", serve(t, "220 mail\r\n\r\n"), "", time.Minute,
			Answer{Failure: `no answer: malformed HTTP status code "mail"`}},
		{"an answer on the way", "alb", serve(t, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"+ok), "",
			time.Minute, Answer{Status: 200}},
		{"an endless body", "alb", serve(t, ok+strings.Repeat(" ", 9<<20)), "", time.Minute, Answer{Status: 200}},
		{"a redirect", "kubelet", serve(t, moved, "HTTP/1.1 500 Oh\r\n\r\n"), "", time.Minute, Answer{Status: 500}},
		{"a redirect in a circle", "kubelet", serve(t, moved), "", time.Minute,
			Answer{Failure: "no answer: more than 9 redirects"}},
		{"ten redirects", "kubelet", serve(t, append(slices.Repeat([]string{moved}, 10), ok)...), "", time.Minute,
			Answer{Failure: "no answer: more than 9 redirects"}},
		{"nine redirects", "kubelet", serve(t, append(slices.Repeat([]string{moved}, 9), ok)...), "", time.Minute,
			Answer{Status: 200}},
		{"a redirect elsewhere", "kubelet", serve(t, "HTTP/1.1 302 Found\r\nlocation: http://app.test/\r\n\r\n"), "",
			time.Minute, Answer{Status: 302}},
		{"a redirect that goes nowhere", "kubelet", serve(t, "HTTP/1.1 302 Found\r\n\r\n"), "", time.Minute,
			Answer{Status: 302}},
		{"a redirect that is not followed", "haproxy", serve(t, "HTTP/1.1 302 Found\r\nlocation: :\r\n\r\n", ""), "",
			time.Minute, Answer{Status: 302}},
		{"nobody", "alb", closed.URL + "/", "", time.Minute, Answer{Failure: "no answer: connection refused"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b, _ := Find(test.as)
			b.Timeout = test.timeout
			to := must.Get(url.Parse(test.to))(t)
			var from netip.Addr
			if test.from != "" {
				from = netip.MustParseAddr(test.from)
			}
			got := b.Send(t.Context(), to, from, "")
			if got.Answer != test.want {
				t.Errorf("got %+v, want %+v", got.Answer, test.want)
			}
			if from.Is4() && got.From.Addr() != from {
				t.Errorf("it came from %v, not %v", got.From, from)
			}
		})
	}
}
