package hostsim

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/healthgate/healthgate/hostsim/internal/headers"
	"github.com/healthgate/healthgate/hostsim/internal/pairs"
	"github.com/healthgate/healthgate/hostsim/internal/router"
	"github.com/healthgate/healthgate/hostsim/internal/timeline"
)

// gRPC's status codes, as far as Envoy gives them itself.
const (
	grpcUnknown          = 2
	grpcPermissionDenied = 7
	grpcUnimplemented    = 12
	grpcInternal         = 13
	grpcUnavailable      = 14 // the call did not get through
	grpcUnauthenticated  = 16
)

// grpcView is the part of a gRPC callout that the plugin can reach in its callback.
type grpcView struct {
	initialMetadata, trailingMetadata *headers.Map
	message                           []byte
}

// grpcCallout is a unary call or a stream, told apart by the low bits of the id.
type grpcCallout struct {
	root *rootContext
	id   uint32
	*outgoing
	request *UpstreamRequest // of a stream, as far as it was sent

	fault                     CalloutFault
	began                     time.Duration
	ended                     bool // the plugin sends no more
	localClosed, remoteClosed bool
	sending                   *exchange // of a unary call
	events                    []*timeline.Event
	stream                    *grpcStream // nil of a unary call
}

func (c *grpcCallout) unary() bool { return c.id%calloutStep == 1 }

// cancel forgets the call: nothing of it comes back.
func (c *grpcCallout) cancel() {
	if c.sending != nil {
		c.sending.stop()
	}
	if c.stream != nil {
		c.stream.abort()
	}
	for _, e := range c.events {
		c.root.vm.host.time.Cancel(e)
	}
	c.forget()
}

// grpcService finds the cluster in a serialized GrpcService (envoy_grpc.cluster_name)
// or in a bare cluster name. status is not OK if it is neither. Some names are messages by chance, as "users" and
// "authorino": their bytes are a field that nobody knows. Then the GrpcService has no target, and Envoy panics.
func (v *vm) grpcService(service string) (*upstream, status) {
	h := v.host
	if fields, ok := pbFields([]byte(service)); ok {
		if _, envoy := fields[1]; !envoy && fields[2] == "" {
			v.crash(fmt.Sprintf("%q reads as a serialized GrpcService without a target, panic: unset oneof: "+
				"give the cluster another name, or pass a GrpcService with envoy_grpc.cluster_name", service))
			return nil, statusBadArgument
		}
		inner, ok := pbFields([]byte(fields[1]))
		if !ok || inner[1] == "" {
			return nil, statusBadArgument
		}
		return h.upstreams[inner[1]], statusOK
	}
	if up := h.upstreams[service]; up != nil {
		return up, statusOK
	}
	return nil, statusParseFailure
}

// newGrpc starts either kind of call, up to its first message.
func (v *vm) newGrpc(a []uint64, id *uint32, timeout time.Duration) (*grpcCallout, status) {
	root := v.effectiveContext().root
	service := v.text(a[0], a[1])
	name := v.text(a[2], a[3])
	method := v.text(a[4], a[5])
	metadata := v.bytes(a[6], a[7])
	up, st := v.grpcService(service)
	if st != statusOK {
		return nil, st
	}
	*id += calloutStep
	c := &grpcCallout{root: root, id: *id, outgoing: &outgoing{up: up, http2: true}}
	if up == nil {
		// It fails at once, and yet the failure is called back, later.
		v.later(func() { root.onGrpcClose(c, grpcUnavailable, "Cluster not available") })
		return nil, statusInternalFailure
	}
	root.grpc[c.id] = c
	if c.fault = up.faults.next(); !up.hasHost() || c.fault.Kind == CalloutInlineFailure {
		v.later(func() {
			c.fail(noHealthyUpstream())
			c.forget()
		})
		return nil, statusInternalFailure
	}
	m := headers.Of(":method", "POST", ":path", "/"+name+"/"+method, ":authority", up.name, ":scheme", "http",
		"te", "trailers", "content-type", "application/grpc")
	if c.unary() { // 0 is no limit for Envoy, and no time at all for the server
		m.Set("grpc-timeout", strconv.FormatInt(timeout.Milliseconds(), 10)+"m")
	}
	for _, f := range pairs.Decode(metadata) {
		m.Add(f.Name, f.Value)
	}
	c.headers, c.plan = m, router.Take(m, timeout)
	return c, statusOK
}

