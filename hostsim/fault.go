package hostsim

import (
	"slices"
	"sync"
	"time"

	"github.com/healthgate/healthgate/hostsim/internal/wasm"
)

// Fault is something that goes wrong in a VM, once. It is an Option; Host.Inject adds it to a host that runs.
type Fault struct {
	kind   faultKind
	name   string // of an export or a key
	n      int
	thread string // "" for any
}

type faultKind int

const (
	faultTrap faultKind = iota
	faultAlloc
	faultCAS
	faultRace
)

// TrapAt lets the VM die in the n-th call (from 1) of an export such as proxy_on_tick, counted over all VMs. The plugin
// must have the export.
func TrapAt(export string, n int) Fault { return Fault{kind: faultTrap, name: export, n: n} }

// FailAllocation refuses the n-th allocation (from 1): malloc answers 0, and the host
// call that needed it InvalidMemoryAccess.
func FailAllocation(n int) Fault { return Fault{kind: faultAlloc, n: n} }

// LoseCAS lets a rival write the key just before the plugin's n-th write (from 1) to
// it, so that a compare-and-swap fails. The rival writes the value that is there.
func LoseCAS(key string, n int) Fault { return Fault{kind: faultCAS, name: key, n: n} }

// On limits the fault to a thread: "base", "canary", "main", "worker 0", …
func (f Fault) On(thread string) Fault {
	f.thread = thread
	return f
}

// Race lets the VMs of the other threads tick just before the plugin's n-th write (from 1) to the key, as they may at
// any moment on threads of their own: the value that the plugin has read for its write is old by then.
func Race(key string, n int) Fault { return Fault{kind: faultRace, name: key, n: n} }

func (f Fault) apply(c *config) { c.faults = append(c.faults, f) }

// Inject adds faults, whose counts begin now. It panics if one can never strike.
func (h *Host) Inject(faults ...Fault) {
	defer h.enter("Inject")()
	if err := h.checkFaults(faults); err != nil {
		panic(err.Error())
	}
	for _, f := range faults {
		h.faults = append(h.faults, &f)
	}
}

// Heal removes the faults that have not struck yet.
func (h *Host) Heal() {
	defer h.enter("")()
	h.faults = nil
}

// strikes counts down the faults of a kind and reports whether one is due.
func (v *vm) strikes(kind faultKind, name string) bool {
	before := len(v.host.faults)
	v.host.faults = slices.DeleteFunc(v.host.faults, func(f *Fault) bool {
		if f.kind != kind || f.name != name || f.thread != "" && f.thread != v.threadName() {
			return false
		}
		f.n--
		return f.n == 0
	})
	return len(v.host.faults) < before
}

func (v *vm) trapFault(e export) error {
	if len(v.host.faults) > 0 && v.strikes(faultTrap, e.String()) {
		return wasm.Trap("injected trap")
	}
	return nil
}

func (v *vm) allocFault() bool { return len(v.host.faults) > 0 && v.strikes(faultAlloc, "") }

func (v *vm) casFault(key string) {
	if len(v.host.faults) > 0 && v.strikes(faultRace, key) {
		v.host.watchdog.Aside(v.Instance, v.race)
	}
	if len(v.host.faults) == 0 || !v.strikes(faultCAS, key) {
		return
	}
	if e, err := v.host.shared.Get(v.plugin.vmID, []byte(key)); err == nil {
		_ = v.host.shared.Set(v.plugin.vmID, key, e.Value, 0) // CAS 0 always succeeds
	}
}

// race lets the VMs of other threads tick within a host call.
func (v *vm) race() {
	for _, t := range v.host.threads() {
		if t == v.thread || t.stalledUntil > v.host.time.Elapsed() {
			continue
		}
		for _, other := range t.vms {
			if other == nil || other.current != nil {
				continue
			}
			for _, root := range other.roots {
				if root.tick != nil {
					root.callback(expTick, root.id64())
				}
			}
		}
	}
}

// CalloutFaultKind says how a call to an upstream goes wrong.
type CalloutFaultKind int

// The kinds.
const (
	// CalloutLate delays the answer by Delay, and is no fault if that is 0.
	CalloutLate CalloutFaultKind = iota
	// CalloutInlineFailure fails at once, as with no healthy host: http_call itself
	// returns InternalFailure, and there is no callback.
	CalloutInlineFailure
	// CalloutConnectFailure is a refused connection: Envoy answers 503 itself.
	CalloutConnectFailure
	// CalloutReset is a connection that breaks in the middle of the answer: the callback has no headers.
	CalloutReset
	// CalloutTimeout gets no answer in time: Envoy answers 504 itself when the call's timeout is over, or after Delay for
	// a call without a timeout.
	CalloutTimeout
	// CalloutNever gets no answer. Only the call's own timeout ends it, if there is one.
	CalloutNever
	// CalloutLost gets neither an answer nor a timeout.
	CalloutLost
)

// CalloutFault is what happens to one call.
type CalloutFault struct {
	Kind  CalloutFaultKind
	Delay time.Duration // of virtual time, before it happens
}

// calloutFaults are the faults of an upstream's next calls.
type calloutFaults struct {
	mu    sync.Mutex
	queue []CalloutFault
	rest  *CalloutFault // of all calls once the queue is empty
}

func (f *calloutFaults) next() CalloutFault {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.queue) == 0 {
		if f.rest != nil {
			return *f.rest
		}
		return CalloutFault{}
	}
	c := f.queue[0]
	f.queue = f.queue[1:]
	return c
}

// FaultCallouts lets the next calls to an upstream go wrong, one by one. It panics if
// there is no such upstream, as a test would be wrong then.
func (h *Host) FaultCallouts(upstream string, faults ...CalloutFault) {
	f := h.calloutFaults(upstream)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queue = append(f.queue, faults...)
}

// FaultAllCallouts lets every call to an upstream go wrong the same way, after those of FaultCallouts, until it is
// called with nil. It panics if there is no such upstream.
func (h *Host) FaultAllCallouts(upstream string, fault *CalloutFault) {
	f := h.calloutFaults(upstream)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rest = fault
}

func (h *Host) calloutFaults(name string) *calloutFaults {
	return &h.mustHaveUpstream(name).faults
}
