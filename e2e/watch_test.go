package e2e

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// watcher asks a path again and again and counts the different answers.
type watcher struct {
	end     chan struct{}
	once    sync.Once
	done    sync.WaitGroup
	mu      sync.Mutex
	answers map[string]int
}

// watch starts a watcher. It ends with the test at the latest.
func watch(t testing.TB, c client, path string) *watcher {
	w := &watcher{end: make(chan struct{}), answers: map[string]int{}}
	w.done.Go(func() {
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
	})
	t.Cleanup(w.stop)
	return w
}

// saw ends the watcher and fails the test unless it saw some answers, each of them one of those.
func (w *watcher) saw(t testing.TB, answers ...string) {
	t.Helper()
	envoytest.Eventually(t, envoytest.Limit, "an answer", func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.answers) == 0 {
			return errors.New("nothing answered")
		}
		return nil
	})
	w.stop()
	t.Logf("meanwhile checks were answered %v", w.answers)
	for text, n := range w.answers {
		if !slices.Contains(answers, text) {
			t.Errorf("meanwhile %d checks were answered %q, want only %q", n, text, answers)
		}
	}
}

// stop ends the watcher.
func (w *watcher) stop() {
	w.once.Do(func() { close(w.end) })
	w.done.Wait()
}
