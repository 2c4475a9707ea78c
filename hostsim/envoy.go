package hostsim

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Bootstrap is the configuration of a real Envoy with the plugin of New(code, opts...), and with the other plugins,
// clusters and the connection manager that opts describe. It listens on listener, and its admin endpoint on admin. The
// modules are written to the directory dir; there, Envoy appends a line with %RESPONSE_CODE_DETAILS%, %RESPONSE_FLAGS%
// and %UPSTREAM_CLUSTER% to the file "access" for each request. serve starts a server for a cluster, or for
// "application", and returns its address.
//
// A connection may begin with the PROXY protocol. What an Envoy can't do is an error: injected faults,
// ForeignFunction and HostFunction. So are Listeners, of which it has one, and Workers, which are a flag of Envoy's:
// --concurrency. Options about time, chance and the log say nothing to Envoy, nor do Address and a Profile.
func Bootstrap(code []byte, dir, listener, admin string, serve func(name string, h http.Handler) string,
	opts ...Option) ([]byte, error) {
	c := newConfig(code, opts)
	if err := errors.Join(c.check(), c.checkReal()); err != nil {
		return nil, err
	}
	clusters := []any{}
	for _, up := range append([]*upstream{c.app}, c.upstreams...) {
		address := ""
		switch {
		case up.url != nil:
			address = up.url.Host
		case up.handler != nil:
			address = serve(up.name, up.handler)
		}
		protocol := object{"http_protocol_options": object{"enable_trailers": c.trailers}}
		if up.http2 {
			protocol = object{"http2_protocol_options": object{}}
		}
		clusters = append(clusters, envoyCluster(up.name, address, protocol))
	}
	if c.adminCluster != "" {
		clusters = append(clusters, envoyCluster(c.adminCluster, admin, object{"http_protocol_options": object{}}))
	}
	const filters = "envoy.extensions.filters."
	chain, services := []any{}, []any{}
	for i, p := range slices.Concat(c.plugins, c.services) {
		file := filepath.Join(dir, fmt.Sprintf("plugin-%d.wasm", i))
		if err := os.WriteFile(file, p.code, 0o600); err != nil {
			return nil, err
		}
		if i < len(c.plugins) {
			chain = append(chain, object{"name": "wasm", "typed_config": envoyAny(filters+"http.wasm.v3.Wasm",
				object{"config": p.envoy(file)})})
		} else {
			services = append(services, object{"name": "envoy.bootstrap.wasm", "typed_config": envoyAny(
				"envoy.extensions.wasm.v3.WasmService", object{"config": p.envoy(file), "singleton": p.singleton})})
		}
	}
	chain = append(chain, object{"name": "router", "typed_config": envoyAny(filters+"http.router.v3.Router", object{})})
	access := filepath.Join(dir, "access")
	manager := envoyAny(filters+"network.http_connection_manager.v3.HttpConnectionManager", object{
		"stat_prefix": "hostsim", "use_remote_address": c.useRemoteAddress, "xff_num_trusted_hops": c.xffTrustedHops,
		"http_protocol_options": object{"enable_trailers": c.trailers},
		"access_log": []any{object{"name": "file", "typed_config": envoyAny(
			"envoy.extensions.access_loggers.file.v3.FileAccessLog", object{"path": access, "log_format": object{
				"text_format_source": object{"inline_string": "%RESPONSE_CODE_DETAILS% %RESPONSE_FLAGS% %UPSTREAM_CLUSTER%\n"}}})}},
		"route_config": object{"virtual_hosts": []any{object{
			"name": virtualHost, "domains": []any{"*"}, "routes": c.envoyRoutes()}}},
		"http_filters": chain,
	})
	return json.Marshal(object{
		"node": object{"id": c.node.ID, "cluster": c.node.Cluster, "metadata": c.node.Metadata,
			"locality": object{"region": c.node.Region, "zone": c.node.Zone, "sub_zone": c.node.SubZone}},
		"bootstrap_extensions": services,
		"admin":                object{"address": envoyAddress(admin)},
		"layered_runtime":      object{"layers": []any{object{"name": "admin", "admin_layer": object{}}}},
		"static_resources": object{"clusters": clusters, "listeners": []any{object{
			"name": "hostsim", "address": envoyAddress(listener), "traffic_direction": c.listeners[0].Direction,
			"metadata": object{"filter_metadata": c.listeners[0].Metadata}, "per_connection_buffer_limit_bytes": c.bufferLimit,
			"listener_filters": []any{object{"name": "proxy_protocol", "typed_config": envoyAny(
				"envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol",
				object{"allow_requests_without_proxy_protocol": true})}},
			"filter_chains": []any{object{"filters": []any{object{"name": "http", "typed_config": manager}}}},
		}}},
	})
}

// checkReal names an option that no real Envoy can carry out, or not by its configuration.
func (c *config) checkReal() error {
	for _, o := range []struct {
		given bool
		name  string
	}{
		{len(c.faults) > 0, "TrapAt, FailAllocation, LoseCAS or Race"}, {len(c.foreign) > 0, "ForeignFunction"},
		{len(c.functions) > 0, "HostFunction"}, {len(c.listeners) > 1, "Listeners of more than one"},
		{c.workers > 1, "Workers of more than one"},
	} {
		if o.given {
			return fmt.Errorf("hostsim: the option %s can't be carried to a real Envoy: leave it out there", o.name)
		}
	}
	return nil
}

// envoy is the plugin's PluginConfig, for the module in a file.
func (p *pluginConfig) envoy(file string) object {
	env := object{}
	for _, pair := range p.env {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	backoff := fmt.Sprintf("%.3fs", p.backoff.Seconds())
	return object{
		"name": p.name, "root_id": p.rootID,
		"failure_policy":                  [...]string{"FAIL_CLOSED", "FAIL_OPEN", "FAIL_RELOAD"}[p.policy],
		"reload_config":                   object{"backoff": object{"base_interval": backoff}},
		"allow_on_headers_stop_iteration": p.allowStopIteration,
		"configuration":                   envoyText(p.config),
		"vm_config": object{
			"vm_id": p.vmID, "runtime": "envoy.wasm.runtime.v8", "configuration": envoyText(p.vmConfig),
			"environment_variables": object{"key_values": env}, "code": object{"local": object{"filename": file}},
		},
	}
}

type object = map[string]any

func envoyCluster(name, address string, protocol object) object {
	endpoints := []any{}
	if address != "" {
		endpoints = append(endpoints, object{"lb_endpoints": []any{
			object{"endpoint": object{"address": envoyAddress(address)}}}})
	}
	const options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
	return object{"name": name, "load_assignment": object{"cluster_name": name, "endpoints": endpoints},
		"typed_extension_protocol_options": object{options: envoyAny(options, object{"explicit_http_config": protocol})}}
}

func envoyAddress(address string) object {
	host, port, _ := net.SplitHostPort(address)
	n, _ := strconv.Atoi(port)
	return object{"socket_address": object{"address": cmp.Or(host, address), "port_value": cmp.Or(n, 80)}}
}

func envoyAny(protobuf string, fields object) object {
	fields["@type"] = "type.googleapis.com/" + protobuf
	return fields
}

func envoyText(text []byte) object {
	return envoyAny("google.protobuf.StringValue", object{"value": string(text)})
}
