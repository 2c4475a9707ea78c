package published

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/bench/internal/report"
)

func TestPublishRefuses(t *testing.T) {
	t.Parallel()
	sound := report.Table{Section: "a"}
	for want, tables := range map[string][]report.Table{
		"section b has not been measured": {sound},
		"measured with -quick":            {sound, {Section: "b", Quick: true}},
	} {
		root := t.TempDir()
		err := Publish(root, report.Report{Tables: tables}, []string{"a", "b"})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
		if left, _ := os.ReadDir(root); len(left) != 0 {
			t.Errorf("it wrote %v", left)
		}
	}
}

func TestPublish(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, filepath.Dir(document)), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		document: "# All\n<!-- results -->\n<!-- /results -->\n",
		summary:  "# Brief\n<!-- benchmark -->\n<!-- /benchmark -->\n",
	} {
		if err := os.WriteFile(filepath.Join(root, path), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r := report.Report{Tables: []report.Table{{
		Section: "a", Title: "Title", Columns: []report.Column{{ID: "x", Title: "x"}}, Chart: "x",
		Rows: []report.Row{{Name: "long", Cells: map[string]report.Cell{"x": {Value: 1}}}, {Name: "short", Brief: true}},
	}}}
	if err := Publish(root, r, []string{"a"}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]map[string]bool{
		document: {"### Title": true, "| long | 1 |": true, "| short |": true},
		summary:  {"Title": true, "long": false, "| short |": true},
		picture:  {"long": true},
		Data:     {`"long"`: true},
	} {
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		for part, is := range want {
			if strings.Contains(string(text), part) != is {
				t.Errorf("%s: contains %q: %v\n%s", path, part, !is, text)
			}
		}
	}
}
