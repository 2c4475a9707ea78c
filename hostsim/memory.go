package hostsim

import "math"

// bytes is guest memory itself, not a copy: it is gone with the next call into the
// guest. ok is false if any of it lies outside.
func (v *vm) bytes(ptr, size uint64) (b []byte, ok bool) {
	ptr, size = uint64(uint32(ptr)), uint64(uint32(size))
	if v.mem == nil || ptr+size > math.MaxUint32 {
		return nil, false
	}
	return v.mem.Read(uint32(ptr), uint32(size))
}

// str is a copy of guest memory.
func (v *vm) str(ptr, size uint64) (string, bool) {
	b, ok := v.bytes(ptr, size)
	return string(b), ok
}

func (v *vm) read32(ptr uint64) (uint32, bool) {
	if v.mem == nil || ptr > math.MaxUint32 {
		return 0, false
	}
	return v.mem.ReadUint32Le(uint32(ptr))
}

func (v *vm) write32(ptr uint64, x uint32) bool {
	return v.mem != nil && v.mem.WriteUint32Le(uint32(ptr), x)
}

func (v *vm) write64(ptr, x uint64) bool {
	return v.mem != nil && v.mem.WriteUint64Le(uint32(ptr), x)
}

// alloc asks the guest for memory (WasmBase::allocMemory). It is never asked for 0
// bytes.
func (v *vm) alloc(size int) (ptr uint64, b []byte, ok bool) {
	if v.allocFault() {
		return 0, nil, false
	}
	v.phase = phaseAlloc
	p, ok := v.call(v.vmContext, v.fns.allocator(), uint64(size))
	v.phase = phaseRun
	if !ok || p == 0 {
		return 0, nil, false
	}
	b, ok = v.bytes(p, uint64(size))
	return p, b, ok
}

// give hands s to the guest: memory from its own allocator, pointer and size
// through ptrOut and sizeOut. An empty s is a null pointer
// (WasmBase::copyToPointerSize).
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
	if !v.write32(ptrOut, uint32(ptr)) || !v.write32(sizeOut, uint32(len(s))) {
		return statusInvalidMemoryAccess
	}
	return statusOK
}
