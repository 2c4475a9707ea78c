// Package host declares the host calls that the plugin needs and its SDK does not offer: a monotonic clock that all
// VMs of the process share, random numbers, and a local reply with response code details; and those that decide how
// much a health check costs, without the SDK's copies.
package host

// Clock reads the host's clocks. It implements verdict.Clock.
type Clock struct{}

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
