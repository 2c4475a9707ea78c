//go:build wasm

package main

import "runtime"

// What this build is: a version, and the hash of Git's commit. The linker sets them for a release (make dist). TinyGo's
// sets only what has no value here.
var version, commit string

// buildInfo is the name of the metric that tells it.
func buildInfo() string {
	if version == "" {
		version = "devel"
	}
	if commit == "" {
		commit = "unknown"
	}
	toolchain := runtime.Version()
	if runtime.Compiler == "tinygo" { // its version lacks the name
		toolchain = runtime.Compiler + toolchain
	}
	return "healthgate_build_info.version." + version + ".commit." + commit + ".toolchain." + toolchain
}
