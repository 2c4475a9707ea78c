package layers

import (
	"context"
	"fmt"
	"net"
	"testing"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	runtimeservice "github.com/envoyproxy/go-control-plane/envoy/service/runtime/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// rtdsServer is a runtime discovery service with one layer.
type rtdsServer struct {
	port  int
	layer string
	cache *cache.LinearCache
}

func startRTDS(t *testing.T, layer string) *rtdsServer {
	t.Helper()
	s := &rtdsServer{port: envoytest.ReservePort(t), layer: layer, cache: cache.NewLinearCache(resource.RuntimeType)}
	s.set(t, "", "")
	listener, err := net.Listen("tcp", envoytest.Loopback(s.port))
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	g := grpc.NewServer()
	service := server.NewServer(ctx, s.cache, nil)
	discovery.RegisterAggregatedDiscoveryServiceServer(g, service)
	runtimeservice.RegisterRuntimeDiscoveryServiceServer(g, service)
	served := make(chan error, 1)
	go func() { served <- g.Serve(listener) }()
	t.Cleanup(func() {
		cancel()
		g.Stop()
		if err := <-served; err != nil {
			t.Errorf("runtime discovery service: %v", err)
		}
	})
	return s
}

func (s *rtdsServer) set(t *testing.T, key, value string) {
	t.Helper()
	values := map[string]any{}
	if value != "" {
		values[key] = value
	}
	layer, err := structpb.NewStruct(values)
	must(t, err)
	must(t, s.cache.UpdateResource(s.layer, types.Resource(&runtimeservice.Runtime{Name: s.layer, Layer: layer})))
}

// config is how Envoy is told of the service.
func (s *rtdsServer) config(c *envoytest.Config) envoytest.Object {
	const cluster = "rtds"
	c.AddCluster(cluster, s.port)
	clusters := envoytest.At[[]any](c.Bootstrap, "static_resources", "clusters")
	clusters[len(clusters)-1].(envoytest.Object)["typed_extension_protocol_options"] = envoytest.Object{
		"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": envoytest.Any(
			"envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
			envoytest.Object{"explicit_http_config": envoytest.Object{"http2_protocol_options": envoytest.Object{}}}),
	}
	return envoytest.Object{
		"resource_api_version": "V3",
		"api_config_source": envoytest.Object{
			"api_type": "GRPC", "transport_api_version": "V3",
			"grpc_services": []any{envoytest.Object{"envoy_grpc": envoytest.Object{"cluster_name": cluster}}},
		},
	}
}

func rtdsLayer(name string, config envoytest.Object) envoytest.Object {
	return envoytest.Object{"name": fmt.Sprintf("layer %s", name),
		"rtds_layer": envoytest.Object{"name": name, "rtds_config": config}}
}
