package soak

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/healthgate/healthgate/envoy/must"
)

func findWrk(t *testing.T) string {
	t.Helper()
	binary, err := exec.LookPath("wrk")
	if err != nil {
		t.Fatal("wrk, the load generator, is missing: apt-get install wrk (Debian, Ubuntu), brew install wrk (macOS), " +
			"or https://github.com/wg/wrk")
	}
	return binary
}

// load is a running wrk.
type load struct {
	t     *testing.T
	cmd   *exec.Cmd
	out   bytes.Buffer
	ended chan struct{}
}

// script makes wrk send what the endpoints of the shipped configuration answer: mostly with a body, and some
// with an empty answer, whose headers the filter touches. (It does not know that the answer to HEAD has no body.)
const script = `
local kinds, n = {}, 0
init = function(args)
  kinds = {
    wrk.format("GET", "/my-service/healthcheck"), wrk.format("GET", "/my-service/healthcheck?from=lb"),
    wrk.format("GET", "/my-service/healthcheck"), wrk.format("OPTIONS", "/healthz"),
    wrk.format("GET", "/my-service/healthcheck"), wrk.format("GET", "/healthz"),
  }
end
request = function()
  n = n % #kinds + 1
  return kinds[n]
end
`

// startLoad sends health checks until stop.
func startLoad(t *testing.T, wrk, address string) *load {
	t.Helper()
	file := filepath.Join(t.TempDir(), "checks.lua")
	must.Write(t, file, script)
	l := &load{t: t, ended: make(chan struct{})}
	l.cmd = exec.CommandContext(t.Context(), wrk, "-t1", "-c8", "-d24h", "-s", file, "http://"+address)
	l.cmd.Stdout, l.cmd.Stderr = &l.out, &l.out
	must.Do(t, l.cmd.Start())
	go func() {
		_ = l.cmd.Wait() // what it said tells
		close(l.ended)
	}()
	return l
}

// mustRun fails the test if wrk has ended by itself.
func (l *load) mustRun() {
	l.t.Helper()
	select {
	case <-l.ended:
		l.t.Fatalf("wrk has ended: %v\n%s", l.cmd.ProcessState, &l.out)
	default:
	}
}

// stop ends the load, and fails the test if any check was not answered with 200.
func (l *load) stop() {
	l.t.Helper()
	_ = l.cmd.Process.Signal(syscall.SIGINT) // wrk then says what it has done
	<-l.ended
	text := l.out.String()
	// An answer that came late was counted as a timeout, and is one all the same: the machine may have been busy.
	lost := strings.Contains(text, "Socket errors") && !strings.Contains(text, "connect 0, read 0, write 0")
	if !strings.Contains(text, "requests in") || strings.Contains(text, "Non-2xx") || lost {
		l.t.Errorf("wrk: %v\n%s", l.cmd.ProcessState, text)
	}
}
