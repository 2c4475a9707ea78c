package proc

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// CPU returns the CPU time that a process and its threads have used, in user space and in the kernel, by the clock of
// the process (clock_getcpuclockid(3)), to the nanosecond.
func CPU(pid int) (time.Duration, error) {
	const scheduled = 2 // CPUCLOCK_SCHED: what the scheduler has counted
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &t); err != nil {
		return 0, fmt.Errorf("the CPU time of process %d: clock_gettime: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}
