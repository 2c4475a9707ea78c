// Package envoytest starts real Envoys for tests: with configurations made from envoy/bootstrap.yaml, on loopback ports
// of their own, their logs captured, and never left behind.
package envoytest

import (
	"context"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/healthgate/healthgate/envoy/admin"
	"github.com/healthgate/healthgate/envoy/must"
	"github.com/healthgate/healthgate/envoy/run"
)

// Envoy is a running Envoy.
type Envoy struct {
	Config    *Config
	Log       *Log          // what it writes to stderr
	AccessLog *Log          // what it writes to stdout
	Admin     *admin.Client // nil where Config does not say the port

	t      testing.TB
	envoy  *run.Envoy
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
	must.Write(t, file, Text(c.Bootstrap))
	e := &Envoy{Config: c, Log: &Log{}, AccessLog: &Log{}, t: t}
	command := run.Command{
		Binary: Binary(t), Config: file, AdminPort: c.AdminPort, Concurrency: workers, Stdout: e.AccessLog, Stderr: e.Log,
		Args: append([]string{"--file-flush-interval-msec", "50"}, c.Args...), HotRestart: c.HotRestart,
	}
	if !slices.Contains(c.Args, "--drain-time-s") {
		// A listener that was replaced, or a stopped Envoy, waits this long for its connections.
		command.Args = append(command.Args, "--drain-time-s", "1")
	}
	if c.AdminPort != 0 {
		e.Admin = must.Get(admin.New(Loopback(c.AdminPort), admin.Access{}))(t)
	}
	e.envoy = must.Get(command.Start())(t)
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

// intruded is in what the plugin logs when two VMs take themselves for the leader.
const intruded = "another plugin has written to healthgate's keys"

// judge fails the test if the plugin, or Envoy, crashed without having been told to, or if two VMs led at once.
func (e *Envoy) judge() {
	e.t.Helper()
	for _, line := range e.Log.Lines(intruded) {
		e.t.Error(line)
	}
	if !e.Config.MayCrash {
		for _, line := range e.Log.Lines(Crashed) {
			e.t.Errorf("the plugin crashed: %s", line)
		}
	}
	if !e.killed && !e.envoy.State().Success() {
		e.t.Errorf("Envoy ended with %v", e.envoy.State())
	}
}

// WaitReady waits until the Envoy is live. It ends the test if the Envoy ends instead.
func (e *Envoy) WaitReady() {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), StartLimit)
	defer cancel()
	if err := e.envoy.Ready(ctx); err != nil {
		e.t.Fatalf("%v\n%s", err, e.Log.Tail(20))
	}
}

// PID returns the process's id.
func (e *Envoy) PID() int { return e.envoy.PID() }

// Stop asks the Envoy to end and waits until it has.
func (e *Envoy) Stop() {
	if err := e.envoy.Stop(Limit); err != nil {
		e.killed = true
		e.t.Error(err)
	}
}

// Kill ends the Envoy as a crash would.
func (e *Envoy) Kill() {
	e.killed = true
	e.envoy.Kill()
}
