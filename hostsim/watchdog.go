package hostsim

import (
	"sync"
	"sync/atomic"
	"time"
)

// watchdog ends calls into a VM that take too much real time. It looks at the host a few
// times per limit, and only while calls are made, so that a call costs it no timer.
type watchdog struct {
	limit time.Duration // 0 for none

	// call counts up when an outermost call begins and when it is over: odd while one
	// runs. The watchdog ends a call by counting on in its place.
	call  atomic.Uint64
	vm    atomic.Pointer[vm] // that the call is in
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
func (w *watchdog) begin(v *vm) {
	if w.limit <= 0 {
		return
	}
	if w.vm.Load() != v {
		w.vm.Store(v)
	}
	w.call.Add(1)
	if !w.armed.Load() {
		w.arm()
	}
}

// end is the end of an outermost call. It reports false if it took too long.
func (w *watchdog) end() bool {
	if w.limit <= 0 {
		return true
	}
	now := w.call.Load()
	return now%2 == 1 && w.call.CompareAndSwap(now, now+1)
}

// struck reports, within a call, whether it was ended.
func (w *watchdog) struck() bool { return w.limit > 0 && w.call.Load()%2 == 0 }

func (w *watchdog) arm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || !w.armed.CompareAndSwap(false, true) {
		return
	}
	if w.timer == nil {
		w.timer = time.AfterFunc(w.limit/looksPerLimit, w.look)
	} else {
		w.timer.Reset(w.limit / looksPerLimit)
	}
}

// look runs on the timer's goroutine, while the guest may run on the host's.
func (w *watchdog) look() {
	call, v := w.call.Load(), w.vm.Load()
	w.mu.Lock()
	now := time.Now()
	if call != w.seen {
		w.seen, w.since = call, now
	}
	over := now.Sub(w.since) >= w.limit
	again := call%2 == 1 && !over && !w.closed
	if again {
		w.timer.Reset(w.limit / looksPerLimit)
	}
	w.mu.Unlock()
	if again {
		return
	}
	if call%2 == 1 && over && w.call.CompareAndSwap(call, call+1) {
		v.interrupt.Set(1)
	}
	w.armed.Store(false)
	if w.call.Load()%2 == 1 { // began before it could see that nobody looks
		w.arm()
	}
}

// close ends the watchdog, outside of any call.
func (w *watchdog) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.timer != nil {
		w.timer.Stop()
	}
}
