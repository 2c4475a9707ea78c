// Command dist makes what a release consists of, in one folder; docs/release.md has what is in it.
package main

import (
	"os"

	"github.com/healthgate/healthgate/envoy/internal/dist"
)

func main() { os.Exit(dist.Main()) }
