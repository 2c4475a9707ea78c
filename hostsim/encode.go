package hostsim

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/healthgate/healthgate/hostsim/internal/headers"
)

// encodeHeaders brings the response's headers to the plugin.
func (s *Stream) encodeHeaders(end bool) {
	d := &s.response
	d.ended = end
	if s.filter != nil {
		st := s.filter.encodeHeaders(d.headers, end)
		if s.done || s.encoderAborted {
			return
		}
		if d.stopHeaders(st) {
			return
		}
	}
	s.sendHeaders(end)
}

// encodeData brings a piece of the response's body to the plugin.
func (s *Stream) encodeData(data []byte, end bool) {
	if s.done || s.encoderAborted {
		return
	}
	s.touch()
	d := &s.response
	d.ended = end
	if d.hold == holdAll {
		d.buffered = append(d.buffered, data...)
		s.checkResponseBuffer()
		return
	}
	s.filterEncodeData(data, end)
}

func (s *Stream) filterEncodeData(data []byte, end bool) {
	d := &s.response
	if s.filter != nil {
		st := s.filter.encodeData(&data, end)
		if s.done || s.encoderAborted {
			return
		}
		if !d.afterData(st, &data) {
			s.checkResponseBuffer()
			return
		}
	}
	if !d.passed {
		s.sendHeaders(false)
	}
	s.sendData(data, end && !d.trailing)
	if end && d.trailing {
		// The plugin made them itself, so it is not asked about them.
		s.sendTrailers()
	}
}

// checkResponseBuffer answers 500 to a response that is too large to hold.
func (s *Stream) checkResponseBuffer() {
	if d := &s.response; d.limited && len(d.buffered) > s.host.cfg.bufferLimit {
		s.sendLocalReply(localReply{status: http.StatusInternalServerError, body: "Internal Server Error",
			details: "response_payload_too_large"})
	}
}

// encodeTrailers brings the response's trailers to the plugin.
func (s *Stream) encodeTrailers(m *headers.Map) {
	d := &s.response
	d.trailers, d.trailing, d.ended = m, true, true
	if d.hold != holdAll {
		s.filterEncodeTrailers()
	}
}

func (s *Stream) filterEncodeTrailers() {
	d := &s.response
	if s.filter != nil {
		stop := s.filter.encodeTrailers(d.trailers)
		if s.done || s.encoderAborted {
			return
		}
		if stop {
			d.hold = holdSingle
			return
		}
		d.hold = holdNone
	}
	if !d.passed {
		s.sendHeaders(false)
	}
	if d.buffered != nil {
		data := d.buffered
		d.buffered = nil
		s.sendData(data, false)
	}
	s.sendTrailers()
}

// continueEncoding resumes the response where the plugin stopped it.
func (s *Stream) continueEncoding() {
	d := &s.response
	if s.done || s.encoderAborted || d.hold == holdNone {
		return
	}
	s.touch()
	wasAll := d.hold == holdAll
	d.hold = holdNone
	if !d.passed {
		s.sendHeaders(d.ended && d.buffered == nil && !d.trailing)
		if s.done {
			return
		}
	}
	if d.buffered != nil {
		data := d.buffered
		d.buffered = nil
		if end := d.ended && !d.trailing; wasAll {
			s.filterEncodeData(data, end)
		} else {
			s.sendData(data, end)
		}
		if s.done || d.hold != holdNone {
			return
		}
	}
	if d.trailing {
		if wasAll {
			s.filterEncodeTrailers()
		} else {
			s.sendTrailers()
		}
	}
}

// sendHeaders is the way out to the client: what the connection manager and the
// HTTP/1.1 codec add (ActiveStream::encodeHeaders, StreamEncoderImpl).
func (s *Stream) sendHeaders(end bool) {
	m := s.response.headers
	if _, ok := m.Get(":status"); !ok {
		// checkRequiredResponseHeaders
		s.sendLocalReply(localReply{status: http.StatusBadGateway, body: "missing required header: :status",
			details: "filter_removed_required_response_headers{missing_required_header:_:status}"})
		return
	}
	s.response.passed = true
	s.headersSent = true
	if _, ok := m.Get("date"); !ok {
		m.Add("date", s.host.time.Realtime().UTC().Format(http.TimeFormat))
	}
	m.Overwrite("server", "envoy")
	m.Remove("transfer-encoding")
	m.Remove("connection")
	s.reply.Status = atoi(m.Value(":status"))
	s.setCode(s.reply.Status)
	for _, f := range m.Fields() {
		if !strings.HasPrefix(f.Name, ":") {
			s.reply.Header = append(s.reply.Header, [2]string{f.Name, f.Value})
		}
	}
	if _, ok := m.Get("content-length"); !ok && s.reply.Status >= 200 &&
		s.reply.Status != http.StatusNoContent && s.reply.Status != http.StatusNotModified {
		switch {
		case !end:
			s.reply.Header = append(s.reply.Header, [2]string{"transfer-encoding", "chunked"})
		case !s.isHead():
			s.reply.Header = append(s.reply.Header, [2]string{"content-length", "0"})
		}
	}
	if end {
		s.finish()
	}
}

