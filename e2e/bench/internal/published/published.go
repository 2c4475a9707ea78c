// Package published puts a report into the repository: as data, as a picture, and as tables in the documents.
package published

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/healthgate/healthgate/e2e/bench/internal/report"
)

// Where it goes, in the repository.
const (
	Data     = "e2e/bench/results.json"
	picture  = "e2e/bench/results.svg"
	document = "e2e/bench/README.md" // all tables, between the markers "results"
	summary  = "README.md"           // the brief ones, between the markers "benchmark"
)

// Publish writes the report into the repository. It refuses one that lacks a section or has a quick one.
func Publish(root string, r report.Report, sections []string) error {
	measured := map[string]bool{}
	for _, t := range r.Tables {
		if t.Quick {
			return fmt.Errorf("the section %s was measured with -quick: measure it again", t.Section)
		}
		measured[t.Section] = true
	}
	for _, s := range sections {
		if !measured[s] {
			return fmt.Errorf("the section %s has not been measured on this machine with these versions", s)
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
