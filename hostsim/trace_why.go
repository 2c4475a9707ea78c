package hostsim

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/healthgate/healthgate/hostsim/internal/headers"
	"github.com/healthgate/healthgate/hostsim/internal/pairs"
)

var mapNames = [...]string{"request headers", "request trailers", "response headers", "response trailers",
	"initial metadata of a gRPC call", "trailing metadata of a gRPC call", "headers of a callout's answer",
	"trailers of a callout's answer"}

// why explains the result of a host call to whoever reads the trace, from what the call finds; "" if the result says it
// all.
func (v *vm) why(call string, a []uint64, result status) string {
	c := v.effectiveContext()
	switch {
	case result == statusInvalidMemoryAccess:
		return "an argument points outside of the memory"
	case result == statusOK && c.stream == nil && slices.Contains(needStream, call):
		return "without effect: a root context has no stream, proxy_set_effective_context chooses one"
	case result == statusOK && c.goneOn(call, a):
		return "too late: these headers have gone on"
	case call == "proxy_done":
		return "proxy_on_done has not put the end off by returning 0"
	case result == statusOK, result == statusEmpty, len(a) == 0:
		return ""
	}
	text := func(n int) string {
		s, _ := v.Text(a[n], a[n+1])
		return s
	}
	id := uint32(a[0])
	switch call {
	case "proxy_http_call":
		return v.whyNoCall(text(0), a)
	case "proxy_grpc_call", "proxy_grpc_stream":
		if result == statusBadArgument {
			return "the service is read as a protobuf, since it looks like one, and names no cluster"
		}
		return v.whyNoCluster(text(0))
	case "proxy_grpc_send", "proxy_grpc_close", "proxy_grpc_cancel":
		return fmt.Sprintf("the root has no gRPC stream %d", id)
	case "proxy_call_foreign_function":
		if result == statusNotFound {
			return fmt.Sprintf("Envoy has no foreign function %q: see the option ForeignFunction", text(0))
		}
	case "proxy_set_effective_context":
		if at, known := v.deleted[id]; known {
			return fmt.Sprintf("context %d was deleted at %v", id, at)
		}
		if id < v.nextID {
			return fmt.Sprintf("context %d is deleted", id)
		}
		return fmt.Sprintf("there has been no context %d", id)
	case "proxy_get_property":
		if part, _, _ := strings.Cut(text(0), "\x00"); c.stream == nil &&
			slices.Contains([]string{"request", "response", "source", "connection"}, part) {
			return "a root context has no stream"
		}
	case "proxy_set_shared_data":
		key, _ := v.Bytes(a[0], a[1])
		e, _ := v.host.shared.Get(v.plugin.vmID, key)
		return fmt.Sprintf("it was written with CAS %d", e.Cas)
	case "proxy_resolve_shared_queue":
		return fmt.Sprintf("no plugin of vm_id %q has registered it", text(0))
	case "proxy_enqueue_shared_queue", "proxy_dequeue_shared_queue":
		return fmt.Sprintf("there is no queue %d", id)
	case "proxy_record_metric", "proxy_increment_metric", "proxy_get_metric":
		st := v.metrics[id]
		switch {
		case st == nil:
			return fmt.Sprintf("this VM has defined no metric %d", id)
		case MetricKind(st.Kind()) == Histogram:
			return "a histogram has no value"
		}
		return "a counter only grows"
	case "proxy_get_buffer_bytes", "proxy_get_buffer_status", "proxy_set_buffer_bytes":
		return v.whyNoBuffer(c, bufferType(id))
	}
	if strings.Contains(call, "_header_map_") {
		return c.whyNoMap(mapType(id), result)
	}
	return ""
}

// goneOn reports whether a call changes headers that have left the plugin already, which a plugin may do that stops
// their iteration and goes on with the body (allow_on_headers_stop_iteration).
func (c *pluginContext) goneOn(call string, a []uint64) bool {
	if c.stream == nil || !strings.Contains(call, "_header_map_") || strings.HasPrefix(call, "proxy_get_") {
		return false
	}
	return c.passed(mapType(a[0]))
}

// passed reports whether the headers of a map have left the plugin.
func (c *pluginContext) passed(t mapType) bool {
	return t == mapRequestHeaders && c.request.passed || t == mapResponseHeaders && c.response.passed
}

// needStream are the calls that succeed and do nothing where there is no stream.
var needStream = []string{"proxy_continue_stream", "proxy_close_stream", "proxy_send_local_response"}

func (v *vm) whyNoCall(cluster string, a []uint64) string {
	if up := v.host.upstreams[cluster]; up == nil || up.handler == nil && up.url == nil {
		return v.whyNoCluster(cluster)
	}
	if timeout := int32(a[8]); timeout < 0 {
		return fmt.Sprintf("a timeout of %d ms", timeout)
	}
	head, _ := v.Bytes(a[2], a[3])
	m := headers.New(pairs.Decode(head)...)
	for _, required := range []string{":path", ":method", ":authority"} {
		if _, ok := m.Get(required); !ok {
			return "no " + required + " among the headers"
		}
	}
	return ""
}

func (v *vm) whyNoCluster(name string) string {
	up := v.host.upstreams[name]
	switch names := slices.Sorted(maps.Keys(v.host.upstreams)); {
	case up != nil && up.handler == nil && up.url == nil:
		return fmt.Sprintf("cluster %q has no healthy host", name)
	case up != nil:
		return ""
	case len(names) == 0:
		return fmt.Sprintf("no cluster %q: there are none, see the option Upstream", name)
	default:
		return fmt.Sprintf("no cluster %q; there are: %s", name, strings.Join(names, ", "))
	}
}

func (v *vm) whyNoBuffer(c *pluginContext, t bufferType) string {
	b, ok := c.buffer(t)
	switch {
	case t == bufferPluginConfiguration:
		return "it can be read in proxy_on_configure alone"
	case t == bufferHTTPCallResponseBody && !ok:
		return "it can be read in proxy_on_http_call_response alone"
	case b.change == nil:
		return "this callback has no such body"
	}
	return "bytes in the middle can't be changed: start is 0, or the end"
}

func (c *pluginContext) whyNoMap(t mapType, result status) string {
	if int(t) >= len(mapNames) {
		return fmt.Sprintf("there is no type %d of header map", t)
	}
	switch m := c.readMap(t); {
	case m == nil && c.stream == nil && t <= mapResponseTrailers:
		return "a root context has no stream"
	case m == nil && c.passed(t):
		return "too late: the " + mapNames[t] + " have gone on, pause in their callback"
	case m == nil:
		return "this callback has no " + mapNames[t]
	case result == statusBadArgument && (t > mapResponseTrailers || c.views.accessLog):
		return mapNames[t] + " can only be read here"
	}
	return ""
}
