// Package router holds the rules by which Envoy's router and codecs treat a message that leaves: which fields of a
// request are meant for the router, which requests are refused, and how much of a body arrives.
package router

import (
	"encoding/json"
	"strings"

	"github.com/healthgate/healthgate/hostsim/internal/headers"
)

// Refuse is why no request with these fields is sent, or "" (HeaderUtility::checkRequiredRequestHeaders and
// checkValidRequestHeaders in source/common/http/header_utility.cc).
func Refuse(m *headers.Map) string {
	method, ok := m.Get(":method")
	if !ok {
		return "missing required header: :method"
	}
	if _, ok := m.Get(":protocol"); method == "CONNECT" && !ok {
		return "missing required header: :protocol"
	}
	for _, f := range m.Fields() {
		if InvalidName(strings.TrimPrefix(f.Name, ":")) {
			return "invalid header name: " + escape(f.Name)
		}
		if InvalidValue(f.Value) {
			return "invalid header value for: " + escape(f.Name)
		}
	}
	return ""
}

// InvalidName reports whether a field's name has other characters than the token characters of RFC 9110.
func InvalidName(name string) bool { return has(name, &notInName) }

// InvalidValue reports whether a field's value has characters that nghttp2_check_header_value refuses: control
// characters but tabs.
func InvalidValue(value string) bool { return has(value, &notInValue) }

var notInName, notInValue = func() (name, value [256]bool) {
	for c := range 256 {
		name[c] = c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, byte(c)) >= 0
		value[c] = c < ' ' && c != '\t' || c == 0x7f
	}
	return name, value
}()

func has(text string, chars *[256]bool) bool {
	for i := range len(text) {
		if chars[text[i]] {
			return true
		}
	}
	return false
}

// escape is Envoy's for a name in a message: that of a JSON string.
func escape(name string) string {
	quoted, _ := json.Marshal(name) // a string always can be
	return string(quoted[1 : len(quoted)-1])
}

// PseudoHeaders reports whether all pseudo headers are a request's own, as HTTP/2 demands. HTTP/1.1 leaves others out.
func PseudoHeaders(m *headers.Map) bool {
	for _, f := range m.Fields() {
		if strings.HasPrefix(f.Name, ":") && !ownPseudoHeader(f.Name) {
			return false
		}
	}
	return true
}

func ownPseudoHeader(name string) bool {
	switch name {
	case ":method", ":path", ":authority", ":scheme", ":protocol":
		return true
	}
	return false
}
