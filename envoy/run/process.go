// Package run starts Envoys, and other programs, that do not outlive the program that started them.
package run

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// Process is a program that was started.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// Start starts a command. On Linux the command is killed when this program ends in whatever way, unless the command's
// SysProcAttr names another signal for that.
func Start(cmd *exec.Cmd) (*Process, error) {
	endWithParent(cmd)
	cmd.WaitDelay = 10 * time.Second // for the output of what it started itself and left behind
	p := &Process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// Linux takes the end of the thread that started the command for the parent's, so that thread has to stay.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.done)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // State tells how it ended
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// PID returns the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended, whoever ended it.
func (p *Process) Done() <-chan struct{} { return p.done }

// State says how the process ended. It is valid once Done is closed.
func (p *Process) State() *os.ProcessState { return p.cmd.ProcessState }

// Signal sends a signal; to a process that has ended, none.
func (p *Process) Signal(s os.Signal) { _ = p.cmd.Process.Signal(s) }

// Kill ends the process as a crash would, and waits until it has ended.
func (p *Process) Kill() {
	p.Signal(os.Kill)
	<-p.done
}

// Stop tells the process to end, and waits for it. If it has not ended after the grace it is killed, and that is an
// error.
func (p *Process) Stop(grace time.Duration) error {
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return nil
	case <-time.After(grace):
		p.Kill()
		return fmt.Errorf("%s did not end within %s, killed it", filepath.Base(p.cmd.Path), grace)
	}
}
