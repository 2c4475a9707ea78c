package istio

import (
	"fmt"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/e2e/istio/internal/lab"
)

// rule is what a mesh says of its application: five answers of 5xx in a row take a host out, and four requests run.
const rule = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop}
spec:
  host: shop.default.svc.cluster.local
  trafficPolicy:
    connectionPool: {http: {http2MaxRequests: 4}}
    outlierDetection: {consecutive5xxErrors: 5, baseEjectionTime: 300s, maxEjectionPercent: 100}
`

const shopCluster = "outbound|80||shop.default.svc.cluster.local"

// TestDestinationRule: what a DestinationRule says of the application does not touch its probes, nor do these touch its
// users, though the file names Istio's own cluster.
func TestDestinationRule(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"istio-envoyfilter", "istio-wasmplugin"} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			b := start(t, way{form, lab.Gateway})
			b.istiod.Kube.Apply(rule)
			ruled := strings.ReplaceAll(edit(t, settings, "body: OK", "body: RULED"), "cluster: app", "cluster: "+shopCluster)
			manifests := b.render(t, ruled)
			b.istiod.Kube.Apply(manifests)
			b.steadily(t, envoytest.StartLimit, 200, "RULED")
			envoytest.Eventually(t, envoytest.Limit, "the rule arrives", func() error {
				dump := b.envoy.Get("/config_dump?resource=dynamic_active_clusters")
				if !strings.Contains(dump, `"max_requests": 4,`) {
					return fmt.Errorf("no cluster has the circuit breaker")
				}
				return nil
			})

			testBusy(t, b)
			b.answerAll(503)
			b.probed(t, 12)
			b.steadily(t, envoytest.Limit, 503, "FAILED")
			b.stranger.get(t, "/shop", 200, "app /shop")
			b.answerAll(200)
			b.becomes(t, 200, "RULED")
			if out := b.status(t); strings.Contains(out, "outlier detection") || strings.Contains(out, "circuit breaker") {
				t.Errorf("healthgate status warns:\n%s", out)
			}
			testShared(t, b, manifests)
		})
	}
}

// testBusy lets as many requests run as the rule allows: the application is busy, and healthy.
func testBusy(t *testing.T, b *bench) {
	const slow = "/slow"
	release := b.app.Hold(slow)
	done := make(chan error, 4)
	for range cap(done) {
		go func() {
			_, err := b.stranger.send("GET", slow)
			done <- err
		}()
	}
	envoytest.Eventually(t, envoytest.Limit, "four requests run", func() error {
		if n := b.app.Count(slow); n != cap(done) {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	b.stranger.get(t, "/shop", 503, "upstream connect error or disconnect/reset before headers. reset reason: overflow")
	checks := watch(t, b.balancer)
	b.probed(t, 5)
	checks.saw(t, "200 RULED")
	release()
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// testShared is why: through Istio's own cluster probes that fail take the application from its users.
func testShared(t *testing.T, b *bench, manifests string) {
	shared := strings.ReplaceAll(manifests, `cluster: "healthgate_`+shopCluster, `cluster: "`+shopCluster)
	if shared == manifests {
		t.Fatalf("no probe has a cluster of its own in %s", manifests)
	}
	b.istiod.Kube.Apply(edit(t, shared, "body: RULED", "body: SHARED"))
	b.steadily(t, envoytest.Limit, 200, "SHARED")
	for _, want := range []string{
		"has users' requests, too", "has outlier detection", "has a panic threshold of 0", "max_requests 4",
	} {
		if out := b.status(t); !strings.Contains(out, want) {
			t.Errorf("healthgate status does not say %q:\n%s", want, out)
		}
	}
	b.answerAll(503)
	out := fmt.Sprintf("%s::%s::health_flags::/failed_outlier_check", shopCluster, envoytest.Loopback(b.AppPort))
	envoytest.Eventually(t, envoytest.Limit, "the host is ejected", func() error {
		if !strings.Contains(b.envoy.Get("/clusters"), out) {
			return fmt.Errorf("no %s", out)
		}
		return nil
	})
	envoytest.Eventually(t, envoytest.Limit, "users get nothing", b.stranger.gets("/shop", 503, "no healthy upstream"))
}

func (b *bench) answerAll(status int) {
	for _, node := range nodes {
		b.app.Answer(alive(node), status)
	}
}

// probed waits until the application was asked for each node this often more.
func (b *bench) probed(t *testing.T, times int) {
	t.Helper()
	for _, node := range nodes {
		before := b.app.Count(alive(node))
		envoytest.Eventually(t, envoytest.Limit, "the application is asked", func() error {
			if n := b.app.Count(alive(node)) - before; n < times {
				return fmt.Errorf("%s was asked %d times, not %d", node, n, times)
			}
			return nil
		})
	}
}

func (b *bench) status(t *testing.T) string {
	t.Helper()
	return envoytest.Healthgate(t, "status", "--admin", envoytest.Loopback(b.Config.AdminPort))
}
