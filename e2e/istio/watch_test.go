package istio

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// watcher asks a path again and again and counts the different answers.
type watcher struct {
	stop    func()
	mu      sync.Mutex
	answers map[string]int
}

// watch starts a watcher. It ends with the test at the latest.
func watch(t testing.TB, c *client, path string) *watcher {
	w := &watcher{answers: map[string]int{}}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		pace := time.NewTicker(5 * time.Millisecond)
		defer pace.Stop()
		for ctx.Err() == nil {
			text := ""
			if a, err := c.send("GET", path); err != nil {
				text = err.Error()
			} else {
				text = fmt.Sprintf("%d %s", a.status, a.body)
			}
			w.mu.Lock()
			w.answers[text]++
			w.mu.Unlock()
			<-pace.C
		}
	})
	w.stop = func() {
		cancel()
		done.Wait()
	}
	t.Cleanup(w.stop)
	return w
}

// saw waits until each of those answers came, ends the watcher, and fails the test if another one came.
func (w *watcher) saw(t testing.TB, answers ...string) {
	t.Helper()
	for _, text := range answers {
		envoytest.Eventually(t, envoytest.Limit, "a check is answered", func() error {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.answers[text] == 0 {
				return fmt.Errorf("none was answered %q, but %v", text, w.answers)
			}
			return nil
		})
	}
	w.stop()
	t.Logf("meanwhile checks were answered %v", w.answers)
	for text, n := range w.answers {
		if !slices.Contains(answers, text) {
			t.Errorf("meanwhile %d checks were answered %q, want only %q", n, text, answers)
		}
	}
}
