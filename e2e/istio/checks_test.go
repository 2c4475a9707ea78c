package istio

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/e2e/istio/internal/lab"
	"github.com/healthgate/healthgate/envoy/must"
)

func testHealthy(t *testing.T, b *bench) {
	for path, want := range map[string]struct{ body, contentType string }{check: {"OK", "text/plain"},
		empty: {"", "text/html"}} {
		a := b.balancer.get(t, path, 200, want.body)
		head := must.Get(b.balancer.send("HEAD", path))(t)
		if head.Status != 200 || head.Body != "" {
			t.Errorf("HEAD %s answers %v", path, head)
		}
		for method, headers := range map[string]http.Header{"GET": a.Header, "HEAD": head.Header} {
			if got := headers.Get("Content-Type"); got != want.contentType {
				t.Errorf("%s %s answers content-type %q, want %q", method, path, got, want.contentType)
			}
		}
		b.balancer.get(t, path+"?x=1", 200, want.body)
	}
}

// testNodes lets each node of the application fail in turn, and one hang: the check follows.
func testNodes(t *testing.T, b *bench) {
	for i, node := range nodes {
		status := 500 + i
		b.app.Answer(alive(node), status)
		b.becomes(t, status, "FAILED")
		b.app.Answer(alive(node), 200)
		b.becomes(t, 200, "OK")
	}
	release := b.app.Hold(alive("outbound"))
	b.becomes(t, 503, "FAILED")
	release()
	b.becomes(t, 200, "OK")
}

// testGone takes the whole application away.
func testGone(t *testing.T, b *bench) {
	b.app.Vanish()
	b.becomes(t, 503, "FAILED")
	b.balancer.get(t, empty, 200, "") // it asks no node
	b.app.Return()
	b.becomes(t, 200, "OK")
}

func testDraining(t *testing.T, b *bench) {
	startLoad(t, b.balancer.target)
	b.envoy.Post("/healthcheck/fail")
	b.becomes(t, 503, "DRAINING")
	envoytest.Eventually(t, envoytest.Limit, "the other endpoint drains too", b.balancer.gets(empty, 503, "DRAINING"))
	b.envoy.Post("/healthcheck/ok")
	b.becomes(t, 200, "OK")
	envoytest.Eventually(t, envoytest.Limit, "so does the other endpoint", b.balancer.gets(empty, 200, ""))
}

// testPaths: whatever differs from an endpoint's path belongs to the application. Istio's Envoys normalize paths
// before any filter sees them, so a path that only looks different is the endpoint's.
func testPaths(t *testing.T, b *bench) {
	for _, path := range []string{check + "/", check + "%20", check + ";a=b", check + "x",
		"/my-service/Healthcheck", "/my-service"} {
		before := b.app.Count(path)
		b.balancer.get(t, path, 200, "app "+path)
		if n := b.app.Count(path) - before; n != 1 {
			t.Errorf("the application saw %d requests for %s, want 1", n, path)
		}
	}
	for _, path := range []string{"/x/.." + check, "/." + check, "/my-service/%68ealthcheck"} {
		b.balancer.get(t, path, 200, "OK")
	}
}

// testUntrusted: a request of an untrusted source reaches the application as if there were no filter, whatever it
// claims about its source.
func testUntrusted(t *testing.T, b *bench) {
	for _, headers := range [][]string{nil, {"X-Forwarded-For", trusted}, {"X-Forwarded-For", "10.0.0.1, " + trusted}} {
		b.passesUnchanged(t, b.stranger, check, headers...)
		b.passesUnchanged(t, b.stranger, empty, headers...)
	}

	// A trusted source that sends the header itself. A sidecar takes the address in it for the source, so only an
	// endpoint that looks at the connection trusts it; a gateway takes the connection's.
	forwarded := []string{"X-Forwarded-For", "10.9.9.9"}
	if b.Kind == lab.Sidecar {
		b.passesUnchanged(t, b.balancer, check, forwarded...)
	} else {
		b.answers(t, check, "OK", forwarded...)
	}
	b.answers(t, empty, "", forwarded...)
}

// answers sends a check of a trusted source that must be answered healthy.
func (b *bench) answers(t *testing.T, path, body string, headers ...string) {
	t.Helper()
	a, err := b.balancer.send("GET", path, headers...)
	if err != nil || a.Status != 200 || a.Body != body {
		t.Errorf("GET %s with %q answers %v, %v", path, headers, a, err)
	}
}

// passesUnchanged sends the same request to a path of the application and to an endpoint's: the application must see
// no other difference.
func (b *bench) passesUnchanged(t *testing.T, c *client, endpoint string, headers ...string) {
	t.Helper()
	const query = "?a=%20b&c=d"
	headers = append([]string{"X-Expected", "yes", "Cookie", "session=1"}, headers...)
	send := func(method, path string) app.Request {
		t.Helper()
		before := b.app.Count(path)
		a := must.Get(c.send(method, path+query, headers...))(t)
		if a.Status != 200 || a.Body != "app "+path {
			t.Errorf("%s %s answers %v", method, path, a)
		}
		seen := b.app.Seen(path)[before:]
		if len(seen) != 1 || seen[0].Method != method || seen[0].Target != path+query || seen[0].Host != "shop.example" {
			t.Fatalf("%s %s: the application saw %+v", method, path+query, seen)
		}
		return seen[0]
	}
	for _, method := range []string{"GET", "POST"} {
		want := comparable(send(method, "/ordinary").Headers)
		if got := comparable(send(method, endpoint).Headers); !maps.Equal(got, want) {
			t.Errorf("headers at %s: %v\nheaders at /ordinary: %v", endpoint, got, want)
		}
	}
}

