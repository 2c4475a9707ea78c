package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// block is a fenced block of a document.
type block struct {
	language string // all that stands behind the fence
	text     string
	line     int
}

var fence = regexp.MustCompile("(?ms)^( *)```([^`\n]*)\n(.*?)^ *```$")

// blocks returns the fenced blocks of a document of the repository.
func blocks(t testing.TB, document string) []block {
	t.Helper()
	text := must.Get(os.ReadFile(filepath.Join(envoytest.Root, document)))(t)
	if m := indented.Find(fence.ReplaceAll(text, nil)); m != nil {
		t.Errorf("%s: give this a fence and a language: %s", document, m)
	}
	var out []block
	for _, m := range fence.FindAllSubmatchIndex(text, -1) {
		indent, language, body := string(text[m[2]:m[3]]), string(text[m[4]:m[5]]), string(text[m[6]:m[7]])
		out = append(out, block{
			language: language,
			text:     regexp.MustCompile(`(?m)^`+indent).ReplaceAllString(body, ""),
			line:     1 + strings.Count(string(text[:m[0]]), "\n"),
		})
	}
	return out
}

// indented matches a block of code without a fence, whose language can't be told.
var indented = regexp.MustCompile(`\n\n {4}[^\s*-].*`)

// What differs from run to run.
var (
	when = regexp.MustCompile(`\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT|\d{4}-\d\d-\d\dT[\d:.]+Z|` + // a moment
		`\b(\d+h)?(\d+m)?\d+(\.\d+)?(s|ms)\b`) // a duration
	space    = regexp.MustCompile(`[ \t]+`)
	anyLines = regexp.MustCompile(`(?m)^…\n`)
)

// plain leaves out of a text what differs from run to run: moments, durations, and so the width of columns.
func plain(text string) string {
	text = strings.ReplaceAll(text, "\r", "")
	return strings.TrimSpace(space.ReplaceAllString(when.ReplaceAllString(text, "WHEN"), " ")) + "\n"
}

// prints says whether a block of output stands for what was printed.
func prints(output, printed string) bool {
	parts := anyLines.Split(plain(output), -1)
	for i, part := range parts {
		parts[i] = strings.ReplaceAll(regexp.QuoteMeta(part), "…", ".*")
	}
	return regexp.MustCompile(`^` + strings.Join(parts, `(?:.*\n)*`) + `$`).MatchString(plain(printed))
}

func TestPrints(t *testing.T) {
	t.Parallel()
	const printed = "HTTP/1.1 200 OK\r\ndate: Sat, 28 Nov 2026 09:01:02 GMT\r\nx-time: 3\r\n\r\nOK"
	for _, test := range []struct {
		output string
		want   bool
	}{
		{"HTTP/1.1 200 OK\ndate: Sun, 01 Mar 2026 00:00:00 GMT\nx-time: 3\n\nOK\n", true},
		{"HTTP/1.1 200 OK\n…\nx-time: …\n…\nOK\n", true},
		{"HTTP/1.1 200 OK\n…\nOK\n", true},
		{"…\nOK\n", true},
		{"HTTP/1.1 200 OK\n…\n", true},
		{"HTTP/1.1 200 OK\n", false},
		{"OK\n", false},
		{"HTTP/1.1 503 …\n…\n", false},
		{"HTTP/1.1 200 OK\n…\nx-other: …\n…\n", false},
	} {
		if got := prints(test.output, printed); got != test.want {
			t.Errorf("%q: %v, want %v", test.output, got, test.want)
		}
	}
	const then, now = "shop  until 2026-12-01T06:00:00Z (in 30m0s)", "shop   until 2027-01-02T03:04:05Z (in 5s)\n"
	if !prints(then, now) {
		t.Error("moments and columns count")
	}
}
