//go:build tinygo

package host

import "unsafe"

//export healthgate_on_memory_allocate
func onMemoryAllocate(size uint32) unsafe.Pointer { return allocate(size) }

// filter/link calls this, and does not leave it to hosts.
//
//export healthgate_entry
func entry() unsafe.Pointer { return unsafe.Pointer(&Entry) }
