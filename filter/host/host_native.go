//go:build !wasm

package host

import (
	"crypto/rand"
	"encoding/binary"
	"time"

	"github.com/healthgate/healthgate/filter/sdk"
)

// The native twins let the plugin run under a plain "go test", on an SDK's host emulator.

var start = time.Now()

// Wall returns nanoseconds since 1970 in UTC.
func (Clock) Wall() int64 { return time.Now().UnixNano() }

// Monotonic returns nanoseconds since shortly before the process started.
func (Clock) Monotonic() int64 { return int64(time.Since(start) + time.Minute) }

// Random returns a random number other than 0.
func Random() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.LittleEndian.Uint64(b[:]) | 1
}

// SendLocalResponse replies to the current stream; the details are lost, for no SDK carries them.
func SendLocalResponse(status uint32, _, body string, headers []byte) {
	if err := sdk.SendHttpResponse(status, decodeHeaders(headers), []byte(body)); err != nil {
		panic(err)
	}
}

func decodeHeaders(b []byte) [][2]string {
	pairs := make([][2]string, binary.LittleEndian.Uint32(b))
	text := b[4+8*len(pairs):]
	for i := range pairs {
		for side := range pairs[i] {
			n := binary.LittleEndian.Uint32(b[4+8*i+4*side:])
			pairs[i][side], text = string(text[:n]), text[n+1:]
		}
	}
	return pairs
}
