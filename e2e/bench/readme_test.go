package bench

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

var update = flag.Bool("update", false, "publish the figures of the last make bench in results.md and the README")

// excerpt is what the README shows: the CPU time of these rows, from the first table.
func excerpt(results string) string {
	var out strings.Builder
	_, lines, _ := strings.Cut(results, "\n| |")
	lines, _, _ = strings.Cut("| |"+lines, "\n\n")
	for line := range strings.Lines(lines) {
		cells := strings.Split(line, "|")
		switch name := strings.TrimSpace(cells[1]); name {
		case "", "---", noFilter, native, "**healthgate, gate by route**", "**healthgate, TinyGo, gate by route**":
			out.WriteString(strings.Join([]string{"", cells[1], cells[3], cells[4], cells[6], cells[7], "\n"}, "|"))
		}
	}
	return out.String()
}

// TestReadme holds the README to the results, and the results to enough rounds.
func TestReadme(t *testing.T) {
	t.Parallel()
	source := "results.md"
	if *update {
		source = built("bench/results.md")
	}
	results := must.Get(os.ReadFile(source))(t)
	if strings.Contains(string(results), tooFew) {
		t.Fatalf("%s is of fewer than %d rounds: run make bench again", source, enough)
	}
	path := filepath.Join(envoytest.Root, "README.md")
	text := must.Get(os.ReadFile(path))(t)
	const begin, end = "<!-- benchmark -->\n\n", "\n<!-- /benchmark -->"
	before, rest, opened := strings.Cut(string(text), begin)
	shown, after, closed := strings.Cut(rest, end)
	if !opened || !closed {
		t.Fatalf("README.md has no lines %q and %q", begin, end)
	}
	want := excerpt(string(results))
	if *update {
		for file, text := range map[string]string{"results.md": string(results), path: before + begin + want + end + after} {
			must.Write(t, file, text)
		}
	} else if shown != want {
		t.Errorf("README.md differs from e2e/bench/results.md: run make bench-publish, or\n%s", want)
	}
}
