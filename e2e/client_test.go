package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

const (
	check = "/my-service/healthcheck" // the endpoint with probes and maintenance of envoy/bootstrap.yaml
	empty = "/healthz"                // its endpoint that is healthy as soon as Envoy is

	trusted   = "127.0.0.1" // a source address that envoy/bootstrap.yaml trusts
	untrusted = "127.0.0.2" // one that it does not

	sorry = "Under maintenance. Remove maintenance file when complete"
)

// answer is a response as a client sees it.
type answer struct{ envoytest.Answer }

// readAnswer reads a response to its end.
func readAnswer(response *http.Response, err error) (answer, error) {
	a, err := envoytest.Read(response, err)
	return answer{a}, err
}

// client sends each request through a connection of its own, so that all workers get some.
type client struct {
	target string // an address
	source string // the address that requests come from
}

// from returns a client of an Envoy's listener.
func from(source string, to string) client { return client{to, source} }

func (c client) dial() (net.Conn, error) {
	return envoytest.DialerFrom(c.source, 10*time.Second).Dial("tcp", c.target)
}

// raw sends text and reads one response to a request of the method.
func (c client) raw(method, text string) (answer, error) {
	conn, err := c.dial()
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = conn.Close() }()
	return exchange(conn, method, text)
}

// exchange sends text through a connection and reads one response to a request of the method.
func exchange(conn net.Conn, method, text string) (answer, error) {
	if err := conn.SetDeadline(time.Now().Add(envoytest.Limit)); err != nil {
		return answer{}, err
	}
	if _, err := io.WriteString(conn, text); err != nil {
		return answer{}, err
	}
	return readAnswer(http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method}))
}

// request sends a request; headers are given as "Name: value". Nothing in it is normalized on the way.
func (c client) request(method, path, body string, headers ...string) (answer, error) {
	return c.raw(method, requestText(method, path, body, headers...))
}

func requestText(method, path, body string, headers ...string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n", method, path)
	for _, h := range headers {
		text.WriteString(h + "\r\n")
	}
	if body != "" {
		fmt.Fprintf(&text, "Content-Length: %d\r\n", len(body))
	}
	return text.String() + "\r\n" + body
}

// get sends a GET request that must be answered.
func (c client) get(t testing.TB, path string, headers ...string) answer {
	t.Helper()
	a, err := c.request("GET", path, "", headers...)
	if err != nil {
		t.Fatalf("GET %s from %s: %v", path, c.source, err)
	}
	return a
}

// gets returns a condition for Eventually: the path answers with the status and, if it is the filter's, the body.
func (c client) gets(path string, status int, body string) func() error {
	return func() error {
		a, err := c.request("GET", path, "")
		if err != nil {
			return err
		}
		return a.Says(status, body)
	}
}

// is fails the test unless the answer has the status and the body.
func (a answer) is(t testing.TB, status int, body string) {
	t.Helper()
	if err := a.Says(status, body); err != nil {
		t.Error(err)
	}
}

// has fails the test unless the answer has the header.
func (a answer) has(t testing.TB, name, value string) {
	t.Helper()
	if got := a.Header.Values(name); len(got) != 1 || got[0] != value {
		t.Errorf("%s is %q, want %q", name, got, value)
	}
}

// isApp fails the test unless the application answered.
func (a answer) isApp(t testing.TB, path string) {
	t.Helper()
	a.is(t, 200, "app "+path)
	a.has(t, "X-App", "yes")
}

// startTraffic sends ordinary requests until the test ends, one after the other. Every one of them must reach the
// application.
func startTraffic(t testing.TB, c client) {
	t.Helper()
	envoytest.Users(t, 20*time.Millisecond, func() (envoytest.Answer, error) {
		a, err := c.request("GET", envoytest.UsersPath, "")
		return a.Answer, err
	})
}

// watch sends checks again and again, at the longest until the test ends.
func watch(t testing.TB, c client) *envoytest.Load {
	return envoytest.StartLoad(t, 3*time.Millisecond, c.checks)
}

// checks returns what a check is answered. One that finds no Envoy does not count.
func (c client) checks() string {
	a, err := c.request("GET", check, "")
	if err != nil {
		return ""
	}
	return a.Said()
}
