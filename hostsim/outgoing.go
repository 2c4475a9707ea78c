package hostsim

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/healthgate/healthgate/hostsim/internal/headers"
	"github.com/healthgate/healthgate/hostsim/internal/router"
	"github.com/healthgate/healthgate/hostsim/internal/timeline"
)

// outgoing is a request that leaves through the router: a client's, or a plugin's callout.
type outgoing struct {
	up       *upstream
	plan     router.Plan
	headers  *headers.Map // as they went on: what the plugin changes later is not in it
	body     []byte
	bodiless bool // the headers are all
	trailers *headers.Map
	http2    bool
}

// request is what the upstream gets from a thread. whole is false if it waits for more of the body.
func (o *outgoing) request(t *thread) (req *UpstreamRequest, whole bool) {
	m, body, whole := o.headers.Clone(), o.body, true
	if !o.http2 {
		body, whole = router.Frame(m, body, o.bodiless)
		if rest := o.up.rest[t]; rest != "" {
			m.Overwrite(":method", rest+m.Value(":method"))
		}
	}
	req = &UpstreamRequest{Header: onTheWire(m), Body: body, Trailer: toHeader(o.trailers)}
	if _, sized := m.Get("content-length"); sized && !o.http2 {
		req.Trailer = nil // HTTP/1.1 has trailers behind chunks only
	}
	return req, whole
}

// refusal is the router's answer to a request that no codec sends, or nil.
func (o *outgoing) refusal(h *Host) *calloutResponse {
	if why := router.Refuse(o.headers); why != "" {
		return localResponse(http.StatusServiceUnavailable, why,
			"filter_removed_required_request_headers{"+strings.ReplaceAll(why, " ", "_")+"}", flagProtocolError)
	}
	if o.http2 && !router.PseudoHeaders(o.headers) {
		reason := "protocol error"
		if h.cfg.profile == Envoy136 { // which leaves it to the upstream
			reason = "remote reset"
		}
		return beforeHeaders(reason, flagUpstreamProtocolError)
	}
	return nil
}

// onTheWire is a request's fields as an upstream reads them, its pseudo headers first.
func onTheWire(m *headers.Map) Header {
	h := make(Header, 0, m.Len())
	for _, name := range []string{":authority", ":path", ":method", ":scheme"} {
		if value, ok := m.Get(name); ok {
			h = append(h, [2]string{name, value})
		}
	}
	return append(h, fieldsOf(m)...)
}

// fieldsOf is a message's fields as they are read at the other end.
func fieldsOf(m *headers.Map) Header {
	var h Header
	for _, f := range router.Wire(m) {
		h = append(h, [2]string{f.Name, f.Value})
	}
	return h
}

// send brings a request to its upstream, as soon as the running call is over, and the answer back to deliver on thread
// t. The fault is that of the first try.
func (h *Host) send(out *outgoing, t *thread, fault CalloutFault, deliver func(*calloutResponse)) *exchange {
	c := &exchange{outgoing: out, host: h, thread: t, deliver: deliver, start: h.time.Elapsed()}
	if out.plan.Timeout > 0 {
		c.timer = h.after(out.plan.Timeout, t, func() { c.finish(c.timedOut("response_timeout")) })
	}
	c.event = h.after(0, t, func() { c.try(fault) })
	return c
}

// exchange is one request to an upstream, with the events that it waits for.
type exchange struct {
	*outgoing
	host     *Host
	thread   *thread
	deliver  func(*calloutResponse)
	timer    *timeline.Event // the timeout
	tryTimer *timeline.Event // that of a try
	event    *timeline.Event // the sending, then the answer
	start    time.Duration
	tries    int
	over     bool
	rest     string // of the body, behind its content-length
}

// try asks the upstream.
func (c *exchange) try(fault CalloutFault) {
	c.event = nil
	if c.tries++; c.tries > 1 {
		c.plan.Expect(c.headers, c.host.time.Elapsed()-c.start)
	}
	if r := c.refusal(c.host); r != nil {
		c.finishAfter(0, router.Refused, r)
		return
	}
	if c.plan.TryTimeout > 0 {
		c.tryTimer = c.host.after(c.plan.TryTimeout, c.thread, func() {
			c.answer(router.Reset, c.timedOut("upstream_per_try_timeout"))
		})
	}
	req, whole := c.request(c.thread)
	delete(c.up.rest, c.thread)
	if whole {
		c.rest = string(c.body[len(req.Body):])
		req.Time = c.host.time.Realtime()
		c.host.serveUpstream(c, req, fault)
	}
}

