package cpu

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// OnOne calls start so that the processes it starts stay on one CPU: the last that this process may use, since the
// first ones have most of the interrupts. Start must start them in the goroutine that it is called in.
func OnOne(start func() error) error {
	runtime.LockOSThread() // a process inherits the CPUs of the thread that starts it
	defer runtime.UnlockOSThread()
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return fmt.Errorf("sched_getaffinity: %w", err)
	}
	one.Set(last(&all))
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("sched_setaffinity: %w", err)
	}
	return errors.Join(start(), unix.SchedSetaffinity(0, &all))
}

func last(set *unix.CPUSet) int {
	found := 0
	for i := range len(set) * 64 {
		if set.IsSet(i) {
			found = i
		}
	}
	return found
}
