// Package proc reads what a process uses, from Linux's /proc (proc(5)).
package proc

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// ticks are the clock ticks of a second in /proc: USER_HZ, which is 100 on every architecture that Go runs on.
const ticks = 100

// TreeCPU returns the CPU time of a process and of all that descend from it, for servers that fork
// workers. Its steps are 10 ms.
func TreeCPU(pid int) (time.Duration, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	children, cpu := map[int][]int{}, map[int]time.Duration{}
	for _, path := range paths {
		child, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			continue
		}
		s, err := readStat(child)
		if err != nil {
			continue // it has just ended
		}
		children[s.parent] = append(children[s.parent], child)
		cpu[child] = s.cpu
	}
	if _, alive := cpu[pid]; !alive {
		return 0, fmt.Errorf("process %d is not there", pid)
	}
	var sum func(pid int) time.Duration
	sum = func(pid int) time.Duration {
		total := cpu[pid]
		for _, child := range children[pid] {
			total += sum(child)
		}
		return total
	}
	return sum(pid), nil
}

type stat struct {
	parent int
	cpu    time.Duration
}

func readStat(pid int) (stat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, fmt.Errorf("the CPU time of process %d (needs Linux's /proc): %w", pid, err)
	}
	return parseStat(text)
}

// parseStat reads the fields 4 (ppid), 14 (utime) and 15 (stime). Field 2 is the program's name in parentheses, which
// may hold spaces and parentheses itself.
func parseStat(text []byte) (stat, error) {
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	const parent, user, system = 4 - 3, 14 - 3, 15 - 3
	if len(fields) <= system {
		return stat{}, fmt.Errorf("/proc/PID/stat has too few fields: %q", text)
	}
	var out [system + 1]int64
	for _, i := range []int{parent, user, system} {
		n, err := strconv.ParseInt(string(fields[i]), 10, 64)
		if err != nil {
			return stat{}, fmt.Errorf("/proc/PID/stat: %w", err)
		}
		out[i] = n
	}
	return stat{int(out[parent]), time.Duration(out[user]+out[system]) * time.Second / ticks}, nil
}

// Memory is what a process holds, in bytes.
type Memory struct {
	Resident int64 // VmRSS: pages in RAM, those of files included
	Peak     int64 // VmHWM: the most that Resident has been
}

// MemoryOf returns the memory that a process holds now.
func MemoryOf(pid int) (Memory, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Memory{}, fmt.Errorf("the memory of process %d (needs Linux's /proc): %w", pid, err)
	}
	return parseStatus(text)
}

func parseStatus(text []byte) (Memory, error) {
	var m Memory
	for _, field := range []struct {
		name  string
		bytes *int64
	}{{"VmRSS:", &m.Resident}, {"VmHWM:", &m.Peak}} {
		_, rest, found := bytes.Cut(text, []byte("\n"+field.name))
		words := bytes.Fields(rest)
		if !found || len(words) < 2 || string(words[1]) != "kB" {
			return Memory{}, fmt.Errorf("/proc/PID/status has no %s in kB", field.name)
		}
		n, err := strconv.ParseInt(string(words[0]), 10, 64)
		if err != nil {
			return Memory{}, fmt.Errorf("/proc/PID/status: %w", err)
		}
		*field.bytes = n << 10
	}
	return m, nil
}
