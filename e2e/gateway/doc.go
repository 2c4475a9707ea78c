// Package gateway tests what `healthgate render envoy-gateway` writes: a real Envoy Gateway without a cluster drives a
// real Envoy. The control plane is built by scripts/get-envoy-gateway, so the test has a target of its own: make
// test-gateway. docs/envoy-gateway.md says what it covers.
package gateway
