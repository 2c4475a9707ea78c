// Package chaos disturbs a real Envoy in every way that a plan says, and judges each answer: `make chaos-envoy`. Plans
// and rules have the words of filter/simtest/chaos, where the same is simulated; docs/reliability.md has the figures.
package chaos
