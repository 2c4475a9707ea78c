package bench

import (
	"path/filepath"
	"strconv"
	"testing"

	"github.com/healthgate/healthgate/envoy/must"
	"golang.org/x/sys/unix"
)

// pin keeps all threads of a server on one CPU.
func pin(t testing.TB, cpu string, pid int) {
	t.Helper()
	var set unix.CPUSet
	n := must.Get(strconv.Atoi(cpu))(t)
	set.Set(n)
	for _, one := range tree(pid) {
		for _, thread := range must.Get(filepath.Glob("/proc/" + strconv.Itoa(one) + "/task/*"))(t) {
			n := must.Get(strconv.Atoi(filepath.Base(thread)))(t)
			if err := unix.SchedSetaffinity(n, &set); err != nil {
				t.Fatalf("%s: %v", thread, err)
			}
		}
	}
}
