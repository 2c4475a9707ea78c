package hostsim

import (
	"net/http"
	"strconv"
	"time"

	"github.com/healthgate/healthgate/hostsim/internal/headers"
	"github.com/healthgate/healthgate/hostsim/internal/timeline"
)

// streamIdleTimeout is Envoy's default for a stream on which nothing moves.
const streamIdleTimeout = 5 * time.Minute

// routeTimeout is Envoy's default for a route: from the end of the request to that of
// the response.
const routeTimeout = 15 * time.Second

// Stream is one HTTP request on its way through the filter chain, which is the
// plugin and the router (Envoy's ActiveStream and FilterManager).
type Stream struct {
	host   *Host
	thread *thread
	req    *Request
	id     string
	source string

	filter *pluginContext // nil if the chain is without the plugin

	request, response direction
	state             map[string]string // what set_property stored, by whole path
	filterState       map[string]any    // what set_envoy_filter_state stored

	inDecode       int         // depth of the plugin's decode callbacks
	prepared       *localReply // waits for the decode callback to end
	localReplied   bool        // no more decoding
	filterFailed   bool        // wasm_fail_stream was sent
	encoderAborted bool        // a direct reply: no more encoding through the filter
	headersSent    bool
	done           bool
	idle           *timeline.Event
	onDone         func()

	started    time.Duration
	reply      Reply
	appRequest struct {
		body     []byte
		bodiless bool // the headers were all
	}
	code int // of the response, once there is one
	// transportFailure is why the application could not be reached.
	transportFailure string
	detailed         bool // whether the reply has details, were they empty
	flags            int64
}

// direction is one half of a stream at the plugin's place in the chain.
type direction struct {
	headers  *headers.Map
	trailers *headers.Map
	buffered []byte // held back for the plugin
	hold     hold
	passed   bool // the headers went past the plugin
	ended    bool // the end of the stream reached the plugin's place
	trailing bool // trailers reached the plugin's place
	out      bool // the end of the stream went past the plugin
	early    bool // continued before the headers callback could pause
	limited  bool // what is held counts against the buffer limit
}

// hold is why a direction does not move on (FilterManager's iteration state).
type hold int

const (
	holdNone   hold = iota
	holdSingle      // this piece was stopped; the next goes to the plugin
	holdAll         // nothing goes to the plugin until it continues
)

// Done reports whether the stream is over, log, done and delete included.
func (s *Stream) Done() bool {
	s.host.mu.Lock()
	defer s.host.mu.Unlock()
	return s.done
}

// Reply is what the client has got so far; all of it once Done.
func (s *Stream) Reply() *Reply {
	s.host.mu.Lock()
	defer s.host.mu.Unlock()
	r := s.reply
	return &r
}

// flagDownstreamDisconnect is Envoy's response flag DC, as response.flags has it
// (CoreResponseFlag::DownstreamConnectionTermination).
const flagDownstreamDisconnect = 0x4000

// Disconnect is the client closing its connection: the stream ends there and then, with
// what is under way for it. It does nothing once the stream is over.
func (s *Stream) Disconnect() {
	s.host.mu.Lock()
	defer s.host.mu.Unlock()
	if s.done || !s.host.runs() {
		return
	}
	s.setDetails("downstream_remote_disconnect")
	s.flags = flagDownstreamDisconnect
	s.reset()
	s.host.run(s.host.time.Elapsed())
}

// begin puts the request through the chain, piece by piece.
func (s *Stream) begin() {
	s.touch()
	chunks := s.req.chunks()
	trailer := s.req.Trailer
	if !s.host.cfg.trailers {
		trailer = nil
	}
	s.decodeHeaders(len(chunks) == 0 && len(trailer) == 0)
	for _, c := range chunks {
		if s.stopped() {
			return
		}
		s.decodeData(append([]byte(nil), c...), false)
	}
	switch {
	case s.stopped():
	case len(trailer) > 0:
		m := headers.New()
		for _, f := range trailer {
			m.Add(f[0], f[1])
		}
		s.decodeTrailers(m)
	case len(chunks) > 0:
		// HTTP/1.1 learns of the end after the last byte, so it comes by itself.
		s.decodeData(nil, true)
	}
}

func (s *Stream) stopped() bool { return s.done || s.localReplied }

// touch restarts the idle timer.
func (s *Stream) touch() {
	s.host.time.Cancel(s.idle)
	s.idle = s.host.after(streamIdleTimeout, s.thread, func() {
		code := http.StatusRequestTimeout
		if s.request.ended {
			code = http.StatusGatewayTimeout
		}
		s.sendLocalReply(localReply{status: code, body: "stream timeout", details: "stream_idle_timeout"})
	})
}

// decodeHeaders brings the request's headers to the plugin.
func (s *Stream) decodeHeaders(end bool) {
	d := &s.request
	d.ended = end
	if s.filter != nil {
		s.inDecode++
		st := s.filter.decodeHeaders(d.headers, end)
		s.inDecode--
		if s.runPrepared() || s.stopped() {
			return
		}
		if d.early {
			twice := st == headersContinue
			s.forwardHeaders(end)
			if twice {
				s.forwardAgain()
			}
			return
		}
		if d.stopHeaders(st) {
			return
		}
	}
	s.forwardHeaders(end)
}

