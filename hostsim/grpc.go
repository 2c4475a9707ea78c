package hostsim

import (
	"encoding/binary"
	"strconv"
	"strings"
	"time"

	"github.com/healthgate/healthgate/hostsim/internal/headers"
	"github.com/healthgate/healthgate/hostsim/internal/pairs"
	"github.com/healthgate/healthgate/hostsim/internal/timeline"
)

// grpcUnavailable is the status of a call that did not get through.
const grpcUnavailable = 14

// grpcView is what of a gRPC callout the plugin can reach in its callback.
type grpcView struct {
	initialMetadata, trailingMetadata *headers.Map
	message                           []byte
}

// grpcCallout is a unary call or a stream, told apart by the low bits of the id.
type grpcCallout struct {
	root    *pluginContext
	id      uint32
	up      *upstream
	request *UpstreamRequest
	timeout time.Duration

	sent                      bool
	localClosed, remoteClosed bool
	undo                      func()
	events                    []*timeline.Event
}

func (c *grpcCallout) unary() bool { return c.id%calloutStep == 1 }

// cancel forgets the call: nothing of it comes back.
func (c *grpcCallout) cancel() {
	if c.undo != nil {
		c.undo()
	}
	for _, e := range c.events {
		c.root.vm.host.time.Cancel(e)
	}
	if c.root.grpc[c.id] == c {
		delete(c.root.grpc, c.id)
	}
}

