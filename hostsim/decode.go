package hostsim

import (
	"net/http"

	"github.com/healthgate/healthgate/hostsim/internal/headers"
)

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
