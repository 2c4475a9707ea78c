//go:build abi021

package main

//go:wasmexport proxy_abi_version_0_2_1
func abiVersion() {}

//go:wasmimport env proxy_get_log_level
func getLogLevel(out uint32) uint32
