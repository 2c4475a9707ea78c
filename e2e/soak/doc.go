// Package soak runs the filter on a real Envoy for long and watches the process's memory: `make soak`. README.md says
// what came of it.
package soak
