// Package envoy holds the files that an operator copies.
package envoy

import _ "embed"

// Bootstrap is bootstrap.yaml: Envoy with the plugin in front of an application.
//
//go:embed bootstrap.yaml
var Bootstrap string
