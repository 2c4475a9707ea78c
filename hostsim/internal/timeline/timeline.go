// Package timeline is the virtual clock: a monotonic time that only its owner moves, a real-time clock beside it, and
// the events that wait for their moment, in an order that never varies.
package timeline

import (
	"container/heap"
	"sync/atomic"
	"time"
)

// Timeline is a virtual clock with a queue of events. Only the readings are safe for concurrent use.
type Timeline struct {
	epoch    time.Time
	now      atomic.Int64 // nanoseconds since the epoch, never decreases
	realSkew atomic.Int64
	monoSkew atomic.Int64
	seq      uint64
	events   eventHeap

	// Shuffle draws a number for each event: events of the same moment run in the order of their numbers. Without Shuffle
	// they run in the order in which they were scheduled.
	Shuffle func() uint64
}

// Event is something that will happen. The zero time is the start.
type Event struct {
	at    time.Duration
	rank  uint64
	seq   uint64
	fn    func()
	owner any
	index int
}

// New returns a timeline that starts at epoch.
func New(epoch time.Time) *Timeline {
	return &Timeline{epoch: epoch}
}

// Elapsed is the time since the start, without any jump.
func (t *Timeline) Elapsed() time.Duration { return time.Duration(t.now.Load()) }

// Realtime is the time of the wall clock.
func (t *Timeline) Realtime() time.Time {
	return t.epoch.Add(time.Duration(t.now.Load() + t.realSkew.Load()))
}

// Monotonic is the time of the monotonic clock, in nanoseconds. It starts at one
// second, since a clock at 0 reads as "not set" to many programs.
func (t *Timeline) Monotonic() int64 {
	return int64(time.Second) + t.now.Load() + t.monoSkew.Load()
}

// JumpRealtime moves the wall clock alone, forward or back.
func (t *Timeline) JumpRealtime(d time.Duration) { t.realSkew.Add(int64(d)) }

// JumpMonotonic moves the monotonic clock alone, forward or back.
func (t *Timeline) JumpMonotonic(d time.Duration) { t.monoSkew.Add(int64(d)) }

// Spend lets d pass without running the events that fall due in it: the thread was busy.
func (t *Timeline) Spend(d time.Duration) {
	if d > 0 {
		t.now.Add(int64(d))
	}
}

// StandStill is Spend for the whole process. Events that fell due meanwhile are due now; without Shuffle they keep
// their order.
func (t *Timeline) StandStill(d time.Duration) {
	t.Spend(d)
	if t.Shuffle == nil {
		return
	}
	for _, e := range t.events {
		e.at = max(e.at, t.Elapsed())
	}
	heap.Init(&t.events)
}

// After schedules fn for d from now; d below 0 counts as 0. Events of one moment
// run in the order in which they were scheduled. owner lets Cancel find it.
func (t *Timeline) After(d time.Duration, owner any, fn func()) *Event {
	if d < 0 {
		d = 0
	}
	at := t.Elapsed() + d
	if at < t.Elapsed() {
		at = 1<<63 - 1 // so far off that adding overflowed
	}
	e := &Event{at: at, seq: t.seq, fn: fn, owner: owner}
	t.seq++
	t.push(e)
	return e
}

func (t *Timeline) push(e *Event) {
	if t.Shuffle != nil {
		e.rank = t.Shuffle()
	}
	heap.Push(&t.events, e)
}

// Owner returns the owner that After was given.
func (e *Event) Owner() any { return e.owner }

// At is when the event falls due, from the start.
func (e *Event) At() time.Duration { return e.at }

// Cancel takes an event back. Cancelling nil, or twice, or after it ran, does nothing.
func (t *Timeline) Cancel(e *Event) {
	if e != nil && e.index >= 0 && e.index < len(t.events) && t.events[e.index] == e {
		heap.Remove(&t.events, e.index)
	}
}

// Postpone moves an event to a later moment; it keeps its place among the events
// of that moment by its first scheduling, unless they are shuffled.
func (t *Timeline) Postpone(e *Event, at time.Duration) {
	e.at = at
	t.push(e)
}

// Next returns when the next event falls due.
func (t *Timeline) Next() (time.Duration, bool) {
	if len(t.events) == 0 {
		return 0, false
	}
	return t.events[0].at, true
}

// Pop takes the next event that falls due no later than until, and moves the clock to its moment. It does not run it.
func (t *Timeline) Pop(until time.Duration) (*Event, bool) {
	if len(t.events) == 0 || t.events[0].at > until {
		return nil, false
	}
	e := heap.Pop(&t.events).(*Event)
	if e.at > t.Elapsed() {
		t.now.Store(int64(e.at))
	}
	return e, true
}

// Run calls the function of the event.
func (e *Event) Run() { e.fn() }

// MoveTo sets the clock to at, if that is later than now.
func (t *Timeline) MoveTo(at time.Duration) {
	if at > t.Elapsed() {
		t.now.Store(int64(at))
	}
}

type eventHeap []*Event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	if h[i].at != h[j].at {
		return h[i].at < h[j].at
	}
	if h[i].rank != h[j].rank {
		return h[i].rank < h[j].rank
	}
	return h[i].seq < h[j].seq
}
func (h eventHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *eventHeap) Push(x any) {
	e := x.(*Event)
	e.index = len(*h)
	*h = append(*h, e)
}
func (h *eventHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	e.index = -1
	return e
}
