// Package simtest holds the tests of the compiled filter on hostsim: each behaviour that operators rely on, and the
// faults that a real Envoy cannot be made to suffer on cue. Most are stories in testdata, which README.md explains.
// They load the module that HEALTHGATE_WASM names, by default that of "make filter", so every build of the filter
// runs the same suite.
package simtest
