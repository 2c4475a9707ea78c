//go:build wasm

package host

//lint:file-ignore U1000 the host calls these, through go:wasmexport

import "unsafe"

// The host allocates what it returns through the module's proxy_on_memory_allocate. While scratch is open that memory
// comes from a buffer that is used again and again, so that a health check leaves no garbage.

var scratch [8 << 10]byte // a check's own needs are a few hundred bytes

var used, open = 0, false

// starved says that the host could not return something since the last OpenScratch: there was no memory for it.
var starved bool

// OpenScratch is called before a callback's first host call, and CloseScratch after its last. What the host returns in
// between is gone by the next OpenScratch.
func OpenScratch() { used, open, starved = 0, true, false }

// Starved reports whether something that the host has was not to be had since OpenScratch. Its getters then say that
// there is no such thing.
func Starved() bool { return starved }

// gave reports whether the host returned what it was asked for.
func gave(status uint32) bool {
	starved = starved || status == statusInvalidMemory
	return status == StatusOK
}

// CloseScratch makes what the host returns live on the heap again.
func CloseScratch() { open = false }

//go:wasmexport proxy_on_memory_allocate
func onMemoryAllocate(size uint32) unsafe.Pointer {
	if open && int(size) <= len(scratch)-used {
		p := unsafe.Pointer(&scratch[used])
		used += (int(size) + 7) &^ 7
		return p
	}
	return unsafe.Pointer(unsafe.SliceData(make([]byte, size)))
}