// forwardAgain is what comes of continuing in the headers callback and then returning
// that the request may continue: Envoy goes on twice, and the application gets the
// request twice. Its second answer is on nobody's way.
func (s *Stream) forwardAgain() {
	if s.stopped() || s.reply.Upstream == nil {
		return
	}
	again := *s.reply.Upstream
	s.host.dispatch(s.host.app, s.thread, &again, &s.host.appFaults, routeTimeout, func(*calloutResponse) {})
}

// stopHeaders applies the status of a headers callback.
func (d *direction) stopHeaders(st headersStatus) bool {
	switch st {
	case headersContinue:
		return false
	case headersStopIteration:
		d.hold = holdSingle
	default:
		d.hold = holdAll
		d.limited = st == headersStopAllAndBuffer
	}
	return true
}

// decodeData brings a piece of the request's body to the plugin.
func (s *Stream) decodeData(data []byte, end bool) {
	s.touch()
	d := &s.request
	d.ended = end
	if d.hold == holdAll {
		d.buffered = append(d.buffered, data...)
		s.checkBuffer()
		return
	}
	s.filterDecodeData(data, end)
}

func (s *Stream) filterDecodeData(data []byte, end bool) {
	d := &s.request
	if s.filter == nil {
		s.forwardData(data, end)
		return
	}
	s.inDecode++
	st := s.filter.decodeData(&data, end)
	s.inDecode--
	if s.runPrepared() || s.stopped() {
		return
	}
	if !d.afterData(st, &data) {
		s.checkBuffer()
		return
	}
	if !d.passed {
		s.forwardHeaders(false)
		if s.stopped() {
			return
		}
	}
	s.forwardData(data, end)
}

// afterData applies the status of a body callback and reports whether data, which
// then is all that was held, moves on (commonHandleAfterDataCallback).
func (d *direction) afterData(st dataStatus, data *[]byte) bool {
	switch st {
	case dataContinue:
		if d.buffered != nil {
			*data = append(d.buffered, *data...)
			d.buffered = nil
		}
		d.hold = holdNone
		return true
	case dataStopAndBuffer, dataStopAndWatermark:
		d.hold = holdSingle
		d.limited = st == dataStopAndBuffer
		if len(*data) > 0 || d.buffered == nil {
			d.buffered = append(d.buffered, *data...)
		}
	default: // the piece is gone
		d.hold = holdSingle
	}
	return false
}

// checkBuffer answers 413 to a request that is too large to hold. What is held "and
// watermark" is not limited: the client is made to wait instead.
func (s *Stream) checkBuffer() {
	if d := &s.request; d.limited && len(d.buffered) > s.host.cfg.bufferLimit {
		s.sendLocalReply(localReply{status: http.StatusRequestEntityTooLarge, body: "Payload Too Large",
			details: "request_payload_too_large"})
	}
}

// decodeTrailers brings the request's trailers to the plugin.
func (s *Stream) decodeTrailers(m *headers.Map) {
	s.touch()
	d := &s.request
	d.trailers, d.trailing, d.ended = m, true, true
	if d.hold != holdAll {
		s.filterDecodeTrailers()
	}
}

func (s *Stream) filterDecodeTrailers() {
	d := &s.request
	if s.filter != nil {
		s.inDecode++
		stop := s.filter.decodeTrailers(d.trailers)
		s.inDecode--
		if s.runPrepared() || s.stopped() {
			return
		}
		if stop {
			d.hold = holdSingle
			return
		}
		d.hold = holdNone
	}
	s.releaseRequest()
	s.forwardTrailers()
}

// releaseRequest lets go of headers and body that were held.
func (s *Stream) releaseRequest() {
	d := &s.request
	if !d.passed {
		s.forwardHeaders(false)
	}
	if d.buffered != nil {
		data := d.buffered
		d.buffered = nil
		s.forwardData(data, false)
	}
}

// continueDecoding resumes the request where the plugin stopped it
// (FilterManager::commonContinue).
func (s *Stream) continueDecoding() {
	d := &s.request
	if s.inDecode > 0 && !d.passed {
		d.early = true
	}
	if s.stopped() || d.hold == holdNone {
		return
	}
	s.touch()
	wasAll := d.hold == holdAll
	d.hold = holdNone
	if !d.passed {
		s.forwardHeaders(d.ended && d.buffered == nil && !d.trailing)
		if s.stopped() {
			return
		}
	}
	if d.buffered != nil {
		data := d.buffered
		d.buffered = nil
		if end := d.ended && !d.trailing; wasAll {
			s.filterDecodeData(data, end)
		} else {
			s.forwardData(data, end)
		}
		if s.stopped() || d.hold != holdNone {
			return
		}
	}
	if d.trailing {
		if wasAll {
			s.filterDecodeTrailers()
		} else {
			s.forwardTrailers()
		}
	}
}

