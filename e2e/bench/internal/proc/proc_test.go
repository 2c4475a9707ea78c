package proc

import (
	"os"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	t.Parallel()
	const text = "4711 (wrk:worker (1) x) S 42 1 1 0 -1 4194560 1 2 3 4 150 25 900 900 20 0 1 0 5 6 7\n"
	s, err := parseStat([]byte(text))
	if err != nil || s.parent != 42 || s.cpu != 1750*time.Millisecond {
		t.Errorf("parent %d, CPU %v, error %v; want 42, 1.75s", s.parent, s.cpu, err)
	}
	for _, text := range []string{"", "1 (x) S 2 3", "1 (x) S 42 1 1 0 -1 4194560 1 2 3 4 fast 25"} {
		if _, err := parseStat([]byte(text)); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func TestParseStatus(t *testing.T) {
	t.Parallel()
	m, err := parseStatus([]byte("Name:\tenvoy\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\nThreads:\t1\n"))
	if err != nil || m.Resident != 1<<20 || m.Peak != 2<<20 {
		t.Errorf("%+v, error %v", m, err)
	}
	if _, err := parseStatus([]byte("Name:\tkthread\n")); err == nil {
		t.Error("a status without memory was accepted")
	}
}

func TestThisProcess(t *testing.T) {
	t.Parallel()
	before, err := TreeCPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for cpu := before; cpu < before+50*time.Millisecond; { // ends once work shows in the accounts
		if cpu, err = CPU(os.Getpid()); err != nil {
			t.Fatal(err)
		}
	}
	m, err := MemoryOf(os.Getpid())
	if err != nil || m.Resident < 1<<20 || m.Peak < m.Resident/2 {
		t.Errorf("%+v, error %v", m, err)
	}
	// Both accounts are of the same work; one is rounded to 10 ms for the user's and the kernel's part each.
	tree, err1 := TreeCPU(os.Getpid())
	cpu, err2 := CPU(os.Getpid())
	if err1 != nil || err2 != nil || cpu < tree-20*time.Millisecond {
		t.Errorf("the clock says %v, /proc %v; errors %v, %v", cpu, tree, err2, err1)
	}
	if _, err := CPU(1 << 27); err == nil {
		t.Error("a process that is not there has a CPU time")
	}
	if _, err := TreeCPU(-1); err == nil {
		t.Error("process -1 has a CPU time")
	}
}
