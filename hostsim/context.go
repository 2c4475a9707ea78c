package hostsim

import (
	"github.com/healthgate/healthgate/hostsim/internal/headers"
	"github.com/healthgate/healthgate/hostsim/internal/timeline"
)

// pluginContext is a context of the ABI: the VM's own (id 0), a plugin's root, or
// one HTTP stream's (ContextBase, and Envoy's Context).
type pluginContext struct {
	vm   *vm
	id   uint32
	root *pluginContext // itself for a root, nil for the VM's own

	// created is set once proxy_on_context_create ran (in_vm_context_created_).
	created bool
	// configuring is set while on_configure runs: only then can the plugin
	// configuration be read (temp_plugin_).
	configuring bool

	// lastBuffer is what the plugin looked at last: Envoy has one place for all buffers,
	// and hands it out, as it is, for the call data.
	lastBuffer buffer

	// Of a stream.
	stream    *Stream
	destroyed bool
	views     streamViews

	// declared are properties that declare_property was told of, and whether they are
	// read-only. Only a root's count.
	declared map[string]bool

	// Of a root.
	expressions expressions
	tickPeriod  uint32
	tick        *timeline.Event
	calls       map[uint32]*httpCallout
	grpc        map[uint32]*grpcCallout
	response    *calloutResponse // the HTTP callout response being delivered
	grpcView    grpcView
	statusCode  uint32
	statusText  string
}

// streamViews is what of a stream the plugin can reach right now: Envoy hands each
// map and buffer out for the time of its own callback, longer only while paused.
type streamViews struct {
	request, response directionView
	endOfStream       bool
	accessLog         bool
}

type directionView struct {
	headers, trailers *headers.Map
	body              *[]byte
	buffering         bool // the body that the plugin sees is the one it held back
}

// buffer is a buffer as a plugin reads it. change is nil for one that cannot be written,
// and else where it lives.
type buffer struct {
	data   []byte
	change *[]byte
}

func (b buffer) bytes() []byte {
	if b.change != nil {
		return *b.change
	}
	return b.data
}

// rootContext is the plugin's root, whatever context this is.
func (c *pluginContext) rootContext() *pluginContext {
	if c.root != nil {
		return c.root
	}
	return c
}

// callback runs one export and the after-call actions.
func (c *pluginContext) callback(e export, args ...uint64) (uint64, bool) {
	if c.vm.fns[e] == nil || c.vm.dead() {
		return 0, false
	}
	r, ok := c.vm.call(c, e, args...)
	c.vm.runAfterCall()
	return r, ok
}

func (c *pluginContext) id64() uint64 { return uint64(c.id) }

// onStart creates the root context in the VM and starts the VM (onStart).
func (c *pluginContext) onStart() bool {
	if c.vm.fns[expContextCreate] != nil {
		c.vm.call(c, expContextCreate, c.id64(), 0)
		c.created = true
	}
	ok := true
	if c.vm.fns[expVMStart] != nil {
		r, _ := c.vm.call(c, expVMStart, c.id64(), uint64(len(c.vm.host.cfg.vmConfig)))
		ok = r != 0
	}
	c.vm.runAfterCall()
	return ok
}

// onConfigure hands the plugin its configuration.
func (c *pluginContext) onConfigure() bool {
	if c.vm.dead() {
		return true // as Envoy has it: the VM's own failure is looked at elsewhere
	}
	if !c.created {
		c.callback(expContextCreate, c.id64(), 0)
		c.created = true
	}
	if c.vm.fns[expConfigure] == nil {
		return true
	}
	c.configuring = true
	r, _ := c.vm.call(c, expConfigure, c.id64(), uint64(len(c.vm.host.cfg.pluginConfig)))
	c.configuring = false
	c.vm.runAfterCall()
	return r != 0
}

// onCreate creates a stream's context in the VM, once.
func (c *pluginContext) onCreate() {
	if !c.created {
		c.callback(expContextCreate, c.id64(), uint64(c.rootContext().id))
	}
	c.created = true
}

func (c *pluginContext) onTick() { c.callback(expTick, c.id64()) }

// onDone returns whether the context is done with; only a root's answer counts.
func (c *pluginContext) onDone() bool {
	if c.vm.fns[expDone] == nil || c.vm.dead() {
		return true
	}
	r, _ := c.callback(expDone, c.id64())
	return r != 0
}

func (c *pluginContext) onDelete() {
	if c.created {
		c.callback(expDelete, c.id64())
	}
}

// setTickPeriod starts, restarts or (0) stops the root's timer
// (Wasm::setTimerPeriod). The period is counted from now.
func (c *pluginContext) setTickPeriod(ms uint32) {
	h := c.vm.host
	h.time.Cancel(c.tick)
	c.tick = nil
	c.tickPeriod = ms
	if ms > 0 {
		c.armTick()
	}
}

func (c *pluginContext) armTick() {
	h := c.vm.host
	c.tick = h.after(millis(c.tickPeriod), c.vm.thread, func() {
		c.tick = nil
		if c.vm.dead() {
			return
		}
		c.onTick()
		// A fixed delay: the next period starts when the callback is over, unless it
		// set another one or the VM is dead by then.
		if c.tick == nil && c.tickPeriod > 0 && !c.vm.dead() {
			c.armTick()
		}
	})
}

func (v *vm) tickEvent() *timeline.Event {
	if v.root == nil {
		return nil
	}
	return v.root.tick
}
