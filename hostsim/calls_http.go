package hostsim

import (
	"github.com/healthgate/healthgate/hostsim/internal/headers"
	"github.com/healthgate/healthgate/hostsim/internal/pairs"
)

// httpCalls are the host calls for header maps, buffers and streams.
var httpCalls = []hostCall{
	{name: "proxy_get_header_map_value", sig: "msS", fn: proxyGetHeaderMapValue},
	{name: "proxy_add_header_map_value", sig: "mss", fn: headerChange((*headers.Map).Add)},
	{name: "proxy_replace_header_map_value", sig: "mss", fn: headerChange((*headers.Map).Set)},
	{name: "proxy_remove_header_map_value", sig: "ms", fn: proxyRemoveHeaderMapValue},
	{name: "proxy_get_header_map_pairs", sig: "mH", fn: proxyGetHeaderMapPairs},
	{name: "proxy_set_header_map_pairs", sig: "mh", fn: proxySetHeaderMapPairs},
	{name: "proxy_get_header_map_size", sig: "mU", fn: proxyGetHeaderMapSize},
	{name: "proxy_get_buffer_bytes", sig: "buuS", fn: proxyGetBufferBytes},
	{name: "proxy_get_buffer_status", sig: "bUU", fn: proxyGetBufferStatus},
	{name: "proxy_set_buffer_bytes", sig: "buut", fn: proxySetBufferBytes},
	{name: "proxy_continue_stream", sig: "u", fn: func(v *vm, a []uint64) status {
		return v.effectiveContext().continueStream(streamType(a[0]))
	}},
	{name: "proxy_close_stream", sig: "u", fn: func(v *vm, a []uint64) status {
		return v.effectiveContext().closeStream(streamType(a[0]))
	}},
	{name: "proxy_send_local_response", sig: "usshu", fn: proxySendLocalResponse},
}

// readMap returns a map that the plugin may read, or nil if the map is not available now (Context::getConstMap).
func (c *pluginContext) readMap(t mapType) *headers.Map {
	views := &c.views
	switch t {
	case mapRequestHeaders:
		return views.request.headers
	case mapRequestTrailers:
		if views.accessLog {
			return nil
		}
		return views.request.trailers
	case mapResponseHeaders:
		return views.response.headers
	case mapResponseTrailers:
		return views.response.trailers
	case mapGrpcReceiveInitialMetadata:
		return c.root.grpcView.initialMetadata
	case mapGrpcReceiveTrailingMetadata:
		return c.root.grpcView.trailingMetadata
	case mapHTTPCallResponseHeaders:
		if r := c.root.response; r != nil {
			return r.headers
		}
	case mapHTTPCallResponseTrailers:
		if r := c.root.response; r != nil {
			return r.trailers
		}
	}
	return nil
}

// writeMap is a map as the plugin may change it (Context::getMap). Trailers come
// into being when they are asked for in the last body callback.
func (c *pluginContext) writeMap(t mapType) *headers.Map {
	views := &c.views
	if views.accessLog || t > mapResponseTrailers {
		return nil
	}
	if s := c.stream; s != nil && views.endOfStream {
		switch t {
		case mapRequestTrailers:
			c.addTrailers(c.request)
		case mapResponseTrailers:
			c.addTrailers(c.response)
		}
	}
	return c.readMap(t)
}

// addTrailers creates trailers for a direction without trailers (addDecodedTrailers, addEncodedTrailers).
func (c *pluginContext) addTrailers(d *direction) {
	if view := c.view(d); view.body != nil && view.trailers == nil {
		d.trailers, d.trailing = headers.New(), true
		view.trailers = d.trailers
		c.stream.entry(d).trailers = d.trailers
	}
}

func proxyGetHeaderMapValue(v *vm, a []uint64) status {
	c := v.effectiveContext()
	key := v.text(a[1], a[2])
	m := c.readMap(mapType(a[0]))
	if m == nil {
		if c.views.accessLog {
			return statusNotFound
		}
		return statusBadArgument
	}
	value, ok := m.Get(key)
	if !ok {
		return statusNotFound
	}
	return v.give(value, a[3], a[4])
}

// headerChange is add and replace.
func headerChange(change func(m *headers.Map, name, value string)) func(*vm, []uint64) status {
	return func(v *vm, a []uint64) status {
		key := v.text(a[1], a[2])
		value := v.text(a[3], a[4])
		m := v.effectiveContext().writeMap(mapType(a[0]))
		if m == nil {
			return statusBadArgument
		}
		change(m, key, value)
		return statusOK
	}
}

func proxyRemoveHeaderMapValue(v *vm, a []uint64) status {
	key := v.text(a[1], a[2])
	m := v.effectiveContext().writeMap(mapType(a[0]))
	if m == nil {
		return statusBadArgument
	}
	m.Remove(key)
	return statusOK
}

