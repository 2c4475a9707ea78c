//go:build !wasm

package duration

import "time"

// Duration is a length of time in nanoseconds.
type Duration = time.Duration
