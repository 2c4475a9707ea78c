package router

import (
	"strconv"
	"strings"

	"github.com/healthgate/healthgate/hostsim/internal/headers"
)

// Frame makes the fields what a codec of HTTP/1.1 writes for a request, and returns what the upstream reads of its body
// (RequestEncoderImpl in source/common/http/http1/codec_impl.cc). whole is false if the upstream waits for more, as the
// fields promise a body that does not come. bodiless is for a request whose fields are all.
func Frame(m *headers.Map, body []byte, bodiless bool) (read []byte, whole bool) {
	length, sized := m.Get("content-length")
	if strings.EqualFold(m.Value("transfer-encoding"), "chunked") && (sized || bodiless) {
		return nil, false // there are no chunks
	}
	if !sized {
		if bodiless && MayHaveBody(m.Value(":method")) {
			m.Add("content-length", "0")
		}
		return body, true
	}
	return Read(length, body)
}

// Read is what a peer reads of a body behind a content-length. whole is false if it waits for the rest.
func Read(length string, body []byte) (read []byte, whole bool) {
	n, _ := strconv.ParseUint(length, 10, 63) // what is no number is 0
	if n > uint64(len(body)) {
		return body, false
	}
	return body[:n], true
}

// MayHaveBody reports whether a request may have a body. If it may and has not, the HTTP/1.1 codec says so with a
// length of 0 (HeaderUtility::requestShouldHaveNoBody).
func MayHaveBody(method string) bool {
	switch method {
	case "GET", "HEAD", "DELETE", "TRACE", "CONNECT":
		return false
	}
	return true
}

// Wire is the fields as they are read at the other end: without pseudo headers, and a line break in a value, which
// Envoy lets pass in a response, begins another field.
func Wire(m *headers.Map) []headers.Field {
	fields := make([]headers.Field, 0, m.Len())
	for _, f := range m.Fields() {
		if strings.HasPrefix(f.Name, ":") {
			continue
		}
		if !strings.ContainsAny(f.Name, ":\n") && !strings.Contains(f.Value, "\n") {
			fields = append(fields, headers.Field{Name: f.Name, Value: strings.TrimSpace(f.Value)})
			continue
		}
		for line := range strings.SplitSeq(f.Name+": "+f.Value, "\n") {
			name, value, _ := strings.Cut(line, ":")
			fields = append(fields, headers.Field{Name: name, Value: strings.TrimSpace(value)})
		}
	}
	return fields
}