func (s *Stream) isHead() bool { return s.req.Method == http.MethodHead }

func (s *Stream) sendData(data []byte, end bool) {
	if s.reply.Status != http.StatusNoContent && s.reply.Status != http.StatusNotModified {
		s.reply.Body = append(s.reply.Body, data...)
	}
	if end {
		s.finish()
	}
}

func (s *Stream) sendTrailers() {
	s.reply.Trailer = toHeader(s.response.trailers)
	s.finish()
}

// finish ends the stream: access log, then done and delete.
func (s *Stream) finish() {
	if s.done {
		return
	}
	s.done = true
	s.reply.Flags = s.flags.String()
	s.host.time.Cancel(s.idle)
	if c := s.filter; c != nil {
		c.logStream()
		c.destroyStream()
	}
	s.reply.Properties = s.stored()
	if s.onDone != nil {
		s.onDone()
	}
}

// stored is what the plugin left in the stream.
func (s *Stream) stored() map[string]string {
	if len(s.state)+len(s.filterState) == 0 {
		return nil
	}
	all := make(map[string]string)
	for path, value := range s.state {
		all[strings.TrimPrefix(path, "wasm.")] = value
	}
	for key, value := range s.filterState {
		if text, ok := value.(string); ok {
			all[key] = text
		}
	}
	return all
}

// reset cuts the stream off.
func (s *Stream) reset() {
	if s.done {
		return
	}
	s.reply.Reset = true
	s.finish()
}

// localReply is an answer that the proxy itself gives.
type localReply struct {
	status        int
	body          string
	details       string
	flags         responseFlags
	headers       []headers.Field
	grpcStatus    uint32
	hasGrpcStatus bool
}

// sendLocalReply answers in place of the application. Before the response has
// begun, the answer takes the way of any response and passes the plugin; while the
// plugin holds the response's headers, it goes straight to the client; once they
// are sent, all that is left is to reset (FilterManager::sendLocalReply).
func (s *Stream) sendLocalReply(r localReply) {
	if s.done {
		return
	}
	s.localReplied = true
	s.setDetails(r.details)
	s.flags |= r.flags
	switch {
	case s.response.headers == nil && s.inDecode > 0:
		if s.prepared == nil { // a second one changes the details, not the reply
			s.prepared = &r
		}
	case s.response.headers == nil:
		s.encodeLocalReply(r)
	case !s.headersSent:
		s.encoderAborted = true
		end := s.prepareLocalReply(&r)
		s.sendHeaders(end)
		if !end {
			s.sendData([]byte(r.body), true)
		}
	default:
		s.reset()
	}
}

// runPrepared sends the local reply that a decode callback asked for, and reports
// whether there was one.
func (s *Stream) runPrepared() bool {
	if s.prepared == nil || s.inDecode > 0 {
		return false
	}
	r := *s.prepared
	s.prepared = nil
	s.encodeLocalReply(r)
	return true
}

func (s *Stream) encodeLocalReply(r localReply) {
	end := s.prepareLocalReply(&r)
	s.encodeHeaders(end)
	if !end && !s.done {
		s.encodeData([]byte(r.body), true)
	}
}

// prepareLocalReply builds the headers and reports whether they are all there is
// (Http::Utility::prepareLocalReply).
func (s *Stream) prepareLocalReply(r *localReply) (end bool) {
	s.setCode(r.status)
	m := headers.New(headers.Field{Name: ":status", Value: strconv.Itoa(r.status)})
	for _, f := range r.headers {
		m.Add(f.Name, f.Value)
	}
	s.response.headers = m
	if ct := s.request.headers.Value("content-type"); ct == "application/grpc" || strings.HasPrefix(ct, "application/grpc+") {
		m.Set(":status", "200")
		m.Set("content-type", "application/grpc")
		code := grpcStatusOf(r.status)
		if r.hasGrpcStatus {
			code = r.grpcStatus
		}
		m.Set("grpc-status", strconv.Itoa(int(code)))
		if r.body != "" && !s.isHead() {
			m.Set("grpc-message", percentEncode(r.body))
		}
		m.Remove("content-length")
		return true
	}
	if r.body == "" {
		m.Remove("content-length")
		m.Remove("content-type")
		return true
	}
	m.Set("content-length", strconv.Itoa(len(r.body)))
	if _, ok := m.Get("content-type"); !ok {
		m.Set("content-type", "text/plain")
	}
	return s.isHead()
}

// percentEncode is the encoding of grpc-message.
func percentEncode(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '%' {
			b.WriteString("%" + strings.ToUpper(strconv.FormatInt(int64(c)+0x100, 16)[1:]))
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// grpcStatusOf maps an HTTP status (Grpc::Utility::httpToGrpcStatus).
func grpcStatusOf(code int) uint32 {
	switch code {
	case http.StatusBadRequest:
		return grpcInternal
	case http.StatusUnauthorized:
		return grpcUnauthenticated
	case http.StatusForbidden:
		return grpcPermissionDenied
	case http.StatusNotFound:
		return grpcUnimplemented
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return grpcUnavailable
	}
	return grpcUnknown
}
