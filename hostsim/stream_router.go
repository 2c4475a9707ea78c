package hostsim

import (
	"net/http"
	"time"
)

// routeTimeout is Envoy's default for a route. It runs from the end of the request to the end of the response.
const routeTimeout = 15 * time.Second

// forwardHeaders brings the request to the router.
func (s *Stream) forwardHeaders(end bool) {
	m := s.request.headers
	switch _, proto := m.Get("x-forwarded-proto"); {
	case !proto || m.Value(":path") == "":
		// No route is looked up without these two (RouteMatcher::route).
		s.sendLocalReply(localReply{status: http.StatusNotFound, details: "route_not_found", flags: flagNoRoute})
		return
	case m.Value(":method") == "":
		s.sendLocalReply(localReply{status: http.StatusServiceUnavailable, body: "missing required header: :method",
			details: "filter_removed_required_request_headers{missing_required_header:_:method}", flags: flagProtocolError})
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
	if n, ok := m.Get("content-length"); ok && atoi(n) > len(s.appRequest.body) {
		// The plugin shortened the body but not its content-length: the application waits for the rest, until Envoy gives up.
		s.host.after(routeTimeout, s.thread, func() { s.respond(timedOut()) })
		return
	}
	call := &UpstreamRequest{Header: toHeader(m), Body: s.appRequest.body, Trailer: toHeader(s.request.trailers)}
	if _, sized := m.Get("content-length"); sized {
		call.Trailer = nil // HTTP/1.1 has trailers behind chunks only
	}
	s.reply.Upstream = call
	s.callApplication(call, func(r *calloutResponse) {
		if s.stopped() {
			return
		}
		if r == nil {
			r = resetBeforeHeaders()
		}
		s.respond(r)
	})
}

func (s *Stream) callApplication(req *UpstreamRequest, deliver func(*calloutResponse)) {
	app := s.host.app
	s.host.send(app, s.thread, req, app.faults.next(), routeTimeout, deliver)
}

// mayHaveBody reports whether a request may have a body. If it may and has not, the
// HTTP/1.1 codec says so with a length of 0 (HeaderUtility::requestShouldHaveNoBody).
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
		s.sendLocalReply(localReply{status: r.status, body: string(r.body), details: r.details, flags: r.flags})
		return
	}
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
	s.dataArrives(&s.response, append([]byte(nil), r.body...), false)
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
