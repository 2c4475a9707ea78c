package bench

import (
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// pin keeps all threads of a server on one CPU.
func pin(t testing.TB, cpu string, pid int) {
	t.Helper()
	var set unix.CPUSet
	n, err := strconv.Atoi(cpu)
	if err != nil {
		t.Fatal(err)
	}
	set.Set(n)
	for _, one := range tree(pid) {
		threads, err := filepath.Glob("/proc/" + strconv.Itoa(one) + "/task/*")
		if err != nil {
			t.Fatal(err)
		}
		for _, thread := range threads {
			if n, err = strconv.Atoi(filepath.Base(thread)); err == nil {
				err = unix.SchedSetaffinity(n, &set)
			}
			if err != nil {
				t.Fatalf("%s: %v", thread, err)
			}
		}
	}
}
