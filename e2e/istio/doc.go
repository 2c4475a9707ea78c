// Package istio tests what `healthgate render` writes for Istio: through a real control plane into a real Envoy. The
// control plane is built by scripts/get-istio from the module in tools, so the tests have a target of their own: make
// test-istio. docs/istio.md says what they cover.
package istio
