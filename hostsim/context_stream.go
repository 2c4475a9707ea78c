package hostsim

import (
	"net/http"
	"strings"
	"unicode"
)

// headersStatus and dataStatus are a callback's result, as the filter chain understands it (FilterHeadersStatus,
// FilterDataStatus).
type (
	headersStatus int
	dataStatus    int
)

const (
	headersContinue            headersStatus = 0
	headersStopIteration       headersStatus = 1
	headersStopAllAndBuffer    headersStatus = 3
	headersStopAllAndWatermark headersStatus = 4

	dataContinue         dataStatus = 0
	dataStopAndBuffer    dataStatus = 1
	dataStopAndWatermark dataStatus = 2
	dataStopNoBuffer     dataStatus = 3
)

// failStream answers for a VM that is dead, once (failStream, CHECK_FAIL_HTTP).
func (c *pluginContext) failStream() {
	if !c.failed {
		c.failed = true
		c.stream.sendLocalReply(localReply{status: http.StatusServiceUnavailable, details: "wasm_fail_stream",
			grpcStatus: grpcUnavailable, hasGrpcStatus: true})
	}
}

// onStreamCallback runs a callback of the stream. convert sees its result before
// the after-call actions run, which may end the stream.
func (c *pluginContext) onStreamCallback(e export, convert func(result uint64), args ...uint64) (failed bool) {
	if c.vm.dead() {
		c.failStream()
		return true
	}
	if c.vm.fns[e] == nil {
		return false
	}
	result, _ := c.vm.call(c, e, args...)
	failed = c.vm.dead()
	if failed {
		c.failStream()
	} else {
		convert(result)
	}
	c.vm.runAfterCall()
	return failed
}

func boolArg(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// skips reports whether the plugin is not told of a direction.
func (c *pluginContext) skips(d *direction) bool {
	return !c.created || d == c.response && c.failed
}

// view returns the part of a direction that the plugin can reach.
func (c *pluginContext) view(d *direction) *directionView {
	if d == c.request {
		return &c.views.request
	}
	return &c.views.response
}

func (c *pluginContext) onHeaders(d *direction, end bool) headersStatus {
	if d == c.request {
		c.onCreate()
	} else if c.skips(d) {
		return headersContinue
	}
	view, st := c.view(d), headersContinue
	view.headers, c.views.endOfStream = d.headers, end
	if c.onStreamCallback(d.onHeaders, func(result uint64) {
		switch {
		case c.vm.stopIteration || result > uint64(headersStopAllAndWatermark):
			st = headersStopAllAndWatermark
		case headersStatus(result) == headersStopIteration && !c.root.plugin.allowStopIteration:
			st = headersStopAllAndWatermark
		case result == 2: // not a status of Envoy's
		default:
			st = headersStatus(result)
		}
	}, c.id64(), uint64(d.headers.Len()), boolArg(end)) {
		st = headersStopAllAndWatermark
	}
	if st == headersContinue {
		view.headers = nil
	}
	return st
}

func (c *pluginContext) onData(d *direction, data *[]byte, end bool) dataStatus {
	if c.skips(d) {
		return dataContinue
	}
	view, st := c.view(d), dataContinue
	if view.buffering {
		// The plugin sees all that it held back. The bytes that it leaves there move on.
		d.buffered = append(d.buffered, *data...)
		*data = nil
	}
	view.body, c.views.endOfStream = data, end
	body, _ := c.buffer(d.body)
	if c.onStreamCallback(d.onBody, func(result uint64) {
		if c.vm.stopIteration || result > uint64(dataStopNoBuffer) {
			st = dataStopNoBuffer
		} else {
			st = dataStatus(result)
		}
	}, c.id64(), uint64(len(body.bytes())), boolArg(end)) {
		st = dataStopNoBuffer
	}
	view.buffering = st == dataStopAndBuffer
	if st == dataContinue {
		view.body = nil
	}
	return st
}

func (c *pluginContext) onTrailers(d *direction) (stop bool) {
	if c.skips(d) {
		return false
	}
	view := c.view(d)
	view.trailers = d.trailers
	if c.onStreamCallback(d.onTrailers, func(result uint64) {
		stop = c.vm.stopIteration || result != 0
	}, c.id64(), uint64(d.trailers.Len())) {
		stop = true
	}
	if !stop {
		view.trailers = nil
	}
	return stop
}

// continueStream resumes a paused stream, once the running call is over. In a root context, which has no stream, it
// does nothing and succeeds.
func (c *pluginContext) continueStream(t streamType) status {
	switch t {
	case streamRequest:
		if s := c.stream; s != nil {
			c.vm.later(func() { s.resume(c.request) })
		}
	case streamResponse:
		if s := c.stream; s != nil {
			c.vm.later(func() { s.resume(c.response) })
		}
	case streamDownstream:
		return statusOK
	case streamUpstream:
		return statusUnimplemented
	default:
		return statusBadArgument
	}
	view := &c.views.request
	view.headers, view.body, view.trailers = nil, nil, nil
	return statusOK
}

// closeStream resets the stream, once the running call is over.
func (c *pluginContext) closeStream(t streamType) status {
	if t > streamTypeMax {
		return statusBadArgument
	}
	if t > streamResponse || c.crashIfMisplaced("proxy_close_stream") {
		return statusOK
	}
	if s := c.stream; s != nil {
		if !s.detailed {
			s.setDetails("wasm_close_stream")
		}
		c.vm.later(c.closeNow)
	}
	return statusOK
}

// sendLocalResponse answers the stream, once the running call is over.
func (c *pluginContext) sendLocalResponse(r localReply) {
	s := c.stream
	if s == nil || c.crashIfMisplaced("proxy_send_local_response") {
		return
	}
	r.details = strings.Map(func(c rune) rune {
		if unicode.IsSpace(c) {
			return '_'
		}
		return c
	}, r.details)
	c.vm.later(func() { c.replyNow(r) })
}

// closeNow resets the stream. To do so once more after its end is the end of Envoy.
func (c *pluginContext) closeNow() {
	if c.stream.done && c.stream.request.ended {
		c.vm.crash(closedTwice)
		return
	}
	c.stream.reset()
}

// replyNow answers also on a stream that the plugin has just closed, as Envoy does.
func (c *pluginContext) replyNow(r localReply) {
	s := c.stream
	if s.done && s.headersSent {
		c.closeNow()
		return
	}
	defer s.reopen()()
	s.sendLocalReply(r)
}

// logStream is the access log phase: the maps are there again, to read.
func (c *pluginContext) logStream() {
	c.onCreate() // a stream that never got to the plugin is created now
	s := c.stream
	c.views = streamViews{
		accessLog: true,
		request:   directionView{headers: s.request.headers},
		response:  directionView{headers: s.response.headers, trailers: s.response.trailers},
	}
	c.callback(expLog, c.id64())
	c.views = streamViews{}
}

// destroyStream ends the stream's context. The answer to on_done does not count.
func (c *pluginContext) destroyStream() {
	if c.destroyed || !c.created {
		return
	}
	c.destroyed = true
	c.onDone()
	c.onDelete()
	delete(c.vm.contexts, c.id)
	if h := c.vm.host; h.tracing() {
		c.vm.deleted[c.id] = h.time.Elapsed()
	}
}
