package hostsim

import (
	"cmp"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/healthgate/healthgate/hostsim/internal/headers"
	"github.com/healthgate/healthgate/hostsim/internal/incoming"
)

// Header is a list of header fields in order, with lower-case names: the form in which plugins see them.
type Header [][2]string

// Get returns the first value of name, or "".
func (h Header) Get(name string) string {
	if vs := h.Values(name); len(vs) > 0 {
		return vs[0]
	}
	return ""
}

// Has reports whether there is a field called name.
func (h Header) Has(name string) bool { return len(h.Values(name)) > 0 }

// Values returns all values of name.
func (h Header) Values(name string) []string {
	var vs []string
	for _, f := range h {
		if strings.EqualFold(f[0], name) {
			vs = append(vs, f[1])
		}
	}
	return vs
}

// Request is a request as a client sends it. The zero value is GET / of http://localhost/
// from 127.0.0.1:40000, over HTTP/1.1.
type Request struct {
	Method    string // "GET" if empty
	Scheme    string // "http" if empty
	Authority string // the Host header; "localhost" if empty
	Path      string // with the query; "/" if empty

	// Header holds the other fields, whose names are made lower-case. Pseudo headers are made of the fields above.
	Header Header
	// Body is sent in one piece with a content-length, or with transfer-encoding: chunked in pieces of ChunkSize bytes if
	// that is set. Chunks are pieces of any size, in place of Body.
	Body      []byte
	ChunkSize int
	Chunks    [][]byte
	// Trailer follows the body.
	Trailer Header

	// Peer is the address of the connection's other end: "ip:port"; for a Unix socket the listener's own path, or "@name",
	// as Envoy has it; for an internal listener "envoy://internal_client_address/". source.address is derived from it, as
	// UseRemoteAddress describes.
	Peer string
	// Before is the number of Host.Update calls since the request's connection was opened. The configuration of that time
	// handles the request; if there is none, as after Drained, the request bypasses the plugin.
	Before int
	// Listener is which of Listeners it arrives at, counted from 0, and Local that one's address, in the forms of Peer;
	// "127.0.0.1:10000" if empty.
	Listener int
	Local    string

	// FilterState are strings that other filters stored (envoy.string), read as the property filter_state.KEY.
	FilterState map[string]string
	// RouteMetadata is the selected route's filter_metadata by namespace, read as
	// xds.route_metadata.filter_metadata.NAMESPACE.KEY. Values have the types of package encoding/json.
	RouteMetadata map[string]map[string]any
	// Metadata is the dynamic metadata that filters in front have set, read as metadata.filter_metadata.NAMESPACE.KEY.
	Metadata map[string]map[string]any
	// RouteName is the selected route's name, read as xds.route_name.
	RouteName string
	// Properties answers further properties, or other values for known ones, by path joined with dots: "connection.mtls".
	// The values go to the plugin as they are.
	Properties map[string]string
}

// The addresses of a request that says nothing of them, and of the application.
const (
	defaultPeer          = "127.0.0.1:40000"
	defaultLocal         = "127.0.0.1:10000"
	defaultUpstream      = "127.0.0.1:8080"
	defaultUpstreamLocal = "127.0.0.1:50000"
)

