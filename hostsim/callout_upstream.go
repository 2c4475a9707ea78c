package hostsim

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/healthgate/healthgate/hostsim/internal/headers"
	"github.com/healthgate/healthgate/hostsim/internal/router"
)

// upstream is a cluster.
type upstream struct {
	name    string
	handler http.Handler
	http2   bool // in a real Envoy
	url     *url.URL
	latency time.Duration
	faults  calloutFaults
	seen    []*UpstreamRequest
	rest    map[*thread]string // that an upstream has not read of its connection from there
}

// UpstreamRequest is a request as an upstream got it, pseudo headers included.
type UpstreamRequest struct {
	Time    time.Time
	Header  Header
	Body    []byte
	Trailer Header
}

// Method, Path and Authority are the pseudo headers.
func (r *UpstreamRequest) Method() string    { return r.Header.Get(":method") }
func (r *UpstreamRequest) Path() string      { return r.Header.Get(":path") }
func (r *UpstreamRequest) Authority() string { return r.Header.Get(":authority") }

// String is the request as a test's message wants it: a line with method and path, the header and the body.
func (r *UpstreamRequest) String() string {
	var b strings.Builder
	b.WriteString(r.Method() + " " + r.Path())
	writeMessage(&b, r.Header, r.Body, r.Trailer)
	return b.String()
}

// connectFailure is Envoy's answer when a connection is refused. Older Envoys say why.
func (h *Host) connectFailure() *calloutResponse {
	const reason = "delayed connect error: Connection refused"
	r := beforeHeaders("remote connection failure", flagConnectFailure)
	if h.cfg.profile == Envoy136 {
		r.setBody(string(r.body) + ", transport failure reason: " + reason)
	}
	r.details = "upstream_reset_before_response_started{remote_connection_failure|" +
		strings.ReplaceAll(reason, " ", "_") + "}"
	r.transportFailure = reason
	return r
}

// maxUpstreamBody bounds the answer of a real upstream.
const maxUpstreamBody = 64 << 20

// hasHost reports whether there is anything to connect to.
func (up *upstream) hasHost() bool { return up.handler != nil || up.url != nil }

// serveUpstream lets the upstream answer.
func (h *Host) serveUpstream(c *exchange, req *UpstreamRequest, fault CalloutFault) {
	up := c.up
	switch fault.Kind {
	case CalloutConnectFailure:
		c.finishAfter(fault.Delay, router.ConnectFailure, h.connectFailure())
		return
	case CalloutLate, CalloutInlineFailure:
		if !up.hasHost() {
			c.finishAfter(0, router.Refused, noHealthyUpstream())
			return
		}
	}
	up.record(h, req)
	switch {
	case fault.Kind == CalloutReset && up == h.app:
		c.finishAfter(fault.Delay, router.Reset, resetBeforeHeaders())
	case fault.Kind == CalloutReset:
		c.finishAfter(fault.Delay, router.Answered, nil)
	case fault.Kind == CalloutLost:
		h.time.Cancel(c.timer)
		h.time.Cancel(c.tryTimer)
	case fault.Kind == CalloutTimeout && c.timer == nil:
		c.finishAfter(fault.Delay, router.Refused, c.timedOut("response_timeout"))
	case fault.Kind == CalloutTimeout, fault.Kind == CalloutNever: // the call's own timeout ends it
	case up.url != nil:
		h.roundTrip(c, req)
	default:
		r := serve(up.handler, h, req)
		c.finishAfter(up.latency+fault.Delay, outcomeOf(r), r)
	}
}

// outcomeOf is Reset for an upstream that broke the connection in place of an answer.
func outcomeOf(r *calloutResponse) router.Outcome {
	switch {
	case r.flags&flagConnectFailure != 0:
		return router.ConnectFailure
	case r.local:
		return router.Reset
	}
	return router.Answered
}

// keep leaves a rest on a connection. The upstream takes it for the beginning of the next request.
func (up *upstream) keep(t *thread, rest string) {
	if up.rest == nil {
		up.rest = make(map[*thread]string)
	}
	up.rest[t] = rest
}

func (up *upstream) record(h *Host, req *UpstreamRequest) {
	h.upstreamMu.Lock()
	defer h.upstreamMu.Unlock()
	up.seen = append(up.seen, req)
}

// httpRequest is req for a Go handler or client.
func (r *UpstreamRequest) httpRequest() *http.Request {
	u, err := url.ParseRequestURI(r.Path())
	if err != nil {
		u = &url.URL{Path: r.Path()}
	}
	hr := &http.Request{
		Method: r.Method(), URL: u, Host: r.Authority(), RequestURI: r.Path(),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header), Body: io.NopCloser(bytes.NewReader(r.Body)), ContentLength: int64(len(r.Body)),
		RemoteAddr: "127.0.0.1:50000",
	}
	for _, f := range r.Header {
		if !strings.HasPrefix(f[0], ":") {
			hr.Header.Add(f[0], f[1])
		}
	}
	for _, f := range r.Trailer {
		if hr.Trailer == nil {
			hr.Trailer = make(http.Header)
		}
		hr.Trailer.Add(f[0], f[1])
	}
	return hr
}

// httpRequestTo is httpRequest for a client that asks a real server.
func (r *UpstreamRequest) httpRequestTo(server *url.URL) *http.Request {
	hr := r.httpRequest()
	hr.RequestURI, hr.URL.Scheme, hr.URL.Host = "", server.Scheme, server.Host
	return hr
}

