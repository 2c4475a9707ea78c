package operator

import (
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// TestLimitsInTime: a check that waits for a probe on demand may be ended by Envoy first, one in maintenance is not.
func TestLimitsInTime(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	c := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	c.Listener("ingress").Change(func(s envoytest.Object) {
		for _, p := range s["probes"].([]any) {
			p := p.(envoytest.Object)
			delete(p, "interval")
			p["timeout"], p["on_demand"] = "50s", envoytest.Object{}
		}
	})
	limits := []string{"stream_idle_timeout", "request_timeout", "max_stream_duration", "the route's own"}
	for _, limit := range limits {
		switch l := c.AddListener(limit); limit {
		case "max_stream_duration":
			l.HCM()["common_http_protocol_options"] = envoytest.Object{limit: "1s"}
		case "the route's own":
			l.HCM()["stream_idle_timeout"] = "1s"
			envoytest.At[envoytest.Object](gateRoute(l), "route")["idle_timeout"] = "60s"
		default:
			l.HCM()[limit] = "1s"
		}
	}
	checked := func(limit string, want int) {
		if status, body := get(t, "http://"+c.Listener(limit).Address()+check, "a"); status != want {
			t.Errorf("%s: %d %q, want %d", limit, status, body, want)
		}
	}
	envoy, admin := envoytest.Start(t, c, 1), envoytest.Loopback(c.AdminPort)
	release := a.Hold("/stats/isalive")
	for _, limit := range limits[:3] {
		checked(limit, 504)
	}
	release()
	on := run(t, "maintenance", "on", "--admin", admin)
	on.is(t, 0, "my-service")
	if on.stderr != "" {
		t.Error(on.stderr)
	}
	a.Hold("/stats/isalive")
	envoy.Grows("wasmcustom.healthgate_snapshot_writes_total", 4)
	for _, limit := range limits {
		checked(limit, 503)
	}
	checking(t, c.Listener(limits[0]).Address())
	run(t, "status", "--admin", admin, "--expect", "my-service=maintenance").is(t, 0)
}
