package gateway

import (
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

const (
	check = "/shop/healthcheck" // what the load balancer asks
	ready = "/shop/ready"       // what the kubelet asks
)

// settings are what an operator writes. The timeouts are long, so that a loaded machine is not taken for an application
// that hangs.
const settings = `
endpoints:
- name: balancer
  paths: [/shop/healthcheck]
  trusted: {cidrs: [127.0.0.1/32], peer: {filter_state: healthgate.peer}}
  healthy: {body: OK}
  maintenance: {keys: [healthgate.maintenance], body: Under maintenance}
  probes: {policy: all, names: [shop]}
- name: ready
  paths: [/shop/ready]
  trusted: {cidrs: [127.0.0.1/32]}
  healthy: {body: READY}
probes:
- {name: shop, cluster: app, path: /alive, interval: 500ms, timeout: 5s}
admin: {cluster: envoy_admin, interval: 500ms, timeout: 5s}
`

// keys lets no request through a Gateway without a key.
const keys = `
apiVersion: v1
kind: Secret
metadata: {name: keys, namespace: default}
data: {shopper: b3Blbg==}
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: SecurityPolicy
metadata: {name: keys, namespace: default}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: front}]
  apiKeyAuth:
    credentialRefs: [{name: keys}]
    extractFrom: [{headers: [x-api-key]}]
`

// TestGateway is the life of healthgate on one Gateway, from the first check until it is removed again.
func TestGateway(t *testing.T) {
	l := start(t, settings)
	// Envoy compiles the plugin first.
	envoytest.Eventually(t, envoytest.StartLimit, "first check", func() error {
		_, err := l.get(trusted, "", check)
		return err
	})
	const any, shop = "", "shop.example"
	healthy := func(t *testing.T) {
		t.Helper()
		for _, host := range []string{any, shop} {
			l.becomes(trusted, host, check, 200, "OK")
			l.becomes(trusted, host, ready, 200, "READY")
		}
	}
	for _, part := range []struct {
		name string
		run  func(t *testing.T)
	}{
		{"healthy", healthy},
		{"other requests", func(*testing.T) {
			l.becomes(trusted, any, "/users", 200, "app /users")
			l.becomes(trusted, shop, check+"/more", 200, "app "+check+"/more")
		}},
		{"untrusted", func(*testing.T) {
			for _, host := range []string{any, shop} {
				l.becomes(untrusted, host, check, 200, "app "+check)
			}
		}},
		{"maintenance by runtime", func(*testing.T) {
			l.post("/runtime_modify?healthgate.maintenance=true")
			l.becomes(trusted, any, check, 503, "Under maintenance")
			l.becomes(trusted, shop, check, 503, "Under maintenance")
			l.becomes(trusted, any, ready, 200, "READY")
			l.post("/runtime_modify?healthgate.maintenance=")
		}},
		{"back", healthy},
		{"maintenance by a ConfigMap", func(*testing.T) {
			l.mount(map[string]string{"healthgate.maintenance": "true"})
			l.becomes(trusted, any, check, 503, "Under maintenance")
			l.mount(nil)
		}},
		{"back again", healthy},
		{"draining", func(*testing.T) {
			l.post("/healthcheck/fail")
			l.becomes(trusted, any, check, 503, "DRAINING")
			l.post("/healthcheck/ok")
		}},
		{"a VM that crashed comes back", func(t *testing.T) {
			_, _ = l.get(trusted, any, check, "x-healthgate-fault", "crash")
			healthy(t)
		}},
		{"metrics", func(t *testing.T) {
			text := l.metrics()
			for _, want := range []string{`healthgate_checks_total{endpoint="balancer",verdict="maintenance"}`,
				`envoy_wasm_vm_reload_success{plugin="healthgate"} 1`} {
				if !strings.Contains(text, want) {
					t.Errorf("there is no %s", want)
				}
			}
		}},
		{"authentication", func(*testing.T) {
			l.apply("keys.yaml", keys)
			l.becomes(trusted, any, "/users", 401, "Client authentication failed.")
			l.becomes(untrusted, any, check, 401, "Client authentication failed.")
			l.becomes(untrusted, any, check, 200, "app "+check, "x-api-key", "open")
			l.becomes(trusted, any, check, 200, "OK")
			l.remove("keys.yaml")
			l.becomes(untrusted, any, check, 200, "app "+check)
		}},
		{"live edit", func(*testing.T) {
			l.render(strings.Replace(settings, "body: OK", "body: Fine", 1))
			l.becomes(trusted, any, check, 200, "Fine")
			l.becomes(trusted, shop, check, 200, "Fine")
		}},
		{"removal", func(*testing.T) {
			l.proxy = "own"
			l.apply("site.yaml", l.fill(site))
			l.remove("healthgate.yaml")
			l.becomes(trusted, any, check, 200, "app "+check)
			l.becomes(trusted, shop, check, 200, "app "+check)
		}},
	} {
		if !t.Run(part.name, func(t *testing.T) { l.t = t; part.run(t) }) {
			return // the next part would only repeat what is wrong
		}
	}
}
