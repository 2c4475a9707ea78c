package published

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/bench/internal/report"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// No figure stands in a document that is not in the data.
func TestDocumentsSayWhatTheDataSays(t *testing.T) {
	t.Parallel()
	r, err := report.Read(filepath.Join(envoytest.Root, Data))
	if err != nil || len(r.Tables) == 0 {
		t.Fatalf("%d tables, error %v", len(r.Tables), err)
	}
	files, err := Files(envoytest.Root, r)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range files {
		got, err := os.ReadFile(filepath.Join(envoytest.Root, path))
		if err != nil || string(got) != want {
			t.Errorf("%s differs from %s (error %v): run make bench-publish", path, Data, err)
		}
	}
}

// repository makes the documents with nothing between their markers.
func repository(t *testing.T) string {
	t.Helper()
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
	return root
}

func read(t *testing.T, root, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestPublish(t *testing.T) {
	t.Parallel()
	root := repository(t)
	table := report.Table{
		Section: "a", Title: "Title", Columns: []report.Column{{ID: "x", Title: "x", Brief: true}}, Chart: "x",
		Rows: []report.Row{{Name: "long", Cells: map[string]report.Cell{"x": {Value: 1}}}, {Name: "short", Brief: true}},
	}
	later := table
	later.Section, later.Title = "b", "Later"
	for _, tables := range [][]report.Table{{table}, {later}} { // what is not measured again stays
		if err := Publish(root, report.Report{Tables: tables}, []string{"a", "b"}); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]map[string]bool{
		document: {"### Title": true, "### Later": true, "| long | 1 |": true, "| short |": true},
		summary:  {"Title: x": true, "Later: x": true, "long": false, "| short |": true},
		picture:  {"long": true},
		Data:     {`"Title"`: true, `"Later"`: true},
	} {
		text := read(t, root, path)
		for part, is := range want {
			if strings.Contains(text, part) != is {
				t.Errorf("%s: contains %q: %v\n%s", path, part, !is, text)
			}
		}
	}
}

func TestPublishRefuses(t *testing.T) {
	t.Parallel()
	root := repository(t)
	sections := []string{"a", "b"}
	if err := Publish(root, report.Report{Tables: []report.Table{{Section: "a"}, {Section: "b"}}}, sections); err != nil {
		t.Fatal(err)
	}
	before := read(t, root, Data)
	for want, latest := range map[string]report.Report{
		"nothing has been measured":       {},
		"measured with -quick":            {Tables: []report.Table{{Section: "b", Quick: true}}},
		"the section a stands in e2e/ben": {Machine: report.Machine{CPUs: 64}, Tables: []report.Table{{Section: "b"}}},
	} {
		if err := Publish(root, latest, sections); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if read(t, root, Data) != before {
		t.Error("it wrote something all the same")
	}
}
