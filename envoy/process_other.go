//go:build !linux

package envoy

import "syscall"

// childAttributes keep Ctrl-C in a terminal from Envoy, so that it ends when it is told to and not before.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
