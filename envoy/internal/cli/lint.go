package cli

import (
	"fmt"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/document"
	"github.com/healthgate/healthgate/envoy/internal/lint"
	"github.com/healthgate/healthgate/envoy/internal/merge"
	"github.com/spf13/cobra"
)

func newLint() *cobra.Command {
	return &cobra.Command{
		Use:   "lint ENVOY_FILE... [FILE]",
		Short: "Say what of healthgate is missing in an Envoy's configuration, or has no effect",
		Long: `Says what of healthgate is missing in the configuration of an Envoy, in the wrong order or without effect, with
the line: what render envoy --into would add or put right, a field that stands twice, a filter behind those that look at
users or without its gate, a typed_per_filter_config that names no filter, and each way for checks past the plugin.

ENVOY_FILE is the bootstrap; files of listeners, routes and clusters are taken where they lie beside it, or given, too.
FILE, the last, is the healthgate.yaml; without it the configuration in the filter is asked. The exit code is 1 when
something is wrong.`,
		Example: `  healthgate lint /etc/envoy/envoy.yaml
  healthgate lint /etc/envoy/envoy.yaml healthgate.yaml`,
		Args: someOf("ENVOY_FILE to look at, such as /etc/envoy/envoy.yaml"), ValidArgsFunction: yamlFiles,
		RunE: func(cmd *cobra.Command, names []string) error {
			files, err := envoyFiles(names)
			if err != nil {
				return err
			}
			var d *document.Document
			given := files
			files = nil
			for _, f := range given {
				switch {
				case !merge.IsDocument(f):
					files = append(files, f)
				case d != nil:
					return fmt.Errorf("%s is a healthgate.yaml, as %s is; give one, and the configuration of Envoy", f.Name, d.File)
				default:
					if d, err = document.Parse(f.Name, []byte(f.Text)); err != nil {
						return err
					}
				}
			}
			if len(files) == 0 {
				return fmt.Errorf("%s is no configuration of Envoy; give that first", strings.Join(names, ", "))
			}
			found, err := merge.Lint(files, d)
			if err != nil {
				return err
			}
			tell(cmd, red, "error:", found.Wrong)
			for _, d := range found.Documents {
				found.Warnings = append(found.Warnings, lint.Configuration(d, merge.Plain(files))...)
			}
			tell(cmd, yellow, "warning:", found.Warnings)
			tell(cmd, "", "note:", found.Notes)
			if len(found.Wrong) > 0 {
				return failure{errSilent}
			}
			return nil
		},
	}
}
