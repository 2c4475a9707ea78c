package envoytest

import (
	"sync"
	"testing"
	"time"
)

// Repeat calls do again and again, no sooner than a pause after the call before began, until stop is called or the test
// ends. stop waits for the call that is under way.
func Repeat(t testing.TB, pause time.Duration, do func()) (stop func()) {
	end := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		pace := time.NewTicker(pause)
		defer pace.Stop()
		for {
			select {
			case <-end:
				return
			case <-pace.C:
			}
			do()
		}
	})
	stop = sync.OnceFunc(func() {
		close(end)
		running.Wait()
	})
	t.Cleanup(stop)
	return stop
}
