//go:build wasm && !tinygo

package host

import "unsafe"

//go:wasmexport healthgate_on_memory_allocate
func onMemoryAllocate(size uint32) unsafe.Pointer { return allocate(size) }

// filter/link calls this, and does not leave it to hosts.
//
//go:wasmexport healthgate_entry
func entry() unsafe.Pointer { return unsafe.Pointer(&Entry) }
