//go:build !wasm

package host

import (
	"crypto/rand"
	"encoding/binary"
	"strings"
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

// OpenScratch does nothing.
func OpenScratch() {}

// CloseScratch does nothing.
func CloseScratch() {}

// RequestHeader returns a request header, its values joined with commas.
func RequestHeader(name string) (string, bool) {
	value, err := sdk.GetHttpRequestHeader(name)
	return value, err == nil
}

// RequestHeaders returns all request headers.
func RequestHeaders() Headers {
	pairs, err := sdk.GetHttpRequestHeaders()
	if err != nil {
		return nil
	}
	return EncodeHeaders(pairs)
}

// Property returns an attribute of Envoy; the parts of its path are separated by zero bytes.
func Property(path string) (string, bool) {
	value, err := sdk.GetProperty(strings.Split(path, "\x00")...)
	return string(value), err == nil
}

// SharedData returns a value of shared data with its CAS number.
func SharedData(key string) (value []byte, cas uint32, ok bool) {
	value, cas, err := sdk.GetSharedData(key)
	return value, cas, err == nil
}

// DefineCounter defines a counter.
func DefineCounter(name string) Metric { return Metric(sdk.DefineCounter(name)) }

// DefineGauge defines a gauge.
func DefineGauge(name string) Metric { return Metric(sdk.DefineGauge(name)) }

// Increment adds one to a counter.
func Increment(metric Metric) { sdk.Metric(metric).Increment() }

// Set sets a gauge.
func Set(metric Metric, value uint64) { sdk.Metric(metric).Set(value) }

// CounterValue returns the value of a counter, which all VMs of the process share.
func CounterValue(metric Metric) uint64 { return sdk.Metric(metric).Value() }

// SendLocalResponse replies to the current stream; the details are lost, for no SDK carries them.
func SendLocalResponse(status uint32, _, body string, headers []byte) {
	if err := sdk.SendHttpResponse(status, decodeHeaders(headers), []byte(body)); err != nil {
		panic(err)
	}
}

func decodeHeaders(b []byte) [][2]string {
	if len(b) == 0 {
		return nil
	}
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
