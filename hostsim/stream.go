package hostsim

import (
	"net/http"
	"strconv"
	"time"

	"github.com/healthgate/healthgate/hostsim/internal/headers"
	"github.com/healthgate/healthgate/hostsim/internal/incoming"
	"github.com/healthgate/healthgate/hostsim/internal/timeline"
)

// streamIdleTimeout is Envoy's default for a stream on which nothing moves.
const streamIdleTimeout = 5 * time.Minute

// Stream is one HTTP request on its way through the filter chain, which is the
// plugins and the router (Envoy's ActiveStream and FilterManager).
type Stream struct {
	host   *Host
	thread *thread
	req    *Request
	id     string
	source string
	closes bool // the connection, after the response
	// refusal is why no plugin sees the request.
	refusal incoming.Refusal

	request, response direction         // where each enters the chain: at its first plugin, and at its last
	state             map[string]string // what set_property stored, by whole path
	filterState       map[string]any    // what set_envoy_filter_state stored

	route Route // that was chosen last; one without a Cluster if none matched

	inDecode       int         // depth of the plugins' decode callbacks
	prepared       *localReply // waits for the decode callback to end
	localReplied   bool        // no more decoding
	encoderAborted bool        // a direct reply: no more encoding through the filter
	headersSent    bool
	done           bool
	logged         bool // the access log has it: what still happens after a reset is not logged
	idle           *timeline.Event
	onDone         func()

	started time.Duration
	reply   Reply
	out     *outgoing // the request as it went on
	sending *exchange // once all of it did
	code    int       // of the response, once there is one
	// transportFailure is why the application could not be reached.
	transportFailure string
	detailed         bool // whether the reply has details, were they empty
	flags            responseFlags
}

// Done reports whether the stream is over, log, done and delete included.
func (s *Stream) Done() bool {
	s.host.mu.Lock()
	defer s.host.mu.Unlock()
	return s.done
}

// Reply returns the part of the answer that the client has got so far: the whole answer once Done.
func (s *Stream) Reply() *Reply {
	s.host.mu.Lock()
	defer s.host.mu.Unlock()
	r := s.reply
	return &r
}

// Disconnect closes the client's connection: the stream ends at once, and everything that is under way for it. It does
// nothing once the stream is over.
func (s *Stream) Disconnect() {
	s.host.mu.Lock()
	defer s.host.mu.Unlock()
	s.disconnect("downstream_remote_disconnect")
	s.host.run(s.host.time.Elapsed())
}

func (s *Stream) disconnect(details string) {
	if s.done || !s.host.runs() {
		return
	}
	s.setDetails(details)
	s.flags = flagDownstreamDisconnect
	s.reset()
}

// begin puts the request through the chain, piece by piece.
func (s *Stream) begin() {
	if s.done {
		return
	}
	s.chooseRoute()
	s.buildChain()
	s.touch()
	if s.refusal.Status != 0 {
		s.refuse()
		return
	}
	chunks := s.req.chunks()
	trailer := s.req.Trailer
	if !s.host.cfg.trailers {
		trailer = nil
	}
	tunnel := s.req.Method == http.MethodConnect // has no end
	s.headersArrive(&s.request, len(chunks) == 0 && len(trailer) == 0 && !tunnel)
	for _, c := range chunks {
		s.dataArrives(&s.request, append([]byte(nil), c...), false)
	}
	switch {
	case s.stopped():
	case len(trailer) > 0:
		m := headers.New()
		for _, f := range trailer {
			m.Add(f[0], f[1])
		}
		s.trailersArrive(&s.request, m)
	case len(chunks) > 0:
		// HTTP/1.1 learns of the end after the last byte, so it comes by itself.
		s.dataArrives(&s.request, nil, true)
	}
}

// refuse answers a request that no plugin sees before its log callback.
func (s *Stream) refuse() {
	r := localReply{status: s.refusal.Status, body: s.refusal.Body, details: s.refusal.Details}
	if s.refusal.Codec {
		r.flags = flagProtocolError
	}
	s.sendLocalReply(r)
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
		s.sendLocalReply(localReply{status: code, body: "stream timeout", details: "stream_idle_timeout",
			flags: flagStreamIdleTimeout})
	})
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
