package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"strconv"
	"testing"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/echo/v3" // what listeners are made of
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// everyNode has a control plane serve all Envoys the same.
type everyNode struct{}

func (everyNode) ID(*core.Node) string { return "" }

// read makes a resource of its JSON.
func read[M proto.Message](t *testing.T, m M, text string) types.Resource {
	t.Helper()
	must.Do(t, protojson.Unmarshal([]byte(text), m))
	return m
}

// certificate is a secret with a certificate that nobody trusts.
func certificate(t *testing.T, name string) types.Resource {
	t.Helper()
	key := must.Get(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	signed := must.Get(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))(t)
	private := must.Get(x509.MarshalECPrivateKey(key))(t)
	inline := func(kind string, content []byte) *core.DataSource {
		text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content})
		return &core.DataSource{Specifier: &core.DataSource_InlineBytes{InlineBytes: text}}
	}
	return &tls.Secret{Name: name, Type: &tls.Secret_TlsCertificate{TlsCertificate: &tls.TlsCertificate{
		CertificateChain: inline("CERTIFICATE", signed), PrivateKey: inline("EC PRIVATE KEY", private),
	}}}
}

// TestXDS: a control plane holds back clusters, endpoints, listeners and secrets, each in turn. Envoy is LIVE without
// all of that when its initial_fetch_timeout is over.
func TestXDS(t *testing.T) {
	t.Parallel()
	at := must.Get(net.Listen("tcp", "127.0.0.1:0"))(t)
	resources := cache.NewSnapshotCache(false, everyNode{}, nil)
	plane := grpc.NewServer()
	discovery.RegisterAggregatedDiscoveryServiceServer(plane, server.NewServer(t.Context(), resources, nil))
	go func() { _ = plane.Serve(at) }()
	t.Cleanup(plane.Stop)

	a := app.Start(t)
	config := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	config.AddCluster("xds", at.Addr().(*net.TCPAddr).Port)
	clusters := envoytest.At[[]any](config.Bootstrap, "static_resources", "clusters")
	clusters[len(clusters)-1].(object)["typed_extension_protocol_options"] = envoytest.Parse(`{
		"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
			"@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
			"explicit_http_config": {"http2_protocol_options": {}}}}`)
	source := func(timeout string) string {
		return `{"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "` + timeout + `"}`
	}
	config.Bootstrap["dynamic_resources"] = envoytest.Parse(`{
		"ads_config": {"api_type": "GRPC", "transport_api_version": "V3",
			"grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}]},
		"cds_config": ` + source("0.1s") + `, "lds_config": ` + source("0.1s") + `}`)
	config.Listener("ingress").Change(func(s object) {
		s["probes"] = []any{envoytest.Parse(`{"name": "complete", "interval": "100ms", "timeout": "5s",
			"xds": {"secrets": ["first", "second"]}}`)}
		envoytest.At[object](s, "endpoints", 0)["probes"] = object{"names": []any{"complete"}}
	})
	// It waits for one secret, and no longer than its patience for another one.
	secured := func(name, secret, patience string) types.Resource {
		return read(t, &listener.Listener{}, `{"name": "`+name+`", "address": {"socket_address":
			{"address": "127.0.0.1", "port_value": `+strconv.Itoa(must.Port(t))+`}},
			"filter_chains": [{"filters": [{"name": "echo", "typed_config":
				{"@type": "type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo"}}],
			"transport_socket": {"name": "tls", "typed_config":
				{"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
				"common_tls_context": {"tls_certificate_sds_secret_configs": [
					{"name": "`+secret+`", "sds_config": `+source(patience)+`}]}}}}]}`)
	}
	b := start(t, a, config, 2)
	has := map[resource.Type][]types.Resource{}
	for i, step := range []struct {
		name  string
		adds  resource.Type
		what  []types.Resource
		gauge string // by which it is seen that Envoy has got that
		value int
		check int
	}{
		{"nothing has come", "", nil, "cluster_manager.cds.update_time", 0, 503},
		{"a cluster warms", resource.ClusterType, []types.Resource{read(t, &cluster.Cluster{},
			`{"name": "shop", "type": "EDS", "eds_cluster_config": {"eds_config": `+source("0s")+`}}`)},
			"cluster_manager.warming_clusters", 1, 503},
		{"no listeners have come", resource.EndpointType, []types.Resource{read(t, &endpoint.ClusterLoadAssignment{},
			`{"cluster_name": "shop"}`)}, "cluster_manager.warming_clusters", 0, 503},
		{"a listener warms", resource.ListenerType,
			[]types.Resource{secured("a", "first", "0s"), secured("b", "second", "0.1s")},
			"listener_manager.total_listeners_warming", 1, 503},
		{"a secret is missing", resource.SecretType, []types.Resource{certificate(t, "first")},
			"listener_manager.total_listeners_warming", 0, 503},
		{"all is there", resource.SecretType, []types.Resource{certificate(t, "second")},
			"listener_manager.total_listeners_warming", 0, 200},
		{"another cluster warms", resource.ClusterType, []types.Resource{read(t, &cluster.Cluster{},
			`{"name": "more", "type": "EDS", "eds_cluster_config": {"eds_config": `+source("0s")+`}}`)},
			"cluster_manager.warming_clusters", 1, 200},
	} {
		if step.adds != "" {
			has[step.adds] = append(has[step.adds], step.what...)
			snapshot, err := cache.NewSnapshot(fmt.Sprint(i), has)
			if err == nil {
				err = resources.SetSnapshot(t.Context(), "", snapshot)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		envoytest.Eventually(t, envoytest.Limit, step.name, func() error { return b.envoy.Stat(step.gauge, step.value) })
		b.envoy.Grows("cluster.envoy_admin.upstream_rq_total", 4)
		b.within(t, envoytest.Limit, step.check, map[int]string{200: "OK", 503: "FAILED"}[step.check])
	}
	for _, log := range []string{`probe "complete": unhealthy: cluster_manager.cds.update_time is 0`,
		`probe "complete": healthy: complete`} {
		if err := b.envoy.Log.Has(log); err != nil {
			t.Error(err)
		}
	}
}
