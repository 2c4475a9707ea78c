package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// door is a listener of testdata/trust.yaml, which says what its fields mean.
type door struct {
	Name     string
	Settings object
	HCM      object
	Keep     string
	Checks   []ask
}

// ask is one check that comes to a door, and what becomes of it.
type ask struct {
	From    string
	Headers []string
	Crowd   bool
	Is      string
}

// details are Envoy's response code details, by what becomes of an ask.
var details = map[string]string{
	"answered": "healthgate_healthy", "refused": "healthgate_untrusted", "passes": "via_upstream",
}

// TestTrust has one Envoy with a listener for each way to decide whom to trust.
func TestTrust(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	config := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	var doors []door
	testdata(t, "trust.yaml", &doors)
	for _, d := range doors {
		l := config.AddListener(d.Name)
		delete(envoytest.At[object](l.HCM(), "access_log", 0), "filter")
		l.Change(func(s object) { maps.Copy(envoytest.At[object](s, "endpoints", 0), d.Settings) })
		maps.Copy(l.HCM(), d.HCM)
		if d.Keep != "" {
			keep(l, d.Keep)
		}
	}
	b := start(t, a, config, 2)
	b.settle(t)
	for _, d := range doors {
		t.Run(d.Name, func(t *testing.T) {
			l := config.Listener(d.Name)
			for i, ask := range d.Checks {
				t.Run(strconv.Itoa(i), func(t *testing.T) { ask.run(t, b.app, b.envoy, l) })
			}
		})
	}
}

func (q ask) run(t *testing.T, a *app.App, e *envoytest.Envoy, l *envoytest.Listener) {
	c, headers := from(q.From, l.Address()), q.Headers
	if q.Crowd {
		headers = append(crowdOfHeaders(), headers...)
	}
	before := a.Count(check)
	// The query tells this request's line in the access log from all others.
	mark := "?" + t.Name()
	reply := c.get(t, check+mark, headers...)
	switch q.Is {
	case "answered":
		reply.is(t, 200, "OK")
	case "refused":
		reply.is(t, 403, "who are you?")
	case "passes":
		reply.isApp(t, check)
		before++
	}
	if n := a.Count(check); n != before {
		t.Errorf("the application saw %d checks, want %d", n, before)
	}
	envoytest.Eventually(t, envoytest.Limit, "access log", func() error {
		return e.AccessLog.Has(mark+" ", " "+details[q.Is]+" ")
	})
	if q.Is == "passes" {
		headers := append([]string{"X-Expected: yes"}, headers...)
		passesUnchanged(t, a, c, "POST", "/shop", check, headers)
	}
}

// keep sets the filter state hc.peer in front of the gate.
func keep(l *envoytest.Listener, value string) {
	filter := object{
		"name": "keep_peer",
		"typed_config": envoytest.Any("envoy.extensions.filters.http.set_filter_state.v3.Config", object{
			"on_request_headers": []any{peerState(value)},
		}),
	}
	l.HCM()["http_filters"] = append([]any{filter}, l.Filters()...)
}

// peerState is a value of the filter state hc.peer.
func peerState(value string) object {
	return object{
		"object_key": "hc.peer", "factory_key": "envoy.string",
		"format_string": object{"text_format_source": object{"inline_string": value}},
	}
}

// crowdOfHeaders is as many as the plugin does not read all at once, unless it must.
func crowdOfHeaders() (headers []string) {
	for i := range 20 {
		headers = append(headers, fmt.Sprintf("X-More-%d: s3cret", i))
	}
	return headers
}

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
