//go:build wasm && !tinygo

package host

import "unsafe"

//go:wasmexport healthgate_on_memory_allocate
func onMemoryAllocate(size uint32) unsafe.Pointer { return allocate(size) }
