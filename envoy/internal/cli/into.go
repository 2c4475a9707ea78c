package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/healthgate/healthgate/envoy/internal/document"
	"github.com/healthgate/healthgate/envoy/internal/lint"
	"github.com/healthgate/healthgate/envoy/internal/merge"
	"github.com/healthgate/healthgate/envoy/internal/render"
	"github.com/spf13/cobra"
)

// intoOptions are the flags of a merge.
type intoOptions struct {
	files     []string
	listeners []string
	parts     bool
}

// notMerged are flags of render envoy for what a merge leaves as it is.
var notMerged = []string{"node-id", "node-cluster", "region", "zone", "rtds-file", "rtds-server", "parts"}

// merge writes the files of an Envoy with healthgate in them.
func (i *intoOptions) merge(cmd *cobra.Command, file, output string, o *render.EnvoyOptions) error {
	for _, name := range notMerged {
		if cmd.Flags().Changed(name) {
			return &render.OptionError{Flag: name,
				What: "does not go with --into, which leaves that part of the configuration as it is"}
		}
	}
	d, err := document.Read(file)
	if err != nil {
		return err
	}
	files, err := envoyFiles(i.files)
	if err != nil {
		return err
	}
	for _, f := range files {
		if merge.IsDocument(f) {
			return &render.OptionError{Flag: "into", What: f.Name + " is a healthgate.yaml; give the configuration of Envoy"}
		}
	}
	given := func(name, value string) string {
		if cmd.Flags().Changed(name) {
			return value
		}
		return ""
	}
	options := merge.Options{Common: o.Common, Gate: o.Gate, Listeners: i.listeners,
		Admin: given("admin", o.Admin), Listen: given("listen", o.Listen), Metrics: o.Metrics}
	options.RuntimeDir = given("runtime-dir", o.RuntimeDir)
	if cmd.Flags().Changed("cluster") {
		options.Clusters = o.Clusters
	}
	if err := options.Keep(files, cmd.Flags().Changed); err != nil {
		return err
	}
	o.Wasm = options.Wasm
	result, err := merge.Merge(d, files, options)
	if err != nil {
		return err
	}
	said := append(result.Warnings, lint.Configuration(result.Document, merge.Plain(result.Files))...)
	if options.Listen != "" {
		options.Listeners = append(options.Listeners, "healthgate")
	}
	if found, err := merge.Lint(result.Files, result.Document, options.Listeners...); err == nil {
		for _, p := range found.Wrong {
			p.Line = 0 // of what is yet to be written
			if !slices.ContainsFunc(said, func(other *document.Problem) bool { return other.What == p.What }) {
				said = append(said, p)
			}
		}
	}
	tell(cmd, yellow, "warning:", said)
	tell(cmd, "", "note:", result.Notes)
	return i.writeMerged(cmd, file, output, files, result)
}

// tell prints remarks, each with its kind.
func tell(cmd *cobra.Command, colour, kind string, all []*document.Problem) {
	for _, p := range all {
		fmt.Fprintln(cmd.ErrOrStderr(), paint(cmd.ErrOrStderr(), colour, kind), p)
	}
}

// envoyFiles reads the files of an Envoy, and those beside its bootstrap that it reads.
func envoyFiles(names []string) (out []merge.File, err error) {
	for i := 0; i < len(names); i++ {
		if names[i] == "-" {
			return nil, errors.New("-: the configuration of Envoy is read of files alone; give their names")
		}
		text, err := readFile(names[i])
		if err != nil {
			return nil, document.Unread(names[i], "the configuration of Envoy", err)
		}
		f := merge.File{Name: names[i], Text: string(text)}
		out = append(out, f)
		for _, places := range merge.Sources(f) {
			there := slices.DeleteFunc(places, func(place string) bool { return !sameFile(place, place) })
			if len(there) == 0 || slices.ContainsFunc(names, func(name string) bool {
				return slices.ContainsFunc(there, func(place string) bool { return sameFile(place, name) })
			}) {
				continue
			}
			for _, other := range there[1:] {
				if !sameFile(there[0], other) {
					return nil, fmt.Errorf("%s: the file that it reads may be %s or %s; give the right one, too",
						f.Name, there[0], other)
				}
			}
			names = append(names, there[0])
		}
	}
	return out, nil
}

// writeMerged writes files: the bootstrap to the output, and the others beside it, or each into its own place where the
// output is the bootstrap. All are replaced, or none, and in other folders what was given alone.
func (i *intoOptions) writeMerged(cmd *cobra.Command, file, output string, given []merge.File, r *merge.Result) error {
	files := r.Files
	if output == "" || output == "-" {
		if len(files) > 1 {
			return &render.OptionError{Flag: "output",
				What: fmt.Sprintf("is needed: there are %d files; name where %s goes, and "+
					"the others go beside it", len(files), r.Bootstrap)}
		}
		fmt.Fprint(cmd.OutOrStdout(), files[0].Text)
		return nil
	}
	if info, err := os.Stat(output); err == nil && !info.Mode().IsRegular() && !info.IsDir() && len(files) > 1 {
		return &render.OptionError{Flag: "output", What: fmt.Sprintf("%s is no file, and %d files are written: name a file "+
			"for %s, and the others go beside it", output, len(files), r.Bootstrap)}
	}
	around, _ := filepath.Split(output) // filepath.Join takes .. behind a link for the folder that the link lies in
	inPlace := sameFile(output, r.Bootstrap)
	written := map[string]string{}
	var made []fileToWrite
	for n, f := range files {
		if inPlace && f.Text == given[n].Text { // not to be put into the place of what others write meanwhile
			continue
		}
		to := output
		below, err := filepath.Rel(filepath.Dir(r.Bootstrap), f.Name)
		beside := err == nil && filepath.IsLocal(below)
		switch {
		case f.Name == r.Bootstrap:
		case inPlace && !beside && !slices.Contains(i.files, f.Name):
			return &render.OptionError{Flag: "into", What: fmt.Sprintf("%s, which %s reads, lies elsewhere: give it, too, if "+
				"it is to be replaced", f.Name, r.Bootstrap)}
		case inPlace:
			to = f.Name
		case beside:
			to = around + below
		default:
			to = around + filepath.Base(f.Name)
		}
		if other := written[to]; other != "" {
			return &render.OptionError{Flag: "output", What: fmt.Sprintf("%s and %s would both be written to %s; put them "+
				"into folders below the bootstrap's", other, f.Name, to)}
		}
		if err := spare(cmd, to, file); err != nil {
			return err
		}
		for _, other := range given {
			if sameFile(to, other.Name) && !inPlace && other.Text != f.Text {
				return &render.OptionError{Flag: "output", What: fmt.Sprintf("%s is one of the files that are merged, "+
					"and would be lost; write to another folder, or to %s, to replace all", to, r.Bootstrap)}
			}
		}
		written[to] = f.Name
		at := len(made)
		if f.Name == r.Bootstrap { // which Envoy reads when it starts alone, so it changes nothing yet
			at = 0
		}
		made = slices.Insert(made, at, fileToWrite{to, f.Text, f.Name})
	}
	if inPlace && len(made) > 0 && sameFile(made[0].path, r.Bootstrap) {
		p := document.Problem{File: r.Bootstrap,
			What: "an Envoy that runs takes this, with clusters and runtime layers, at a restart alone"}
		if len(made) > 1 {
			p.What += ", but " + made[1].path + " at once: checks may get 503 until you restart it"
		}
		tell(cmd, yellow, "warning:", []*document.Problem{&p})
	}
	if err := writeTree(made); err != nil {
		return failure{err}
	}
	return nil
}
