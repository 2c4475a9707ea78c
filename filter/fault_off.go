//go:build !healthgate_faults

package main

const everyRequest = false

func injectRequestFault()     {}
func injectTickFault(*plugin) {}
