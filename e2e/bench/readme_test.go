package bench

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
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

// costs is how the README's rows of what each build costs an Envoy with two workers begin, and which column of the
// results is shown, and how.
var costs = []struct {
	begins string
	column int
	format string
}{
	{"| V8 compiles it, when Envoy starts, in |", 3, " %.1f s |"},
	{"| memory it adds to an Envoy with two workers |", 6, " %.0f MB |"},
}

// readme returns the README with the figures of the results.
func readme(t *testing.T, text, results string) string {
	const begin, end = "<!-- benchmark -->\n\n", "\n<!-- /benchmark -->"
	before, rest, opened := strings.Cut(text, begin)
	_, after, closed := strings.Cut(rest, end)
	if !opened || !closed {
		t.Fatalf("README.md has no lines %q and %q", begin, end)
	}
	text = before + begin + excerpt(results) + end + after
	_, starts, _ := strings.Cut(results, "## Start and memory")
	for _, cost := range costs {
		row := cost.begins
		for line := range strings.Lines(starts) {
			if strings.HasPrefix(line, "| **healthgate") {
				value := must.Get(strconv.ParseFloat(strings.Fields(strings.Split(line, "|")[cost.column])[0], 64))(t)
				row += fmt.Sprintf(cost.format, value)
			}
		}
		before, rest, found := strings.Cut(text, cost.begins)
		_, after, _ := strings.Cut(rest, "\n")
		if !found {
			t.Fatalf("README.md has no row %q", cost.begins)
		}
		text = before + row + "\n" + after
	}
	return text
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
	text := string(must.Get(os.ReadFile(path))(t))
	want := readme(t, text, string(results))
	if *update {
		must.Write(t, "results.md", string(results))
		must.Write(t, path, want)
	} else if text != want {
		t.Errorf("README.md differs from e2e/bench/results.md: run make bench-publish, or\n%s", want)
	}
}
