// Package istio tests what `healthgate render` writes for Istio: through a real control plane into a real Envoy. It is
// a module of its own, which no other part of the repository needs: make test-istio. docs/istio.md says what it covers.
package istio
