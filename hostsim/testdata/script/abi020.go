//go:build !abi021

package main

//go:wasmexport proxy_abi_version_0_2_0
func abiVersion() {}

// getLogLevel is not linked for this ABI version.
func getLogLevel(uint32) uint32 { return 12 }