// comparable returns the headers without those that Envoy makes anew for each request or path.
func comparable(h http.Header) map[string]string {
	out := map[string]string{}
	for name, values := range h {
		if name != "X-Request-Id" {
			out[name] = fmt.Sprintf("%q", values)
		}
	}
	return out
}

// pluginNames are what Envoy's own metrics call the plugin. Istio makes up the name of a WasmPlugin's.
var pluginNames = map[string]string{
	"istio-envoyfilter":      "healthgate",
	"istio-wasmplugin":       "default.healthgate~istio-translated-wasmplugin",
	"istio-trafficextension": "default.healthgate",
}

// testMetrics compares what was asked and what was counted, with the labels of Prometheus. Istio's bootstrap keeps
// only some of Envoy's metrics, and knows nothing of these labels.
func testMetrics(t *testing.T, b *bench) {
	const counter = "wasmcustom.healthgate_checks_total.endpoint.my-service.verdict."
	before := b.envoy.Stats("wasmcustom.healthgate_")
	for range 7 {
		b.balancer.get(t, check, 200, "OK")
	}
	b.passesUnchanged(t, b.stranger, check) // GET is the endpoint's method, POST is not
	after := b.envoy.Stats("wasmcustom.healthgate_")
	for verdict, want := range map[string]int{"healthy": 7, "untrusted": 1, "maintenance": 0, "unknown": 0} {
		if n := after[counter+verdict] - before[counter+verdict]; n != want {
			t.Errorf("%s grew by %d, want %d", verdict, n, want)
		}
	}
	page := b.envoy.Get("/stats/prometheus")
	for _, sample := range []string{
		fmt.Sprintf(`healthgate_checks_total{endpoint="my-service",verdict="healthy"} %d`, after[counter+"healthy"]),
		`healthgate_maintenance{endpoint="my-service"} 0`,
		`healthgate_probe_up{probe="inbound"} 1`,
		fmt.Sprintf(`envoy_wasm_vm_reload_success{plugin=%q} 0`, pluginNames[b.way.form]),
	} {
		if !strings.Contains(page, "\n"+sample+"\n") {
			t.Errorf("Prometheus does not get %s", sample)
		}
	}
}

// testMaintenanceKey throws maintenance through the admin layer, as an operator on one pod does.
func testMaintenanceKey(t *testing.T, b *bench) {
	startLoad(t, b.balancer.target)
	for _, key := range []string{"healthgate.maintenance", "healthgate.maintenance.zone." + lab.Zone} {
		b.envoy.SetRuntime(key, "true", key+".reason", "new database")
		b.becomes(t, 503, sorry)
		a, err := b.balancer.send("HEAD", check)
		if err != nil || a.Status != 503 || a.Body != "" || a.Header.Get("Content-Type") != "text/plain" {
			t.Errorf("HEAD answers %v, %v", a, err)
		}
		b.balancer.get(t, empty, 200, "") // the other endpoint has no key
		b.envoy.SetRuntime(key, "", key+".reason", "")
		b.becomes(t, 200, "OK")
	}
	b.envoy.SetRuntime("healthgate.maintenance.zone.elsewhere", "true")
	b.envoy.SetRuntime("healthgate.maintenance", "true")
	b.becomes(t, 503, sorry)
	b.envoy.SetRuntime("healthgate.maintenance", "")
	b.becomes(t, 200, "OK")
	b.envoy.SetRuntime("healthgate.maintenance.zone.elsewhere", "")
}

// testMaintenanceUntil sets a time instead of a truth value: maintenance ends by itself.
func testMaintenanceUntil(t *testing.T, b *bench) {
	until := time.Now().Add(10 * time.Second)
	b.envoy.SetRuntime("healthgate.maintenance", until.Format(time.RFC3339Nano))
	b.becomes(t, 503, sorry)
	b.becomes(t, 200, "OK")
	if now := time.Now(); now.Before(until) {
		t.Errorf("maintenance ended %v too early", until.Sub(now))
	}
	b.envoy.SetRuntime("healthgate.maintenance", "")
}

// testMaintenanceRoute sets the runtime key that the maintenance route waits for: the very next check sees it.
func testMaintenanceRoute(t *testing.T, b *bench) {
	startLoad(t, b.balancer.target)
	const key = "healthgate.route_maintenance"
	for range 10 {
		b.envoy.SetRuntime(key, "100")
		b.balancer.get(t, check, 503, sorry)
		b.stranger.get(t, "/shop", 200, "app /shop")
		b.envoy.SetRuntime(key, "")
		b.balancer.get(t, check, 200, "OK")
	}
	b.envoy.SetRuntime(key, "100")
	b.passesUnchanged(t, b.stranger, check) // the maintenance route leads to the application, too
	b.envoy.SetRuntime(key, "")
}
