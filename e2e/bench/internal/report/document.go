package report

import (
	"fmt"
	"strings"
)

// Insert returns a Markdown document with new text between the markers <!-- name --> and <!-- /name -->, each of
// which stands on a line of its own.
func Insert(document, name, text string) (string, error) {
	begin, end := "<!-- "+name+" -->\n", "<!-- /"+name+" -->\n"
	before, rest, found := strings.Cut(document, begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		return "", fmt.Errorf("the document has no lines %q and %q, one after the other", strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return before + begin + "\n" + strings.TrimSpace(text) + "\n\n" + end + after, nil
}
