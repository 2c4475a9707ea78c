package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/envoy/must"
)

// testUntrusted: a request of an untrusted source reaches the application as if there were no filter, whatever it
// claims about its source.
func testUntrusted(t *testing.T, b *bench) {
	for _, source := range []struct {
		name    string
		client  client
		headers []string
	}{
		{"untrusted", b.stranger, nil},
		{"untrusted, forges a trusted address", b.stranger, []string{"X-Forwarded-For: " + trusted}},
		{"untrusted, forges several", b.stranger, []string{"X-Forwarded-For: 10.0.0.1, " + trusted}},
		{"trusted, claims to forward for a trusted one", b.balancer, []string{"X-Forwarded-For: " + trusted}},
		{"trusted, forwards for another", b.balancer, []string{"X-Forwarded-For: 10.9.9.9"}},
	} {
		for _, path := range []string{check, empty} {
			t.Run(source.name+" "+path, func(t *testing.T) {
				headers := append([]string{"X-Expected: yes", "Cookie: session=1", "X-Twice: a", "X-Twice: b"}, source.headers...)
				passesUnchanged(t, b.app, source.client, "POST", "/shop", path, headers)
				passesUnchanged(t, b.app, source.client, "GET", "/shop", path, headers)
			})
		}
	}
}

// passesUnchanged sends the same request to a path of the application and to an endpoint's: the application must see
// no other difference. Methods that are no endpoint's count as well.
func passesUnchanged(t *testing.T, a *app.App, c client, method, ordinary, endpoint string, headers []string) {
	t.Helper()
	const query = "?a=%20b&c=//d"
	body := ""
	if method == "POST" {
		body = "name=value&empty="
	}
	send := func(path string) app.Request {
		t.Helper()
		before := a.Count(path)
		reply := must.Get(c.request(method, path+query, body, headers...))(t)
		reply.isApp(t, path)
		seen := a.Seen(path)[before:]
		if path == ordinary { // there may be other traffic
			seen = expected(seen)
		}
		if len(seen) != 1 {
			t.Fatalf("the application saw %d requests for %s, want 1", len(seen), path)
		}
		return seen[0]
	}
	want, got := send(ordinary), send(endpoint)
	for name, r := range map[string]app.Request{ordinary: want, endpoint: got} {
		if r.Method != method || r.Target != name+query || r.Body != body || r.Host != "shop.example" {
			t.Errorf("the application saw %s %s with Host %s and body %q", r.Method, r.Target, r.Host, r.Body)
		}
	}
	if w, g := comparable(want.Headers), comparable(got.Headers); !maps.Equal(w, g) {
		t.Errorf("headers at %s: %v\nheaders at %s: %v", endpoint, g, ordinary, w)
	}
}

// expected returns the requests that passesUnchanged sent.
func expected(all []app.Request) []app.Request {
	var out []app.Request
	for _, r := range all {
		if r.Headers.Get("X-Expected") != "" {
			out = append(out, r)
		}
	}
	return out
}

// comparable returns the headers without the one that Envoy makes anew for each request.
func comparable(h http.Header) map[string]string {
	out := map[string]string{}
	for name, values := range h {
		if name != "X-Request-Id" {
			out[name] = fmt.Sprintf("%q", values)
		}
	}
	return out
}
