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
		if strings.ContainsFunc(strings.TrimPrefix(f.Name, ":"), notInName) {
			return "invalid header name: " + escape(f.Name)
		}
		if strings.ContainsFunc(f.Value, notInValue) {
			return "invalid header value for: " + escape(f.Name)
		}
	}
	return ""
}

// notInName is all but the token characters of RFC 9110.
func notInName(r rune) bool {
	if 'a' <= r && r <= 'z' || r == '-' { // nearly always
		return false
	}
	return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
}

// notInValue is what nghttp2_check_header_value refuses: control characters but tabs.
func notInValue(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

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
