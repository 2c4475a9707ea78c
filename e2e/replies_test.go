package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// versions are how a request is sent in each version of HTTP.
var versions = map[string]func(address, method, path string) (answer, error){"HTTP/1.1": http1, "HTTP/2": http2}

// localReply is an answer to a check, of testdata/replies.yaml.
type localReply struct {
	Status      int
	Body        string
	ContentType string `yaml:"content_type"` // "" where there is none
}

// TestLocalReplyConfig: whatever local_reply_config makes of a reply, its headers say what is sent. In HTTP/1.1 a wrong
// length puts the connection out of step, in HTTP/2 it is an error of the stream.
func TestLocalReplyConfig(t *testing.T) {
	t.Parallel()
	var tests []struct {
		Name         string
		Config       object
		Empty, Typed localReply
	}
	testdata(t, "replies.yaml", &tests)
	a := app.Start(t)
	c := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	var listeners []*envoytest.Listener
	for i, tt := range tests {
		l := c.AddListener(fmt.Sprintf("reply-%d", i))
		l.HCM()["local_reply_config"] = tt.Config
		local := object{"cidrs": []any{trusted}}
		l.SetSettings(object{"endpoints": []any{
			object{"name": "empty", "paths": []any{empty}, "methods": []any{}, "trusted": local},
			object{"name": "typed", "paths": []any{check}, "methods": []any{}, "trusted": local,
				"healthy": object{"body": "OK", "content_type": ""}},
		}})
		listeners = append(listeners, l)
	}
	envoytest.Start(t, c, 1)
	for i, tt := range tests {
		for path, want := range map[string]localReply{empty: tt.Empty, check: tt.Typed} {
			if want.Status == 0 {
				continue
			}
			for _, method := range []string{"GET", "HEAD"} {
				for version, send := range versions {
					name := strings.Join([]string{tt.Name, version, method, path}, " ")
					got, err := send(listeners[i].Address(), method, path)
					if err != nil {
						t.Errorf("%s: %v", name, err)
						continue
					}
					body, length := want.Body, fmt.Sprint(len(want.Body))
					if method == "HEAD" {
						body = ""
					}
					if want.Status == 204 {
						length = ""
					}
					got.is(t, want.Status, body)
					if types := got.Header.Values("Content-Type"); strings.Join(types, ",") != want.ContentType {
						t.Errorf("%s: content-type %q, want %q", name, types, want.ContentType)
					}
					if l := got.Header.Get("Content-Length"); l != length {
						t.Errorf("%s: content-length %q, want %q", name, l, length)
					}
				}
			}
		}
	}
	// A gRPC request gets what Envoy makes of a local reply, untouched.
	for path := range map[string]bool{empty: true, check: true} {
		got := must.Get(http2(listeners[0].Address(), "POST", path))(t)
		if h := got.Header; got.Status != 200 || h.Get("Content-Type") != "application/grpc" ||
			h.Get("Grpc-Status") == "" || h.Get("Content-Length") != "" {
			t.Errorf("gRPC: %s: %v", path, got)
		}
	}
}

// http1 sends the same request twice through one connection, and returns the second answer: it is whole only if the
// first ended where its headers say.
func http1(address, method, path string) (a answer, err error) {
	conn, err := (&net.Dialer{}).Dial("tcp", address)
	if err != nil {
		return a, err
	}
	defer func() { _ = conn.Close() }()
	request := method + " " + path + " HTTP/1.1\r\nHost: shop.example\r\n"
	if _, err := io.WriteString(conn, request+"\r\n"+request+"Connection: close\r\n\r\n"); err != nil {
		return a, err
	}
	in := bufio.NewReader(conn)
	for range 2 {
		if a, err = readAnswer(http.ReadResponse(in, &http.Request{Method: method})); err != nil {
			return a, err
		}
	}
	if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
		return a, fmt.Errorf("%q follows the last answer, %w", rest, err)
	}
	return a, nil
}

// http2 sends a request in HTTP/2 without TLS; a POST is a gRPC request.
func http2(address, method, path string) (a answer, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), envoytest.Limit)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+address+path, nil)
	if err != nil {
		return a, err
	}
	if method == "POST" {
		r.Header.Set("Content-Type", "application/grpc")
	}
	return readAnswer(http2Client().Transport.RoundTrip(r))
}
