package e2e

import (
	"errors"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// TestDegraded: Envoy's own health checks understand the mark of a probe that does not fail the endpoint.
func TestDegraded(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	config := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	ingress := config.Listener("ingress")
	ingress.Change(func(s object) {
		e := envoytest.At[object](s, "endpoints", 0)
		e["probes"] = object{"names": []any{"inbound", "outbound"}}
		e["degraded"] = object{"probes": []any{"stats"}, "headers": object{"x-envoy-degraded": "1"}}
	})
	config.AddCluster("checked", int(envoytest.At[float64](ingress.Object, "address", "socket_address",
		"port_value")))
	clusters := envoytest.At[[]any](config.Bootstrap, "static_resources", "clusters")
	clusters[len(clusters)-1].(object)["health_checks"] = []any{envoytest.Parse(`{"timeout": "5s", "interval": "0.1s",
		"no_traffic_interval": "0.1s", "unhealthy_threshold": 1, "healthy_threshold": 1,
		"http_health_check": {"path": "` + check + `"}}`)}
	b := start(t, a, config, 2)
	for _, step := range []struct {
		node   string
		status int
		want   string
	}{
		{"stats", 200, "healthy"}, {"stats", 500, "/degraded_active_hc"}, {"inbound", 500, "/failed_active_hc"},
		{"inbound", 200, "/degraded_active_hc"}, {"stats", 200, "healthy"},
	} {
		a.Answer(alive(step.node), step.status)
		envoytest.Eventually(t, envoytest.Limit, "the host is "+step.want, func() error {
			_, host, _ := strings.Cut(b.envoy.Get("/clusters"), "\nchecked::127.0.0.1:")
			_, flags, _ := strings.Cut(host, "::health_flags::")
			if flags, _, _ = strings.Cut(flags, "\n"); !strings.HasPrefix(flags, step.want) {
				return errors.New(flags)
			}
			return nil
		})
	}
}
