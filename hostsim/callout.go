package hostsim

import (
	"strconv"
	"time"

	"github.com/healthgate/healthgate/hostsim/internal/headers"
	"github.com/healthgate/healthgate/hostsim/internal/pairs"
	"github.com/healthgate/healthgate/hostsim/internal/router"
)

// calloutCalls are calls to upstreams, over HTTP and gRPC.
var calloutCalls = []hostCall{
	{name: "proxy_http_call", sig: "shshuU", fn: proxyHTTPCall},
	{name: "proxy_grpc_call", sig: "ssshsuU", fn: proxyGrpcCall},
	{name: "proxy_grpc_stream", sig: "ssshU", fn: proxyGrpcStream},
	{name: "proxy_grpc_send", sig: "usu", fn: proxyGrpcSend},
	{name: "proxy_grpc_cancel", sig: "u", fn: proxyGrpcCancel},
	{name: "proxy_grpc_close", sig: "u", fn: proxyGrpcClose},
}

// calloutStep leaves room for the kind in a callout's two lowest bits.
const calloutStep = 4

// calloutResponse is the answer of an upstream, or of Envoy in its place.
type calloutResponse struct {
	headers, trailers *headers.Map
	body              []byte
	pieces            []int // where the upstream flushed its body

	// cut is set for an answer whose body ends too early.
	cut bool

	// local is set for an answer that Envoy gave itself (no connection, timeout).
	local   bool
	status  int
	details string
	flags   responseFlags
	// transportFailure is why no connection came about.
	transportFailure string
}

// proxyHTTPCall starts a call from the root (Context::httpCall).
func proxyHTTPCall(v *vm, a []uint64) status {
	root := v.effectiveContext().root
	name := v.text(a[0], a[1])
	head := v.bytes(a[2], a[3])
	body := v.text(a[4], a[5])
	m := headers.New(pairs.Decode(head)...)
	if !v.Write32(a[9], 0) {
		return statusInvalidMemoryAccess
	}
	timeout := int32(a[8])
	up := v.host.upstreams[name]
	if timeout < 0 || up == nil {
		return statusBadArgument
	}
	for _, required := range []string{":path", ":method", ":authority"} {
		if _, ok := m.Get(required); !ok {
			return statusBadArgument
		}
	}
	if len(body) > 0 {
		m.Overwrite("content-length", strconv.Itoa(len(body)))
	}
	v.nextHTTPCall += calloutStep
	id := v.nextHTTPCall
	fault := up.faults.next()
	if fault.Kind == CalloutInlineFailure || !up.hasHost() {
		return statusInternalFailure
	}
	m.Overwrite("x-envoy-internal", "true")
	// Trailers get lost: Envoy's asynchronous client has no way to send any.
	out := &outgoing{up: up, plan: router.Take(m, millis(uint32(timeout))), headers: m, body: []byte(body),
		bodiless: len(body) == 0}
	root.calls[id] = v.host.send(out, v.thread, fault, func(r *calloutResponse) {
		root.onHTTPCallResponse(id, r)
	})
	v.Write32(a[9], id)
	return statusOK
}

// onHTTPCallResponse delivers a response. A nil or truncated response means that the stream was reset: the plugin gets
// no headers.
func (c *rootContext) onHTTPCallResponse(id uint32, r *calloutResponse) {
	if r == nil || r.cut {
		c.statusCode, c.statusText = uint32(statusBrokenConnection), "reset"
		c.vm.later(func() {
			c.statusText = ""
			delete(c.calls, id)
		})
		c.calloutCallback(expHTTPCallResponse, uint64(id), 0, 0, 0)
		return
	}
	c.response = r
	c.vm.later(func() {
		c.response = nil
		delete(c.calls, id)
	})
	c.calloutCallback(expHTTPCallResponse, uint64(id), uint64(r.headers.Len()), uint64(len(r.body)),
		uint64(r.trailers.Len()))
}

// calloutCallback runs a callback of the root that has clean-up waiting, which is
// run even if the plugin lacks the callback.
func (c *rootContext) calloutCallback(e export, args ...uint64) {
	c.vm.call(&c.pluginContext, e, append([]uint64{c.id64()}, args...)...)
	c.vm.runAfterCall()
}

// cancelCallouts drops a root's callouts when it is destroyed.
func (c *rootContext) cancelCallouts() {
	for _, call := range c.calls {
		call.stop()
	}
	clear(c.calls)
	for _, call := range c.grpc {
		call.cancel()
	}
	clear(c.grpc)
}

func millis(ms uint32) time.Duration { return time.Duration(ms) * time.Millisecond }
