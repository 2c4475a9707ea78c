package hostsim

import "github.com/healthgate/healthgate/hostsim/internal/timeline"

// rootContext is a plugin's root context, with its configuration, timer and callouts.
type rootContext struct {
	pluginContext

	plugin      *pluginConfig
	config      []byte
	expressions expressions
	tickPeriod  uint32
	tick        *timeline.Event
	calls       map[uint32]*exchange // callouts that wait for their response, by ID
	grpc        map[uint32]*grpcCallout
	response    *calloutResponse // the HTTP callout response being delivered
	grpcView    grpcView
	statusCode  uint32
	statusText  string
}

// newRoot gives a VM a root context for a configuration.
func newRoot(v *vm, id uint32, p *pluginConfig, config []byte) *rootContext {
	c := &rootContext{
		pluginContext: pluginContext{vm: v, id: id}, plugin: p, config: config,
		calls: make(map[uint32]*exchange), grpc: make(map[uint32]*grpcCallout),
		expressions: expressions{byToken: make(map[uint32]Expression)},
	}
	c.root = c
	return c
}

// runs reports whether the root is that of a plugin with a configuration: they have one key (PluginBase::key).
func (c *rootContext) runs(p *pluginConfig, config []byte) bool {
	return c.plugin.name == p.name && c.plugin.rootID == p.rootID && c.plugin.listenerKey == p.listenerKey &&
		string(c.config) == string(config)
}

// onStart creates the root context in the VM and starts the VM (onStart).
func (c *rootContext) onStart() bool {
	c.vm.call(&c.pluginContext, expContextCreate, c.id64(), 0)
	c.created = true
	ok := true
	if c.vm.fns[expVMStart] != nil {
		r, _ := c.vm.call(&c.pluginContext, expVMStart, c.id64(), uint64(len(c.vm.plugin.vmConfig)))
		ok = r != 0
	}
	c.vm.runAfterCall()
	return ok
}

// onConfigure hands the plugin its configuration.
func (c *rootContext) onConfigure() bool {
	if c.vm.dead() || c.vm.fns[expConfigure] == nil {
		return true // also for a dead VM, as in Envoy: its failure is looked at elsewhere
	}
	c.configuring = true
	r, _ := c.vm.call(&c.pluginContext, expConfigure, c.id64(), uint64(len(c.config)))
	c.configuring = false
	c.vm.runAfterCall()
	return r != 0
}

// setTickPeriod starts, restarts or (0) stops the root's timer (Wasm::setTimerPeriod). The period is counted from now.
func (c *rootContext) setTickPeriod(ms uint32) {
	c.vm.host.time.Cancel(c.tick)
	c.tick, c.tickPeriod = nil, ms
	if ms > 0 {
		c.armTick()
	}
}

func (c *rootContext) armTick() {
	c.tick = c.vm.host.after(millis(c.tickPeriod), c.vm.thread, func() {
		c.tick = nil
		if c.vm.dead() {
			return
		}
		c.callback(expTick, c.id64())
		// A fixed delay: the next period starts when the callback is over, unless it
		// set another one or the VM is dead by then.
		if c.tick == nil && c.tickPeriod > 0 && !c.vm.dead() {
			c.armTick()
		}
	})
}

// end takes the plugin out of its VM (WasmBase::startShutdown, and the end of the context).
func (c *rootContext) end() {
	if c.vm.dead() {
		return
	}
	if c.onDone() {
		c.onDelete()
	}
	c.release()
	delete(c.vm.contexts, c.id)
}

// release cancels the root's callouts and its timer.
func (c *rootContext) release() {
	c.cancelCallouts()
	c.vm.host.time.Cancel(c.tick)
	c.tick = nil
}
