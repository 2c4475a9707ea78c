// Package cli is the command healthgate: it makes what Envoy and Istio need from one healthgate.yaml, takes instances
// into and out of maintenance, and shows their state.
//
// Exit codes: 0, done; 1, something did not come about: an Envoy that could not be reached, a change that did not
// arrive; 2, wrong input, and nothing was changed.
package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Main runs the command, of which the linker may have set version and commit. It returns the exit code.
func Main(version, commit string) int {
	root, out := newRoot(thisBuild(version, commit)), &output{File: os.Stdout}
	root.SetOut(out)
	root.SetErr(told{os.Stderr})
	code := exitCode(root, execute(context.Background(), root, os.Args[1:]))
	switch {
	case out.failed == nil:
		return code
	case code == 0:
		return exitCode(root, failure{fmt.Errorf("%w; nothing else failed", out.failed)})
	}
	return exitCode(root, failure{out.failed})
}

// execute runs the command with its arguments. A misspelt command is told also where --help would hide it.
func execute(ctx context.Context, root *cobra.Command, args []string) error {
	root.SetArgs(args)
	root.InitDefaultCompletionCmd(args...)
	builtIn(root)
	found, rest, _ := root.Find(args)
	words := slices.DeleteFunc(slices.Clone(rest), func(arg string) bool { return strings.HasPrefix(arg, "-") })
	if found.HasSubCommands() && len(words) > 0 && !strings.HasPrefix(words[0], cobra.ShellCompRequestCmd) {
		if err := found.Args(found, words); err != nil {
			return err
		}
	}
	return root.ExecuteContext(ctx)
}

// interruptible lets a command that waits for Envoys say at Ctrl-C, and when its terminal goes, how far it came; a
// second Ctrl-C ends it at once. Every other command ends at the first, also while it reads from a terminal or a pipe.
func interruptible(cmd *cobra.Command) *cobra.Command {
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
		if !signal.Ignored(syscall.SIGHUP) { // as by nohup
			ends = append(ends, syscall.SIGHUP)
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), ends...)
		defer stop()
		context.AfterFunc(ctx, stop)
		cmd.SetContext(ctx)
		return run(cmd, args)
	}
	return cmd
}

// failure is an error that is not the caller's mistake: exit code 1.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// errSilent is an error that was told already.
var errSilent = errors.New("")

// errInterrupted is of a question that Ctrl-C cut off.
var errInterrupted = errors.New("interrupted")

// exitCode prints an error and returns the exit code.
func exitCode(root *cobra.Command, err error) int {
	if err == nil {
		return 0
	}
	if text := err.Error(); text != "" {
		fmt.Fprintln(root.ErrOrStderr(), "healthgate:", strings.ReplaceAll(text, "\n", "\nhealthgate: "))
	}
	if errors.As(err, new(failure)) {
		return 1
	}
	return 2
}

func newRoot(version string) *cobra.Command {
	root := group(&cobra.Command{
		Use:   "healthgate",
		Short: "Health checks answered at the proxy: configure, take out of rotation, watch",
		Long: `Makes what Envoy and Istio need from one healthgate.yaml, takes instances into and out of maintenance, and
shows their state.

Exit codes: 0, done; 1, something did not come about (an Envoy that could not be reached, a change that did not
arrive); 2, wrong input, and nothing was changed.`,
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,

		PersistentPreRunE: func(cmd *cobra.Command, args []string) error {
			return cmp.Or(refuseEmpty(cmd), refuseLogin(cmd, args))
		},
	}, newValidate(), newRender(), newLint(), newSchema(), newCheck(), newMaintenance(), interruptible(newShutdown()),
		interruptible(newRelease()), interruptible(newStatus()), interruptible(newServe()), interruptible(newAgent()))
	root.SetFlagErrorFunc(flagError)
	eachOnce(root)
	return root
}
