package hostsim

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/healthgate/healthgate/hostsim/internal/router"
)

// sendHeaders sends the response's headers to the client, with those that the connection manager and the HTTP/1.1 codec
// add (ActiveStream::encodeHeaders, StreamEncoderImpl).
func (s *Stream) sendHeaders(end bool) {
	m := s.response.headers
	status, err := strconv.ParseUint(strings.TrimSpace(m.Value(":status")), 10, 64)
	if err != nil {
		// checkRequiredResponseHeaders
		s.sendLocalReply(localReply{status: http.StatusBadGateway, body: "missing required header: :status",
			details: "filter_removed_required_response_headers{missing_required_header:_:status}"})
		return
	}
	s.headersSent = true
	if _, ok := m.Get("date"); !ok {
		m.Add("date", s.host.time.Realtime().UTC().Format(http.TimeFormat))
	}
	m.Overwrite("server", "envoy")
	m.Remove("transfer-encoding")
	m.Remove("connection")
	m.Remove("proxy-connection")
	m.Remove("upgrade")
	if s.host.cfg.profile == Envoy136 { // later ones leave it
		m.Remove("keep-alive")
	}
	if s.closes {
		m.Add("connection", "close")
	}
	s.reply.Status = int(status)
	s.setCode(s.reply.Status)
	s.reply.Header = fieldsOf(m)
	if _, ok := m.Get("content-length"); !ok {
		switch {
		case bodiless(s.reply.Status):
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

// sendHeadersAgain sends the headers a second time, as they are on the wire.
func (s *Stream) sendHeadersAgain() {
	head := "HTTP/1.1 " + strconv.Itoa(s.reply.Status) + " " + http.StatusText(s.reply.Status) + "\r\n"
	for _, f := range s.reply.Header {
		head += f[0] + ": " + f[1] + "\r\n"
	}
	s.sendData([]byte(head+"\r\n"), false)
}

func (s *Stream) isHead() bool { return s.req.Method == http.MethodHead }

func (s *Stream) sendData(data []byte, end bool) {
	if s.mayHaveBody() {
		s.reply.Body = append(s.reply.Body, data...)
	}
	if end {
		s.finish()
	}
}

func (s *Stream) sendTrailers() {
	s.reply.Trailer = fieldsOf(s.response.trailers)
	s.finish()
}

// finish ends the stream: access log, then done and delete.
func (s *Stream) finish() {
	if s.done {
		return
	}
	s.done = true
	s.endReply()
	if s.logged {
		return
	}
	s.logged = true
	s.reply.Flags = s.flags.String()
	s.host.time.Cancel(s.idle)
	if s.sending != nil {
		s.sending.stop()
	}
	for d := &s.request; d != nil; d = d.next {
		if d.filter != nil {
			d.filter.logStream()
		}
	}
	for d := &s.request; d != nil; d = d.next {
		if d.filter != nil {
			d.filter.destroyStream()
		}
	}
	s.reply.Properties = s.stored()
	if s.onDone != nil {
		s.onDone()
	}
}

// endReply leaves of the body what the client reads: as much as the content-length says. It waits for what is missing.
func (s *Stream) endReply() {
	length, sized := s.response.headers.Get("content-length")
	if sized && s.headersSent && s.mayHaveBody() {
		body, whole := router.Read(length, s.reply.Body)
		s.reply.Body, s.reply.Surplus = body, s.reply.Body[len(body):]
		s.reply.Reset = s.reply.Reset || !whole
	}
}

// mayHaveBody reports whether the client reads a body whatever the fields say.
func (s *Stream) mayHaveBody() bool {
	return !s.isHead() && (s.reply.Status < 200 || !bodiless(s.reply.Status))
}

func bodiless(status int) bool {
	return status < 200 || status == http.StatusNoContent || status == http.StatusNotModified
}

// stored are the properties and the filter state that the plugin has set.
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

// reopen lets a response that the plugin has cut off go on for the time of a call, as the client's connection closes
// only after the running event.
func (s *Stream) reopen() (closeAgain func()) {
	if !s.done || !s.reply.Reset || s.flags&flagDownstreamDisconnect != 0 {
		return func() {}
	}
	s.done, s.reply.Reset = false, false
	return func() {
		s.reply.Reset = !s.done
		s.done = true
		s.host.time.Cancel(s.idle)
	}
}

// reset cuts the stream off.
func (s *Stream) reset() {
	if s.done {
		return
	}
	s.reply.Reset = true
	s.finish()
}
