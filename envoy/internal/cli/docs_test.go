package cli

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/envoy/internal/order"
	"github.com/healthgate/healthgate/envoy/internal/report"
	"github.com/healthgate/healthgate/envoy/must"
	"github.com/spf13/cobra"
)

// commandPage returns the page with what each command's --help says behind its introduction.
func commandPage(t *testing.T, page string) string {
	t.Helper()
	const all = "\n## All commands\n"
	intro, _, found := strings.Cut(page, all)
	if !found {
		t.Fatal("docs/command.md has no section for all commands")
	}
	var out strings.Builder
	out.WriteString(intro + all)
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		words := strings.Fields(cmd.CommandPath())[1:]
		help, stderr, code := call(t, append(words, "--help")...)
		if code != 0 || stderr != "" {
			t.Fatalf("%s --help: exit code %d, %s", cmd.CommandPath(), code, stderr)
		}
		out.WriteString("\n### " + cmd.CommandPath() + "\n\n```\n" + strings.TrimRight(help, "\n") + "\n```\n")
		for _, child := range cmd.Commands() {
			if child.Name() != "help" && child.Name() != "completion" {
				walk(child)
			}
		}
	}
	root := newRoot(thisBuild("", ""))
	root.InitDefaultCompletionCmd()
	walk(root)
	return out.String()
}

func TestCommandPage(t *testing.T) {
	const file = "../../../docs/command.md"
	text := must.Read(t, file)
	page := commandPage(t, text)
	if *update {
		must.Write(t, file, page)
	} else if text != page {
		t.Error("docs/command.md is not what the commands' --help says. Write it anew: make generate")
	}
}

// Every command says what it does, in one line and in full, with an example, and every flag is explained.
func TestHelp(t *testing.T) {
	t.Parallel()
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Name() == "help" || cmd.Name() == "completion" {
			return
		}
		if cmd.Short == "" || !cmd.HasSubCommands() && cmd.Example == "" {
			t.Errorf("%s has no description or no example", cmd.CommandPath())
		}
		for line := range strings.Lines(cmd.Long + "\n" + cmd.Example) {
			if len(line) > 130 {
				t.Errorf("%s: this line of its help is too long: %s", cmd.CommandPath(), line)
			}
		}
		// Each example is a command that exists, with flags that exist.
		for line := range strings.Lines(strings.ReplaceAll(cmd.Example, "\\\n", " ")) {
			words := strings.Fields(line)
			if len(words) == 0 || words[0] != "healthgate" {
				continue
			}
			found, rest, err := newRoot(thisBuild("", "")).Find(words[1:])
			if err != nil || found.HasSubCommands() {
				t.Errorf("%s: the example %q is no command: %v", cmd.CommandPath(), line, err)
				continue
			}
			for _, word := range rest {
				name, isFlag := strings.CutPrefix(word, "--")
				if isFlag && found.Flags().Lookup(name) == nil {
					t.Errorf("%s: the example %q has the unknown flag %s", cmd.CommandPath(), line, word)
				}
			}
		}
		for _, child := range cmd.Commands() {
			walk(child)
		}
	}
	walk(newRoot(thisBuild("", "")))
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if out, stderr, code := call(t, "completion", shell); code != 0 || !strings.Contains(out, "healthgate") {
			t.Errorf("%s: exit code %d, %s", shell, code, stderr)
		}
	}
	out, _, _ := call(t, "__complete", "maintenance", "")
	for _, want := range []string{"on\tTake instances out of rotation", "off\t", "status\t"} {
		if !strings.Contains(out, want) {
			t.Errorf("there is no %q among\n%s", want, out)
		}
	}
	out, _, _ = call(t, "__complete", "render", "istio-envoyfilter", "--workload", "")
	if !strings.Contains(out, "sidecar") || !strings.Contains(out, "gateway") {
		t.Errorf("--workload completes to\n%s", out)
	}
	if out, _, _ := call(t, "__complete", "validate", ""); out != "yaml\nyml\n:8\n" {
		t.Errorf("validate completes to\n%s", out)
	}
}

// What -o json writes has the names that the page has, and no others.
func TestJSONPage(t *testing.T) {
	t.Parallel()
	page := must.Read(t, "../../../docs/command.md")
	names := func(of any) (out []string) {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(of)) {
			if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); field.IsExported() && name != "-" {
				out = append(out, name)
			}
		}
		return out
	}
	quoted := func(text string) (out []string) {
		for _, m := range regexp.MustCompile("`…?\\.?([a-z_]+)(?:\\[\\])?`").FindAllStringSubmatch(text, -1) {
			out = append(out, m[1])
		}
		return out
	}
	for begin, test := range map[string]struct {
		names []string
		rows  map[string]any // whose text has the names of what is in it
	}{
		"`-o json` is for pipelines": {names(order.State{}), map[string]any{"`steps`": order.Step{}}},
		"`-o json` is one form": {append(names(report.Report{}), names(report.Endpoint{})...),
			map[string]any{"`….maintenance`": report.Maintenance{}, "`probes[]`": report.Probe{}}},
	} {
		_, section, _ := strings.Cut(page, begin)
		_, table, _ := strings.Cut(section, "|---|---|\n")
		table, _, _ = strings.Cut(table, "\n\n")
		var told []string
		for row := range strings.SplitSeq(table, "\n") {
			first, text, _ := strings.Cut(strings.Trim(row, "| "), " | ")
			told = append(told, quoted(first)...)
			if of := test.rows[first]; of != nil {
				for _, name := range names(of) {
					if !slices.Contains(quoted(text), name) {
						t.Errorf("%s, %s: the page has no %s", begin, first, name)
					}
				}
			}
		}
		slices.Sort(told)
		if slices.Sort(test.names); !slices.Equal(told, test.names) {
			t.Errorf("%s: the page has %v, the command %v", begin, told, test.names)
		}
	}
}
