package hostsim

import (
	"net/http"

	"github.com/healthgate/healthgate/hostsim/internal/headers"
)

// direction is one half of a stream at the plugin's place in the chain.
type direction struct {
	*callbacks
	headers  *headers.Map
	trailers *headers.Map
	buffered []byte // held back for the plugin
	hold     hold
	passed   bool // the headers went past the plugin
	ended    bool // the end of the stream reached the plugin's place
	trailing bool // trailers reached the plugin's place
	out      bool // the end of the stream went past the plugin
	early    bool // continued before the headers callback could pause
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

// headersArrive brings headers to the plugin.
func (s *Stream) headersArrive(d *direction, end bool) {
	d.ended = end
	if s.filter != nil {
		s.enter(d)
		st := s.filter.onHeaders(d, end)
		switch {
		case s.leave(d):
			return
		case d.early:
			s.passHeaders(d, end)
			if st == headersContinue {
				s.forwardAgain()
			}
			return
		case d.stopHeaders(st):
			return
		}
	}
	s.passHeaders(d, end)
}

// forwardAgain sends the request to the application a second time. Envoy does so if the headers callback calls
// continue_stream and then returns Continue. The second answer is dropped.
func (s *Stream) forwardAgain() {
	if s.stopped() || s.reply.Upstream == nil {
		return
	}
	again := *s.reply.Upstream
	s.callApplication(&again, func(*calloutResponse) {})
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
	if s.filter != nil {
		s.enter(d)
		st := s.filter.onData(d, &data, end)
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
	if d.limited && len(d.buffered) > s.host.cfg.bufferLimit {
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
	if s.filter != nil {
		s.enter(d)
		stop := s.filter.onTrailers(d)
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
	if d == &s.request && s.inDecode > 0 && !d.passed {
		d.early = true
	}
	if s.over(d) || d.hold == holdNone {
		return
	}
	s.touch()
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
	if d == &s.request {
		s.inDecode++
	}
}

func (s *Stream) leave(d *direction) bool {
	if d == &s.request {
		s.inDecode--
		s.runPrepared()
	}
	return s.over(d)
}

// over reports whether nothing more of a direction goes through the chain.
func (s *Stream) over(d *direction) bool {
	return s.done || d == &s.request && s.localReplied || d == &s.response && s.encoderAborted
}

// passHeaders, passData and passTrailers are the way on from the plugin: to the router, or to the client.
func (s *Stream) passHeaders(d *direction, end bool) {
	if d == &s.request {
		s.forwardHeaders(end)
	} else {
		s.sendHeaders(end)
	}
}

func (s *Stream) passData(d *direction, data []byte, end bool) {
	if d == &s.request {
		s.forwardData(data, end)
	} else {
		s.sendData(data, end)
	}
}

func (s *Stream) passTrailers(d *direction) {
	if d == &s.request {
		s.forward()
	} else {
		s.sendTrailers()
	}
}
