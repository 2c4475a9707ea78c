package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/bench/internal/bench"
	"github.com/healthgate/healthgate/e2e/bench/internal/report"
)

// A section that fails loses neither the others' figures nor what it measured itself; one that is interrupted ends the run.
func TestMeasureAll(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(context.Background())
	defer interrupt()
	section := func(id string, err error, tables ...string) bench.Section {
		return bench.Section{ID: id, Measure: func(context.Context, *bench.Env) (out []report.Table, _ error) {
			if id == "throw" {
				interrupt()
			}
			for _, title := range tables {
				out = append(out, report.Table{ID: title, Title: title, Rows: []report.Row{{Name: "row"}}})
			}
			return out, err
		}}
	}
	output := t.TempDir()
	env := &bench.Env{Root: t.TempDir(), Logf: t.Logf}
	err := measureAll(ctx, env, []bench.Section{
		section("checks", errors.New("one row failed"), "half"),
		section("traffic", errors.New("could not start")),
		section("latency", nil, "whole"),
		section("throw", nil, "interrupted"),
		section("scale", nil, "never"),
	}, output)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"section checks: one row failed", "section traffic: could not start", "interrupted in section throw"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
	r, err := report.Read(filepath.Join(output, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var titles []string
	for _, table := range r.Tables {
		titles = append(titles, table.Title)
	}
	if !slices.Equal(titles, []string{"half", "whole"}) {
		t.Errorf("the report has %q", titles)
	}
	if _, err := os.Stat(filepath.Join(output, "report.md")); err != nil {
		t.Error(err)
	}
}
