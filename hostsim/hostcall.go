package hostsim

import (
	"context"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// hostCall is one function that a plugin can import. A row of a table: its
// signature gives both its Wasm type and how the trace shows it.
type hostCall struct {
	module, name string
	// sig has one letter per argument:
	//
	//	u  a 32-bit number            l  a 64-bit number
	//	m  a header map's type        b  a buffer's type
	//	s  a string in (ptr, len)     h  a header map in (ptr, len)
	//	S  a string out (ptr, ptr)    H  a header map out (ptr, ptr)
	//	U  a 32-bit number out (ptr)  L  a 64-bit number out (ptr)
	//	x  a pointer of no interest
	sig string
	// void is set for the functions that return nothing.
	void bool
	fn   func(v *vm, a []uint64) status

	// narrow marks the arguments that are 32 bit wide.
	narrow []bool
	// Whether the profile lets the guest call it in a phase.
	inStart, inAlloc bool
}

// params is the Wasm type that sig stands for.
func (hc *hostCall) params() []api.ValueType {
	var ts []api.ValueType
	for _, c := range hc.sig {
		switch c {
		case 'l':
			ts = append(ts, api.ValueTypeI64)
		case 's', 'h', 'S', 'H':
			ts = append(ts, api.ValueTypeI32, api.ValueTypeI32)
		default:
			ts = append(ts, api.ValueTypeI32)
		}
	}
	return ts
}

// vmKey finds the VM in the context of a call. The host modules are shared by all
// VMs of a process, so the context alone says who calls.
type vmKey struct{}

// trapError is what a host function panics with to make the guest trap.
type trapError string

func (e trapError) Error() string { return string(e) }

// call is the Go side of the import.
func (hc *hostCall) call(ctx context.Context, _ api.Module, stack []uint64) {
	v := ctx.Value(vmKey{}).(*vm)
	for i, narrow := range hc.narrow {
		if narrow { // the upper half is whatever the register held
			stack[i] = uint64(uint32(stack[i]))
		}
	}
	if v.phase == phaseStart && !hc.inStart || v.phase == phaseAlloc && !hc.inAlloc {
		panic(trapError("restricted_callback: " + hc.module + "." + hc.name))
	}
	if v.host.tracing() {
		hc.traced(v, stack)
		return
	}
	st := hc.fn(v, stack)
	if !hc.void {
		stack[0] = uint64(st)
	}
}

// instantiateHostModules links every host call into rt, as far as the profile and
// the ABI version know it.
func instantiateHostModules(ctx context.Context, rt wazero.Runtime, p Profile, abi abiVersion) (map[string]*hostCall, error) {
	linked := make(map[string]*hostCall)
	add := func(b wazero.HostModuleBuilder, module string, row hostCall) {
		hc := row
		hc.module = module
		for _, t := range hc.params() {
			hc.narrow = append(hc.narrow, t == api.ValueTypeI32)
		}
		hc.inStart = p.allowed(phaseStart, module, hc.name)
		hc.inAlloc = p.allowed(phaseAlloc, module, hc.name)
		var results []api.ValueType
		if !hc.void {
			results = []api.ValueType{api.ValueTypeI32}
		}
		b.NewFunctionBuilder().
			WithGoModuleFunction(api.GoModuleFunc(hc.call), hc.params(), results).
			Export(hc.name)
		linked[module+"."+hc.name] = &hc
	}
	env := rt.NewHostModuleBuilder("env")
	for _, rows := range [][]hostCall{generalCalls, httpCalls, sharedCalls, calloutCalls, runtimeCalls} {
		for _, row := range rows {
			if row.name == "proxy_get_log_level" && abi != abi021 {
				continue
			}
			add(env, "env", row)
		}
	}
	if _, err := env.Instantiate(ctx); err != nil {
		return nil, err
	}
	for _, module := range []string{"wasi_snapshot_preview1", "wasi_unstable"} {
		b := rt.NewHostModuleBuilder(module)
		for _, row := range wasiCalls {
			if p == Envoy140 || links136[row.name] {
				add(b, module, row)
			}
		}
		if _, err := b.Instantiate(ctx); err != nil {
			return nil, err
		}
	}
	return linked, nil
}
