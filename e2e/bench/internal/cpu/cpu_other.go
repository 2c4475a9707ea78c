//go:build !linux

package cpu

// OnOne calls start: only Linux can keep processes on one CPU.
func OnOne(start func() error) error { return start() }
