package e2e

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"
)

// startTraffic sends ordinary requests until the test ends, one after the other, to a path that is no endpoint's.
// Every one of them must reach the application.
func startTraffic(t testing.TB, c client) {
	const path = "/shop"
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	var sent int
	var trouble error
	done.Go(func() {
		pace := time.NewTicker(20 * time.Millisecond)
		defer pace.Stop()
		for ctx.Err() == nil && trouble == nil {
			if err := c.gets(path, 200, "app "+path)(); err != nil {
				trouble = fmt.Errorf("request %d: %w", sent, err)
			}
			sent++
			<-pace.C
		}
	})
	t.Cleanup(func() {
		cancel()
		done.Wait()
		switch {
		case trouble != nil:
			t.Errorf("ordinary traffic was disturbed: %v", trouble)
		case sent == 0:
			t.Error("there was no ordinary traffic")
		}
	})
}
