// Package host declares the host calls that the plugin needs, each once and for both toolchains. It takes the place of
// the SDK's package proxywasm, whose getters allocate, whose local reply has no response code details and which
// offers no monotonic clock; RATIONALE.md has what that costs. Errors are those of the SDK's package types.
package host

import (
	"encoding/binary"
	"unsafe"
)

// Headers is a header map as proxy-wasm serializes it; EncodeHeaders has its form.
type Headers []byte

// Get returns the value of a header. Several values are one, joined with commas (RFC 9110, section 5.3); a name that
// starts with a colon, a pseudo-header's, has at most one.
func (h Headers) Get(name string) (value string, ok bool) {
	if len(h) < 4 {
		return "", false
	}
	var joined []byte
	pairs := int(binary.LittleEndian.Uint32(h))
	text := 4 + 8*pairs
	for i := 4; i < 4+8*pairs; i += 8 {
		nameSize := int(binary.LittleEndian.Uint32(h[i:]))
		valueSize := int(binary.LittleEndian.Uint32(h[i+4:]))
		valueAt := text + nameSize + 1
		if nameSize == len(name) && h.text(text, nameSize) == name {
			next := h.text(valueAt, valueSize)
			if ok {
				if joined == nil {
					joined = []byte(value)
				}
				joined = append(append(joined, ','), next...)
				next = unsafe.String(&joined[0], len(joined))
			}
			if value, ok = next, true; name != "" && name[0] == ':' {
				break
			}
		}
		text = valueAt + valueSize + 1
	}
	return value, ok
}

// text returns a part of the map without a copy.
func (h Headers) text(from, size int) string { return unsafe.String(unsafe.SliceData(h[from:]), size) }

// EncodeHeaders returns the headers as a proxy-wasm serialized map (ABI 0.2.1, "Serialization"): the number of pairs,
// the lengths of each name and value as little-endian 32-bit numbers, then every name and value with a zero byte
// behind it.
func EncodeHeaders(headers [][2]string) Headers {
	b := appendUint32(nil, len(headers))
	for _, h := range headers {
		b = appendUint32(appendUint32(b, len(h[0])), len(h[1]))
	}
	for _, h := range headers {
		b = append(append(b, h[0]...), 0)
		b = append(append(b, h[1]...), 0)
	}
	return b
}

func appendUint32(b []byte, n int) []byte {
	return append(b, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
}