// proxyGetHeaderMapPairs returns an empty map if the map is not available.
func proxyGetHeaderMapPairs(v *vm, a []uint64) status {
	m := v.effectiveContext().readMap(mapType(a[0]))
	if m.Len() == 0 {
		return v.give("", a[1], a[2])
	}
	return v.give(string(pairs.Encode(m.Fields())), a[1], a[2])
}

func proxySetHeaderMapPairs(v *vm, a []uint64) status {
	b := v.bytes(a[1], a[2])
	m := v.effectiveContext().writeMap(mapType(a[0]))
	if m == nil {
		return statusBadArgument
	}
	m.Replace(pairs.Decode(b))
	return statusOK
}

// proxyGetHeaderMapSize returns the size in bytes. Only maps that the plugin may change have a size.
func proxyGetHeaderMapSize(v *vm, a []uint64) status {
	m := v.effectiveContext().writeMap(mapType(a[0]))
	if m == nil {
		return statusBadArgument
	}
	return v.out32(a[1], uint32(m.ByteSize()))
}

// buffer is a buffer as the plugin may read it (Context::getBuffer).
func (c *pluginContext) buffer(t bufferType) (b buffer, ok bool) {
	switch t {
	case bufferHTTPRequestBody, bufferHTTPResponseBody:
		if c.stream != nil {
			b.change = c.body(t)
		}
	case bufferHTTPCallResponseBody:
		r := c.root.response
		if r == nil {
			return buffer{}, false
		}
		b.data = r.body
	case bufferGrpcReceive:
		b.data = c.root.grpcView.message
	case bufferVMConfiguration:
		b.data = c.vm.plugin.vmConfig
	case bufferPluginConfiguration:
		if !c.configuring {
			return buffer{}, false
		}
		b.data = c.root.config
	case bufferCallData:
		return c.lastBuffer, true
	}
	c.lastBuffer = b
	return b, true
}

// body points to the body that the plugin sees: the piece that arrived, or all that it has held back.
func (c *pluginContext) body(t bufferType) *[]byte {
	d := c.request
	if t == bufferHTTPResponseBody {
		d = c.response
	}
	view := c.view(d)
	if view.buffering {
		return &d.buffered
	}
	return view.body
}

// proxyGetBufferBytes reads the bytes that exist in [start, start+max).
func proxyGetBufferBytes(v *vm, a []uint64) status {
	b, ok := v.effectiveContext().buffer(bufferType(a[0]))
	if !ok {
		return statusNotFound
	}
	data := b.bytes()
	start, length := uint64(uint32(a[1])), uint64(uint32(a[2]))
	size := uint64(len(data))
	if start >= size {
		return v.give("", a[3], a[4])
	}
	if start+length > size {
		length = size - start
	}
	return v.give(string(data[start:start+length]), a[3], a[4])
}

func proxyGetBufferStatus(v *vm, a []uint64) status {
	b, ok := v.effectiveContext().buffer(bufferType(a[0]))
	if !ok {
		return statusNotFound
	}
	if st := v.out32(a[1], uint32(len(b.bytes()))); st != statusOK {
		return st
	}
	return v.out32(a[2], 0)
}

// proxySetBufferBytes prepends (start 0, length 0), replaces the first length bytes
// (start 0), or appends (start at or behind the end); the middle cannot be changed.
func proxySetBufferBytes(v *vm, a []uint64) status {
	b, ok := v.effectiveContext().buffer(bufferType(a[0]))
	if !ok {
		return statusNotFound
	}
	data, ok := v.Bytes(a[3], a[4])
	if !ok {
		return statusInvalidMemoryAccess
	}
	change := b.change
	if change == nil {
		return statusBadArgument
	}
	old := *change
	start, length := uint64(uint32(a[1])), uint64(uint32(a[2]))
	switch {
	case start == 0:
		cut := min(length, uint64(len(old)))
		*change = append(append(make([]byte, 0, len(data)+len(old)), data...), old[cut:]...)
	case start >= uint64(len(old)):
		*change = append(old[:len(old):len(old)], data...)
	default:
		return statusBadArgument
	}
	return statusOK
}

func proxySendLocalResponse(v *vm, a []uint64) status {
	details := v.text(a[1], a[2])
	body := v.text(a[3], a[4])
	extra := v.bytes(a[5], a[6])
	r := localReply{status: int(uint32(a[0])), details: details, body: body, headers: pairs.Decode(extra)}
	if code := uint32(a[7]); code <= grpcUnauthenticated { // the last one of gRPC's
		r.grpcStatus, r.hasGrpcStatus = code, true
	}
	v.effectiveContext().sendLocalResponse(r)
	v.stopIteration = true
	return statusOK
}
