package hostsim

import (
	"net/http"

	"github.com/healthgate/healthgate/hostsim/internal/headers"
)

// direction is one half of a stream at a plugin's place in the chain.
type direction struct {
	*callbacks
	filter   *pluginContext // nil if the chain is without the plugin
	next     *direction     // at the place of the plugin that comes next; nil in front of the router, or the client
	headers  *headers.Map
	trailers *headers.Map
	buffered []byte // held back for the plugin
	hold     hold
	passed   bool // the headers went past the plugin
	ended    bool // the end of the stream reached the plugin's place
	trailing bool // trailers reached the plugin's place
	out      bool // the end of the stream went past the plugin
	limited  bool // the held body counts against the buffer limit
}

// hold is why a direction does not move on (FilterManager's iteration state).
type hold int

const (
	holdNone   hold = iota
	holdSingle      // this piece was stopped; the next goes to the plugin
	holdAll         // nothing goes to the plugin until it continues
)

// callbacks are the plugin's functions for a direction, and Envoy's answer if the plugin holds back too much of it.
type callbacks struct {
	onHeaders, onBody, onTrailers export
	body                          bufferType
	tooLarge                      localReply
}

var (
	requestCallbacks = callbacks{expRequestHeaders, expRequestBody, expRequestTrailers, bufferHTTPRequestBody,
		localReply{status: http.StatusRequestEntityTooLarge, body: "Payload Too Large", details: "request_payload_too_large"}}
	responseCallbacks = callbacks{expResponseHeaders, expResponseBody, expResponseTrailers, bufferHTTPResponseBody,
		localReply{status: http.StatusInternalServerError, body: "Internal Server Error",
			details: "response_payload_too_large"}}
)

// decodes reports whether it is the request's half.
func (d *direction) decodes() bool { return d.callbacks == &requestCallbacks }

// entry is where the half of a stream to which d belongs enters the chain.
func (s *Stream) entry(d *direction) *direction {
	if d.decodes() {
		return &s.request
	}
	return &s.response
}

// buildChain makes a context of each plugin. A request passes them in order, a response the other way round.
func (s *Stream) buildChain() {
	request, n := &s.request, s.host.cfg.chain
	chain := s.thread.chain[s.req.Listener*n:][:n]
	var before *direction // of the response, at the plugin before
	for i, p := range chain {
		response := &s.response
		if i < n-1 {
			response = &direction{callbacks: &responseCallbacks}
		}
		if i > 0 {
			request.next = &direction{callbacks: &requestCallbacks}
			request = request.next
		}
		response.next, before = before, response
		if c := s.thread.filter(s, p); c != nil {
			c.request, c.response = request, response
			request.filter, response.filter = c, c
		}
	}
}

// headersArrive brings headers to a plugin.
func (s *Stream) headersArrive(d *direction, end bool) {
	d.ended = end
	if d.filter != nil {
		s.enter(d)
		st := d.filter.onHeaders(d, end)
		switch {
		case s.leave(d) || d.stopHeaders(st):
			return
		case d.passed:
			s.passAgain(d, end)
			return
		}
	}
	s.passHeaders(d, end)
}

