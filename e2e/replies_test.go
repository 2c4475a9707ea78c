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
)

// TestLocalReplyConfig: whatever local_reply_config makes of a reply, its headers say what is sent. In HTTP/1.1 a wrong
// length puts the connection out of step, in HTTP/2 it is an error of the stream.
func TestLocalReplyConfig(t *testing.T) {
	t.Parallel()
	format := func(text string) envoytest.Object {
		return envoytest.Object{"body_format": envoytest.Object{"text_format_source": envoytest.Object{"inline_string": text}}}
	}
	mapper := func(changes envoytest.Object) envoytest.Object {
		changes["filter"] = envoytest.Object{"status_code_filter": envoytest.Object{"comparison": envoytest.Object{
			"op": "EQ", "value": envoytest.Object{"default_value": 200, "runtime_key": "none"}}}}
		return envoytest.Object{"mappers": []any{changes}}
	}
	html, none := []string{"text/html"}, []string(nil)
	type reply struct {
		status      int
		body        string
		contentType []string
	}
	tests := []struct {
		name   string
		config envoytest.Object
		empty  reply // of an endpoint without a body, the default
		typed  reply // of one with a body and without a content-type
	}{
		{"nothing", envoytest.Object{}, reply{200, "", html}, reply{200, "OK", none}},
		{"a text", format("%RESPONSE_CODE% %LOCAL_REPLY_BODY%"), reply{200, "200 ", []string{"text/plain"}}, reply{200, "200 OK", none}},
		{"the body alone", format("%LOCAL_REPLY_BODY%"), reply{200, "", html}, reply{200, "OK", none}},
		{"JSON", envoytest.Object{"body_format": envoytest.Object{"json_format": envoytest.Object{"body": "%LOCAL_REPLY_BODY%"}}},
			reply{200, "{\"body\":\"\"}\n", []string{"application/json"}}, reply{200, "{\"body\":\"OK\"}\n", []string{"application/json"}}},
		{"another body", mapper(envoytest.Object{"body": envoytest.Object{"inline_string": "mapped"}}),
			reply{200, "mapped", []string{"text/plain"}}, reply{200, "mapped", none}},
		{"another status", mapper(envoytest.Object{"status_code": 299}), reply{299, "", html}, reply{299, "OK", none}},
		{"a status without a body", mapper(envoytest.Object{"status_code": 204}), reply{204, "", html}, reply{}},
		{"more headers", mapper(envoytest.Object{"headers_to_add": []any{envoytest.Object{
			"header": envoytest.Object{"key": "x-mapped", "value": "yes"}}}}), reply{200, "", html}, reply{200, "OK", none}},
	}
	a := app.Start(t)
	c := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	var listeners []*envoytest.Listener
	for i, tt := range tests {
		l := c.AddListener(fmt.Sprintf("reply-%d", i))
		l.HCM()["local_reply_config"] = tt.config
		local := envoytest.Object{"cidrs": []any{trusted}}
		l.SetSettings(envoytest.Object{"endpoints": []any{
			envoytest.Object{"name": "empty", "paths": []any{empty}, "methods": []any{}, "trusted": local},
			envoytest.Object{"name": "typed", "paths": []any{check}, "methods": []any{}, "trusted": local,
				"healthy": envoytest.Object{"body": "OK", "content_type": ""}},
		}})
		listeners = append(listeners, l)
	}
	envoytest.Start(t, c, 1)
	for i, tt := range tests {
		for path, want := range map[string]reply{empty: tt.empty, check: tt.typed} {
			if want.status == 0 {
				continue
			}
			for _, method := range []string{"GET", "HEAD"} {
				for version, send := range map[string]func(address, method, path string) (answer, error){"HTTP/1.1": http1, "HTTP/2": http2} {
					name := strings.Join([]string{tt.name, version, method, path}, " ")
					got, err := send(listeners[i].Address(), method, path)
					if err != nil {
						t.Errorf("%s: %v", name, err)
						continue
					}
					body, length := want.body, fmt.Sprint(len(want.body))
					if method == "HEAD" {
						body = ""
					}
					if want.status == 204 {
						length = ""
					}
					got.is(t, want.status, body)
					if types := got.headers.Values("Content-Type"); strings.Join(types, ",") != strings.Join(want.contentType, ",") {
						t.Errorf("%s: content-type %q, want %q", name, types, want.contentType)
					}
					if l := got.headers.Get("Content-Length"); l != length {
						t.Errorf("%s: content-length %q, want %q", name, l, length)
					}
				}
			}
		}
	}
	// A gRPC request gets what Envoy makes of a local reply, untouched.
	for path := range map[string]bool{empty: true, check: true} {
		got, err := http2(listeners[0].Address(), "POST", path)
		if err != nil {
			t.Fatal(err)
		}
		if got.status != 200 || got.headers.Get("Content-Type") != "application/grpc" || got.headers.Get("Grpc-Status") == "" ||
			got.headers.Get("Content-Length") != "" {
			t.Errorf("gRPC: %s: %v", path, got)
		}
	}
}

// http1 sends the same request twice through one connection, and returns the second answer: it is whole only if the first
// ended where its headers say.
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
		r, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			return a, err
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return a, err
		}
		a = answer{r.StatusCode, string(body), r.Header}
	}
	if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
		return a, fmt.Errorf("%q follows the last answer, %w", rest, err)
	}
	return a, nil
}

// http2 sends a request in HTTP/2 without TLS; a POST is a gRPC request.
func http2(address, method, path string) (a answer, err error) {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.Background(), envoytest.Limit)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://"+address+path, nil)
	if err != nil {
		return a, err
	}
	if method == "POST" {
		r.Header.Set("Content-Type", "application/grpc")
	}
	response, err := transport.RoundTrip(r)
	if err != nil {
		return a, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, string(body), response.Header}, err
}
