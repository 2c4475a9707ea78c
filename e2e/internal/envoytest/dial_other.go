//go:build !linux

package envoytest

import "syscall"

func portWhenConnected(_, _ string, _ syscall.RawConn) error { return nil }
