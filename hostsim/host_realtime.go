package hostsim

import (
	"context"
	"time"
)

// Serve lets the host's time pass with real time until ctx is done: ticks, answers and timeouts happen when they fall
// due, and upstreams at real addresses are asked concurrently. It returns early if the host is closed or crashes. Use
// it to serve clients rather than in a test, since timing depends on the machine.
//
// While it runs, Worker.Do and Worker.Start may be called, from any goroutine, but Do
// does not let time pass by itself: ServeRequest waits instead.
func (h *Host) Serve(ctx context.Context) {
	h.mu.Lock()
	h.cfg.realtime = true
	h.began = time.Now().Add(-h.time.Elapsed())
	h.mu.Unlock()
	for ctx.Err() == nil {
		h.mu.Lock()
		if !h.runs() {
			h.mu.Unlock()
			return
		}
		now := time.Since(h.began)
		h.run(now)
		h.time.MoveTo(now)
		next, ok := h.time.Next()
		h.mu.Unlock()
		wait := time.Hour
		if ok {
			wait = max(next-time.Since(h.began), 0)
		}
		h.sleep(ctx, wait)
	}
}

// sleep waits until there is something to do.
func (h *Host) sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-h.wake:
	case <-ctx.Done():
	}
}

// ServeRequest sends a request in a host that Serve runs, and waits for the answer. If
// ctx is done first, the stream is reset.
func (w *Worker) ServeRequest(ctx context.Context, req *Request) *Reply {
	h := w.t.host
	done := make(chan struct{})
	h.mu.Lock()
	if h.cfg.realtime {
		h.time.MoveTo(time.Since(h.began))
	}
	s := h.start(w.t, req, func() { close(done) })
	over := s.done
	h.mu.Unlock()
	h.poke()
	if !over {
		select {
		case <-done:
		case <-ctx.Done():
			h.mu.Lock()
			s.reset()
			h.mu.Unlock()
		}
	}
	return s.Reply()
}
