// Package conformance proves that hostsim is true to Envoy: `make conformance`.
//
// Each case of the corpus runs on hostsim and on a real Envoy. What the client and the upstreams saw, what the plugin
// logged, thread by thread, and what the metrics are is written down as lines, and the lines must be the same. No
// case says what it expects: Envoy does.
package conformance
