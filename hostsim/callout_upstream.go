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
)

// upstream is a cluster.
type upstream struct {
	name    string
	handler http.Handler
	url     *url.URL
	latency time.Duration
	faults  calloutFaults
	seen    []*UpstreamRequest
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

// connectFailure is Envoy's answer when a connection is refused. Older Envoys say why.
func (h *Host) connectFailure() *calloutResponse {
	text := "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure"
	const reason = "delayed connect error: Connection refused"
	if h.cfg.profile == Envoy136 {
		text += ", transport failure reason: " + reason
	}
	r := localResponse(http.StatusServiceUnavailable, text,
		"upstream_reset_before_response_started{remote_connection_failure|"+strings.ReplaceAll(reason, " ", "_")+"}",
		flagConnectFailure)
	r.transportFailure = reason
	return r
}

// maxUpstreamBody bounds the answer of a real upstream.
const maxUpstreamBody = 64 << 20

// serveUpstream lets the upstream answer.
func (h *Host) serveUpstream(c *exchange, up *upstream, req *UpstreamRequest, fault CalloutFault) {
	switch fault.Kind {
	case CalloutConnectFailure:
		c.finishAfter(fault.Delay, h.connectFailure())
		return
	case CalloutLate, CalloutInlineFailure:
		if up.handler == nil && up.url == nil {
			c.finishAfter(0, localResponse(http.StatusServiceUnavailable, "no healthy upstream", "no_healthy_upstream",
				flagNoHealthyUpstream))
			return
		}
	}
	up.record(h, req)
	switch {
	case fault.Kind == CalloutReset:
		c.finishAfter(fault.Delay, nil)
	case fault.Kind == CalloutLost:
		h.time.Cancel(c.timer)
	case fault.Kind == CalloutTimeout && c.timer == nil:
		c.finishAfter(fault.Delay, timedOut())
	case fault.Kind == CalloutTimeout, fault.Kind == CalloutNever: // the call's own timeout ends it
	case up.url != nil:
		h.roundTrip(c, up, req)
	default:
		c.finishAfter(up.latency+fault.Delay, serve(up.handler, h, req))
	}
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
	m := headers.New(headers.Field{Name: ":status", Value: strconv.Itoa(resp.StatusCode)})
	addSorted(m, resp.Header)
	return m
}

// resetBeforeHeaders is Envoy's answer when the connection is reset before the upstream answers.
func resetBeforeHeaders() *calloutResponse {
	return localResponse(http.StatusServiceUnavailable, "upstream connect error or disconnect/reset before "+
		"headers. reset reason: connection termination",
		"upstream_reset_before_response_started{connection_termination}", flagConnectionTermination)
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
	flushed      int // bytes of the body, -1 while the headers are not
}

// Flush sends the bytes written so far. After it, the length of the body is no longer known.
func (w *recorder) Flush() {
	w.WriteHeader(http.StatusOK)
	w.flushed = w.body.Len()
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
	return &calloutResponse{headers: m, body: w.body.Bytes(), trailers: trailers}
}

// metadata is the head of the response, with the fields that a Go server adds over HTTP/2.
func (w *recorder) metadata(h *Host) *headers.Map {
	m := headers.New(headers.Field{Name: ":status", Value: strconv.Itoa(w.status)})
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
func (h *Host) roundTrip(c *exchange, up *upstream, req *UpstreamRequest) {
	hr := req.httpRequestTo(up.url)
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
		c.finishAfter(0, do())
		return
	}
	h.pending.Add(1)
	go func() {
		defer h.pending.Done()
		r := do()
		h.post(func() { c.finishAfter(0, r) })
	}()
}
