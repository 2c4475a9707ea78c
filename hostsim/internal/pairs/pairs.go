// Package pairs serializes header maps the way the proxy-wasm ABI carries them: a count, the length of each name and
// value, then each name and value with a terminating NUL; all numbers little-endian 32 bit (proxy-wasm-cpp-host
// src/pairs_util.cc).
package pairs

import (
	"encoding/binary"

	"github.com/healthgate/healthgate/hostsim/internal/headers"
)

// Limits of what Decode accepts (include/proxy-wasm/limits.h).
const (
	MaxBytes = 1 << 20
	MaxCount = 1024
)

// Encode serializes fields.
func Encode(fields []headers.Field) []byte {
	size := 4
	for _, f := range fields {
		size += 8 + len(f.Name) + 1 + len(f.Value) + 1
	}
	b := make([]byte, 0, size)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(fields)))
	for _, f := range fields {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(f.Name)))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(f.Value)))
	}
	for _, f := range fields {
		b = append(append(b, f.Name...), 0)
		b = append(append(b, f.Value...), 0)
	}
	return b
}

// Decode parses b. Anything malformed, larger than MaxBytes or with more than MaxCount pairs reads as no pairs at all,
// silently, as in PairsUtil::toPairs. The strings are copies.
func Decode(b []byte) []headers.Field {
	if len(b) > MaxBytes || len(b) < 4 {
		return nil
	}
	n := int(binary.LittleEndian.Uint32(b))
	if uint32(n) > MaxCount || len(b) < 4+8*n {
		return nil
	}
	sizes, rest := b[4:4+8*n], b[4+8*n:]
	fields := make([]headers.Field, n)
	for i := range fields {
		var ok bool
		if fields[i].Name, rest, ok = cut(rest, binary.LittleEndian.Uint32(sizes[8*i:])); !ok {
			return nil
		}
		if fields[i].Value, rest, ok = cut(rest, binary.LittleEndian.Uint32(sizes[8*i+4:])); !ok {
			return nil
		}
	}
	if len(rest) != 0 {
		return nil
	}
	return fields
}

// cut takes a string of n bytes and its NUL off b.
func cut(b []byte, n uint32) (string, []byte, bool) {
	if uint64(n)+1 > uint64(len(b)) || b[n] != 0 {
		return "", nil, false
	}
	return string(b[:n]), b[n+1:], true
}
