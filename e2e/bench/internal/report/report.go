// Package report holds what a benchmark found, and writes it for people and for programs.
package report

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/healthgate/healthgate/e2e/bench/internal/stats"
)

// Report is all that was found on one machine with one set of versions.
type Report struct {
	Machine  Machine   `json:"machine"`
	Versions []Version `json:"versions"`
	Tables   []Table   `json:"tables"`
}

// Machine is where it was measured.
type Machine struct {
	CPU    string `json:"cpu"`
	CPUs   int    `json:"cpus"`
	Memory int64  `json:"memory_bytes"`
	OS     string `json:"os"`
	Kernel string `json:"kernel"`
}

// Version is what something that was measured, or helped to, says it is.
type Version struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Table is one comparison: a row for each thing compared, a column for each thing measured.
type Table struct {
	Section  string    `json:"section"` // the section of the benchmark that measured it
	ID       string    `json:"id"`      // unique in the report
	Title    string    `json:"title"`
	About    string    `json:"about"` // how it was measured
	Measured time.Time `json:"measured"`
	Commit   string    `json:"commit"` // of the repository
	Quick    bool      `json:"quick,omitempty"`
	Columns  []Column  `json:"columns"`
	Rows     []Row     `json:"rows"`
	Chart    string    `json:"chart,omitempty"` // ID of the column that the picture shows, if any
}

// Column is a thing measured.
type Column struct {
	ID       string `json:"id"`
	Title    string `json:"title"` // with its unit
	Decimals int    `json:"decimals"`
	Brief    bool   `json:"brief,omitempty"` // the short form has it
}

// Row is a thing compared.
type Row struct {
	Name    string          `json:"name"`
	Cells   map[string]Cell `json:"cells,omitempty"`   // by the column's ID; one that is not there was not to be measured
	Missing string          `json:"missing,omitempty"` // why nothing of it was measured
	Ours    bool            `json:"ours,omitempty"`    // it is healthgate: tables and picture set it off
	Brief   bool            `json:"brief,omitempty"`   // the short form has it
}

// Cell is a figure.
type Cell struct {
	Value   float64 `json:"value"`            // of several samples, the median
	Spread  float64 `json:"spread,omitempty"` // half the distance between the quartiles, as a share of the value
	Samples int     `json:"samples,omitempty"`
}

// Sampled returns the figure that several measurements make.
func Sampled(samples []float64) Cell {
	return Cell{stats.Median(samples), stats.Spread(samples), len(samples)}
}

// Read reads a report that Write wrote. A file that is not there is an empty report.
func Read(path string) (Report, error) {
	var r Report
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return r, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return r, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// JSON returns the report as a file for Read.
func (r Report) JSON() ([]byte, error) {
	text, err := json.MarshalIndent(r, "", "  ")
	return append(text, '\n'), err
}

// Merge returns the report that new tables make of an old report: tables of the same section are replaced, the others
// stay, unless they were measured on another machine or with another version of anything. Sections says in which order
// the tables are to be.
func Merge(old, latest Report, sections []string) Report {
	if old.Machine != latest.Machine || conflict(old.Versions, latest.Versions) {
		return latest
	}
	out := Report{Machine: latest.Machine, Versions: slices.Clone(old.Versions)}
	for _, v := range latest.Versions {
		if !slices.Contains(out.Versions, v) {
			out.Versions = append(out.Versions, v)
		}
	}
	for _, section := range sections {
		from := latest
		if !slices.ContainsFunc(latest.Tables, func(t Table) bool { return t.Section == section }) {
			from = old
		}
		for _, t := range from.Tables {
			if t.Section == section {
				out.Tables = append(out.Tables, t)
			}
		}
	}
	return out
}

func conflict(old, latest []Version) bool {
	for _, a := range old {
		for _, b := range latest {
			if a.Name == b.Name && a.Version != b.Version {
				return true
			}
		}
	}
	return false
}
