package peers

import (
	"os/exec"
	"syscall"
	"time"

	"github.com/healthgate/healthgate/e2e/bench/internal/cpu"
)

// start starts a server on the CPU of all of them and returns what ends it: by force, with all it forked, if it has not ended after five seconds.
func start(cmd *exec.Cmd) (stop func(), err error) {
	cmd.SysProcAttr = childAttributes()
	if err := cpu.OnOne(cmd.Start); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // however it ends
		close(ended)
	}()
	return func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // fails when it has ended by itself
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-ended
		}
	}, nil
}
