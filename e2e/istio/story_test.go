package istio

import (
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/e2e/istio/internal/lab"
)

// TestStory is what docs/istio.md tells an operator to do, from one file to a maintenance that ends by itself.
func TestStory(t *testing.T) {
	t.Parallel()

	// There is a mesh, and in it an application behind a sidecar. It serves users.
	shop := app.Start(t)
	b := &bench{way: way{"istio-envoyfilter", lab.Sidecar}, app: shop, istiod: lab.StartIstiod(t), runtime: t.TempDir()}
	b.Workload = b.istiod.Join(t, lab.Sidecar, shop.Port)
	port := envoytest.Loopback(b.Port)

	// The operator writes healthgate.yaml, renders it and applies the result.
	override := b.apply(t, `
endpoints:
- name: shop
  paths: [/healthcheck]
  trusted: {cidrs: [127.0.0.1/32]}  # where the load balancer's checks come from
  healthy: {body: OK, content_type: text/plain}
  maintenance:
    keys: [healthgate.maintenance]
    body: Back soon
    content_type: text/plain
admin: {cluster: prometheus_stats}
`)
	// The pod starts, with the annotation sidecar.istio.io/bootstrapOverride.
	b.Override(override)
	sidecar := envoytest.Start(t, b.Config, 2)
	startLoad(t, port)

	// The load balancer's checks are answered as configured, and do not reach the application.
	balancer := newClient(t, trusted, port, false)
	envoytest.Eventually(t, envoytest.Limit, "healthy", balancer.gets("/healthcheck", 200, "OK"))

	// Maintenance: the command returns when the sidecar says so; from then on checks get 503.
	from := time.Now()
	out := envoytest.Healthgate(t, "maintenance", "on", "--for", "10s", "--admin",
		"http://"+envoytest.Loopback(sidecar.Config.AdminPort))
	t.Logf("healthgate maintenance on --for 10s:\n%s", out)
	envoytest.Eventually(t, envoytest.Limit, "maintenance", balancer.gets("/healthcheck", 503, "Back soon"))

	// Nobody does anything, and the instance comes back.
	envoytest.Eventually(t, envoytest.Limit, "back", balancer.gets("/healthcheck", 200, "OK"))
	if took := time.Since(from); took < 9*time.Second { // the end is rounded to a second
		t.Errorf("maintenance for 10s ended after %v", took)
	}
	if n := shop.Count("/healthcheck"); n > 0 {
		t.Errorf("the application saw %d health checks", n)
	}
}
