package hostsim

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/healthgate/healthgate/hostsim/internal/wasm"
)

// HostFunc is a function of the host that plugins import beyond the ABI. It gets the arguments of the call; its result
// is the plugin's, if the function has one. It may not call methods of the Host that drive it.
type HostFunc func(c *Caller, args ...uint32) (result uint32)

// HostFunction is a function that a host other than Envoy offers, such as Higress' proxy_redis_call in the module env:
// without it, a plugin that imports it cannot be loaded. Its type is what the plugin imports, and must be of 32-bit
// numbers with one result or none. Functions of the ABI and of WASI stay as they are.
func HostFunction(module, name string, f HostFunc) Option {
	return optionFunc(func(c *config) { c.functions[hostFunction{module, name}] = f })
}

type hostFunction struct{ module, name string }

// Caller is the plugin that calls a HostFunction.
type Caller struct {
	v    *vm
	root *rootContext
}

// Read returns a copy of the plugin's memory; ok is false if that is out of bounds.
func (c *Caller) Read(ptr, size uint32) (b []byte, ok bool) {
	b, ok = c.v.Bytes(uint64(ptr), uint64(size))
	return slices.Clone(b), ok
}

// Write writes to the plugin's memory, and reports whether it could.
func (c *Caller) Write(ptr uint32, b []byte) bool {
	to, ok := c.v.Bytes(uint64(ptr), uint64(len(b)))
	return ok && copy(to, b) == len(b)
}

// Return hands b to the plugin as the ABI's functions do: in memory from the plugin's own allocator, whose address and
// size are written to ptrOut and sizeOut. It reports whether it could.
func (c *Caller) Return(ptrOut, sizeOut uint32, b []byte) bool {
	return c.v.give(string(b), uint64(ptrOut), uint64(sizeOut)) == statusOK
}

// Call calls a function of 32-bit numbers that the plugin exports, for its root context. ok is false if there is none
// with so many arguments, or if the VM is dead by then.
func (c *Caller) Call(export string, args ...uint32) (result uint32, ok bool) {
	fn := c.v.Function(export)
	if c.v.dead() || fn == nil || len(fn.Definition().ParamTypes()) != len(args) {
		return 0, false
	}
	words := make([]uint64, len(args))
	for n, a := range args {
		words[n] = uint64(a)
	}
	r, ok := c.v.callFunction(&c.root.pluginContext, fn, export, words...)
	if c.v.current == nil {
		c.v.runAfterCall()
	}
	return uint32(r), ok
}

// After calls f once d of virtual time is over, and not before the running callback is: for an answer that comes later.
// It does not if the VM is dead by then.
func (c *Caller) After(d time.Duration, f func()) {
	c.v.host.after(d, c.v.thread, func() {
		if !c.v.dead() {
			f()
		}
	})
}

// ownCalls are the functions of HostFunction, in order.
func (c *config) ownCalls() []wasm.Func {
	var funcs []wasm.Func
	for _, key := range slices.SortedFunc(maps.Keys(c.functions), func(a, b hostFunction) int {
		return cmp.Or(cmp.Compare(a.module, b.module), cmp.Compare(a.name, b.name))
	}) {
		funcs = append(funcs, wasm.Func{Module: key.module, Name: key.name, Any: true,
			Fn: func(i *wasm.Instance, args []uint64) uint32 { // of whichever host has the module
				v := i.Host.(*vm)
				words := make([]uint32, len(args))
				for n, a := range args {
					words[n] = uint32(a)
				}
				return v.host.cfg.functions[key](&Caller{v, v.effectiveContext().root}, words...)
			}})
	}
	return funcs
}
