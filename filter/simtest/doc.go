// Package simtest holds the tests of the compiled filter on hostsim: each behaviour that operators rely on, and the
// faults that a real Envoy cannot be made to suffer on cue. Most are stories in testdata, which README.md explains.
// They take the module from HEALTHGATE_WASM, or else the one that "make filter" builds, so every build of the filter
// runs the same suite.
package simtest
