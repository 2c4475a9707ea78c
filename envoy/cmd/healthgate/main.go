// Command healthgate makes what Envoy and Istio need from one healthgate.yaml, takes instances into and out of
// maintenance, and shows their state.
package main

import (
	"os"

	"github.com/healthgate/healthgate/envoy/internal/cli"
)

// The linker sets these for a release (make dist).
var version, commit string

func main() { os.Exit(cli.Main(version, commit)) }
