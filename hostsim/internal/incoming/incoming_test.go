package incoming

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/hostsim/internal/headers"
)

// received is a request as it comes in: GET /, unless fields, name after value, say otherwise.
func received(fields ...string) *headers.Map {
	m := headers.Of(":authority", "a", ":path", "/", ":method", http.MethodGet)
	for i := 0; i < len(fields); i += 2 {
		if strings.HasPrefix(fields[i], ":") {
			m.Overwrite(fields[i], fields[i+1])
		} else {
			m.Add(fields[i], fields[i+1])
		}
	}
	return m
}

func TestReceive(t *testing.T) {
	t.Parallel()
	const plain = "[{:authority a} {:path /} {:method GET}"
	for _, c := range []struct {
		m    *headers.Map
		want string
	}{
		{received(), "0  " + plain + "]"},
		{received("x-a", "ü\t"), "0  " + plain + " {x-a ü\t}]"},
		{received(":method", "frob"), "400 http1.codec_error"},
		{received(":method", "MSEARCH"), "400 http1.codec_error"},
		{received(":method", "M-SEARCH"), "0  [{:authority a} {:path /} {:method M-SEARCH}]"},
		{received(":path", "frob"), "400 http1.codec_error"},
		{received(":path", "/ "), "400 http1.codec_error"},
		{received(":path", "//a@@b/"), "0  [{:authority a} {:path //a@@b/} {:method GET}]"},
		{received(":path", "http://a@@b/"), "400 http1.codec_error"},
		{received(":path", "1http://a/"), "400 http1.codec_error"},
		{received(":path", "HTTP://b/?q"), "0  [{:authority b} {:scheme http} {:path /?q} {:method GET}]"},
		{received(":path", "/a#b"), "400 path_normalization_failed"},
		{received("content-length", ""), "400 http1.codec_error"},
		{received("content-length", "1", "transfer-encoding", "Chunked"),
			"400 http1.content_length_and_chunked_not_allowed"},
		{received("connection", "upgrade, a", "a", "1", "upgrade", "b"),
			"0  " + plain + " {connection upgrade, a} {upgrade b}]"},
		{received("connection", "x-forwarded-proto"), "400 http1.connection_header_rejected"},
		{received("connection", strings.Repeat("a,", 9)), "0  " + plain + "]"},
		{received("connection", strings.Repeat("a,", 10)), "400 http1.connection_header_rejected"},
		{received("expect", "100-Continue"), "0  " + plain + "]"},
		{received("te", "gzip,Trailers"), "0  " + plain + " {te trailers}]"},
		{received("x", strings.Repeat("y", maxBytes-len("/hostax"))), "0  " + plain + " {x " +
			strings.Repeat("y", maxBytes-len("/hostax")) + "}]"},
		{received("x", strings.Repeat("y", maxBytes-len("/hostax")+1)), "431 http1.headers_too_large"},
	} {
		before := fmt.Sprint(c.m.Fields())
		r := Read(c.m, false)
		if r.Status == 0 {
			r = Clean(c.m)
		}
		got := fmt.Sprint(r.Status, " ", r.Details)
		if r.Status == 0 {
			got += " " + fmt.Sprint(c.m.Fields())
		}
		if got != c.want {
			t.Errorf("%.100s: %.200q, want %.200q", before, got, c.want)
		}
	}
}

// A plain request is checked without a copy of anything.
func TestNoAllocations(t *testing.T) {
	m := received("x-request-id", "1", "user-agent", "test", "accept", "*/*")
	if n := testing.AllocsPerRun(100, func() { _, _ = Read(m, false), Clean(m) }); n != 0 {
		t.Errorf("%v allocations for a plain request", n)
	}
}

func BenchmarkReceive(b *testing.B) {
	m := received("x-request-id", "1", "user-agent", "test", "accept", "*/*")
	for b.Loop() {
		_, _ = Read(m, false), Clean(m)
	}
}
