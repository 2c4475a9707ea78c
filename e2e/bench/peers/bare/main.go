//go:build wasip1

// Command bare is the least that Envoy loads as a plugin built with standard Go: what Go's runtime alone costs.
package main

import "unsafe"

func main() {}

//go:wasmexport proxy_abi_version_0_2_1
func abiVersion() {}

//go:wasmexport proxy_on_memory_allocate
func allocate(size uint32) unsafe.Pointer {
	return unsafe.Pointer(unsafe.SliceData(make([]byte, size)))
}

//go:wasmexport proxy_on_context_create
func contextCreate(uint32, uint32) {}
