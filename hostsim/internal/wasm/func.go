package wasm

import (
	"context"
	"strings"

	"github.com/tetratelabs/wazero/api"
)

// Func is a function that a guest can import.
type Func struct {
	Module, Name string
	// Sig has one letter per argument, which gives both its type and how a trace shows it:
	//
	//	u  a 32-bit number            l  a 64-bit number
	//	s  a string in (ptr, len)     S  a string out (ptr, ptr)
	//	h  a map in (ptr, len)        H  a map out (ptr, ptr)
	//	U  a 32-bit number out (ptr)  L  a 64-bit number out (ptr)
	//	x  a pointer of no interest
	Sig string
	// Void is set for the functions that return nothing.
	Void bool
	// Any is set for a function of as many 32-bit numbers as the guest imports, with one result or none. Sig and Void
	// follow from that.
	Any bool
	// InStart and InAlloc are whether it may be called in those phases.
	InStart, InAlloc bool
	Fn               func(i *Instance, args []uint64) uint32

	params, results []api.ValueType // once it is linked
}

// EachArg calls f for each letter of the signature, with the index of its first word.
func (f *Func) EachArg(arg func(kind rune, word int)) {
	word := 0
	for _, kind := range f.Sig {
		arg(kind, word)
		word++
		if strings.ContainsRune("shSH", kind) {
			word++
		}
	}
}

// setTypes gives the function the type that its signature stands for.
func (f *Func) setTypes(imported api.FunctionDefinition) {
	if f.Any {
		f.Sig, f.Void = strings.Repeat("u", len(imported.ParamTypes())), len(imported.ResultTypes()) == 0
	}
	f.params, f.results = nil, nil
	f.EachArg(func(kind rune, _ int) {
		switch kind {
		case 'l':
			f.params = append(f.params, api.ValueTypeI64)
		case 's', 'h', 'S', 'H':
			f.params = append(f.params, api.ValueTypeI32, api.ValueTypeI32)
		default:
			f.params = append(f.params, api.ValueTypeI32)
		}
	})
	if !f.Void {
		f.results = []api.ValueType{api.ValueTypeI32}
	}
}

// call is the Go side of the import.
func (f *Func) call(ctx context.Context, _ api.Module, stack []uint64) {
	i := ctx.Value(instanceKey{}).(*Instance)
	for n, t := range f.params {
		if t == api.ValueTypeI32 { // the upper half is not defined
			stack[n] = uint64(uint32(stack[n]))
		}
	}
	if i.Phase == Starting && !f.InStart || i.Phase == Allocating && !f.InAlloc {
		panic(Trap("restricted_callback: " + f.Module + "." + f.Name))
	}
	result := i.Host.Import(f, stack)
	if !f.Void {
		stack[0] = uint64(result)
	}
}
