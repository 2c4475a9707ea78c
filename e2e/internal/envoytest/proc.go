package envoytest

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/healthgate/healthgate/envoy/must"
)

// Resident returns the bytes that Envoy has in RAM.
func (e *Envoy) Resident() int64 {
	e.t.Helper()
	return Resident(e.t, e.PID())
}

// Resident returns the bytes that a process has in RAM: the field VmRSS of /proc/PID/status (proc(5)).
func Resident(t testing.TB, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatalf("the memory of a process (needs Linux's /proc): %v", err)
	}
	_, rest, _ := strings.Cut(string(text), "\nVmRSS:")
	var kilobytes int64
	if _, err := fmt.Sscanf(rest, "%d kB", &kilobytes); err != nil {
		t.Fatalf("/proc/PID/status: VmRSS: %v", err)
	}
	return kilobytes << 10
}

var errRuns = errors.New("it runs")

// Pause stops the process, as a machine does that sleeps, until resume is called or the test ends.
func (e *Envoy) Pause() (resume func()) {
	e.t.Helper()
	signal := func(s syscall.Signal) { must.Do(e.t, syscall.Kill(e.PID(), s)) }
	e.t.Cleanup(func() { _ = syscall.Kill(e.PID(), syscall.SIGCONT) })
	signal(syscall.SIGSTOP)
	Eventually(e.t, Limit, "every thread has stopped", func() error { // one of them passes the signal on to the others
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", e.PID()))
		for _, file := range threads {
			text, readErr := os.ReadFile(file)
			if _, state, _ := strings.Cut(string(text), ") "); readErr != nil || !strings.HasPrefix(state, "T") {
				return fmt.Errorf("%s: %q: %w", file, text, cmp.Or(readErr, errRuns))
			}
		}
		return err
	})
	return func() { signal(syscall.SIGCONT) }
}
