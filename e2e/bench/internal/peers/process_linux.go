package peers

import "syscall"

// childAttributes end a server when the benchmark is killed and can't end it, and keep Ctrl-C in a terminal from it.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
