package istio

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// watcher asks a path again and again and counts the different answers.
type watcher struct {
	stop    func()
	answers map[string]int // not before stop has returned
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
			a, err := c.send("GET", path)
			if err != nil {
				w.answers[err.Error()]++
			} else {
				w.answers[fmt.Sprintf("%d %s", a.status, a.body)]++
			}
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

// saw ends the watcher and fails the test unless each of those answers came, and no other.
func (w *watcher) saw(t testing.TB, answers ...string) {
	t.Helper()
	w.stop()
	t.Logf("meanwhile checks were answered %v", w.answers)
	for _, text := range answers {
		if w.answers[text] == 0 {
			t.Errorf("meanwhile no check was answered %q", text)
		}
	}
	for text, n := range w.answers {
		if !slices.Contains(answers, text) {
			t.Errorf("meanwhile %d checks were answered %q, want only %q", n, text, answers)
		}
	}
}