func (c *exchange) stop() {
	c.over = true
	c.stopTry()
	c.host.time.Cancel(c.timer)
}

func (c *exchange) stopTry() {
	c.host.time.Cancel(c.tryTimer)
	c.host.time.Cancel(c.event)
}

// finish delivers the answer, unless the time was up before.
func (c *exchange) finish(r *calloutResponse) {
	if c.over {
		return
	}
	c.stop()
	c.deliver(r)
}

// retryInterval is the base of the random time before a retry, which doubles with each.
const retryInterval = 25 * time.Millisecond

// answer is the end of a try: the answer is delivered, or the upstream is asked again.
func (c *exchange) answer(outcome router.Outcome, r *calloutResponse) {
	if c.over {
		return
	}
	if outcome == router.Answered && r != nil && !r.cut && c.rest != "" {
		c.up.keep(c.thread, c.rest)
	}
	if r != nil && c.plan.Again(outcome, r.headers) {
		if c.plan.Retries > 0 {
			c.plan.Retries--
			c.stopTry()
			wait := time.Duration(c.host.randomBelow(uint64(retryInterval << min(c.tries-1, 3))))
			c.event = c.host.after(wait, c.thread, func() { c.try(c.up.faults.next()) })
			return
		}
		r.flags |= flagRetryLimitExceeded
	}
	if r != nil && r.local && c.tries > 1 {
		r.setBody(strings.Replace(string(r.body), " reset reason:", " retried and the latest reset reason:", 1))
	}
	c.finish(r)
}

// finishAfter is answer d from now.
func (c *exchange) finishAfter(d time.Duration, outcome router.Outcome, r *calloutResponse) {
	c.event = c.host.after(d, c.thread, func() {
		if r != nil && !r.local {
			ms := (c.host.time.Elapsed() - c.start) / time.Millisecond
			r.headers.Set("x-envoy-upstream-service-time", strconv.FormatInt(int64(ms), 10))
		}
		c.answer(outcome, r)
	})
}

// localResponse is an answer that Envoy's router gives in place of an upstream.
func localResponse(status int, body, details string, flags responseFlags) *calloutResponse {
	r := &calloutResponse{local: true, status: status, details: details, flags: flags}
	r.headers = headers.Of(":status", strconv.Itoa(status))
	if body != "" {
		r.headers.Set("content-length", "")
		r.headers.Set("content-type", "text/plain")
		r.setBody(body)
	}
	return r
}

func (r *calloutResponse) setBody(body string) {
	r.body = []byte(body)
	r.headers.Overwrite("content-length", strconv.Itoa(len(body)))
}

// timedOut is the router's answer when an upstream does not answer in time.
func (c *exchange) timedOut(details string) *calloutResponse {
	if c.plan.NoContent {
		return localResponse(http.StatusNoContent, "", details, flagUpstreamTimeout)
	}
	return localResponse(http.StatusGatewayTimeout, "upstream request timeout", details, flagUpstreamTimeout)
}

// beforeHeaders is the router's answer when a request is reset before the upstream answers.
func beforeHeaders(reason string, flags responseFlags) *calloutResponse {
	return localResponse(http.StatusServiceUnavailable,
		"upstream connect error or disconnect/reset before headers. reset reason: "+reason,
		"upstream_reset_before_response_started{"+strings.ReplaceAll(reason, " ", "_")+"}", flags)
}

// resetBeforeHeaders is beforeHeaders for a connection that breaks.
func resetBeforeHeaders() *calloutResponse {
	return beforeHeaders("connection termination", flagConnectionTermination)
}

// noHealthyUpstream is the router's answer for a cluster without a host.
func noHealthyUpstream() *calloutResponse {
	return localResponse(http.StatusServiceUnavailable, "no healthy upstream", "no_healthy_upstream",
		flagNoHealthyUpstream)
}
