package router

import (
	"fmt"
	"testing"
	"time"

	"github.com/healthgate/healthgate/hostsim/internal/headers"
)

// request is a map with what every request has, and more fields, name after value.
func request(fields ...string) *headers.Map {
	m := headers.Of(":method", "POST", ":path", "/")
	for i := 0; i < len(fields); i += 2 {
		m.Set(fields[i], fields[i+1])
	}
	return m
}

func TestRefuse(t *testing.T) {
	for _, c := range []struct {
		m    *headers.Map
		want string
	}{
		{request(), ""},
		{request("x-a", "ü\t"), ""},
		{request("", "b"), ""},
		{request(":frob", "1"), ""},
		{request("x-a", "b\nc"), "invalid header value for: x-a"},
		{request("x-a", "\x7f"), "invalid header value for: x-a"},
		{request(":path", "/\r"), "invalid header value for: :path"},
		{request("x a", "b\n"), "invalid header name: x a"},
		{request("x\r", "b"), `invalid header name: x\r`},
		{request("xü", "b"), "invalid header name: xü"},
		{request("x-a", "b\r", "x a", "b"), "invalid header value for: x-a"},
		{request(":method", "CONNECT"), "missing required header: :protocol"},
		{request(":method", "CONNECT", ":protocol", "websocket"), ""},
		{headers.New(), "missing required header: :method"},
	} {
		if got := Refuse(c.m); got != c.want {
			t.Errorf("%q: %q, want %q", c.m.Fields(), got, c.want)
		}
	}
}

func TestTakeLeavesOneFieldForTheUpstream(t *testing.T) {
	const limit, try = "x-envoy-upstream-rq-timeout-ms", "x-envoy-upstream-rq-per-try-timeout-ms"
	for _, c := range []struct {
		m                *headers.Map
		timeout, perTry  time.Duration
		retries          int
		expected, remain string // after 10 ms
	}{
		{request(), time.Second, 0, 1, "1000", "990"},
		{request(limit, "200"), 200 * time.Millisecond, 0, 1, "200", "190"},
		{request(limit, "0"), 0, 0, 1, "", ""},
		{request(limit, "soon"), time.Second, 0, 1, "1000", "990"},
		{request(try, "100"), time.Second, 100 * time.Millisecond, 1, "100", "100"},
		{request(limit, "0", try, "100"), 0, 100 * time.Millisecond, 1, "100", "100"},
		{request(limit, "100", try, "100"), 100 * time.Millisecond, 0, 1, "100", "90"},
		{request(try, "995"), time.Second, 995 * time.Millisecond, 1, "995", "990"},
		{request("x-envoy-max-retries", "3"), time.Second, 0, 3, "1000", "990"},
		{request("x-envoy-max-retries", "-1", "x-envoy-upstream-alt-stat-name", "x"), time.Second, 0, 1, "1000", "990"},
	} {
		given := fmt.Sprint(c.m.Fields())
		p := Take(c.m, time.Second)
		if p.Timeout != c.timeout || p.TryTimeout != c.perTry || p.Retries != c.retries {
			t.Errorf("%s: %+v", given, p)
		}
		if got := c.m.Value("x-envoy-expected-rq-timeout-ms"); got != c.expected || c.m.Len() > 3 {
			t.Errorf("%s goes on as %v", given, c.m.Fields())
		}
		p.Expect(c.m, 10*time.Millisecond)
		if got := c.m.Value("x-envoy-expected-rq-timeout-ms"); got != c.remain {
			t.Errorf("%s: a retry has %s, want %s", given, got, c.remain)
		}
	}
}

func TestAgain(t *testing.T) {
	for _, c := range []struct {
		reason  string
		outcome Outcome
		status  string
		want    bool
	}{
		{"5xx", Answered, "503", true},
		{"5xx", Answered, "404", false},
		{"5xx", Reset, "", true},
		{"5xx", ConnectFailure, "", true},
		{"5xx", Refused, "503", false},
		{"gateway-error", Answered, "500", false},
		{"gateway-error", Answered, "504", true},
		{"retriable-4xx", Answered, "409", true},
		{"retriable-4xx", Answered, "404", false},
		{"reset", Answered, "503", false},
		{"reset", ConnectFailure, "", true},
		{"reset-before-request", Reset, "", false},
		{"reset-before-request", ConnectFailure, "", true},
		{"connect-failure", Reset, "", false},
		{"frob, connect-failure", ConnectFailure, "", true},
		{"retriable-status-codes", Answered, "418", true},
		{"retriable-status-codes", Answered, "417", false},
		{"retriable-headers", Answered, "200", true},
		{"frob", Answered, "503", false},
	} {
		p := Take(request("x-envoy-retry-on", c.reason, "x-envoy-retriable-status-codes", "418",
			"x-envoy-retriable-header-names", "x-again"), 0)
		response := headers.Of(":status", c.status, "x-again", "")
		if got := p.Again(c.outcome, response); got != c.want {
			t.Errorf("%+v", c)
		}
	}
	p := Take(request("x-envoy-retry-grpc-on", "unavailable"), 0)
	for status, want := range map[string]bool{"14": true, "13": false, "": false} {
		if p.Again(Answered, headers.Of("grpc-status", status)) != want {
			t.Errorf("a grpc-status of %q: %v", status, !want)
		}
	}
}

func TestFrame(t *testing.T) {
	const length, encoding = "content-length", "transfer-encoding"
	for _, c := range []struct {
		m      *headers.Map
		body   string // a request without one is its fields alone
		read   string
		whole  bool
		length string
	}{
		{request(), "", "", true, "0"},
		{request(":method", "GET"), "", "", true, ""},
		{request(), "hello", "hello", true, ""},
		{request(length, "5"), "hello", "hello", true, "5"},
		{request(length, "3"), "hello", "hel", true, "3"},
		{request(length, "9"), "hello", "hello", false, "9"},
		{request(length, "5"), "", "", false, "5"},
		{request(length, "-1"), "hello", "", true, "-1"},
		{request(encoding, "Chunked"), "", "", false, ""},
		{request(encoding, "chunked", length, "5"), "hello", "", false, "5"},
		{request(encoding, "chunked"), "hello", "hello", true, ""},
		{request(encoding, "gzip"), "", "", true, "0"},
	} {
		given := fmt.Sprint(c.m.Fields())
		read, whole := Frame(c.m, []byte(c.body), c.body == "")
		if string(read) != c.read || whole != c.whole || c.m.Value(length) != c.length {
			t.Errorf("%s %q: %q %v %v", given, c.body, read, whole, c.m.Fields())
		}
	}
}

func TestWire(t *testing.T) {
	m := request("a", " 1\t", "b", "2\nc: 3\nd", "e:f", "4")
	if got, want := fmt.Sprint(Wire(m)), "[{a 1} {b 2} {c 3} {d } {e f: 4}]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
