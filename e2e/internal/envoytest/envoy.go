// Package envoytest starts real Envoys for tests: with configurations made from envoy/bootstrap.yaml, on loopback ports
// of their own, their logs captured, and never left behind.
package envoytest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// Envoy is a running Envoy.
type Envoy struct {
	Config    *Config
	Log       *Log // what it writes to stderr
	AccessLog *Log // what it writes to stdout

	t      testing.TB
	cmd    *exec.Cmd
	exited <-chan struct{}
	killed bool
}

// compiling bounds how many Envoys compile the plugin at once: more would only slow each other down.
var compiling = make(chan struct{}, max(2, runtime.NumCPU()/2))

// Start starts an Envoy and waits until it is ready. It is stopped when the test ends.
func Start(t testing.TB, c *Config, workers int) *Envoy {
	t.Helper()
	compiling <- struct{}{}
	defer func() { <-compiling }()
	e := Launch(t, c, workers)
	e.WaitReady()
	return e
}

// Launch starts an Envoy and does not wait for anything.
func Launch(t testing.TB, c *Config, workers int) *Envoy {
	t.Helper()
	file := filepath.Join(t.TempDir(), "bootstrap.json")
	if err := os.WriteFile(file, []byte(Text(c.Bootstrap)), 0o600); err != nil {
		t.Fatal(err)
	}
	e := &Envoy{Config: c, Log: &Log{}, AccessLog: &Log{}, t: t}
	args := []string{
		"-c", file,
		"--disable-hot-restart",
		"--concurrency", strconv.Itoa(workers),
		"--file-flush-interval-msec", "50",
	}
	if !slices.Contains(c.Args, "--drain-time-s") {
		// A listener that was replaced, or a stopped Envoy, waits this long for its connections.
		args = append(args, "--drain-time-s", "1")
	}
	e.cmd = exec.Command(Binary(t), append(args, c.Args...)...)
	e.cmd.Stdout, e.cmd.Stderr = e.AccessLog, e.Log
	exited, err := start(e.cmd)
	if err != nil {
		t.Fatalf("start Envoy: %v", err)
	}
	e.exited = exited
	t.Cleanup(func() {
		e.Stop()
		e.judge()
		if t.Failed() {
			t.Logf("the end of Envoy's log:\n%s", e.Log.Tail(60))
		}
	})
	return e
}

// Crashed marks the line that Envoy logs when a plugin's VM crashes in a callback, as in
// "Function: proxy_on_tick failed: Uncaught RuntimeError: unreachable". What the plugin says itself is no good mark:
// in older Envoys, Go fails while it prints a panic.
const Crashed = " failed: Uncaught RuntimeError"

// judge fails the test if the plugin, or Envoy, crashed without having been told to.
func (e *Envoy) judge() {
	e.t.Helper()
	if !e.Config.mayCrash {
		for _, line := range e.Log.Lines(Crashed) {
			e.t.Errorf("the plugin crashed: %s", line)
		}
	}
	if !e.killed && !e.cmd.ProcessState.Success() {
		e.t.Errorf("Envoy ended with %v", e.cmd.ProcessState)
	}
}

// WaitReady waits until the Envoy is live. It ends the test if the Envoy ends instead.
func (e *Envoy) WaitReady() {
	e.t.Helper()
	Eventually(e.t, StartLimit, "Envoy ready", func() error {
		select {
		case <-e.exited:
			e.t.Fatalf("Envoy ended instead of starting: %v\n%s", e.cmd.ProcessState, e.Log.Tail(20))
		default:
		}
		status, body, err := e.adminGet("/ready")
		if err != nil {
			return err
		}
		if status != 200 {
			return fmt.Errorf("%d %s", status, body)
		}
		return nil
	})
}

// PID returns the process's id.
func (e *Envoy) PID() int { return e.cmd.Process.Pid }

// Stop asks the Envoy to end and waits until it has.
func (e *Envoy) Stop() {
	_ = e.cmd.Process.Signal(syscall.SIGTERM) // fails when it has ended by itself
	select {
	case <-e.exited:
	case <-time.After(Limit):
		e.t.Errorf("Envoy does not end")
		e.Kill()
	}
}

// Kill ends the Envoy as a crash would.
func (e *Envoy) Kill() {
	e.killed = true
	_ = e.cmd.Process.Kill() // fails when it has ended by itself
	<-e.exited
}