func proxyGrpcCall(v *vm, a []uint64) status {
	message := v.text(a[8], a[9])
	c, st := v.newGrpc(a, &v.nextGrpcCall, millis(uint32(a[10])))
	if st != statusOK {
		return st
	}
	c.body = frame(message)
	c.sending = v.host.send(c.outgoing, v.thread, c.fault, c.answer)
	return v.out32(a[11], c.id)
}

func proxyGrpcStream(v *vm, a []uint64) status {
	c, st := v.newGrpc(a, &v.nextGrpcStream, 0)
	if st != statusOK {
		return st
	}
	c.later(0, c.begin)
	return v.out32(a[8], c.id)
}

// later schedules something of the call, which does not happen once it is over.
func (c *grpcCallout) later(d time.Duration, f func()) {
	c.events = append(c.events, c.root.vm.host.after(d, c.root.vm.thread, func() {
		if c.root.grpc[c.id] == c && !c.remoteClosed {
			f()
		}
	}))
}

// begin brings a stream to its upstream.
func (c *grpcCallout) begin() {
	h := c.root.vm.host
	c.began = h.time.Elapsed()
	if r := c.refusal(h); r != nil {
		c.fail(r)
		return
	}
	c.request, _ = c.outgoing.request(c.root.vm.thread)
	c.request.Time = h.time.Realtime()
	if c.fault.Kind != CalloutConnectFailure {
		c.up.record(h, c.request)
	}
	switch c.fault.Kind {
	case CalloutNever, CalloutLost, CalloutTimeout: // a stream has no timeout
	case CalloutConnectFailure:
		c.later(c.fault.Delay, func() { c.fail(h.connectFailure()) })
	case CalloutReset:
		c.later(c.fault.Delay, func() { c.fail(nil) })
	default:
		if c.up.url != nil {
			c.dial()
		} else {
			c.open(c.up.latency + c.fault.Delay)
		}
	}
}

// message sends a message on a stream, or the end of the stream.
func (c *grpcCallout) message(frame []byte, end bool) {
	c.request.Body = append(c.request.Body, frame...)
	if c.stream != nil {
		c.stream.feed(frame, end)
	}
}

// grpcOf is the call of a token, of either kind.
func (v *vm) grpcOf(token uint64) (*grpcCallout, status) {
	id := uint32(token)
	if id%calloutStep != 1 && id%calloutStep != 2 {
		return nil, statusBadArgument
	}
	c := v.effectiveContext().root.grpc[id]
	if c == nil {
		return nil, statusNotFound
	}
	return c, statusOK
}

// proxyGrpcSend sends a message on a stream.
func proxyGrpcSend(v *vm, a []uint64) status {
	message := v.text(a[1], a[2])
	if uint32(a[0])%calloutStep != 2 {
		return statusBadArgument
	}
	c, st := v.grpcOf(a[0])
	if st != statusOK {
		return st
	}
	if !c.ended {
		c.ended = uint32(a[3]) != 0
		end := c.ended
		c.later(0, func() { c.message(frame(message), end) })
	}
	return statusOK
}

// proxyGrpcCancel drops a call or resets a stream.
func proxyGrpcCancel(v *vm, a []uint64) status {
	c, st := v.grpcOf(a[0])
	if st == statusOK {
		c.cancel()
	}
	return st
}

// proxyGrpcClose drops a call, but half-closes a stream, whose answer may still come.
func proxyGrpcClose(v *vm, a []uint64) status {
	c, st := v.grpcOf(a[0])
	if st != statusOK {
		return st
	}
	switch {
	case c.unary() || c.remoteClosed:
		c.cancel()
	default:
		c.localClosed = true
		if !c.ended {
			c.ended = true
			c.later(0, func() { c.message(nil, true) })
		}
	}
	return statusOK
}

// answer delivers the outcome of a unary call: either the message or the failure.
func (c *grpcCallout) answer(r *calloutResponse) {
	switch {
	case c.root.grpc[c.id] != c:
		return
	case r == nil || r.cut:
		c.fail(nil)
		return
	case r.local:
		c.fail(r)
		return
	}
	status, text := grpcOutcome(r.headers, r.trailers)
	messages := unframe(r.body)
	switch {
	case status != 0:
		c.close(status, enhanced(text, viaUpstream))
	case len(messages) == 0:
		c.close(grpcInternal, "")
	default:
		c.root.onGrpcReceive(c, messages[0])
		c.forget()
	}
}

