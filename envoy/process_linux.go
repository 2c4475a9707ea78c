package envoy

import "syscall"

// childAttributes keep Ctrl-C in a terminal from Envoy, so that it ends when it is told to and not before, and end
// Envoy when its parent is killed and can't tell it anything.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
