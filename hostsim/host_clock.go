package hostsim

import (
	"time"

	"github.com/healthgate/healthgate/hostsim/internal/timeline"
)

// Now returns the wall clock's time.
func (h *Host) Now() time.Time { return h.time.Realtime() }

// Elapsed returns the virtual time since the host was built, without jumps.
func (h *Host) Elapsed() time.Duration { return h.time.Elapsed() }

// Advance lets d of virtual time pass. Ticks, answers and timeouts that fall due happen one by one, each at its moment.
// Events of the same moment happen in the order in which they were scheduled, unless the host is Shuffled.
func (h *Host) Advance(d time.Duration) {
	defer h.enter("Advance")()
	mustNotBeNegative("Advance", d)
	until := h.time.Elapsed() + d
	h.run(until)
	h.time.MoveTo(until)
}

// JumpRealtime sets the wall clock forward or back, as an operator or NTP would. Timers are not affected.
func (h *Host) JumpRealtime(d time.Duration) { h.time.JumpRealtime(d) }

// JumpMonotonic moves the monotonic clock. A jump forward is a machine that slept or a process that was stopped:
// everything that fell due meanwhile happens now, late, and each timer fires once. A jump back, which no clock should
// make, changes only the time that the plugin reads.
func (h *Host) JumpMonotonic(d time.Duration) {
	defer h.enter("JumpMonotonic")()
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