// timed adds the duration to the headers of an answer, as the router does if the whole request was sent by then.
func (c *grpcCallout) timed(m *headers.Map) *headers.Map {
	if c.ended {
		h := c.root.vm.host
		m.Set("x-envoy-upstream-service-time", strconv.FormatInt(int64((h.time.Elapsed()-c.began)/time.Millisecond), 10))
	}
	return m
}

// onInitialMetadata is the head of a stream's answer; empty if there are trailers only.
func (c *grpcCallout) onInitialMetadata(m *headers.Map) {
	if m.Len() > 0 {
		c.timed(m)
	}
	c.root.onGrpcMetadata(c, expGrpcReceiveInitialMetadata, m)
}

// end is the regular end of a stream (AsyncStreamImpl::onTrailers).
func (c *grpcCallout) end(head, trailers *headers.Map) {
	status, text := grpcOutcome(head, trailers)
	c.root.onGrpcMetadata(c, expGrpcReceiveTrailingMetadata, trailers)
	c.close(status, enhanced(text, viaUpstream))
}

// viaUpstream are the response code details of an answer that an upstream gave.
const viaUpstream = "via_upstream"

// enhanced is a status message with the response code details, as Envoy's client reports it (enhancedGrpcMessage in
// source/common/grpc/async_client_impl.cc).
func enhanced(text, details string) string {
	if text == "" {
		return details
	}
	return text + "{" + details + "}"
}

// fail is the end of a call that was reset (AsyncStreamImpl::onReset), or that the router
// answered in the upstream's place, with trailers only.
func (c *grpcCallout) fail(r *calloutResponse) {
	status, text, trailers := uint32(grpcInternal), "", headers.New()
	if r != nil {
		status, text = grpcStatusOf(r.status), string(r.body)
		trailers = headers.Of(":status", "200", "content-type", "application/grpc",
			"grpc-status", strconv.Itoa(int(status)), "grpc-message", percentEncode(text))
		text = enhanced(text, r.details)
	}
	if !c.unary() {
		if r != nil {
			c.root.onGrpcMetadata(c, expGrpcReceiveInitialMetadata, nil)
		}
		c.root.onGrpcMetadata(c, expGrpcReceiveTrailingMetadata, trailers)
	}
	c.close(status, text)
}

func (c *grpcCallout) close(status uint32, text string) {
	if c.root.grpc[c.id] != c {
		return // cancelled in a callback of its own
	}
	c.remoteClosed = true
	if c.stream != nil {
		c.stream.abort()
	}
	c.root.onGrpcClose(c, status, text)
	if c.unary() || c.localClosed {
		c.forget()
	}
}

// forget is the end of the call's id, once its last callback is over.
func (c *grpcCallout) forget() {
	if c.root.grpc[c.id] == c {
		delete(c.root.grpc, c.id)
	}
}

// grpcOutcome reads grpc-status from the trailers. Without grpc-status, an HTTP status other than 200 is mapped
// (Grpc::Utility::httpToGrpcStatus).
func grpcOutcome(head, trailers *headers.Map) (uint32, string) {
	for _, m := range []*headers.Map{trailers, head} {
		if s, ok := m.Get("grpc-status"); ok {
			return uint32(atoi(s)), m.Value("grpc-message") // Envoy leaves it encoded
		}
	}
	if code := atoi(head.Value(":status")); code != http.StatusOK && code != 0 {
		return grpcStatusOf(code), ""
	}
	return grpcUnknown, ""
}

func (c *rootContext) onGrpcReceive(call *grpcCallout, message []byte) {
	c.grpcView.message = message
	c.vm.later(func() { c.grpcView.message = nil })
	c.calloutCallback(expGrpcReceive, uint64(call.id), uint64(len(message)))
}

func (c *rootContext) onGrpcMetadata(call *grpcCallout, e export, m *headers.Map) {
	if m == nil {
		m = headers.New()
	}
	if e == expGrpcReceiveInitialMetadata {
		c.grpcView.initialMetadata = m
	} else {
		c.grpcView.trailingMetadata = m
	}
	c.callback(e, c.id64(), uint64(call.id), uint64(m.Len()))
	c.grpcView.initialMetadata, c.grpcView.trailingMetadata = nil, nil
}

func (c *rootContext) onGrpcClose(call *grpcCallout, status uint32, text string) {
	c.statusCode, c.statusText = status, strings.TrimSpace(text)
	c.vm.later(func() { c.statusText = "" })
	c.calloutCallback(expGrpcClose, uint64(call.id), uint64(status))
}
