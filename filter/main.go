// Command filter is the healthgate plugin, compiled to WebAssembly by "make filter". callbacks.go has what Envoy calls:
// a plugin is a configuration in a VM, its checks are the hot path, and what a check gets is decided by the packages
// below, which make no host call and are tested natively.
package main

func main() {}