// headerMap returns the request's headers as the first filter sees them, after the connection manager's changes
// (ConnectionManagerUtility::mutateRequestHeaders), or why it sees none of them.
func (r *Request) headerMap(h *Host, id string) (m *headers.Map, source string, refusal incoming.Refusal) {
	m = headers.Of(":authority", cmp.Or(r.Authority, "localhost"), ":path", cmp.Or(r.Path, "/"),
		":method", cmp.Or(r.Method, "GET"))
	for _, f := range r.Header {
		m.Add(f[0], f[1])
	}
	n := len(r.body())
	chunked := len(r.Trailer) > 0 || len(r.chunks()) > 1
	// transfer-encoding is gone by then, so a body in chunks has neither field.
	if n > 0 && !chunked {
		if _, ok := m.Get("content-length"); !ok {
			m.Set("content-length", strconv.Itoa(n))
		}
	}
	if refusal = incoming.Read(m, chunked); refusal.Status != 0 {
		return &headers.Map{}, cmp.Or(r.Peer, defaultPeer), refusal
	}
	if refusal = incoming.Clean(m); refusal.Status != 0 {
		return m, cmp.Or(r.Peer, defaultPeer), refusal
	}
	_, absolute := m.Get(":scheme")
	if !absolute {
		m.Add(":scheme", cmp.Or(r.Scheme, "http"))
	}
	source = h.sourceAddress(m, cmp.Or(r.Peer, defaultPeer))
	if _, ok := m.Get("x-forwarded-proto"); !ok || h.cfg.useRemoteAddress && h.cfg.xffTrustedHops == 0 {
		m.Overwrite("x-forwarded-proto", cmp.Or(r.Scheme, "http"))
	}
	h.cleanInternalHeaders(m)
	if ip, ok := ipOf(source); ok && h.cfg.useRemoteAddress {
		m.Overwrite("x-envoy-external-address", ip)
	}
	if proto := m.Value("x-forwarded-proto"); !absolute && (proto == "http" || proto == "https") {
		m.Overwrite(":scheme", proto)
	}
	if _, ok := m.Get("x-request-id"); !ok || h.cfg.useRemoteAddress {
		m.Overwrite("x-request-id", id)
	}
	if incoming.IsUpgrade(m) {
		refusal = incoming.Refusal{Status: http.StatusForbidden, Details: "upgrade_failed"}
	}
	return m, source, refusal
}

// Envoy removes edgeHeaders from requests from outside, and externalHeaders from all, since a request counts as
// internal only where internal_address_config says so (ConnectionManagerUtility::cleanInternalHeaders).
var (
	edgeHeaders = []string{"x-envoy-decorator-operation", "x-envoy-downstream-service-cluster",
		"x-envoy-downstream-service-node", "x-envoy-original-path"}
	externalHeaders = []string{"x-envoy-retriable-status-codes", "x-envoy-retriable-header-names", "x-envoy-retry-on",
		"x-envoy-retry-grpc-on", "x-envoy-max-retries", "x-envoy-upstream-alt-stat-name", "x-envoy-upstream-rq-timeout-ms",
		"x-envoy-upstream-rq-per-try-timeout-ms", "x-envoy-upstream-rq-timeout-alt-response",
		"x-envoy-expected-rq-timeout-ms", "x-envoy-force-trace", "x-envoy-ip-tags", "x-envoy-original-url",
		"x-envoy-hedge-on-per-try-timeout"}
)

func (h *Host) cleanInternalHeaders(m *headers.Map) {
	if h.cfg.useRemoteAddress {
		for _, name := range edgeHeaders {
			m.Remove(name)
		}
	}
	for _, name := range externalHeaders {
		m.Remove(name)
	}
}

// ipOf returns an address without its port. ok is false for a Unix socket or an internal listener.
func ipOf(addr string) (ip string, ok bool) {
	ap, err := netip.ParseAddrPort(addr)
	return ap.Addr().String(), err == nil
}

func (r *Request) body() []byte {
	if r.Body != nil {
		return r.Body
	}
	var b []byte
	for _, c := range r.Chunks {
		b = append(b, c...)
	}
	return b
}

func (r *Request) chunks() [][]byte {
	if len(r.Chunks) > 0 {
		return r.Chunks
	}
	if len(r.Body) > 0 {
		return slices.Collect(slices.Chunk(r.Body, cmp.Or(r.ChunkSize, len(r.Body))))
	}
	return nil
}

// isAddress reports whether an address has one of the forms that Peer may have.
func isAddress(addr string) bool {
	_, isIP := ipOf(addr)
	return isIP || addr == "" || addr[0] == '@' || strings.Contains(addr, "/")
}

