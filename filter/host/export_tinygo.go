//go:build tinygo

package host

import "unsafe"

//export healthgate_on_memory_allocate
func onMemoryAllocate(size uint32) unsafe.Pointer { return allocate(size) }
