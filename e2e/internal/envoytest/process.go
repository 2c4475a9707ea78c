package envoytest

import (
	"os/exec"
	"syscall"
)

// StartProcess starts a command that is no Envoy so that it cannot outlive the tests. exited is closed when it has
// ended; its ProcessState says how.
func StartProcess(cmd *exec.Cmd) (exited <-chan struct{}, err error) { return start(cmd) }

// StartInTerminal starts a command as a terminal does, and returns what Ctrl-C does there: it interrupts the command
// and all that it started.
func StartInTerminal(cmd *exec.Cmd) (exited <-chan struct{}, ctrlC func(), err error) {
	cmd.SysProcAttr = asTerminal()
	exited, err = start(cmd)
	return exited, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }, err // fails when all have ended
}
