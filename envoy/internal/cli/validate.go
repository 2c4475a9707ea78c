package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/document"
	"github.com/healthgate/healthgate/envoy/internal/lint"
	"github.com/healthgate/healthgate/envoy/internal/schema"
	"github.com/spf13/cobra"
)

// someFile refuses a command line without a FILE, and says what to do.
func someFile(verb string) cobra.PositionalArgs {
	return someOf("FILE to " + verb + ", such as healthgate.yaml, or - for standard input")
}

func someOf(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, files []string) error {
		if len(files) == 0 {
			return errors.New("say which " + what)
		}
		return nil
	}
}

func newValidate() *cobra.Command {
	var strict bool
	cmd := &cobra.Command{
		Use:   "validate FILE...",
		Short: "Check a healthgate.yaml as the plugin does, and warn of what you will regret",
		Long: `Checks each FILE as the plugin does when it is loaded, with the same messages, and the line: all mistakes,
unknown fields first. FILE is a healthgate.yaml, or - for standard input.

Then it warns of what the plugin accepts: demands that no request meets, an endpoint open to everyone, a peer that
X-Forwarded-For can forge, a probe whose interval is below its timeout, a policy that can't hold, replies that a load
balancer takes the wrong way round.`,
		Example: `  healthgate validate healthgate.yaml
  healthgate validate --strict healthgate.yaml    # in CI: warnings are failures, too`,
		Args: someFile("check"), ValidArgsFunction: yamlFiles,
		RunE: func(cmd *cobra.Command, files []string) error {
			if i := slices.Index(files, "-"); i >= 0 && slices.Contains(files[i+1:], "-") {
				return errors.New("-, standard input, is given twice, and can be read once")
			}
			var wrong error
			warned := false
			for _, file := range files {
				d, err := document.Read(file)
				if err != nil {
					for line := range strings.SplitSeq(err.Error(), "\n") {
						fmt.Fprintln(cmd.ErrOrStderr(), paint(cmd.ErrOrStderr(), red, "error:"), line)
					}
					wrong = errSilent
					continue
				}
				warnings := lint.Check(d)
				tell(cmd, yellow, "warning:", warnings)
				warned = warned || len(warnings) > 0
				fmt.Fprintf(cmd.OutOrStdout(), "%s: valid: %s, %s, %s\n", d.File, count(len(d.Config.Endpoints), "endpoint"),
					count(len(d.Config.Probes), "probe"), count(len(d.Config.Keys), "maintenance key"))
			}
			if wrong == nil && strict && warned {
				return failure{errSilent}
			}
			return wrong
		},
	}
	cmd.Flags().BoolVar(&strict, "strict", false, "exit with code 1 when there are warnings")
	return cmd
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

func newSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Write the JSON Schema of healthgate.yaml, for editors",
		Long: `Writes the JSON Schema of healthgate.yaml. An editor that knows it completes, explains and checks the file
while it is written. It does not see all that healthgate validate sees: names that nothing defines, amounts of time.`,
		Example: `  healthgate schema > healthgate.schema.json
  # then, as the first line of healthgate.yaml:
  # yaml-language-server: $schema=healthgate.schema.json`,
		Args: takes(""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			fmt.Fprint(cmd.OutOrStdout(), string(schema.JSON()))
			return nil
		},
	}
}
