package hostsim

import (
	"fmt"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/healthgate/healthgate/hostsim/internal/metrics"
	"github.com/healthgate/healthgate/hostsim/internal/wasm"
)

// vm is one Wasm VM (WasmBase). All its methods run on the host's one thread.
type vm struct {
	*wasm.Instance // nil if the VM could not be made

	host   *Host
	thread *thread
	role   string
	plugin *pluginConfig // the first that it was made for
	fns    exports

	contexts  map[uint32]*pluginContext
	nextID    uint32
	vmContext *pluginContext
	roots     []*rootContext

	current    *pluginContext // whose callback runs; nil outside
	callback   string         // what runs; "" outside
	output     *[]byte        // where standard output goes, if not to the log
	effective  uint32         // the ID that set_effective_context set, or 0
	traceDepth int
	deleted    map[uint32]time.Duration // when streams ended, as far as a trace was on

	// stopIteration makes the running callback's result count as a pause.
	stopIteration bool
	afterCall     []func()

	// failure is why the VM is dead; empty while it lives.
	failure string

	nextHTTPCall, nextGrpcCall, nextGrpcStream uint32
	nextMetric                                 [3]uint32
	metrics                                    map[uint32]*metrics.Stat
}

// newVM instantiates the module and runs its start functions (WasmBase::initialize). The caller looks at failure.
func newVM(h *Host, t *thread, role string, p *pluginConfig) *vm {
	v := &vm{
		host: h, thread: t, role: role, plugin: p,
		contexts:       make(map[uint32]*pluginContext),
		nextID:         1,
		metrics:        make(map[uint32]*metrics.Stat),
		nextGrpcCall:   1,
		nextGrpcStream: 2,
		nextMetric:     [3]uint32{0, 1, 2},
		deleted:        make(map[uint32]time.Duration),
	}
	v.vmContext = &newRoot(v, 0, p, nil).pluginContext
	instance, err := p.module.Instantiate(v, &h.watchdog)
	if err != nil {
		v.failed("start", err)
		return v
	}
	v.Instance = instance
	v.fns.bind(instance, h.cfg.profile)
	if start := instance.Function(wasm.ExportStart); start != nil {
		v.callFunction(v.vmContext, start, "start")
	}
	for _, e := range []export{expInitialize, expStart} {
		if v.fns[e] != nil {
			v.call(v.vmContext, e)
		}
	}
	if v.fns[expMain] != nil {
		if n := len(v.fns[expMain].Definition().ParamTypes()); n == 2 || n == 0 {
			v.call(v.vmContext, expMain, make([]uint64, n)...)
		}
	} else if v.fns[expMainVoid] != nil {
		v.call(v.vmContext, expMainVoid)
	}
	v.Phase = wasm.Running
	return v
}

// call runs an export in context c. It reports false if the VM is or becomes dead,
// or has no such export. It does not run the after-call actions.
func (v *vm) call(c *pluginContext, e export, args ...uint64) (result uint64, ok bool) {
	fn := v.fns[e]
	if fn == nil || v.dead() {
		return 0, false
	}
	if err := v.trapFault(e); err != nil {
		v.trapped(e.String(), args, err)
		return 0, false
	}
	return v.callFunction(c, fn, e.String(), args...)
}

// callFunction is call for any function.
func (v *vm) callFunction(c *pluginContext, fn api.Function, name string, args ...uint64) (result uint64, ok bool) {
	savedContext, savedEffective, savedCallback := v.current, v.effective, v.callback
	v.current, v.effective, v.callback = c, 0, name
	tracing := v.host.tracing()
	if tracing {
		v.host.traceEnter(v, name, args)
	}
	r, err := v.Call(fn, args...)
	v.current, v.effective, v.callback = savedContext, savedEffective, savedCallback
	if tracing {
		returns := len(fn.Definition().ResultTypes()) > 0
		v.host.traceExit(v, name, r, returns && err == nil, err)
	}
	if err != nil {
		v.failed(name, err)
		return 0, false
	}
	return uint64(r), true
}

// trapped is a call that a fault ends before it begins.
func (v *vm) trapped(name string, args []uint64, err error) {
	if v.host.tracing() {
		v.host.traceEnter(v, name, args)
		v.host.traceExit(v, name, 0, false, err)
	}
	v.failed(name, err)
}

// failed marks the VM dead (FailState::RuntimeError) and says so in the log, as Envoy does at critical level.
func (v *vm) failed(what string, err error) {
	if v.dead() {
		return
	}
	v.failure = fmt.Sprintf("Function: %s failed: %v", what, err)
	v.logLine(LogCritical, v.failure)
}

func (v *vm) dead() bool { return v.failure != "" }

func (v *vm) threadName() string {
	if v.thread == nil || v.role != "" {
		return v.role
	}
	return v.thread.name
}

// runAfterCall runs the actions that were put off to the end of the callback (DeferAfterCallActions).
func (v *vm) runAfterCall() {
	v.stopIteration = false
	for len(v.afterCall) > 0 {
		f := v.afterCall[0]
		v.afterCall = v.afterCall[1:]
		f()
	}
	v.afterCall = nil
}

// later puts f off to the end of the running callback.
func (v *vm) later(f func()) { v.afterCall = append(v.afterCall, f) }

// effectiveContext is the context for which a host call acts (contextOrEffectiveContext).
func (v *vm) effectiveContext() *pluginContext {
	if v.effective != 0 {
		if c := v.contexts[v.effective]; c != nil {
			return c
		}
	}
	return v.current
}

func (v *vm) newContextID() uint32 {
	for {
		id := v.nextID
		v.nextID++
		if id != 0 && v.contexts[id] == nil {
			return id
		}
	}
}

// start makes the root context of a configuration and runs on_vm_start. One that could not be configured before is
// created again, with its ID and its timer (WasmBase::start).
func (v *vm) start(p *pluginConfig, config []byte) (root *rootContext, ok bool) {
	for _, root := range v.roots {
		if v.contexts[root.id] == &root.pluginContext && root.runs(p, config) {
			root.onStart()
			return root, !v.dead()
		}
	}
	root = newRoot(v, v.newContextID(), p, config)
	v.roots = append(v.roots, root)
	v.contexts[root.id] = &root.pluginContext
	ok = root.onStart()
	return root, ok && !v.dead()
}

// close ends the instance and frees its memory. Shared data, queues and metrics stay.
func (v *vm) close() {
	for _, root := range v.roots {
		root.release()
	}
	if v.Instance != nil {
		v.Instance.Close()
	}
	if v.failure == "" {
		v.failure = "closed"
	}
}
