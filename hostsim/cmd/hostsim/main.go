// Command hostsim runs a proxy-wasm HTTP plugin without an Envoy, as a server that one can send requests to.
//
// See "hostsim --help".
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const usage = `hostsim runs a proxy-wasm HTTP plugin without an Envoy.

Usage:

  hostsim serve --wasm FILE [flags]   serve requests through the plugin

Exit codes: 0 all well; 1 serving ended with an error; 2 wrong usage, or a plugin that
cannot be loaded.

"hostsim serve --help" lists the flags.
`

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// usageError is a mistake in the command line or in a file it names.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(command(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// command is the whole program but for its exit.
func command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var err error
	switch {
	case len(args) == 0:
		fmt.Fprint(stderr, usage)
		return exitUsage
	case args[0] == "serve":
		err = serve(ctx, args[1:], stdout, stderr)
	case args[0] == "help", args[0] == "-h", args[0] == "--help":
		fmt.Fprint(stdout, usage)
		return exitOK
	default:
		err = usageError{fmt.Errorf("unknown command %q; try hostsim --help", args[0])}
	}
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &usageError{}):
		fmt.Fprintln(stderr, "hostsim:", err)
		return exitUsage
	}
	fmt.Fprintln(stderr, "hostsim:", err)
	return exitFailed
}
