package cli

import (
	"strings"
	"testing"

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
