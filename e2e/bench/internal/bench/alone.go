package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// Alone runs f while it holds an exclusive flock(2) on the file Lock, so that benchmarks on one machine don't measure
// each other. Without such a file it just runs f.
func (e *Env) Alone(ctx context.Context, f func() error) error {
	if e.Lock == "" {
		return f()
	}
	file, err := os.OpenFile(e.Lock, os.O_RDONLY|os.O_CREATE, 0o666)
	if err != nil {
		return fmt.Errorf("-lock: %w", err)
	}
	defer file.Close() // which unlocks it
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f()
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return fmt.Errorf("-lock %s: %w", e.Lock, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}
