// Package published puts a report into the repository: as data, as a picture, and as tables in the documents.
package published

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/healthgate/healthgate/e2e/bench/internal/report"
)

// Where it goes, in the repository.
const (
	Data     = "e2e/bench/results.json"
	picture  = "e2e/bench/results.svg"
	document = "e2e/bench/README.md" // all tables, between the markers "results"
	summary  = "README.md"           // the brief one, between the markers "benchmark"
)

// Publish writes a report into the repository, merged into the one that is there. It refuses figures of a quick run, and
// a report on another machine or with other versions that lacks a section of the one that is there.
func Publish(root string, latest report.Report, sections []string) error {
	for _, t := range latest.Tables {
		if t.Quick {
			return fmt.Errorf("the section %s was measured with -quick: measure it again", t.Section)
		}
	}
	if len(latest.Tables) == 0 {
		return errors.New("nothing has been measured: run make bench")
	}
	old, err := report.Read(filepath.Join(root, Data))
	if err != nil {
		return err
	}
	r := report.Merge(old, latest, sections)
	for _, t := range old.Tables {
		if !slices.ContainsFunc(r.Tables, func(n report.Table) bool { return n.Section == t.Section }) {
			return fmt.Errorf("the section %s stands in %s from another machine or with other versions: measure it as well", t.Section, Data)
		}
	}
	files, err := Files(root, r)
	if err != nil {
		return err
	}
	text, err := r.JSON()
	if err != nil {
		return err
	}
	files[Data] = string(text)
	var failed []error
	for path, content := range files {
		failed = append(failed, os.WriteFile(filepath.Join(root, path), []byte(content), 0o644))
	}
	return errors.Join(failed...)
}

// Files returns what the documents and the picture have to be for a report, by path.
func Files(root string, r report.Report) (map[string]string, error) {
	out := map[string]string{picture: r.SVG()}
	for path, part := range map[string]struct{ marker, text string }{
		document: {"results", r.Markdown(3)},
		summary:  {"benchmark", r.Brief()},
	} {
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			return nil, err
		}
		if out[path], err = report.Insert(string(text), part.marker, part.text); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return out, nil
}
