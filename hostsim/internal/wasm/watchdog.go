package wasm

import (
	"sync"
	"sync/atomic"
	"time"
)

// Watchdog ends calls into instances that take too much real time. One call runs at a time. It looks a few times per
// limit, and only while calls are made, so that a call costs it no timer.
type Watchdog struct {
	Limit time.Duration // 0 means no limit

	// call counts up when an outermost call begins and when it is over: odd while one
	// runs. The watchdog ends a call by counting on in its place.
	call  atomic.Uint64
	in    atomic.Pointer[Instance] // where the call is
	armed atomic.Bool

	mu     sync.Mutex
	timer  *time.Timer
	closed bool
	seen   uint64 // the call that the last look saw
	since  time.Time
}

// looksPerLimit is how often the watchdog looks while a call lasts as long as it may. A
// call that never ends is ended that much late.
const looksPerLimit = 4

// begin is the start of an outermost call.
func (w *Watchdog) begin(i *Instance) {
	if w.Limit <= 0 {
		return
	}
	if w.in.Load() != i {
		w.in.Store(i)
	}
	w.call.Add(1)
	if !w.armed.Load() {
		w.arm()
	}
}

// end is the end of an outermost call. It reports false if it took too long.
func (w *Watchdog) end() bool {
	if w.Limit <= 0 {
		return true
	}
	now := w.call.Load()
	return now%2 == 1 && w.call.CompareAndSwap(now, now+1)
}

// Aside runs f, which may call other instances, within a call into i. The limit of that call starts anew.
func (w *Watchdog) Aside(i *Instance, f func()) {
	w.end()
	f()
	w.begin(i)
}

// struck reports, within a call, whether it was ended.
func (w *Watchdog) struck() bool { return w.Limit > 0 && w.call.Load()%2 == 0 }

func (w *Watchdog) arm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || !w.armed.CompareAndSwap(false, true) {
		return
	}
	if w.timer == nil {
		w.timer = time.AfterFunc(w.Limit/looksPerLimit, w.look)
	} else {
		w.timer.Reset(w.Limit / looksPerLimit)
	}
}

// look runs on the timer's goroutine, while the guest may run on the host's.
func (w *Watchdog) look() {
	call, i := w.call.Load(), w.in.Load()
	w.mu.Lock()
	now := time.Now()
	if call != w.seen {
		w.seen, w.since = call, now
	}
	over := now.Sub(w.since) >= w.Limit
	again := call%2 == 1 && !over && !w.closed
	if again {
		w.timer.Reset(w.Limit / looksPerLimit)
	}
	w.mu.Unlock()
	if again {
		return
	}
	if call%2 == 1 && over && w.call.CompareAndSwap(call, call+1) {
		i.interrupt.Set(1)
	}
	w.armed.Store(false)
	if w.call.Load()%2 == 1 { // began before it could see that nobody looks
		w.arm()
	}
}

// Close ends the watchdog, outside of any call.
func (w *Watchdog) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.timer != nil {
		w.timer.Stop()
	}
}
