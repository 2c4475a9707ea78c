// Command link is the last step of building the plugin: link IN.wasm OUT.wasm
//
// It puts the plugin's own stream callbacks in the place of the SDK's, with a few instructions in front of those that
// seldom have anything to do, and drops the callbacks that the plugin has no use for, each of which costs a health check
// an entry into the VM.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: link IN.wasm OUT.wasm")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintf(os.Stderr, "link: %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

func run(in, out string) error {
	module, err := os.ReadFile(in)
	if err != nil {
		return err
	}
	linked, err := link(module)
	if err != nil {
		return err
	}
	return os.WriteFile(out, linked, 0o644)
}
