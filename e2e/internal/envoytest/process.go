package envoytest

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/healthgate/healthgate/envoy/must"
	"github.com/healthgate/healthgate/envoy/run"
)

// Program starts a program that is no Envoy. It is stopped when the test ends.
func Program(t testing.TB, cmd *exec.Cmd) (*run.Process, *Log) {
	t.Helper()
	name, log := filepath.Base(cmd.Path), &Log{}
	cmd.Stdout, cmd.Stderr = log, log
	p := must.Get(run.Start(cmd))(t)
	t.Cleanup(func() {
		if err := p.Stop(Limit); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the end of what %s printed:\n%s", name, log.Tail(60))
		}
	})
	return p, log
}
