//go:build !linux

package proc

import (
	"errors"
	"time"
)

// CPU fails: only Linux has it.
func CPU(int) (time.Duration, error) { return 0, errors.New("the CPU time of a process needs Linux") }
