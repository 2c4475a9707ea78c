package run

import (
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/healthgate/healthgate/envoy/must"
)

// A program that left another one behind, which keeps its output open, has ended all the same.
func TestStopWithAnOrphan(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sh", "-c", "sleep 60 & echo started; exec sleep 60")
	started := make(chan struct{})
	cmd.Stdout = writer(func() { close(started) }) // no file: Wait reads a pipe until nobody can write to it
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p := must.Get(Start(cmd))(t)
	t.Cleanup(func() { _ = syscall.Kill(-p.PID(), syscall.SIGKILL) }) // ends the orphan
	<-started
	if err := p.Stop(time.Minute); err != nil {
		t.Error(err)
	}
	if p.State() == nil {
		t.Error("how it ended is not known")
	}
}

// writer calls the function for each piece of output.
type writer func()

func (w writer) Write(b []byte) (int, error) {
	w()
	return len(b), nil
}
