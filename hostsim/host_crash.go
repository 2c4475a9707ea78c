package hostsim

// Crashed returns why Envoy's process would have ended, or "". A host whose process has ended does nothing any more: no
// callback runs, no time passes, requests are reset.
//
// A plugin that traps only loses its VM. But there are calls that Envoy does not expect where they are made, and does
// not survive. These are all that end Envoy 1.36.4 or 1.40.0 in the conformance cases, which play local replies,
// continue_stream and close_stream in each callback of a stream:
//
//   - continue_stream of a response before it has headers: ActiveStreamFilterBase::commonContinue encodes headers that
//     are not there (source/common/http/filter_manager.cc).
//   - close_stream, or a local reply where all that Envoy can do is to reset the stream, after the call that ended it:
//     the codec's stream is gone (ActiveStream::resetStream in conn_manager_impl.cc). An Envoy that survives closing a
//     stream twice by luck logs it twice and leaves the client waiting. If the request has not ended, nothing happens.
//   - close_stream or continue_stream in on_response_trailers, which then returns Continue:
//     FilterManager::encodeTrailers sends them on a stream that is over (filter_manager.cc).
//   - A local reply or close_stream in on_log makes it log the stream again and again until its stack is full; in
//     on_done and on_delete it uses a stream that is gone (Context::onDestroy in
//     source/extensions/common/wasm/context.cc).
//   - grpc_call or grpc_stream with a GrpcService that has no target (AsyncClientManagerImpl::factoryForGrpcService in
//     source/common/grpc/async_client_manager_impl.cc), or with a cluster's name that reads as one: see grpcService.
func (h *Host) Crashed() string {
	defer h.enter("")()
	return h.crashed
}

// Why Envoy ends, and what to do.
const (
	continuedTooEarly = "proxy_continue_stream of a response that has no headers yet: " +
		"continue the request (stream type 0), or wait for proxy_on_response_headers"
	closedTwice = "proxy_close_stream or proxy_send_local_response for a stream that has ended: " +
		"call one of them, and return"
	endedTwice = "proxy_continue_stream or proxy_close_stream in proxy_on_response_trailers, which then returns " +
		"Continue: return StopIteration"
	tooLate = ", when the stream is over: call it in a callback of the request or of the response"
)

// crash ends the process, once the running call is over.
func (v *vm) crash(why string) {
	end := func() {
		h := v.host
		if h.crashed != "" {
			return
		}
		h.crashed = why
		v.logLine(LogCritical, "Caught Segmentation fault: "+why)
		for _, t := range h.threads() {
			for _, v := range t.vms {
				if v != nil && v.failure == "" {
					v.failure = "the process has ended"
				}
			}
		}
	}
	if v.current == nil {
		end()
	} else {
		v.later(end)
	}
}

// crashIfMisplaced ends the process if the stream is past the point where Envoy survives the call.
func (c *pluginContext) crashIfMisplaced(call string) bool {
	switch {
	case c.stream == nil:
		return false
	case c.views.accessLog:
		c.vm.crash(call + " in proxy_on_log" + tooLate)
	case c.destroyed:
		c.vm.crash(call + " in proxy_on_done or proxy_on_delete" + tooLate)
	default:
		return false
	}
	return true
}
