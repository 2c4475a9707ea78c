package e2e

import (
	"context"
	"net"
	"sync/atomic"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// TestGRPCProbe: a grpc-go server changes its mind about its health, and so do checks.
func TestGRPCProbe(t *testing.T) {
	t.Parallel()
	const service = "shop.v1.Shop"
	listener := must.Get(net.Listen("tcp", "127.0.0.1:0"))(t)
	state := health.NewServer()
	var hangs atomic.Bool
	server := grpc.NewServer(grpc.UnaryInterceptor(func(ctx context.Context, request any, _ *grpc.UnaryServerInfo,
		handler grpc.UnaryHandler) (any, error) {
		if hangs.Load() {
			<-ctx.Done()
		}
		return handler(ctx, request)
	}))
	grpc_health_v1.RegisterHealthServer(server, state)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)

	a := app.Start(t)
	config := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	clusters := envoytest.At[[]any](config.Bootstrap, "static_resources", "clusters")
	for _, c := range clusters {
		if c := c.(object); c["name"] == "app" {
			c := envoytest.Clone(c)
			c["name"] = "health"
			c["typed_extension_protocol_options"] = envoytest.Parse(`{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
				"@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
				"explicit_http_config": {"http2_protocol_options": {}}}}`)
			endpoint := envoytest.At[object](c, "load_assignment", "endpoints", 0, "lb_endpoints", 0, "endpoint")
			envoytest.At[object](endpoint, "address", "socket_address")["port_value"] = listener.Addr().(*net.TCPAddr).Port
			clusters = append(clusters, c)
		}
	}
	config.Bootstrap["static_resources"].(object)["clusters"] = clusters
	config.Listener("ingress").Change(func(s object) {
		probe := envoytest.At[object](s, "probes", 0)
		delete(probe, "path")
		probe["cluster"], probe["interval"], probe["timeout"] = "health", "100ms", "1s"
		probe["grpc"] = object{"service": service}
	})
	b := start(t, a, config, 2)
	for _, step := range []struct {
		name, log string
		change    func()
		status    int
	}{
		{"a service that the server does not know", `unhealthy: grpc-status 5`, func() {}, 503},
		{"serving", `healthy: SERVING`,
			func() { state.SetServingStatus(service, grpc_health_v1.HealthCheckResponse_SERVING) }, 200},
		{"not serving", `unhealthy: NOT_SERVING`,
			func() { state.SetServingStatus(service, grpc_health_v1.HealthCheckResponse_NOT_SERVING) }, 503},
		{"serving again", `healthy: SERVING`,
			func() { state.SetServingStatus(service, grpc_health_v1.HealthCheckResponse_SERVING) }, 200},
		{"no answer", `unhealthy: timed out after 1s`, func() { hangs.Store(true) }, 503},
		{"an answer", `healthy: SERVING`, func() { hangs.Store(false) }, 200},
		{"no server", `unhealthy: no response: `, server.Stop, 503},
	} {
		step.change()
		b.within(t, envoytest.Limit, step.status, map[int]string{200: "OK", 503: "FAILED"}[step.status])
		envoytest.Eventually(t, envoytest.Limit, step.name, func() error { return b.envoy.Log.Has(step.log) })
	}
}
