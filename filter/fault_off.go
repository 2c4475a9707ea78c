//go:build wasm && !healthgate_faults

package main

func injectRequestFault()     {}
func injectTickFault(*plugin) {}
