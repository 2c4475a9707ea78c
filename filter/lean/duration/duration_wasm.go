//go:build wasm

package duration

// Duration is a length of time in nanoseconds.
type Duration int64
