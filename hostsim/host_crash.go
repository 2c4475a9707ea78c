package hostsim

// Crashed returns why Envoy's process would have ended, or "". A host whose process has ended does nothing any more: no
// callback runs, no time passes, requests are reset.
//
// A plugin that traps only loses its VM. But there are calls that Envoy does not expect where they are made, and does
// not survive: a local reply or close_stream in on_log makes it log the stream again and again until its stack is full;
// in on_done and on_delete it uses a stream that is already gone; a response that continues before it has headers. Seen
// with Envoy 1.36.4 and 1.40.0.
func (h *Host) Crashed() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.crashed
}

// continuedTooEarly is why Envoy ends in ActiveStreamFilterBase::commonContinue (source/common/http/filter_manager.cc),
// which encodes headers that are not there, and what to do.
const continuedTooEarly = "proxy_continue_stream of a response that has no headers yet: " +
	"continue the request (stream type 0), or wait for proxy_on_response_headers"

// crash ends the process, once the running call is over.
func (v *vm) crash(why string) {
	v.later(func() {
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
	})
}

// crashIfMisplaced ends the process if the stream is past the point where Envoy survives the call.
func (c *pluginContext) crashIfMisplaced(call string) bool {
	switch {
	case c.stream == nil:
		return false
	case c.views.accessLog:
		c.vm.crash(call + " in proxy_on_log")
	case c.destroyed:
		c.vm.crash(call + " in proxy_on_done or proxy_on_delete")
	default:
		return false
	}
	return true
}