// grpcService finds the cluster in a serialized GrpcService (envoy_grpc.cluster_name)
// or in a bare cluster name. status is not OK if it is neither.
func (h *Host) grpcService(service string) (*upstream, status) {
	if fields, ok := pbFields([]byte(service)); ok {
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
	root := v.effectiveContext().rootContext()
	service, ok := v.str(a[0], a[1])
	name, ok2 := v.str(a[2], a[3])
	method, ok3 := v.str(a[4], a[5])
	metadata, ok4 := v.bytes(a[6], a[7])
	if !ok || !ok2 || !ok3 || !ok4 {
		return nil, statusInvalidMemoryAccess
	}
	up, st := v.host.grpcService(service)
	if st != statusOK {
		return nil, st
	}
	*id += calloutStep
	c := &grpcCallout{root: root, id: *id, up: up, timeout: timeout}
	if up == nil || up.handler == nil && up.url == nil {
		// It fails at once, and yet the failure is called back, later.
		v.later(func() { root.onGrpcClose(c, grpcUnavailable, "Cluster not available") })
		return nil, statusInternalFailure
	}
	m := headers.New(
		headers.Field{Name: ":method", Value: "POST"},
		headers.Field{Name: ":path", Value: "/" + name + "/" + method},
		headers.Field{Name: ":authority", Value: up.name},
		headers.Field{Name: ":scheme", Value: "http"},
		headers.Field{Name: "te", Value: "trailers"},
		headers.Field{Name: "content-type", Value: "application/grpc"},
	)
	if timeout > 0 {
		m.Set("grpc-timeout", strconv.FormatInt(timeout.Milliseconds(), 10)+"m")
	}
	for _, f := range pairs.Decode(metadata) {
		m.Add(f.Name, f.Value)
	}
	c.request = &UpstreamRequest{Header: toHeader(m)}
	if root.grpc == nil {
		root.grpc = make(map[uint32]*grpcCallout)
	}
	root.grpc[c.id] = c
	return c, statusOK
}

func proxyGrpcCall(v *vm, a []uint64) status {
	message, ok := v.str(a[8], a[9])
	if !ok {
		return statusInvalidMemoryAccess
	}
	c, st := v.newGrpc(a, &v.nextGrpcCall, millis(uint32(a[10])))
	if st != statusOK {
		return st
	}
	c.frame(message)
	c.send()
	return v.out32(a[11], c.id)
}

func proxyGrpcStream(v *vm, a []uint64) status {
	c, st := v.newGrpc(a, &v.nextGrpcStream, 0)
	if st != statusOK {
		return st
	}
	return v.out32(a[8], c.id)
}

// frame appends a message to the request.
func (c *grpcCallout) frame(message string) {
	c.request.Body = binary.BigEndian.AppendUint32(append(c.request.Body, 0), uint32(len(message)))
	c.request.Body = append(c.request.Body, message...)
}

// grpcOf is the call of a token, of either kind.
func (v *vm) grpcOf(token uint64) (*grpcCallout, status) {
	id := uint32(token)
	if id%calloutStep != 1 && id%calloutStep != 2 {
		return nil, statusBadArgument
	}
	c := v.effectiveContext().rootContext().grpc[id]
	if c == nil {
		return nil, statusNotFound
	}
	return c, statusOK
}

// proxyGrpcSend adds a message to a stream. The upstream gets all of them once the
// stream is half-closed.
func proxyGrpcSend(v *vm, a []uint64) status {
	message, ok := v.str(a[1], a[2])
	if !ok {
		return statusInvalidMemoryAccess
	}
	if uint32(a[0])%calloutStep != 2 {
		return statusBadArgument
	}
	c, st := v.grpcOf(a[0])
	if st != statusOK {
		return st
	}
	if !c.sent {
		c.frame(message)
		if uint32(a[3]) != 0 {
			c.send()
		}
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
		c.send()
	}
	return statusOK
}

// send gives the request to the upstream, once.
func (c *grpcCallout) send() {
	if c.sent {
		return
	}
	c.sent = true
	h := c.root.vm.host
	c.undo = h.dispatch(c.up, c.root.vm.thread, c.request, &c.up.faults, c.timeout, c.answer)
}

// answer delivers what came back: of a unary call the message alone, or the failure
// alone; of a stream everything, piece by piece.
func (c *grpcCallout) answer(r *calloutResponse) {
	if c.root.grpc[c.id] != c {
		return
	}
	if r == nil || r.cut {
		c.close(grpcUnavailable, "reset")
		return
	}
	status, text := grpcOutcome(r)
	messages := unframe(r.body)
	if c.unary() {
		switch {
		case status != 0:
			c.close(status, text)
		case len(messages) == 0:
			c.close(13, "no message")
		default:
			delete(c.root.grpc, c.id)
			c.root.onGrpcReceive(c, messages[0])
		}
		return
	}
	steps := []func(){func() { c.root.onGrpcMetadata(c, expGrpcReceiveInitialMetadata, r.headers) }}
	for _, m := range messages {
		steps = append(steps, func() { c.root.onGrpcReceive(c, m) })
	}
	steps = append(steps,
		func() { c.root.onGrpcMetadata(c, expGrpcReceiveTrailingMetadata, r.trailers) },
		func() { c.close(status, text) })
	for _, step := range steps {
		c.events = append(c.events, c.root.vm.host.after(0, c.root.vm.thread, step))
	}
}

func (c *grpcCallout) close(status uint32, text string) {
	c.remoteClosed = true
	if c.unary() || c.localClosed {
		delete(c.root.grpc, c.id)
	}
	c.root.onGrpcClose(c, status, text)
}

// grpcOutcome reads grpc-status from the trailers or, failing those, the headers.
func grpcOutcome(r *calloutResponse) (uint32, string) {
	for _, m := range []*headers.Map{r.trailers, r.headers} {
		if s, ok := m.Get("grpc-status"); ok {
			return uint32(atoi(s)), m.Value("grpc-message")
		}
	}
	if code := atoi(r.headers.Value(":status")); code != 200 {
		return grpcStatusOf(code), string(r.body)
	}
	return 2, "missing grpc-status"
}

// unframe splits a body into messages; a piece that is no whole message is dropped.
func unframe(b []byte) [][]byte {
	var ms [][]byte
	for len(b) >= 5 {
		n := uint64(binary.BigEndian.Uint32(b[1:5]))
		if uint64(len(b)-5) < n {
			break
		}
		ms = append(ms, b[5:5+n])
		b = b[5+n:]
	}
	return ms
}

func (c *pluginContext) onGrpcReceive(call *grpcCallout, message []byte) {
	c.grpcView.message = message
	c.vm.later(func() { c.grpcView.message = nil })
	c.calloutCallback(expGrpcReceive, uint64(call.id), uint64(len(message)))
}

func (c *pluginContext) onGrpcMetadata(call *grpcCallout, e export, m *headers.Map) {
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

func (c *pluginContext) onGrpcClose(call *grpcCallout, status uint32, text string) {
	c.statusCode, c.statusText = status, strings.TrimSpace(text)
	c.vm.later(func() { c.statusText = "" })
	c.calloutCallback(expGrpcClose, uint64(call.id), uint64(status))
}
