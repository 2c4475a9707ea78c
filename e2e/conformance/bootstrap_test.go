package conformance

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
	"github.com/healthgate/healthgate/hostsim"
)

type object = envoytest.Object

// node is the Envoy's, on both sides.
var nodeOption = hostsim.Node{ID: "node-1", Cluster: "cluster-1", Region: "region-1", Zone: "zone-1", SubZone: "sub-1",
	Metadata: map[string]any{"role": "edge"}}

var nodeConfig = object{"id": "node-1", "cluster": "cluster-1",
	"locality": object{"region": "region-1", "zone": "zone-1", "sub_zone": "sub-1"}, "metadata": object{"role": "edge"}}

// bootstrap is an Envoy with a listener, a plugin in VMs of its own and two upstreams for each case. The listeners
// are discovered from a file, so that Envoy refuses one whose plugin does not start, and not all.
func bootstrap(t testing.TB, runs []*run, wasm func(*Case) string) *envoytest.Config {
	t.Helper()
	admin := must.Port(t)
	clusters := []any{
		cluster("envoy_admin", admin, false), cluster("refused", must.Port(t), false), cluster("empty", 0, false),
	}
	listeners := &listeners{file: filepath.Join(t.TempDir(), "listeners.json")}
	for _, r := range runs {
		r.listeners, r.module = listeners, wasm(r.c)
		slug := r.c.slug()
		clusters = append(clusters, cluster("application-"+slug, r.app.port, false),
			cluster(r.c.backend(), r.backend.port, r.c.Grpc))
		for n := range r.ports {
			listeners.all = append(listeners.all, listener(r, n, 0))
		}
	}
	listeners.publish(t)
	config := crashing(t)
	config.AdminPort = admin
	config.Bootstrap = object{
		"node":  nodeConfig,
		"admin": object{"address": address(admin)},
		"layered_runtime": object{"layers": []any{
			object{"name": "admin", "admin_layer": object{}},
		}},
		"dynamic_resources": object{"lds_config": object{
			"path_config_source": object{"path": listeners.file}, "resource_api_version": "V3",
		}},
		"static_resources":     object{"clusters": clusters},
		"bootstrap_extensions": services(runs, wasm),
	}
	return config
}

// listeners are those of an Envoy, in a file that it watches.
type listeners struct {
	file string

	mu      sync.Mutex
	all     []object
	version int
}

func (l *listeners) publish(t testing.TB) {
	t.Helper()
	l.version++
	envoytest.Publish(t, l.file, object{"version_info": fmt.Sprint(l.version), "resources": l.all})
}

// update publishes a case's listeners anew, with the plugin's next configuration, and waits until Envoy has taken or
// refused it.
func (l *listeners) update(t testing.TB, r *run) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for n := range r.ports {
		next := listener(r, n, r.updates)
		at := slices.IndexFunc(l.all, func(old object) bool { return old["name"] == next["name"] })
		l.all[at] = next
	}
	read := func() uint64 {
		stats, err := r.journal.envoy.Admin.Stats(t.Context(), `listener_manager\.lds\.update_(success|rejected)`)
		if err != nil {
			return 0
		}
		return stats["listener_manager.lds.update_success"] + stats["listener_manager.lds.update_rejected"]
	}
	before := read()
	l.publish(t)
	if !r.wait(envoytest.Limit, func() bool { return read() > before }) {
		t.Errorf("%s: Envoy does not read its listeners anew", r.c.Name)
	}
}

// remove takes all listeners from a running Envoy, and with them the plugins.
func (l *listeners) remove(t testing.TB) {
	t.Helper()
	l.all = []object{}
	l.publish(t)
}

// crashing is a configuration whose plugins may crash, as many cases make them.
func crashing(t testing.TB) *envoytest.Config {
	t.Helper()
	c := envoytest.Shipped(t, "", 0)
	c.MayCrash = true
	return c
}

func address(port int) object {
	return object{"socket_address": object{"address": "127.0.0.1", "port_value": port}}
}

// cluster is one with a host at a port, or with none, which speaks HTTP/1.1 or HTTP/2.
func cluster(name string, port int, http2 bool) object {
	protocol := object{"http_protocol_options": object{"enable_trailers": true}}
	if http2 {
		protocol = object{"http2_protocol_options": object{}}
	}
	endpoints := []any{}
	if port != 0 {
		endpoints = append(endpoints, object{"lb_endpoints": []any{object{"endpoint": object{"address": address(port)}}}})
	}
	return object{
		"name": name, "connect_timeout": "5s",
		"load_assignment": object{"cluster_name": name, "endpoints": endpoints},
		"typed_extension_protocol_options": object{
			"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": envoytest.Any(
				"envoy.extensions.upstreams.http.v3.HttpProtocolOptions", object{
					"explicit_http_config": protocol,
				}),
		},
	}
}

// listener is the n-th of a case after a number of updates.
func listener(r *run, n, updates int) object {
	c, slug, about := r.c, r.c.slug(), r.c.listeners()[n]
	hcm := envoytest.Any("envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", object{
		"stat_prefix":           slug,
		"use_remote_address":    c.Remote,
		"xff_num_trusted_hops":  c.Hops,
		"http_protocol_options": object{"enable_trailers": true},
		"access_log": []any{object{"name": "envoy.access_loggers.stdout", "typed_config": envoytest.Any(
			"envoy.extensions.access_loggers.stream.v3.StdoutAccessLog", object{"log_format": object{
				"text_format_source": object{"inline_string": slug + "|%REQ(" + waiting +
					")%|%RESPONSE_CODE%|%RESPONSE_FLAGS%|%RESPONSE_CODE_DETAILS%\n"},
			}})}},
		"route_config": object{"name": slug, "virtual_hosts": []any{object{
			"name": "hostsim", "domains": []any{"*"}, "routes": routeConfig(c),
		}}},
		"http_filters": filters(c, updates, r.module),
	})
	l := envoytest.Any("envoy.config.listener.v3.Listener", object{
		"name": fmt.Sprint(slug, separator, n), "address": address(r.ports[n]),
		"traffic_direction": about.Direction, "metadata": object{"filter_metadata": about.Metadata},
		"filter_chains": []any{object{"filters": []any{object{"name": "http", "typed_config": hcm}}}},
	})
	if c.Limit > 0 {
		l["per_connection_buffer_limit_bytes"] = c.Limit
	}
	return l
}

func text(value string) object {
	return envoytest.Any("google.protobuf.StringValue", object{"value": value})
}

func filter(name, kind string, fields object) object {
	return object{"name": name, "typed_config": envoytest.Any("envoy.extensions.filters.http."+kind, fields)}
}
