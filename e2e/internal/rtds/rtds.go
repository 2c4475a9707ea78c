// Package rtds is a runtime discovery service with one layer, made of the library that control planes are made of.
package rtds

import (
	"context"
	"net"

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

// Server has one layer of runtime keys, for every Envoy that asks for it.
type Server struct {
	layer string
	cache *cache.LinearCache
	grpc  *grpc.Server
	end   context.CancelFunc
}

// New returns a server whose layer has no key yet. Callbacks, which may be nil, see what Envoys send.
func New(layer string, callbacks server.Callbacks) *Server {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{layer: layer, cache: cache.NewLinearCache(resource.RuntimeType), grpc: grpc.NewServer(), end: cancel}
	service := server.NewServer(ctx, s.cache, callbacks)
	discovery.RegisterAggregatedDiscoveryServiceServer(s.grpc, service)
	runtimeservice.RegisterRuntimeDiscoveryServiceServer(s.grpc, service)
	if err := s.Set("", ""); err != nil {
		panic(err) // a layer without keys is always one
	}
	return s
}

// Serve serves until Stop.
func (s *Server) Serve(l net.Listener) error { return s.grpc.Serve(l) }

// Stop closes all streams.
func (s *Server) Stop() {
	s.end()
	s.grpc.Stop()
}

// Set makes a key the only one of the layer, and pushes it to all Envoys; without a value, the layer has no key.
func (s *Server) Set(key, value string) error {
	values := map[string]any{}
	if value != "" {
		values[key] = value
	}
	layer, err := structpb.NewStruct(values)
	if err != nil {
		return err
	}
	return s.cache.UpdateResource(s.layer, types.Resource(&runtimeservice.Runtime{Name: s.layer, Layer: layer}))
}

// Source adds a cluster with such a server to a configuration, and returns the config source that leads to it.
func Source(c *envoytest.Config, port int) envoytest.Object {
	const cluster = "rtds"
	c.AddCluster(cluster, port)
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

// Layer is a layer of Envoy's runtime that comes from a config source.
func Layer(name string, source envoytest.Object) envoytest.Object {
	return envoytest.Object{"name": "layer " + name,
		"rtds_layer": envoytest.Object{"name": name, "rtds_config": source}}
}
