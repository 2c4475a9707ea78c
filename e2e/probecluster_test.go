package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// TestProbesAreNobodysTraffic: the application's cluster ejects hosts that answer 5xx, and lets four requests run. What
// `healthgate render` writes gives the probes a cluster of their own: failed probes then harm no user, and an
// application that is busy is healthy. The other row is why: through the application's cluster both go wrong.
func TestProbesAreNobodysTraffic(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, cluster string
		shared        bool
	}{
		{"their own cluster", "healthgate_app", false},
		{"the application's cluster", "app", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a, other := app.Start(t), app.Start(t)
			config := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
			guard(config, other.Port)
			config.Listener("ingress").Change(func(s object) {
				for i := range nodes {
					probe := envoytest.At[object](s, "probes", i)
					probe["cluster"], probe["interval"] = test.cluster, "100ms"
				}
			})
			b := start(t, a, config, 2)
			b.settle(t)
			testBusy(t, b, other, test.shared)
			testEjected(t, b, other, test.shared)
		})
	}
}

// guard gives the application's cluster a second host, outlier detection and a circuit breaker. As in Istio, hosts that
// are ejected get nothing, even when no other is left.
func guard(config *envoytest.Config, port int) {
	for _, c := range envoytest.At[[]any](config.Bootstrap, "static_resources", "clusters") {
		if c := c.(object); c["name"] == "app" {
			c["circuit_breakers"] = envoytest.Parse(`{"thresholds": [{"max_requests": 4}]}`)
			c["outlier_detection"] = envoytest.Parse(`{"consecutive_5xx": 5, "base_ejection_time": "300s",
				"max_ejection_percent": 100}`)
			c["common_lb_config"] = envoytest.Parse(`{"healthy_panic_threshold": {"value": 0}}`)
			hosts := envoytest.At[object](c, "load_assignment", "endpoints", 0)
			second := envoytest.Clone(envoytest.At[object](hosts, "lb_endpoints", 0))
			envoytest.At[object](second, "endpoint", "address", "socket_address")["port_value"] = port
			hosts["lb_endpoints"] = append(hosts["lb_endpoints"].([]any), second)
		}
	}
}

// probed waits until the application was asked for each node this often more.
func probed(t *testing.T, times int, apps ...*app.App) {
	t.Helper()
	count := func(node string) (n int) {
		for _, a := range apps {
			n += a.Count(alive(node))
		}
		return n
	}
	for _, node := range nodes {
		before := count(node)
		envoytest.Eventually(t, envoytest.Limit, "the application is asked", func() error {
			if n := count(node) - before; n < times {
				return fmt.Errorf("%s was asked %d times, not %d", node, n, times)
			}
			return nil
		})
	}
}

// testBusy lets as many requests run as the application's circuit breaker allows.
func testBusy(t *testing.T, b *bench, other *app.App, shared bool) {
	const slow = "/slow"
	release, releaseOther := b.app.Hold(slow), other.Hold(slow)
	done := make(chan error, 4)
	for range cap(done) {
		go func() {
			for {
				a, err := b.stranger.request("GET", slow, "")
				if err == nil && a.Status == http.StatusServiceUnavailable {
					continue // a probe had the place
				}
				done <- err
				return
			}
		}()
	}
	envoytest.Eventually(t, envoytest.Limit, "four requests run", func() error {
		if n := b.app.Count(slow) + other.Count(slow); n != cap(done) {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	if shared {
		envoytest.Eventually(t, envoytest.Limit, "the busy application fails checks", b.balancer.gets(check, 503, "FAILED"))
	} else {
		w := watch(t, b.balancer)
		probed(t, 5, b.app)
		w.Saw(t, "200 OK")
	}
	release()
	releaseOther()
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	envoytest.Eventually(t, envoytest.Limit, "healthy again", b.balancer.gets(check, 200, "OK"))
}

// testEjected lets the probes get 503 for a while. Users are served all the time.
func testEjected(t *testing.T, b *bench, other *app.App, shared bool) {
	const ejected = "cluster.app.outlier_detection.ejections_active"
	answer := func(status int) {
		for _, node := range nodes {
			b.app.Answer(alive(node), status)
			other.Answer(alive(node), status)
		}
	}
	answer(503)
	if !shared {
		probed(t, 12, b.app)
		b.everywhere(t, 503, "FAILED")
		if err := b.envoy.Stat(ejected, 0); err != nil {
			t.Error(err)
		}
		for range 4 { // either host
			b.stranger.get(t, "/shop").isApp(t, "/shop")
		}
		answer(200)
		envoytest.Eventually(t, envoytest.Limit, "healthy again", b.balancer.gets(check, 200, "OK"))
		return
	}
	envoytest.Eventually(t, envoytest.Limit, "both hosts are ejected", func() error { return b.envoy.Stat(ejected, 2) })
	envoytest.Eventually(t, envoytest.Limit, "users get nothing", b.stranger.gets("/shop", 503, "no healthy upstream"))
	answer(200)
	const refused = "cluster.app.upstream_cx_none_healthy"
	before := b.envoy.Stats(refused)[refused]
	envoytest.Eventually(t, envoytest.Limit, "the application can't be asked", func() error {
		if b.envoy.Stats(refused)[refused] < before+9 {
			return errors.New("not yet refused often enough")
		}
		return nil
	})
	b.balancer.get(t, check).is(t, 503, "FAILED")
}
