// Package host declares the host calls that the plugin needs and its SDK does not offer: a monotonic clock that all
// VMs of the process share, random numbers, and a local reply with response code details; those that decide how much a
// health check costs, without the SDK's copies; and metrics, whose errors the SDK writes with the package fmt, which
// alone is a tenth of the standard module's code.
package host

import (
	"encoding/binary"
	"unsafe"
)

// Clock reads the host's clocks. It implements verdict.Clock.
type Clock struct{}

// Entry is what the code that filter/link puts in front of the module's callbacks looks at, to tell whether a callback
// has anything to do: that costs less than entering Go. filter/link knows the order and the sizes of its fields.
var Entry = struct {
	ScratchNext uint32 // address of the free part of scratch, 0 while it is closed
	ScratchEnd  uint32
	Parent      uint32 // root context of the stream created last, NoContext if its plugin has to be looked up
	OnlyRoot    uint32 // the one root context, 0 when there are several
	BareReply   bool   // response headers have to be looked at
	Lengths     uint32 // address of the lengths that an endpoint's path may have, 0 if every request has to be looked at
	Scratch     uint32 // where scratch begins, and where it ends
	ScratchStop uint32
	PathName    uint32 // address of ":path"
	Path        uint32 // where the host says that a path is, and its size
	PathSize    uint32
}{Parent: NoContext}

// NoContext is the number of no context.
const NoContext = ^uint32(0)

// Metric is a counter or gauge of Envoy.
type Metric uint32

// Headers is a proxy-wasm serialized map; EncodeHeaders has its form.
type Headers []byte

// Get returns the first value of a header.
func (h Headers) Get(name string) (string, bool) {
	if len(h) < 4 {
		return "", false
	}
	pairs := int(binary.LittleEndian.Uint32(h))
	text := 4 + 8*pairs
	for i := 4; i < 4+8*pairs; i += 8 {
		nameSize := int(binary.LittleEndian.Uint32(h[i:]))
		valueSize := int(binary.LittleEndian.Uint32(h[i+4:]))
		value := text + nameSize + 1
		if nameSize == len(name) && h.text(text, nameSize) == name {
			return h.text(value, valueSize), true
		}
		text = value + valueSize + 1
	}
	return "", false
}

// text returns a part of the map without a copy.
func (h Headers) text(from, size int) string { return unsafe.String(unsafe.SliceData(h[from:]), size) }

// EncodeHeaders returns the headers as a proxy-wasm serialized map (ABI 0.2.1, "Serialization"): the number of pairs,
// the lengths of each name and value as little-endian 32-bit numbers, then every name and value with a zero byte
// behind it.
func EncodeHeaders(headers [][2]string) []byte {
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
