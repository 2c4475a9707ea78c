// Package incoming holds the rules by which Envoy's HTTP/1.1 codec and connection manager treat a request before any
// filter sees it: which requests are refused, and which fields go.
package incoming

import (
	"net/http"
	"strings"

	"github.com/healthgate/healthgate/hostsim/internal/headers"
	"github.com/healthgate/healthgate/hostsim/internal/router"
)

// Refusal is the answer to a request that no filter sees. The zero value is none.
type Refusal struct {
	Status  int
	Body    string
	Details string
	// Codec is a refusal of the codec, which leaves no fields to the access log.
	Codec bool
}

// Envoy's defaults for max_request_headers_kb and max_headers_count.
const (
	maxBytes  = 60 << 10
	maxFields = 100
)

// Read is the codec's part (ConnectionImpl and ServerConnectionImpl in source/common/http/http1/codec_impl.cc,
// BalsaParser in balsa_parser.cc). It makes the absolute form of a target :authority, :scheme and :path. m has
// :authority, :path and :method in front, and the other fields as they came in.
func Read(m *headers.Map, chunked bool) Refusal {
	method, target := m.Value(":method"), m.Value(":path")
	if !methods[method] || !isTarget(target, method == http.MethodConnect) {
		return badRequest("http1.codec_error")
	}
	if r := checkFields(m, chunked); r.Status != 0 {
		return r
	}
	if _, ok := m.Get("connection"); ok {
		ignoreH2C(m)
		if !removeNominated(m) {
			return badRequest("http1.connection_header_rejected")
		}
	}
	if target[0] != '/' && (method != http.MethodOptions || target[0] != '*') {
		if details := absoluteForm(m, method, target); details != "" {
			return badRequest(details)
		}
	}
	if strings.ContainsFunc(m.Value(":authority"), notInAuthority) {
		return badRequest("http.invalid_authority")
	}
	return Refusal{}
}

func badRequest(details string) Refusal {
	return Refusal{http.StatusBadRequest, "Bad Request", details, true}
}

// checkFields checks the fields without the pseudo headers, in one go.
func checkFields(m *headers.Map, chunked bool) Refusal {
	size, count := len(m.Value(":path")), m.Len()-2 // :authority is the field host
	length := false
	for _, f := range m.Fields() {
		switch {
		case f.Name == ":authority":
			size += len("host") + len(f.Value)
			continue
		case f.Name == ":path" || f.Name == ":method":
			continue
		case f.Name == "" || router.InvalidName(f.Name):
			return badRequest("http1.codec_error")
		case router.InvalidValue(f.Value):
			return badRequest("http1.invalid_characters")
		case f.Name == "content-length" && (f.Value == "" || strings.Trim(f.Value, "0123456789") != ""):
			return badRequest("http1.codec_error")
		case f.Name == "transfer-encoding" && !strings.EqualFold(f.Value, "chunked"):
			return Refusal{http.StatusNotImplemented, "Not Implemented", "http1.invalid_transfer_encoding", true}
		}
		length = length || f.Name == "content-length"
		chunked = chunked || f.Name == "transfer-encoding"
		size += len(f.Name) + len(f.Value)
	}
	switch {
	case size > maxBytes:
		return tooLarge("http1.headers_too_large")
	case count > maxFields:
		return tooLarge("http1.too_many_headers")
	case length && chunked:
		return badRequest("http1.content_length_and_chunked_not_allowed")
	}
	return Refusal{}
}

func tooLarge(details string) Refusal {
	return Refusal{http.StatusRequestHeaderFieldsTooLarge, "Request Header Fields Too Large", details, true}
}

// Clean is the connection manager's part (ConnectionManagerImpl::ActiveStream::decodeHeaders, mutateRequestHeaders).
func Clean(m *headers.Map) Refusal {
	path := m.Value(":path")
	switch {
	case path != "" && path[0] != '/':
		return Refusal{Status: http.StatusNotFound, Details: "absolute_path_rejected"}
	case strings.Contains(path, "#"):
		return Refusal{Status: http.StatusBadRequest, Details: "path_normalization_failed"}
	}
	if !hopByHop(m) {
		return Refusal{}
	}
	for _, name := range []string{"keep-alive", "proxy-connection", "transfer-encoding", "x-envoy-internal"} {
		m.Remove(name)
	}
	if strings.EqualFold(m.Value("expect"), "100-continue") {
		m.Remove("expect") // answered already
	}
	if IsUpgrade(m) {
		return Refusal{}
	}
	m.Remove("connection")
	m.Remove("upgrade")
	if te, ok := m.Get("te"); ok {
		m.Remove("te")
		if hasToken(te, "trailers") {
			m.Add("te", "trailers")
		}
	}
	return Refusal{}
}

// hopByHop reports whether there is anything to clean.
func hopByHop(m *headers.Map) bool {
	for _, f := range m.Fields() {
		switch f.Name {
		case "connection", "upgrade", "te", "keep-alive", "proxy-connection", "transfer-encoding", "expect",
			"x-envoy-internal":
			return true
		}
	}
	return false
}