// responseHead returns the status and the headers of a real server's response.
func responseHead(resp *http.Response) *headers.Map {
	m := headers.Of(":status", strconv.Itoa(resp.StatusCode))
	addSorted(m, resp.Header)
	return m
}

// serve runs a handler. A handler that panics with http.ErrAbortHandler resets the connection; the client keeps the
// part that was flushed before.
func serve(handler http.Handler, h *Host, req *UpstreamRequest) (r *calloutResponse) {
	w := &recorder{flushed: -1, header: make(http.Header), head: req.Method() == http.MethodHead}
	defer func() {
		if p := recover(); p == any(http.ErrAbortHandler) {
			if w.flushed < 0 {
				// Before the headers, the router answers in the upstream's place.
				r = resetBeforeHeaders()
				return
			}
			r = w.response(h)
			r.body, r.cut = r.body[:w.flushed], true
		} else if p != nil {
			panic(p)
		}
	}()
	handler.ServeHTTP(w, req.httpRequest())
	w.WriteHeader(http.StatusOK)
	return w.response(h)
}

// recorder is a ResponseWriter that behaves as net/http's server does.
type recorder struct {
	header, sent http.Header
	status       int
	body         bytes.Buffer
	head         bool
	headBytes    int // length of the body that a GET would have got
	sniffed      string
	flushed      int   // bytes of the body, -1 while the headers are not
	pieces       []int // each of them
}

// Flush sends the bytes written so far. After it, the length of the body is no longer known.
func (w *recorder) Flush() {
	w.WriteHeader(http.StatusOK)
	w.flushed = w.body.Len()
	w.pieces = append(w.pieces, w.flushed)
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status, w.sent = status, w.header.Clone()
	}
}

func (w *recorder) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	switch {
	case w.status == http.StatusNoContent || w.status == http.StatusNotModified:
		return 0, http.ErrBodyNotAllowed
	case w.head:
		w.headBytes += len(b)
		return len(b), nil
	case w.body.Len() == 0 && w.sent.Get("Content-Type") == "" && len(b) > 0:
		w.sniffed = http.DetectContentType(b)
	}
	return w.body.Write(b)
}

// trailers are the trailers that the handler announced, or marked with http.TrailerPrefix.
func (w *recorder) trailers() *headers.Map {
	trailers := headers.New()
	for _, names := range w.header["Trailer"] {
		for _, name := range strings.Split(names, ",") {
			for _, v := range w.header.Values(textproto.TrimString(name)) {
				trailers.Add(textproto.TrimString(name), v)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.header)) {
		if rest, ok := strings.CutPrefix(name, http.TrailerPrefix); ok {
			for _, v := range w.header[name] {
				trailers.Add(rest, v)
			}
		}
	}
	return trailers
}

// response returns the recorded response with the fields that a Go server adds, in a fixed order.
func (w *recorder) response(h *Host) *calloutResponse {
	trailers := w.trailers()
	m := w.metadata(h)
	_, sized := m.Get("content-length")
	chunked := trailers.Len() > 0 || w.flushed >= 0 && !sized
	if !sized && !chunked && w.status != http.StatusNoContent && w.status != http.StatusNotModified &&
		!(w.head && w.headBytes == 0) {
		m.Add("content-length", strconv.Itoa(w.body.Len()+w.headBytes))
	}
	if w.sniffed != "" {
		m.Add("content-type", w.sniffed)
	}
	if chunked {
		m.Add("transfer-encoding", "chunked")
	}
	return &calloutResponse{headers: m, body: w.body.Bytes(), pieces: w.pieces, trailers: trailers}
}

// metadata is the head of the response, with the fields that a Go server adds over HTTP/2.
func (w *recorder) metadata(h *Host) *headers.Map {
	m := headers.Of(":status", strconv.Itoa(w.status))
	addSorted(m, w.sent)
	if _, ok := w.sent["Date"]; !ok { // an empty list means that the handler wants no date
		m.Add("date", h.time.Realtime().UTC().Format(http.TimeFormat))
	}
	return m
}

func addSorted(m *headers.Map, h http.Header) {
	for _, name := range slices.Sorted(maps.Keys(h)) {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			continue
		}
		for _, v := range h[name] {
			m.Add(name, v)
		}
	}
}

// roundTrip asks a real server: concurrently in a host that runs in real time, else on the host's thread.
func (h *Host) roundTrip(c *exchange, req *UpstreamRequest) {
	hr := req.httpRequestTo(c.up.url)
	client := h.client
	if req.Header.Get("content-type") == "application/grpc" {
		client = h.grpcClient
	}
	do := func() *calloutResponse {
		resp, err := client.Do(hr)
		if err != nil {
			return h.connectFailure()
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxUpstreamBody))
		m := responseHead(resp)
		if resp.ContentLength >= 0 {
			m.Set("content-length", strconv.FormatInt(resp.ContentLength, 10))
		}
		trailers := headers.New()
		addSorted(trailers, resp.Trailer)
		return &calloutResponse{headers: m, body: body, trailers: trailers, cut: err != nil}
	}
	if !h.cfg.realtime {
		r := do()
		c.finishAfter(0, outcomeOf(r), r)
		return
	}
	h.pending.Add(1)
	go func() {
		defer h.pending.Done()
		r := do()
		h.post(func() { c.finishAfter(0, outcomeOf(r), r) })
	}()
}
