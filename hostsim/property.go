package hostsim

import (
	"cmp"
	"net/netip"
	"strings"
)

// property is get_property: a path of NUL-separated parts into the attributes of
// the stream (Context::getProperty, StreamActivation::FindValue).
func (c *pluginContext) property(path []byte) (string, status) {
	parts := splitPath(string(path))
	if len(parts) == 0 {
		return "", statusSerializationFailure
	}
	if s := c.stream; s != nil {
		if v, ok := s.req.Properties[strings.Join(parts, ".")]; ok {
			return v, statusOK
		}
	}
	value, ok := c.attribute(parts[0])
	for _, part := range parts[1:] {
		if !ok {
			break
		}
		value, ok = field(value, part)
	}
	if !ok {
		return "", statusNotFound
	}
	return serialize(value)
}

// splitPath cuts at NULs. A NUL at the end does not begin an empty part.
func splitPath(path string) []string {
	if path == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(path, "\x00"), "\x00")
}

// setProperty is set_property. The value is stored under the whole path, so get_property finds it only if the path has
// one part.
func (c *pluginContext) setProperty(path, value string) status {
	s := c.stream
	if s == nil {
		return statusNotFound
	}
	if s.state == nil {
		s.state = make(map[string]string)
	}
	key := "wasm." + path
	if _, set := s.state[key]; set && c.root.declared[path] {
		return statusBadArgument // declared read-only
	}
	s.state[key] = value
	return statusOK
}

// lookup is a value that is computed field by field.
type lookup func(name string) (any, bool)

// attribute is a top-level attribute.
func (c *pluginContext) attribute(name string) (any, bool) {
	s := c.stream
	switch name {
	case "plugin_name":
		return c.root.plugin.name, true
	case "plugin_root_id":
		return c.root.plugin.rootID, true
	case "plugin_vm_id":
		return c.root.plugin.vmID, true
	case "xds":
		return lookup(c.xds), true
	}
	if s == nil {
		return nil, false
	}
	switch name {
	case "request":
		return lookup(c.requestAttribute), true
	case "response":
		return lookup(c.responseAttribute), true
	case "source":
		return address(s.source), true
	case "destination":
		return address(cmp.Or(s.req.Local, defaultLocal)), true
	case "connection":
		return lookup(func(name string) (any, bool) {
			switch name {
			case "id":
				return s.connectionID(), true
			case "mtls":
				return false, true
			case "requested_server_name":
				return "", true
			}
			return nil, false
		}), true
	case "connection_id":
		return s.connectionID(), true
	case "upstream":
		return lookup(c.upstreamAttribute), true
	case "metadata":
		return metadataMessage(s.req.Metadata), true
	case "filter_state":
		return lookup(func(key string) (any, bool) {
			if v, ok := s.state[key]; ok {
				return v, true
			}
			if v, ok := s.filterState[key]; ok {
				return v, v != nil
			}
			v, ok := s.req.FilterState[key]
			return v, ok
		}), true
	}
	v, ok := s.state["wasm."+name]
	return v, ok
}

// connectionID is the number of the request's connection. Envoy counts all of a process; here, those that were opened
// between two updates are one.
func (s *Stream) connectionID() uint64 { return uint64(max(s.host.updates-s.req.Before, 0) + 1) }

// address is source, destination and upstream: the address holds the port.
func address(addr string) lookup {
	return func(name string) (any, bool) {
		switch name {
		case "address":
			return addr, true
		case "port":
			ap, err := netip.ParseAddrPort(addr)
			return int64(ap.Port()), err == nil
		}
		return nil, false
	}
}

// upstreamAttribute is there once the router has chosen a host.
func (c *pluginContext) upstreamAttribute(name string) (any, bool) {
	s := c.stream
	if name == "request_attempt_count" && s.sending != nil {
		return int64(max(s.sending.tries, 1)), true
	}
	if s.reply.Upstream == nil {
		return nil, false
	}
	switch name {
	case "local_address":
		return defaultUpstreamLocal, true
	case "transport_failure_reason":
		return s.transportFailure, true
	}
	return address(defaultUpstream)(name)
}

func (c *pluginContext) requestAttribute(name string) (any, bool) {
	s := c.stream
	switch name {
	case "time":
		return s.host.time.Realtime().Add(s.started - s.host.time.Elapsed()), true
	case "protocol":
		return "HTTP/1.1", true
	case "id":
		return s.id, c.views.request.headers != nil
	case "size":
		return int64(len(s.req.body())), true
	case "total_size":
		return int64(len(s.req.body()) + c.views.request.headers.ByteSize()), true
	case "duration":
		if !s.done {
			return nil, false
		}
		return s.host.time.Elapsed() - s.started, true
	}
	m := c.views.request.headers
	if m == nil {
		return nil, false
	}
	path := m.Value(":path")
	bare, query, _ := strings.Cut(path, "?")
	switch name {
	case "path":
		return m.Get(":path")
	case "url_path":
		return bare, true
	case "query":
		return query, true
	case "host":
		return m.Get(":authority")
	case "scheme":
		return m.Get(":scheme")
	case "method":
		return m.Get(":method")
	case "referer":
		return m.Get("referer")
	case "useragent":
		return m.Get("user-agent")
	case "headers":
		return headerMap{m}, true
	}
	return nil, false
}

func (c *pluginContext) responseAttribute(name string) (any, bool) {
	s := c.stream
	switch name {
	case "code":
		return int64(s.code), s.code != 0
	case "code_details":
		return s.reply.Details, s.detailed
	case "flags":
		return int64(s.flags), true
	case "grpc_status":
		// Without a grpc-status it is derived from the HTTP status (Grpc::Common::getGrpcStatus).
		return int64(grpcStatusOf(s.code)), s.code != 0
	case "size":
		return int64(len(s.reply.Body)), true
	case "total_size":
		return int64(len(s.reply.Body) + c.views.response.headers.ByteSize() + c.views.response.trailers.ByteSize()), true
	case "headers":
		if c.views.response.headers == nil {
			return nil, false
		}
		return headerMap{c.views.response.headers}, true
	case "trailers":
		if c.views.response.trailers == nil {
			return nil, false
		}
		return headerMap{c.views.response.trailers}, true
	}
	return nil, false
}

// virtualHost is the name of the one there is, here and in what Bootstrap writes.
const virtualHost = "hostsim"

// xds is the configuration that was chosen. In a root context only the node is known.
func (c *pluginContext) xds(name string) (any, bool) {
	h, s := c.vm.host, c.stream
	if name == "node" {
		return nodeMessage(h.cfg.node), true
	}
	if s == nil {
		return nil, false
	}
	switch name {
	case "route_name":
		return s.route.Name, s.route.Cluster != ""
	case "route_metadata":
		return metadataMessage(s.route.Metadata), true
	case "cluster_name":
		return s.route.Cluster, s.route.Cluster != ""
	case "virtual_host_name":
		return virtualHost, true
	case "filter_chain_name":
		return "", true
	case "upstream_host_metadata":
		// It exists once a host is chosen, but Envoy cannot serialize it.
		return unserializable{}, s.reply.Upstream != nil
	case "listener_direction":
		return int64(s.listener().Direction), true
	case "listener_metadata":
		return metadataMessage(s.listener().Metadata), true
	case "virtual_host_metadata", "cluster_metadata":
		return metadataMessage(nil), true
	}
	return nil, false
}
