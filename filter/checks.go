//go:build wasm

package main

import (
	"strings"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/host"
	"github.com/healthgate/healthgate/filter/maintenance"
	"github.com/healthgate/healthgate/filter/verdict"
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"
)

// checks is the hot path: it sees each request once, when its headers have come. One that may name a service comes by
// again with its body.
type checks struct {
	types.DefaultHttpContext

	plugin  *plugin
	request request
	matched bool                          // the last request was for an endpoint: the next one is likely to be
	peers   []string                      // by endpoint: the property that holds the peer's address
	headers [][verdict.Kinds]host.Headers // by endpoint: the reply's headers, encoded once
	last    []decision                    // by endpoint
	other   verdict.Answer                // the last one that is none of those
	late    bool                          // the check has waited
	grpc    bool                          // some endpoint is of gRPC
	body    []byte                        // of a request that waited for it
	more    bool                          // the body is to come
	// routeMetadata says that a route had metadata since the last tick: most have none, which costs Envoy less to say
	// than that there is no such value in it.
	routeMetadata bool
	// altered is the reply just sent, if Envoy alters its headers: one without a body, or without a content-type. It stays
	// until the next request: the checks that a tick answers have the same reply, and their responses may all follow it.
	altered *config.Reply
}

var _ types.HttpContext = (*checks)(nil)

// decision is a verdict, and the version of the view that it was made on.
type decision struct {
	answer  verdict.Answer
	version uint64
}

func newChecks(p *plugin) checks {
	endpoints := len(p.config.Endpoints)
	c := checks{
		plugin: p, matched: true,
		headers: make([][verdict.Kinds]host.Headers, endpoints), last: make([]decision, endpoints),
	}
	for i := range p.config.Endpoints {
		e := &p.config.Endpoints[i]
		c.grpc = c.grpc || e.GRPC
		peer := sourceAddress
		if e.Trusted.Peer == config.PeerFilterState {
			peer = "filter_state\x00" + e.Trusted.FilterState
		}
		c.peers = append(c.peers, peer)
		for k := range verdict.Shown {
			c.headers[i][k] = encodeHeaders(verdict.Reply(e, k))
		}
	}
	return c
}

// encodeHeaders encodes what of a reply's headers the host has to be told: to a body without a content-type, Envoy
// itself gives text/plain (Http::Utility::prepareLocalReply).
func encodeHeaders(r *config.Reply) host.Headers {
	headers := r.Headers
	if r.Body != "" && len(headers) > 0 && headers[0] == [2]string{"content-type", "text/plain"} {
		headers = headers[1:]
	}
	if len(headers) == 0 {
		return nil
	}
	return host.EncodeHeaders(headers)
}

// details are Envoy's response code details, by outcome.
var details = [verdict.Kinds]string{
	verdict.Untrusted:   "healthgate_untrusted",
	verdict.Maintenance: "healthgate_maintenance",
	verdict.Draining:    "healthgate_draining",
	verdict.Unknown:     "healthgate_unknown",
	verdict.Unhealthy:   "healthgate_unhealthy",
	verdict.Degraded:    "healthgate_degraded",
	verdict.Healthy:     "healthgate_healthy",
	verdict.Shown:       "healthgate_shown",
}

// request is match.Request on the current stream.
type request struct {
	all host.Headers // nil until all are read
}

// Header reads a single header only if it is a pseudo-header, which comes once at most: of other headers the host gives
// the first value alone.
func (r *request) Header(name string) (string, bool) {
	if r.all == nil && name[0] != ':' {
		r.all = host.RequestHeaders()
	}
	if r.all != nil {
		return r.all.Get(name)
	}
	return host.RequestHeader(name)
}

// fewHeaders is the number of headers, pseudo-headers among them, up to which reading all of them at once is cheaper
// than reading path and method one by one. Load balancers' checks have about ten, browsers' requests have more. What
// is likely to be for no endpoint needs its path alone.
const fewHeaders = 12

// waits is a pause until the body is there.
const waits = types.ActionPause + 1

// OnHttpRequestHeaders answers a health check, and lets everything else pass.
func (c *checks) OnHttpRequestHeaders(numHeaders int, endOfStream bool) types.Action {
	injectRequestFault()
	host.OpenScratch()
	c.body, c.more = nil, !endOfStream
	action := c.answer(c.matched && numHeaders <= fewHeaders)
	host.CloseScratch()
	return action
}

// OnHttpRequestBody answers a request that waited for its body. What holds may have changed since the headers came.
func (c *checks) OnHttpRequestBody(size int, endOfStream bool) types.Action {
	if !endOfStream && size < verdict.MaxBody {
		return waits
	}
	host.OpenScratch()
	c.body, c.more = host.RequestBody(verdict.MaxBody), false
	action := c.answer(true)
	host.CloseScratch()
	return action
}

