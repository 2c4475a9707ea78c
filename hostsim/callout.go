package hostsim

import (
	"net/http"
	"strconv"
	"time"

	"github.com/healthgate/healthgate/hostsim/internal/headers"
	"github.com/healthgate/healthgate/hostsim/internal/pairs"
	"github.com/healthgate/healthgate/hostsim/internal/timeline"
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
	name, ok := v.Text(a[0], a[1])
	head, ok2 := v.Bytes(a[2], a[3])
	body, ok3 := v.Text(a[4], a[5])
	_, ok4 := v.Bytes(a[6], a[7])
	if !ok || !ok2 || !ok3 || !ok4 {
		return statusInvalidMemoryAccess
	}
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
		m.Set("content-length", strconv.Itoa(len(body)))
	}
	v.nextHTTPCall += calloutStep
	id := v.nextHTTPCall
	fault := up.faults.next()
	if fault.Kind == CalloutInlineFailure || up.handler == nil && up.url == nil {
		return statusInternalFailure
	}
	m.Set("x-envoy-internal", "true")
	if timeout > 0 {
		m.Set("x-envoy-expected-rq-timeout-ms", strconv.Itoa(int(timeout)))
	}
	if _, sized := m.Get("content-length"); !sized && mayHaveBody(m.Value(":method")) {
		m.Add("content-length", "0")
	}
	// Trailers get lost: Envoy's asynchronous client has no way to send any.
	req := &UpstreamRequest{Header: toHeader(m), Body: []byte(body)}
	root.calls[id] = v.host.send(up, v.thread, req, fault, millis(uint32(timeout)), func(r *calloutResponse) {
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
	for _, cancel := range c.calls {
		cancel()
	}
	clear(c.calls)
	for _, call := range c.grpc {
		call.cancel()
	}
	clear(c.grpc)
}

func millis(ms uint32) time.Duration { return time.Duration(ms) * time.Millisecond }

// send brings req to up, as soon as the running call is over, and its answer back to
// deliver on thread t. With a timeout of 0 it waits for ever.
func (h *Host) send(up *upstream, t *thread, req *UpstreamRequest, fault CalloutFault, timeout time.Duration,
	deliver func(*calloutResponse)) (cancel func()) {
	c := &exchange{host: h, thread: t, deliver: deliver}
	if timeout > 0 {
		c.timer = h.after(timeout, t, func() {
			c.finish(timedOut())
		})
	}
	req.Time = h.time.Realtime()
	c.start = h.time.Elapsed()
	c.event = h.after(0, t, func() {
		c.event = nil
		h.serveUpstream(c, up, req, fault)
	})
	return c.stop
}

// exchange is one request to an upstream, with the events that it waits for.
type exchange struct {
	host    *Host
	thread  *thread
	deliver func(*calloutResponse)
	timer   *timeline.Event // the timeout
	event   *timeline.Event // the sending, then the answer
	start   time.Duration
	over    bool
}

func (c *exchange) stop() {
	c.over = true
	c.host.time.Cancel(c.timer)
	c.host.time.Cancel(c.event)
}

// finish delivers the answer, unless the time was up before.
func (c *exchange) finish(r *calloutResponse) {
	if c.over {
		return
	}
	c.stop()
	c.deliver(r)
}

// finishAfter is finish d from now.
func (c *exchange) finishAfter(d time.Duration, r *calloutResponse) {
	c.event = c.host.after(d, c.thread, func() {
		if r != nil && !r.local {
			ms := (c.host.time.Elapsed() - c.start) / time.Millisecond
			r.headers.Set("x-envoy-upstream-service-time", strconv.FormatInt(int64(ms), 10))
		}
		c.finish(r)
	})
}

// localResponse is an answer that Envoy's router gives in place of an upstream.
func localResponse(status int, body, details string, flags responseFlags) *calloutResponse {
	return &calloutResponse{local: true, status: status, details: details, flags: flags, body: []byte(body),
		headers: headers.New(
			headers.Field{Name: ":status", Value: strconv.Itoa(status)},
			headers.Field{Name: "content-length", Value: strconv.Itoa(len(body))},
			headers.Field{Name: "content-type", Value: "text/plain"},
		)}
}

// timedOut is the router's answer when an upstream does not answer in time.
func timedOut() *calloutResponse {
	return localResponse(http.StatusGatewayTimeout, "upstream request timeout", "response_timeout", flagUpstreamTimeout)
}