// addRequestTrailers is decoder_callbacks_->addDecodedTrailers.
func (s *Stream) addRequestTrailers() *headers.Map {
	s.request.trailers = headers.New()
	s.request.trailing = true
	return s.request.trailers
}

func (s *Stream) addResponseTrailers() *headers.Map {
	s.response.trailers = headers.New()
	s.response.trailing = true
	return s.response.trailers
}

// forwardHeaders brings the request to the router.
func (s *Stream) forwardHeaders(end bool) {
	s.request.passed = true
	m := s.request.headers
	switch _, proto := m.Get("x-forwarded-proto"); {
	case !proto || m.Value(":path") == "":
		// No route is looked up without these two (RouteMatcher::route).
		s.sendLocalReply(localReply{status: http.StatusNotFound, details: "route_not_found"})
		return
	case m.Value(":method") == "":
		s.sendLocalReply(localReply{status: http.StatusServiceUnavailable, body: "missing required header: :method",
			details: "filter_removed_required_request_headers{missing_required_header:_:method}"})
		return
	}
	s.reply.Forwarded = true
	// The router writes it into the map that the plugin sees again in the access log.
	m.Set("x-envoy-expected-rq-timeout-ms", "15000")
	s.appRequest.bodiless = end
	if end {
		s.forward()
	}
}

func (s *Stream) forwardData(data []byte, end bool) {
	s.appRequest.body = append(s.appRequest.body, data...)
	if end {
		s.forward()
	}
}

func (s *Stream) forwardTrailers() { s.forward() }

// forward sends the whole request to the application.
func (s *Stream) forward() {
	if s.request.out {
		return
	}
	s.request.out = true
	m := s.request.headers.Clone()
	if _, sized := m.Get("content-length"); !sized && s.appRequest.bodiless && mayHaveBody(m.Value(":method")) {
		m.Add("content-length", "0")
	}
	up := s.host.app
	if n, ok := m.Get("content-length"); ok && atoi(n) > len(s.appRequest.body) {
		// The plugin took from the body and left its length: the application waits for
		// the rest, until Envoy gives up.
		s.host.after(routeTimeout, s.thread, func() {
			s.sendLocalReply(localReply{status: http.StatusGatewayTimeout, body: "upstream request timeout",
				details: "response_timeout"})
		})
		return
	}
	call := &UpstreamRequest{Header: toHeader(m), Body: s.appRequest.body, Trailer: toHeader(s.request.trailers)}
	if _, sized := m.Get("content-length"); sized {
		call.Trailer = nil // HTTP/1.1 has trailers behind chunks only
	}
	s.reply.Upstream = call
	s.host.dispatch(up, s.thread, call, &s.host.appFaults, routeTimeout, func(r *calloutResponse) {
		if s.stopped() {
			return
		}
		if r == nil {
			s.sendLocalReply(localReply{status: http.StatusServiceUnavailable,
				body:    "upstream connect error or disconnect/reset before headers. reset reason: connection termination",
				details: "upstream_reset_before_response_started{connection_termination}"})
			return
		}
		s.respond(r)
	})
}

// mayHaveBody is whether the HTTP/1.1 codec says "no body" of a request without one
// (HeaderUtility::requestShouldHaveNoBody).
func mayHaveBody(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodDelete, http.MethodTrace, http.MethodConnect:
		return false
	}
	return true
}

// respond brings the application's response to the plugin.
func (s *Stream) respond(r *calloutResponse) {
	s.touch()
	if r.local {
		s.transportFailure = r.transportFailure
		s.sendLocalReply(localReply{status: r.status, body: string(r.body), details: r.details})
		return
	}
	s.setDetails("via_upstream")
	s.response.headers = r.headers
	s.setCode(atoi(r.headers.Value(":status")))
	trailers := r.trailers
	if !s.host.cfg.trailers {
		trailers = nil
	}
	noBody := s.isHead() || s.code == http.StatusNoContent || s.code == http.StatusNotModified || len(r.body) == 0 && !r.cut
	s.encodeHeaders(noBody && trailers.Len() == 0)
	if noBody && trailers.Len() == 0 || s.done {
		return
	}
	s.encodeData(append([]byte(nil), r.body...), false)
	switch {
	case s.done:
	case r.cut:
		s.setDetails("upstream_reset_after_response_started{protocol_error}")
		s.reset()
	case trailers.Len() > 0:
		s.encodeTrailers(trailers)
	default:
		s.encodeData(nil, true)
	}
}

func (s *Stream) setCode(code int) { s.code, s.reply.Code = code, code }

func (s *Stream) setDetails(details string) {
	s.reply.Details, s.detailed = details, true
}

func toHeader(m *headers.Map) Header {
	var h Header
	for _, f := range m.Fields() {
		h = append(h, [2]string{f.Name, f.Value})
	}
	return h
}

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}
