package hostsim

import (
	"bytes"
	"net/http"
	"strings"
	"time"

	"github.com/healthgate/healthgate/hostsim/internal/router"
)

// routeTimeout is Envoy's default for a route. It runs from the end of the request to the end of the response.
const routeTimeout = 15 * time.Second

// forwardHeaders brings the request to the router.
func (s *Stream) forwardHeaders(end bool) {
	m := s.request.headers
	if _, proto := m.Get("x-forwarded-proto"); !proto || !strings.HasPrefix(m.Value(":path"), "/") {
		// No route is looked up without these two (RouteMatcher::route), and hostsim's has the prefix "/".
		s.noRoute()
		return
	}
	s.chooseRoute()
	up := s.host.upstream(s.route.Cluster)
	if up == nil {
		s.noRoute()
		return
	}
	// The router writes into the map that the plugin sees again in the access log.
	s.out = &outgoing{up: up, plan: router.Take(m, routeTimeout), headers: m.Clone(), bodiless: end}
	if r := s.out.refusal(s.host); r != nil {
		s.answerLocally(r)
		return
	}
	s.reply.Forwarded = true
	if end {
		s.forward()
	}
}

func (s *Stream) forwardData(data []byte, end bool) {
	s.out.body = append(s.out.body, data...)
	if end {
		s.forward()
	}
}

// forward sends the whole request to the application.
func (s *Stream) forward() {
	if s.request.out {
		return
	}
	s.request.out = true
	s.out.trailers = s.request.trailers
	if req, whole := s.out.request(s.thread); whole {
		req.Time = s.host.time.Realtime()
		s.reply.Upstream = req
	}
	s.sending = s.host.send(s.out, s.thread, s.out.up.faults.next(), func(r *calloutResponse) {
		if !s.stopped() {
			s.respond(r)
		}
	})
}

// respond brings the application's response to the plugin.
func (s *Stream) respond(r *calloutResponse) {
	s.touch()
	if r.local {
		s.answerLocally(r)
		return
	}
	s.flags |= r.flags
	s.setDetails("via_upstream")
	s.response.headers = r.headers
	s.setCode(atoi(r.headers.Value(":status")))
	trailers := r.trailers
	if !s.host.cfg.trailers {
		trailers = nil
	}
	noBody := s.isHead() || s.code == http.StatusNoContent || s.code == http.StatusNotModified ||
		len(r.body) == 0 && !r.cut
	s.headersArrive(&s.response, noBody && trailers.Len() == 0)
	if noBody && trailers.Len() == 0 || s.done {
		return
	}
	from := 0
	for _, to := range append(r.pieces, len(r.body)) {
		if to > from && to <= len(r.body) {
			s.dataArrives(&s.response, bytes.Clone(r.body[from:to]), false)
			from = to
		}
	}
	switch {
	case s.done:
	case r.cut:
		s.setDetails("upstream_reset_after_response_started{protocol_error}")
		s.flags |= flagUpstreamProtocolError
		s.reset()
	case trailers.Len() > 0:
		s.trailersArrive(&s.response, trailers)
	default:
		s.dataArrives(&s.response, nil, true)
	}
}

// answerLocally answers as the router does in place of the application.
func (s *Stream) answerLocally(r *calloutResponse) {
	s.transportFailure = r.transportFailure
	s.sendLocalReply(localReply{status: r.status, body: string(r.body), details: r.details, flags: r.flags})
}
