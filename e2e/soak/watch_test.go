package soak

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// watch looks at an Envoy now and then.
type watch struct {
	t       *testing.T
	envoy   *envoytest.Envoy
	probes  *atomic.Int64 // that the application has seen
	began   time.Time
	rows    []row
	halfway row
}

// row is what it saw.
type row struct {
	phase     string
	at        time.Duration
	checks    int
	probes    int
	writes    int   // of the shared record: the leader's, each half second and at each change
	resident  int64 // bytes of the process in RAM
	allocated int64 // bytes that Envoy itself has allocated: without the VMs and the allocator's own
}

func (w *watch) healthy() {
	w.t.Helper()
	w.began = time.Now()
	envoytest.Eventually(w.t, envoytest.Limit, "the probes are up", func() error {
		return w.envoy.Stat("wasmcustom.healthgate_probe_up.probe.stats", 1)
	})
}

// note looks, and logs what it saw.
func (w *watch) note(phase string) {
	w.t.Helper()
	var memory struct {
		Allocated string `json:"allocated"`
	}
	if err := json.Unmarshal([]byte(w.envoy.Get("/memory")), &memory); err != nil {
		w.t.Fatalf("admin /memory: %v", err)
	}
	allocated, err := strconv.ParseInt(memory.Allocated, 10, 64)
	if err != nil {
		w.t.Fatalf("admin /memory: %v", err)
	}
	r := row{
		phase: phase, at: time.Since(w.began), checks: w.checks(), probes: int(w.probes.Load()),
		writes:   w.envoy.Stats("healthgate_snapshot_writes_total")["wasmcustom.healthgate_snapshot_writes_total"],
		resident: w.envoy.Resident(), allocated: allocated,
	}
	w.rows = append(w.rows, r)
	w.t.Log(r)
}

// checks counts the health checks that were answered.
func (w *watch) checks() int {
	w.t.Helper()
	n := 0
	for name, count := range w.envoy.Stats(`healthgate_checks_total\.`) {
		if strings.HasSuffix(name, ".verdict.healthy") {
			n += count
		} else if count > 0 {
			w.t.Fatalf("%s is %d: not every check was healthy", name, count)
		}
	}
	return n
}

// until waits for a number of health checks.
func (w *watch) until(n int, l *load) {
	w.t.Helper()
	last, moved := w.checks(), time.Now()
	for last < n {
		time.Sleep(200 * time.Millisecond)
		l.mustRun()
		if now := w.checks(); now != last {
			last, moved = now, time.Now()
		} else if time.Since(moved) > stuck {
			w.t.Fatalf("no check was answered for %v", stuck)
		}
	}
}

// stuck is long, so that the load may be held up while something else is measured on the machine.
const stuck = 15 * time.Minute

// half remembers what was last seen as the middle of a run.
func (w *watch) half() { w.halfway = w.rows[len(w.rows)-1] }

// mustBeFlat compares the end of a run with its middle.
func (w *watch) mustBeFlat(run string) {
	w.t.Helper()
	last := w.rows[len(w.rows)-1]
	grown := last.resident - w.halfway.resident
	w.t.Logf("%s: %d kB more after the second half than before it", run, grown>>10)
	if grown > flat {
		w.t.Errorf("%s: the memory of Envoy grew by %d kB between %v and %v; at most %d kB are flat", run, grown>>10,
			w.halfway.at.Round(time.Second), last.at.Round(time.Second), flat>>10)
	}
}

func (r row) String() string {
	return fmt.Sprintf("| %s | %s | %d | %d | %d | %d | %d |", r.phase, r.at.Round(time.Second),
		r.checks, r.probes, r.writes,
		r.resident>>10, r.allocated>>10)
}

// publish writes the table to build/soak.
func (w *watch) publish() {
	w.t.Helper()
	var b strings.Builder
	b.WriteString("| | time | health checks | probes | writes of the record | resident, kB | allocated by Envoy, kB |\n" +
		"|---|---|---|---|---|---|---|\n")
	for _, r := range w.rows {
		b.WriteString(r.String() + "\n")
	}
	build := strings.TrimSuffix(filepath.Base(envoytest.Wasm(w.t)), ".wasm")
	path := filepath.Join(envoytest.Root, "build", "soak", build+".md")
	must.Do(w.t, os.MkdirAll(filepath.Dir(path), 0o755))
	must.Do(w.t, os.WriteFile(path, []byte(b.String()), 0o644))
	w.t.Logf("the table is in %s", path)
}
