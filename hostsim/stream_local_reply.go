package hostsim

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/healthgate/healthgate/hostsim/internal/headers"
)

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

// sendLocalReply answers in place of the application. Before the response has begun, the answer takes the way of any
// response and passes the plugin; while the plugin holds the response's headers, it goes straight to the client; once
// they are sent, all that is left is to reset (FilterManager::sendLocalReply).
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

// runPrepared sends the local reply that a callback of the request asked for.
func (s *Stream) runPrepared() {
	if s.prepared != nil && s.inDecode == 0 {
		r := *s.prepared
		s.prepared = nil
		s.encodeLocalReply(r)
	}
}

func (s *Stream) encodeLocalReply(r localReply) {
	end := s.prepareLocalReply(&r)
	s.headersArrive(&s.response, end)
	if !end {
		s.dataArrives(&s.response, []byte(r.body), true)
	}
}

// prepareLocalReply builds the headers and reports whether they are all there is (Http::Utility::prepareLocalReply).
func (s *Stream) prepareLocalReply(r *localReply) (end bool) {
	s.setCode(r.status)
	m := headers.Of(":status", strconv.Itoa(r.status))
	for _, f := range r.headers {
		m.Add(f.Name, f.Value)
	}
	m.Overwrite(":status", strconv.Itoa(r.status)) // whatever the fields say
	s.response.headers = m
	if isGrpc(s.request.headers.Value("content-type")) {
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

func isGrpc(contentType string) bool {
	return contentType == "application/grpc" || strings.HasPrefix(contentType, "application/grpc+")
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
