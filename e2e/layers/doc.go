// Package layers tests maintenance through each of the ways that Envoy's runtime offers, on a real Envoy under load.
package layers
