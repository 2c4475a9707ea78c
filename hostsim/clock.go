package hostsim

import (
	"time"

	"github.com/healthgate/healthgate/hostsim/internal/timeline"
)

// Now is the time of the wall clock.
func (h *Host) Now() time.Time { return h.time.Realtime() }

// Elapsed is the virtual time since the host was built, without jumps.
func (h *Host) Elapsed() time.Duration { return h.time.Elapsed() }

// Advance lets d of virtual time pass: ticks, answers and timeouts that fall due
// happen one by one, each at its moment; those of one moment in the order in which
// they were set up, unless they are Shuffled.
func (h *Host) Advance(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	until := h.time.Elapsed() + d
	h.run(until)
	h.time.MoveTo(until)
}

// JumpRealtime sets the wall clock forward or back, as an operator or NTP would. No
// timer minds.
func (h *Host) JumpRealtime(d time.Duration) { h.time.JumpRealtime(d) }

// JumpMonotonic moves the monotonic clock. It goes forward when a machine has slept,
// or the process was stopped:
// all that fell due meanwhile happens now, late, and each timer once. Back is what no
// clock should do: only what the plugin reads changes.
func (h *Host) JumpMonotonic(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if d < 0 {
		h.time.JumpMonotonic(d)
		return
	}
	h.time.StandStill(d)
	h.run(h.time.Elapsed())
}

// after schedules fn on a thread.
func (h *Host) after(d time.Duration, t *thread, fn func()) *timeline.Event {
	return h.time.After(d, t, fn)
}

// run makes everything happen that falls due until then.
func (h *Host) run(until time.Duration) {
	for h.runs() {
		h.drainInbox()
		e, ok := h.time.Pop(until)
		if !ok {
			return
		}
		h.runEvent(e)
	}
}

// runs reports whether anything can still happen.
func (h *Host) runs() bool { return !h.closed && h.crashed == "" }

// runEvent runs an event, or puts it off if its thread is stalled.
func (h *Host) runEvent(e *timeline.Event) {
	t := e.Owner().(*thread)
	if t.stalledUntil > h.time.Elapsed() {
		h.time.Postpone(e, t.stalledUntil)
		return
	}
	e.Run()
}

// post hands f to the host's thread.
func (h *Host) post(f func()) {
	h.inboxMu.Lock()
	h.inbox = append(h.inbox, f)
	h.inboxMu.Unlock()
	h.poke()
}

// poke wakes Serve: there may be something to do sooner than it thought.
func (h *Host) poke() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

func (h *Host) drainInbox() {
	h.inboxMu.Lock()
	fs := h.inbox
	h.inbox = nil
	h.inboxMu.Unlock()
	for _, f := range fs {
		f()
	}
}
