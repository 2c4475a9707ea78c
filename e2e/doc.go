// Package e2e tests healthgate in a real Envoy: `make test-e2e`.
//
// Each test asserts what a load balancer, an operator, the application or Envoy's log sees. Most tests run what
// operators copy, envoy/bootstrap.yaml, with other ports; the rest change it as an operator might.
package e2e
