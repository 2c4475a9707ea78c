package e2e

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// watcher asks a path again and again and counts the different answers.
type watcher struct {
	end     chan struct{}
	done    sync.WaitGroup
	mu      sync.Mutex
	answers map[string]int
}

// watch starts a watcher. It ends with the test at the latest.
func watch(t testing.TB, c client, path string) *watcher {
	w := &watcher{end: make(chan struct{}), answers: map[string]int{}}
	w.done.Add(1)
	go func() {
		defer w.done.Done()
		pace := time.NewTicker(3 * time.Millisecond)
		defer pace.Stop()
		for {
			select {
			case <-w.end:
				return
			case <-pace.C:
			}
			if a, err := c.request("GET", path, ""); err == nil {
				w.mu.Lock()
				w.answers[fmt.Sprintf("%d %s", a.status, a.body)]++
				w.mu.Unlock()
			}
		}
	}()
	t.Cleanup(func() { w.stop() })
	return w
}

// stop ends the watcher and returns what it saw.
func (w *watcher) stop() map[string]int {
	w.mu.Lock()
	select {
	case <-w.end:
	default:
		close(w.end)
	}
	w.mu.Unlock()
	w.done.Wait()
	return w.answers
}
