// Command demo runs an Envoy with healthgate in front of a small application, and says what to try with them.
package main

import (
	"os"

	"github.com/healthgate/healthgate/envoy/internal/demo"
)

func main() { os.Exit(demo.Main()) }
