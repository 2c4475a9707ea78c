package hostsim

import (
	"net/http"
	"strings"
	"unicode"

	"github.com/healthgate/healthgate/hostsim/internal/headers"
)

// headersStatus, dataStatus are what a callback's result means for the chain
// (FilterHeadersStatus, FilterDataStatus).
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
	if !c.stream.filterFailed {
		c.stream.filterFailed = true
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

func (c *pluginContext) onHeaders(e export, m *headers.Map, end bool) headersStatus {
	st := headersContinue
	if c.onStreamCallback(e, func(result uint64) {
		switch {
		case c.vm.stopIteration || result > uint64(headersStopAllAndWatermark):
			st = headersStopAllAndWatermark
		case headersStatus(result) == headersStopIteration && !c.vm.host.cfg.allowStopIteration:
			st = headersStopAllAndWatermark
		case result == 2: // not a status of Envoy's
			st = headersContinue
		default:
			st = headersStatus(result)
		}
	}, c.id64(), uint64(m.Len()), boolArg(end)) {
		return headersStopAllAndWatermark
	}
	return st
}

func (c *pluginContext) onData(e export, size int, end bool) dataStatus {
	st := dataContinue
	if c.onStreamCallback(e, func(result uint64) {
		if c.vm.stopIteration || result > uint64(dataStopNoBuffer) {
			st = dataStopNoBuffer
		} else {
			st = dataStatus(result)
		}
	}, c.id64(), uint64(size), boolArg(end)) {
		return dataStopNoBuffer
	}
	return st
}

func (c *pluginContext) onTrailers(e export, m *headers.Map) (stop bool) {
	if c.onStreamCallback(e, func(result uint64) {
		stop = c.vm.stopIteration || result != 0
	}, c.id64(), uint64(m.Len())) {
		return true
	}
	return stop
}

func (c *pluginContext) decodeHeaders(m *headers.Map, end bool) headersStatus {
	c.onCreate()
	c.views.requestHeaders, c.views.endOfStream = m, end
	st := c.onHeaders(expRequestHeaders, m, end)
	if st == headersContinue {
		c.views.requestHeaders = nil
	}
	return st
}

func (c *pluginContext) decodeData(data *[]byte, end bool) dataStatus {
	if !c.created {
		return dataContinue
	}
	held := &c.stream.request.buffered
	if c.views.bufferingRequest {
		// The plugin sees all that it held back; what it leaves is what moves on.
		*held = append(*held, *data...)
		*data = nil
	}
	c.views.requestBody, c.views.endOfStream = data, end
	body, _ := c.buffer(bufferHTTPRequestBody)
	st := c.onData(expRequestBody, len(body.bytes()), end)
	c.views.bufferingRequest = st == dataStopAndBuffer
	if st == dataContinue {
		c.views.requestBody = nil
	}
	return st
}

func (c *pluginContext) decodeTrailers(m *headers.Map) (stop bool) {
	if !c.created {
		return false
	}
	c.views.requestTrailers = m
	if stop = c.onTrailers(expRequestTrailers, m); !stop {
		c.views.requestTrailers = nil
	}
	return stop
}

func (c *pluginContext) skipEncode() bool { return !c.created || c.stream.filterFailed }

func (c *pluginContext) encodeHeaders(m *headers.Map, end bool) headersStatus {
	if c.skipEncode() {
		return headersContinue
	}
	c.views.responseHeaders, c.views.endOfStream = m, end
	st := c.onHeaders(expResponseHeaders, m, end)
	if st == headersContinue {
		c.views.responseHeaders = nil
	}
	return st
}

func (c *pluginContext) encodeData(data *[]byte, end bool) dataStatus {
	if c.skipEncode() {
		return dataContinue
	}
	held := &c.stream.response.buffered
	if c.views.bufferingResponse {
		*held = append(*held, *data...)
		*data = nil
	}
	c.views.responseBody, c.views.endOfStream = data, end
	body, _ := c.buffer(bufferHTTPResponseBody)
	st := c.onData(expResponseBody, len(body.bytes()), end)
	c.views.bufferingResponse = st == dataStopAndBuffer
	if st == dataContinue {
		c.views.responseBody = nil
	}
	return st
}

func (c *pluginContext) encodeTrailers(m *headers.Map) (stop bool) {
	if c.skipEncode() {
		return false
	}
	c.views.responseTrailers = m
	if stop = c.onTrailers(expResponseTrailers, m); !stop {
		c.views.responseTrailers = nil
	}
	return stop
}

// continueStream resumes a paused stream, once the running call is over. A root
// context has none: then it is no error and does nothing.
func (c *pluginContext) continueStream(t streamType) status {
	switch t {
	case streamRequest:
		if s := c.stream; s != nil {
			c.vm.later(s.continueDecoding)
		}
	case streamResponse:
		if s := c.stream; s != nil {
			c.vm.later(s.continueEncoding)
		}
	case streamDownstream:
		return statusOK
	case streamUpstream:
		return statusUnimplemented
	default:
		return statusBadArgument
	}
	c.views.requestHeaders, c.views.requestBody, c.views.requestTrailers = nil, nil, nil
	return statusOK
}

// closeStream resets the stream, once the running call is over.
func (c *pluginContext) closeStream(t streamType) status {
	if t > streamTypeMax {
		return statusBadArgument
	}
	if t > streamResponse || c.misplaced("proxy_close_stream") {
		return statusOK
	}
	if s := c.stream; s != nil {
		if !s.detailed {
			s.setDetails("wasm_close_stream")
		}
		c.vm.later(s.reset)
	}
	return statusOK
}

// sendLocalResponse answers the stream, once the running call is over.
func (c *pluginContext) sendLocalResponse(r localReply) {
	s := c.stream
	if s == nil || c.misplaced("proxy_send_local_response") {
		return
	}
	r.details = strings.Map(func(c rune) rune {
		if unicode.IsSpace(c) {
			return '_'
		}
		return c
	}, r.details)
	c.vm.later(func() { s.sendLocalReply(r) })
}

// logStream is the access log phase: the maps are there again, to read.
func (c *pluginContext) logStream() {
	c.onCreate() // a stream that never got to the plugin is created now
	s := c.stream
	c.views = streamViews{
		accessLog:      true,
		requestHeaders: s.request.headers, responseHeaders: s.response.headers, responseTrailers: s.response.trailers,
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
}