// answer sends the local reply, lets the request pass, or has it wait for its body or a probe. allHeaders says to read
// all headers at once.
func (c *checks) answer(allHeaders bool) types.Action {
	var path string // empty for CONNECT
	if allHeaders {
		c.request.all = host.RequestHeaders()
		path, _ = c.request.all.Get(":path")
	} else {
		c.request.all = nil
		path, _ = host.RequestHeader(":path")
	}
	p := c.plugin
	i := p.table.Find(path, &c.request)
	var a *verdict.Answer
	if c.matched = i >= 0; c.matched {
		a = c.decide(i)
	}
	c.altered = nil
	if host.Starved() { // who knows what it is, from whom, and what holds: the application must not answer it
		host.SendLocalResponse(503, "healthgate_starved", "", nil)
		return types.ActionPause
	}
	if !c.matched {
		return c.pass()
	}
	e := &p.config.Endpoints[i]
	served, status := e.GRPC && a.Kind != verdict.Untrusted, int32(verdict.Named)
	if served && strings.HasPrefix(path, config.GRPCWatch) {
		status = verdict.Unimplemented
	} else if served && len(e.Services) > 0 && !c.late { // what waited for a probe had its body read before
		if c.more {
			return waits
		}
		status = verdict.Service(e, c.body)
	}
	if status == verdict.Named {
		if p.demanded != nil && !c.late && a.Kind > verdict.Maintenance && p.wait(i) {
			return types.ActionPause
		}
		host.Increment(p.metrics.checks[i][a.Kind])
	}
	if a.Kind == verdict.Shown {
		p.showStatus()
		return types.ActionPause
	}
	if a.Reply.Pass {
		return c.pass()
	}
	if served {
		return c.serve(a, status)
	}
	if a.Reply.Body == "" || a.Reply.ContentType() == "" {
		c.altered = a.Reply
	}
	host.SendLocalResponse(a.Status, details[a.Kind], a.Reply.Body, c.headers[i][a.Kind])
	return types.ActionPause
}

// serve has the routes of Envoy answer a check of gRPC: what a filter replies to it by itself has no message, but may
// have another status.
func (c *checks) serve(a *verdict.Answer, status int32) types.Action {
	if status != verdict.Named {
		host.SendGRPCStatus(details[a.Kind], status)
		return types.ActionPause
	}
	host.ReplaceRequestHeader(config.GRPCAnswer, a.Reply.Body)
	return types.ActionContinue
}

// pass lets the request go on, without a header that only serve may set.
func (c *checks) pass() types.Action {
	if c.grpc {
		host.RemoveRequestHeader(config.GRPCAnswer)
	}
	return types.ActionContinue
}

// OnHttpResponseHeaders undoes what Envoy does to a local reply's headers (Http::Utility::prepareLocalReply). The reply
// comes by right after the request's callback, on the same thread, at this or another of the stream's filters; its
// details tell it from another stream's response all the same.
func (c *checks) OnHttpResponseHeaders(_ int, endOfStream bool) types.Action {
	if c.altered != nil {
		host.OpenScratch()
		if details, ok := host.Property("response\x00code_details"); ok && strings.HasPrefix(details, "healthgate_") {
			restore(c.altered, host.ResponseHeaders(), endOfStream)
		}
		host.CloseScratch()
	}
	return types.ActionContinue
}

// restore gives a response the headers of its reply. Envoy takes the content-type from a reply without a body, and its
// length, without which the answer to HEAD is chunked; it gives text/plain to a body without a content-type. What the
// operator's local_reply_config made of the reply, a body or another status, and what a gRPC request gets, stay as they
// are.
func restore(reply *config.Reply, response host.Headers, endOfStream bool) {
	if _, grpc := response.Get("grpc-status"); grpc {
		return
	}
	given, typed := response.Get("content-type")
	if reply.Body != "" {
		if given == "text/plain" {
			_ = host.RemoveResponseHeader("content-type") // the reply stands with it
		}
		return
	}
	if _, sized := response.Get("content-length"); sized || !endOfStream {
		return // it has a body by now
	}
	if contentType := reply.ContentType(); contentType != "" && !typed {
		setResponseHeader("content-type", contentType)
	}
	// A 204 and a 304 have no content-length: RFC 9110, section 8.6.
	if status, _ := response.Get(":status"); status != "204" && status != "304" {
		setResponseHeader("content-length", "0")
	}
}

func setResponseHeader(name, value string) {
	_ = host.ReplaceResponseHeader(name, value) // the reply stands without it
}

func (c *checks) decide(endpoint int) *verdict.Answer {
	p := c.plugin
	e := &p.config.Endpoints[endpoint]
	trusted := c.trusts(endpoint)
	if e.GRPC && trusted { // what only serve may set led the request to the route of the answers, past that of maintenance
		_, forged := c.request.Header(config.GRPCAnswer)
		trusted = !forged
	}
	if !trusted {
		c.other = verdict.Refuse(e)
		return &c.other
	}
	p.notes()
	p.view.catchUp(p.metrics.snapshotWrites)
	if e.Kind == config.KindStatus {
		c.other.Kind = verdict.Shown
		return &c.other
	}
	if e.Maintenance.RouteMetadata && c.routeInMaintenance() {
		c.other = verdict.Decide(p.config, e, p.view.record, true, p.clock)
		return &c.other
	}
	return c.known(endpoint)
}

// known is what holds for an endpoint's checks by the record. It is made anew only if it may be another one by now.
func (c *checks) known(endpoint int) *verdict.Answer {
	p := c.plugin
	last := &c.last[endpoint]
	if last.version != p.view.version || p.view.timed || !last.answer.Holds(p.clock) {
		last.answer = verdict.Decide(p.config, &p.config.Endpoints[endpoint], p.view.record, false, p.clock)
		last.version = p.view.version
	}
	return &last.answer
}

// routeInMaintenance reads the metadata of the route that Envoy chose for the request.
func (c *checks) routeInMaintenance() bool {
	if !c.routeMetadata {
		if all, ok := host.Property("xds\x00route_metadata"); !ok || all == "" {
			return false
		}
		c.routeMetadata = true
	}
	value, ok := host.Property("xds\x00route_metadata\x00filter_metadata\x00healthgate\x00maintenance")
	return ok && maintenance.ParseMetadata(value)
}
