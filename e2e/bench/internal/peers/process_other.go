//go:build !linux

package peers

import "syscall"

// childAttributes keep Ctrl-C in a terminal from a server, so that it ends when it is told to.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
