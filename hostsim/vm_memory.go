package hostsim

import "github.com/healthgate/healthgate/hostsim/internal/wasm"

// alloc asks the guest for memory (WasmBase::allocMemory). It is never asked for 0 bytes.
func (v *vm) alloc(size int) (ptr uint64, b []byte, ok bool) {
	if v.allocFault() {
		return 0, nil, false
	}
	v.Phase = wasm.Allocating
	p, ok := v.call(v.vmContext, v.fns.allocator(), uint64(size))
	v.Phase = wasm.Running
	if !ok || p == 0 {
		return 0, nil, false
	}
	b, ok = v.Bytes(p, uint64(size))
	return p, b, ok
}

// give hands s to the guest: memory from its own allocator, pointer and size through ptrOut and sizeOut. An empty s is
// a null pointer (WasmBase::copyToPointerSize).
func (v *vm) give(s string, ptrOut, sizeOut uint64) status {
	var ptr uint64
	if len(s) > 0 {
		p, b, ok := v.alloc(len(s))
		if !ok {
			return statusInvalidMemoryAccess
		}
		copy(b, s)
		ptr = p
	}
	if !v.Write32(ptrOut, uint32(ptr)) || !v.Write32(sizeOut, uint32(len(s))) {
		return statusInvalidMemoryAccess
	}
	return statusOK
}

func (v *vm) out32(ptr uint64, x uint32) status {
	if !v.Write32(ptr, x) {
		return statusInvalidMemoryAccess
	}
	return statusOK
}

func (v *vm) out64(ptr, x uint64) status {
	if !v.Write64(ptr, x) {
		return statusInvalidMemoryAccess
	}
	return statusOK
}