// sourceAddress derives source.address from the peer and x-forwarded-for, which it extends when the peer counts as the
// client. An address that came from the header has port 0.
func (h *Host) sourceAddress(m *headers.Map, peer string) string {
	xff, present := m.Get("x-forwarded-for")
	hops := h.cfg.xffTrustedHops
	if h.cfg.useRemoteAddress {
		ip, isIP := ipOf(peer)
		if a, err := netip.ParseAddr(ip); err == nil && a.IsLoopback() {
			ip = h.cfg.address // so that who comes next does not take it for itself
		}
		source := peer
		if hops > 0 && present {
			if a, ok := fromRight(xff, hops-1); ok {
				source = a
			}
		}
		if isIP {
			m.Add("x-forwarded-for", ip)
		}
		return source
	}
	if present {
		if a, ok := fromRight(xff, hops); ok {
			return a
		}
	}
	return peer
}

// fromRight is the n-th entry of x-forwarded-for from the right, as an address with
// port 0 (Http::Utility::getLastAddressFromXFF).
func fromRight(xff string, n int) (string, bool) {
	entries := strings.Split(xff, ",")
	if n >= len(entries) {
		return "", false
	}
	ip, err := netip.ParseAddr(strings.TrimSpace(entries[len(entries)-1-n]))
	if err != nil {
		return "", false
	}
	return netip.AddrPortFrom(ip, 0).String(), true
}

// Reply is the answer as the client got it, and how it came about.
type Reply struct {
	// Status is the HTTP status; 0 if the stream was reset before one was sent.
	Status int
	// Header are the fields that were sent, without :status.
	Header  Header
	Body    []byte
	Trailer Header
	// Surplus is what came behind the body that the content-length promises. A client takes it for the beginning of the
	// next answer on its connection.
	Surplus []byte
	// Details is the response code details, as %RESPONSE_CODE_DETAILS% logs them:
	// "via_upstream" for the application's own answer.
	Details string
	// Flags are the response flags as %RESPONSE_FLAGS% logs them, "-" if nothing went wrong. It is set once the stream is
	// over.
	Flags string
	// Forwarded reports whether the request went on to the application, or to the cluster of its route. Upstream is the
	// request that it got; nil if it got none, for instance because the stream ended before the request was complete.
	Forwarded bool
	Upstream  *UpstreamRequest
	// Properties holds the values that the plugin stored: with set_property by path, whose parts are separated by NUL, and
	// with set_envoy_filter_state by key. It is set once the stream is over.
	Properties map[string]string
	// Code is the status as %RESPONSE_CODE% logs it. It differs from Status for an answer that never got to the client.
	Code int
	// Reset is whether the stream was cut off rather than ended, or the client waits for the rest of what its
	// content-length promises.
	Reset bool
}

// maxBodyShown bounds how much of a body String shows.
const maxBodyShown = 1024

// String is the reply as a test's message wants it: a line with status, details and flags, the header and the body.
func (r *Reply) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s %s", r.Status, cmp.Or(r.Details, "-"), cmp.Or(r.Flags, "-"))
	if r.Code != r.Status {
		fmt.Fprintf(&b, ", logged as %d", r.Code)
	}
	if r.Forwarded {
		b.WriteString(", forwarded")
	}
	if r.Reset {
		b.WriteString(", cut off")
	}
	if len(r.Surplus) > 0 {
		fmt.Fprintf(&b, ", %d bytes longer than its content-length", len(r.Surplus))
	}
	writeMessage(&b, r.Header, r.Body, r.Trailer)
	return b.String()
}

func writeMessage(b *strings.Builder, header Header, body []byte, trailer Header) {
	writeHeader(b, header)
	if n := len(body); n > 0 {
		b.WriteString("\n\n" + string(body[:min(n, maxBodyShown)]))
		if n > maxBodyShown {
			fmt.Fprintf(b, "… (%d bytes)", n)
		}
	}
	writeHeader(b, trailer)
}

func writeHeader(b *strings.Builder, h Header) {
	for _, f := range h {
		b.WriteString("\n" + f[0] + ": " + f[1])
	}
}
