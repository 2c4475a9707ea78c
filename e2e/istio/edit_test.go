package istio

import (
	"fmt"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// testLiveEdit changes the configuration while users are served: it takes effect, and no request fails.
func testLiveEdit(t *testing.T, b *bench) {
	startLoad(t, b.balancer.target)
	checks := watch(t, b.balancer)
	b.apply(t, edit(t, settings, "body: OK", "body: FINE"))
	b.becomes(t, 200, "FINE")
	b.steadily(t, envoytest.Limit, 200, "FINE")
	// The probes are the same, so what was known of them is still known.
	checks.saw(t, "200 OK", "200 FINE")

	b.apply(t, edit(t, settings, "policy: all", "policy: any"))
	b.becomes(t, 200, "OK")
	b.steadily(t, envoytest.Limit, 200, "OK")
	b.app.Answer(alive("stats"), 500)
	envoytest.Eventually(t, envoytest.Limit, "the probe fails", func() error {
		return b.envoy.Stat("wasmcustom.healthgate_probe_up.probe.stats", 0)
	})
	b.balancer.get(t, check, 200, "OK")
	b.app.Answer(alive("stats"), 200)

	b.apply(t, edit(t, settings, "paths: [/healthz]", "paths: [/healthz, /livez]"))
	envoytest.Eventually(t, envoytest.Limit, "the new path answers", b.balancer.gets("/livez", 200, ""))
	b.apply(t, settings)
	envoytest.Eventually(t, envoytest.Limit, "the new path is gone", b.balancer.gets("/livez", 200, "app /livez"))
	b.steadily(t, envoytest.Limit, 200, "OK")
}

// testMistake applies a configuration that the plugin refuses: Envoy keeps the one it has.
func testMistake(t *testing.T, b *bench) {
	startLoad(t, b.balancer.target)
	checks := watch(t, b.balancer)
	manifests := edit(t, b.render(t, settings), "127.0.0.1/32", "127.0.0.1/33")
	b.istiod.Kube.Apply(manifests)
	envoytest.Eventually(t, envoytest.Limit, "the place in the log", func() error {
		return b.envoy.Log.Has(`healthgate: config: endpoints[0].trusted.cidrs[0]: "127.0.0.1/33" is not a CIDR`)
	})
	b.steadily(t, envoytest.Limit, 200, "OK")
	checks.saw(t, "200 OK")
	b.apply(t, settings)
	b.apply(t, edit(t, settings, "body: OK", "body: BACK"))
	b.becomes(t, 200, "BACK")
	b.apply(t, settings)
	b.steadily(t, envoytest.Limit, 200, "OK")
}

// testNeighbour applies the manifests of a second team to the same Envoy. Istio gives all WasmPlugins the same vm_id,
// so their VMs share data; neither sees the other's.
func testNeighbour(t *testing.T, b *bench) {
	checks := watch(t, b.balancer)
	b.istiod.Kube.Apply(b.render(t, `
endpoints:
- name: second
  paths: [/second]
  trusted: {cidrs: [127.0.0.1/32]}
  healthy: {body: SECOND, content_type: text/plain}
  maintenance: {keys: [second.maintenance], body: not the second, content_type: text/plain}
  probes: {names: [inbound]}
probes:
- {name: inbound, cluster: app, path: /second/isalive, interval: 500ms, timeout: 5s}
admin: {cluster: prometheus_stats, interval: 500ms, timeout: 5s}
`, "--name", "second"))
	second := func(status int, body string) {
		t.Helper()
		envoytest.Eventually(t, envoytest.StartLimit, body, b.balancer.gets("/second", status, body))
	}
	second(200, "SECOND")
	b.envoy.SetRuntime("second.maintenance", "true")
	second(503, "not the second")
	b.envoy.SetRuntime("second.maintenance", "")
	second(200, "SECOND")
	b.app.Answer("/second/isalive", 500)
	second(500, "FAILED")
	checks.saw(t, "200 OK")

	b.envoy.SetRuntime("healthgate.maintenance", "true")
	b.becomes(t, 503, sorry)
	b.app.Answer("/second/isalive", 200)
	second(200, "SECOND")
	b.envoy.SetRuntime("healthgate.maintenance", "")
	b.becomes(t, 200, "OK")
}

// steadily waits until many checks in a row are answered so: each through a new connection, so that no worker is
// likely to be left out.
func (b *bench) steadily(t testing.TB, limit time.Duration, status int, body string) {
	t.Helper()
	envoytest.Eventually(t, limit, fmt.Sprintf("all workers answer %d %s", status, body), func() error {
		for range 20 {
			if err := b.balancer.gets(check, status, body)(); err != nil {
				return err
			}
		}
		return nil
	})
}

// testConfigMap changes runtime keys as `kubectl patch configmap` does, seen from the pod.
func testConfigMap(t *testing.T, b *bench) {
	startLoad(t, b.balancer.target)
	for round := range 3 {
		envoytest.MountConfigMap(t, b.runtime, map[string]string{"healthgate.maintenance": "true",
			"healthgate.maintenance.reason": fmt.Sprint("round ", round)})
		b.becomes(t, 503, sorry)
		envoytest.MountConfigMap(t, b.runtime, nil)
		b.becomes(t, 200, "OK")
	}
	envoytest.MountConfigMap(t, b.runtime, map[string]string{"healthgate.route_maintenance": "100"})
	b.becomes(t, 503, sorry)
	envoytest.MountConfigMap(t, b.runtime, nil)
	b.becomes(t, 200, "OK")
}
