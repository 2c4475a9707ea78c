package latency

import (
	"time"

	"golang.org/x/sys/unix"
)

// sleep sleeps some tens of microseconds longer than it is told to, where time.Sleep takes up to a millisecond more.
func sleep(d time.Duration) {
	t := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&t, nil) // a signal ends it early; what is sent early then is so by microseconds
}