// passAgain lets headers pass a second time, as Envoy does if their callback calls continue_stream and then returns
// Continue. The application's second answer is dropped; the client takes the second headers for the body's beginning.
func (s *Stream) passAgain(d *direction, end bool) {
	switch {
	case d.next != nil:
		s.passHeaders(d, end)
	case !d.decodes():
		s.sendHeadersAgain()
	case s.sending != nil:
		again := *s.out
		s.host.send(&again, s.thread, again.up.faults.next(), func(*calloutResponse) {})
	}
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

// dataArrives brings a piece of the body to the plugin.
func (s *Stream) dataArrives(d *direction, data []byte, end bool) {
	if s.over(d) {
		return
	}
	s.touch()
	d.ended = end
	if d.hold == holdAll {
		d.buffered = append(d.buffered, data...)
		s.checkBuffer(d)
		return
	}
	s.filterData(d, data, end)
}

func (s *Stream) filterData(d *direction, data []byte, end bool) {
	if d.filter != nil {
		s.enter(d)
		st := d.filter.onData(d, &data, end)
		if s.leave(d) {
			return
		}
		if !d.afterData(st, &data) {
			s.checkBuffer(d)
			return
		}
	}
	if !d.passed {
		s.passHeaders(d, false)
		if s.over(d) {
			return
		}
	}
	s.passData(d, data, end && !d.trailing)
	if end && d.trailing {
		s.passTrailers(d) // The plugin made them itself, so it is not asked about them.
	}
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

// checkBuffer ends a stream if the plugin holds back too much of it. There is no limit after
// StopAllIterationAndWatermark: then Envoy makes the sender wait.
func (s *Stream) checkBuffer(d *direction) {
	if limit := s.host.cfg.bufferLimit; d.limited && limit > 0 && len(d.buffered) > limit {
		s.sendLocalReply(d.tooLarge)
	}
}

// trailersArrive brings trailers to the plugin.
func (s *Stream) trailersArrive(d *direction, m *headers.Map) {
	s.touch()
	d.trailers, d.trailing, d.ended = m, true, true
	if d.hold != holdAll {
		s.filterTrailers(d)
	}
}

func (s *Stream) filterTrailers(d *direction) {
	if d.filter != nil {
		s.enter(d)
		stop := d.filter.onTrailers(d)
		if !d.decodes() && s.done && !s.localReplied && !stop {
			d.filter.vm.crash(endedTwice)
		}
		if s.leave(d) {
			return
		}
		if stop {
			d.hold = holdSingle
			return
		}
		d.hold = holdNone
	}
	if !d.passed {
		s.passHeaders(d, false)
		if s.over(d) {
			return
		}
	}
	if data := d.buffered; data != nil {
		d.buffered = nil
		s.passData(d, data, false)
	}
	s.passTrailers(d)
}

// resume goes on where the plugin stopped (FilterManager::commonContinue).
func (s *Stream) resume(d *direction) {
	if !d.decodes() && s.response.headers == nil {
		d.filter.vm.crash(continuedTooEarly)
		return
	}
	if !d.decodes() && d.hold != holdNone {
		defer s.reopen()()
	}
	if s.over(d) {
		if d.decodes() && !s.done && d.hold == holdAll && d.buffered != nil {
			// Envoy continues a request that has got its answer until the end of that answer is sent.
			d.hold = holdNone
			d.filter.onData(d, &d.buffered, d.ended && !d.trailing)
		}
		return
	}
	s.touch()
	if d.hold == holdNone { // Envoy does not ask whether the plugin has stopped anything yet.
		switch {
		case !d.passed:
			d.headers = s.entry(d).headers // also if they have not come to this plugin yet
			s.passHeaders(d, d.ended)
		case d.trailing:
			s.passTrailers(d)
		}
		return
	}
	wasAll := d.hold == holdAll
	d.hold = holdNone
	if !d.passed {
		s.passHeaders(d, d.ended && d.buffered == nil && !d.trailing)
		if s.over(d) {
			return
		}
	}
	if data := d.buffered; data != nil {
		d.buffered = nil
		if end := d.ended && !d.trailing; wasAll {
			s.filterData(d, data, end)
		} else {
			s.passData(d, data, end)
		}
		if s.over(d) || d.hold != holdNone {
			return
		}
	}
	switch {
	case !d.trailing:
	case wasAll:
		s.filterTrailers(d)
	default:
		s.passTrailers(d)
	}
}

// enter and leave are around a callback of the plugin. leave reports whether nothing more
// is to be done: the local reply that a callback of the request asked for is sent then.
func (s *Stream) enter(d *direction) {
	if d.decodes() {
		s.inDecode++
	}
}

func (s *Stream) leave(d *direction) bool {
	if d.decodes() {
		s.inDecode--
		s.runPrepared()
	}
	return s.over(d)
}

// over reports whether nothing more of a direction goes through the chain.
func (s *Stream) over(d *direction) bool {
	return s.done || d.decodes() && s.localReplied || !d.decodes() && s.encoderAborted
}

// passHeaders, passData and passTrailers are the way on from a plugin: to the next, to the router, or to the client.
func (s *Stream) passHeaders(d *direction, end bool) {
	d.passed = true
	switch {
	case d.next != nil:
		d.next.headers = d.headers
		s.headersArrive(d.next, end)
	case d.decodes():
		s.forwardHeaders(end)
	default:
		s.sendHeaders(end)
	}
}

func (s *Stream) passData(d *direction, data []byte, end bool) {
	switch {
	case d.next != nil:
		s.dataArrives(d.next, data, end)
	case d.decodes():
		s.forwardData(data, end)
	default:
		s.sendData(data, end)
	}
}

func (s *Stream) passTrailers(d *direction) {
	switch {
	case d.next != nil:
		s.trailersArrive(d.next, d.trailers)
	case d.decodes():
		s.forward()
	default:
		s.sendTrailers()
	}
}
