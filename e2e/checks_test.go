package e2e

import (
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

func testHealthy(t *testing.T, b *bench) {
	a := b.balancer.get(t, check)
	a.is(t, 200, "OK")
	a.has(t, "Content-Type", "text/plain")

	a = b.balancer.get(t, empty)
	a.is(t, 200, "")
	a.has(t, "Content-Type", "text/html")
	a.has(t, "Content-Length", "0")

	for path, contentType := range map[string]string{check: "text/plain", empty: "text/html"} {
		a := must.Get(b.balancer.request("HEAD", path, ""))(t)
		a.is(t, 200, "")
		a.has(t, "Content-Type", contentType)
		// What HAProxy sends unless it is told otherwise.
		a = must.Get(b.balancer.raw("OPTIONS", "OPTIONS "+path+" HTTP/1.0\r\n\r\n"))(t)
		if a.Status != 200 {
			t.Errorf("OPTIONS %s in HTTP/1.0 without Host: %v", path, a)
		}
	}
}

// testNodes lets each node fail in turn: the check follows within one interval, and the timeout if a node hangs.
func testNodes(t *testing.T, b *bench) {
	for _, node := range nodes {
		b.app.Answer(alive(node), 500)
		b.within(t, interval+slack, 500, "FAILED")
		b.becomes(t, "wasmcustom.healthgate_probe_up.probe."+node, 0)
		b.app.Answer(alive(node), 200)
		b.within(t, interval+slack, 200, "OK")
	}
	b.app.Answer(alive("stats"), 404)
	b.within(t, interval+slack, 404, "FAILED")
	b.balancer.get(t, check).has(t, "Content-Type", "text/plain")
	b.app.Answer(alive("stats"), 200)
	b.settle(t)

	release := b.app.Hold(alive("outbound"))
	b.within(t, interval+timeout+slack, 503, "FAILED")
	release()
	b.within(t, interval+slack, 200, "OK")
}

// testGone takes the whole application away.
func testGone(t *testing.T, b *bench) {
	b.app.Vanish()
	b.within(t, interval+slack, 503, "FAILED")
	for _, node := range nodes { // the check fails with the first of them; the log is to tell of each
		b.becomes(t, "wasmcustom.healthgate_probe_up.probe."+node, 0)
	}
	b.balancer.get(t, empty).is(t, 200, "") // it asks no node
	b.app.Return()
	b.within(t, interval+slack, 200, "OK")
}

func testDraining(t *testing.T, b *bench) {
	startTraffic(t, b.balancer)
	b.envoy.Post("/healthcheck/fail")
	b.within(t, interval+slack, 503, "DRAINING")
	b.balancer.get(t, check).has(t, "Content-Type", "text/plain")
	b.becomes(t, "wasmcustom.healthgate_draining", 1)
	envoytest.Eventually(t, envoytest.Limit, "the other endpoint drains too", b.balancer.gets(empty, 503, "DRAINING"))
	b.envoy.Post("/healthcheck/ok")
	b.within(t, interval+slack, 200, "OK")
}

// testPaths: an endpoint's path matches byte for byte. Whatever differs belongs to the application.
func testPaths(t *testing.T, b *bench) {
	for _, path := range []string{check + "?x=1", check + "?", check + "?a=b/c%20d&e=?"} {
		b.balancer.get(t, path).is(t, 200, "OK")
	}
	for _, path := range []string{
		"//my-service/healthcheck", "/my-service//healthcheck", "/my-service/Healthcheck", "/my-service/%68ealthcheck",
		check + "/", check + "%20", check + ";a=b", check + "x", "/x/.." + check, "/." + check, "/my-service",
	} {
		before := b.app.Count(path)
		b.balancer.get(t, path).isApp(t, path)
		if n := b.app.Count(path) - before; n != 1 {
			t.Errorf("the application saw %d requests for %s, want 1", n, path)
		}
	}
}