// IsUpgrade reports whether a request asks for another protocol (Http::Utility::isUpgrade). No listener of hostsim
// allows that.
func IsUpgrade(m *headers.Map) bool {
	_, upgrade := m.Get("upgrade")
	return upgrade && hasToken(m.Value("connection"), "upgrade")
}

// Closes reports whether the connection ends with the response: because the client wants that, or because the request
// has no end.
func Closes(method, connection string, r Refusal) bool {
	return r.Codec || r.Status == http.StatusBadRequest || r.Status == http.StatusForbidden ||
		method == http.MethodConnect || connection != "" && hasToken(connection, "close")
}

// ignoreH2C takes away what asks for HTTP/2, which Envoy does not do that way.
func ignoreH2C(m *headers.Map) {
	if IsUpgrade(m) && strings.EqualFold(m.Value("upgrade"), "h2c") {
		m.Remove("upgrade")
		m.Remove("http2-settings")
	}
}

// maxNominated bounds how many fields connection names.
const maxNominated = 10

// removeNominated removes the fields that connection names (Http::Utility::sanitizeConnectionHeader). It reports false
// for names that no client may take away.
func removeNominated(m *headers.Map) bool {
	tokens := strings.FieldsFunc(m.Value("connection"), func(r rune) bool { return r == ',' })
	if len(tokens) >= maxNominated {
		return false
	}
	for _, token := range tokens {
		name := strings.ToLower(strings.TrimSpace(token))
		switch {
		case name == "close" || name == "keep-alive" || name == "upgrade" || name == "http2-settings" || name == "te":
		case strings.HasPrefix(name, ":"):
			return false
		case name == "x-forwarded-for" || name == "x-forwarded-host" || name == "x-forwarded-proto":
			return false
		default:
			m.Remove(name)
		}
	}
	return true
}

func hasToken(list, token string) bool {
	for t := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(t), token) {
			return true
		}
	}
	return false
}

// absoluteForm splits a target that is no path (ServerConnectionImpl::handlePath). It returns why there is no way to.
func absoluteForm(m *headers.Map, method, target string) (details string) {
	if method == http.MethodConnect {
		m.Remove(":path")
		m.Overwrite(":authority", target)
		return ""
	}
	scheme, rest, found := strings.Cut(target, "://")
	at := strings.IndexAny(rest, "/?")
	if at < 0 {
		at = len(rest)
	}
	authority, path := rest[:at], rest[at:]
	if !found || authority == "" {
		return "http1.invalid_url"
	}
	if scheme = strings.ToLower(scheme); scheme != "http" && scheme != "https" {
		return "http1.invalid_scheme"
	}
	if path == "" {
		path = "/"
	}
	m.Overwrite(":authority", authority)
	m.Remove(":path")
	m.Remove(":method")
	m.Add(":scheme", scheme)
	m.Add(":path", path)
	m.Add(":method", method)
	return ""
}

// isTarget reports whether the parser takes a request's target (isUrlValid in balsa_parser.cc).
func isTarget(target string, connect bool) bool {
	if target == "" {
		return false
	}
	if target[0] == '/' || target[0] == '*' {
		return !strings.ContainsFunc(target, notInPath)
	}
	if !connect {
		scheme, rest, found := strings.Cut(target, "://")
		if !found || scheme == "" || !isAlpha(rune(scheme[0])) || strings.ContainsFunc(scheme, notInScheme) {
			return false
		}
		target = rest
	}
	at := strings.IndexAny(target, "/?")
	if at < 0 {
		at = len(target)
	}
	host := target[:at]
	return !strings.ContainsFunc(host, notInAuthority) && !strings.Contains(host, "@@") &&
		!strings.ContainsFunc(target[at:], notInPath)
}

func notInPath(r rune) bool { return r != '\t' && r != '\f' && (r < '!' || r > '~') }

func notInScheme(r rune) bool { return !isAlpha(r) && !isDigit(r) && r != '+' && r != '-' && r != '.' }

// notInAuthority is what nghttp2_check_authority refuses.
func notInAuthority(r rune) bool {
	return !isAlpha(r) && !isDigit(r) && !strings.ContainsRune("!$%&'()*+,-.:;=@[]_~", r)
}

func isAlpha(r rune) bool { return 'a' <= r|0x20 && r|0x20 <= 'z' }
func isDigit(r rune) bool { return '0' <= r && r <= '9' }

// methods are all that the parser knows (isMethodValid in balsa_parser.cc).
var methods = func() map[string]bool {
	known := map[string]bool{}
	for _, name := range strings.Fields(`ACL BIND CHECKOUT CONNECT COPY DELETE GET HEAD LINK LOCK MERGE MKACTIVITY
		MKCALENDAR MKCOL MOVE M-SEARCH NOTIFY OPTIONS PATCH POST PROPFIND PROPPATCH PURGE PUT REBIND REPORT SEARCH SOURCE
		SUBSCRIBE TRACE UNBIND UNLINK UNLOCK UNSUBSCRIBE`) {
		known[name] = true
	}
	return known
}()
