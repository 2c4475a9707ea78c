//go:build !linux

package envoytest

import (
	"os/exec"
	"syscall"
)

// start starts the command; exited is closed when it has ended.
func start(cmd *exec.Cmd) (exited <-chan struct{}, err error) {
	done := make(chan struct{})
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(done)
		_ = cmd.Wait() // the caller reads cmd.ProcessState
	}()
	return done, nil
}

// asTerminal gives a command a process group of its own.
func asTerminal() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func portWhenConnected(_, _ string, _ syscall.RawConn) error { return nil }
