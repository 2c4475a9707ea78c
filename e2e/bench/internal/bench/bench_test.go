package bench

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/healthgate/healthgate/e2e/bench/internal/report"
)

func TestUsedNotesAVersionOnce(t *testing.T) {
	t.Parallel()
	var e Env
	e.Used("Envoy", "1.40.0\n")
	e.Used("wrk", "4.1.0")
	e.Used("Envoy", "1.40.0")
	want := []report.Version{{Name: "Envoy", Version: "1.40.0"}, {Name: "wrk", Version: "4.1.0"}}
	if !slices.Equal(e.Versions(), want) {
		t.Errorf("%v, want %v", e.Versions(), want)
	}
}

// script writes a shell script and returns its path.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBuild(t *testing.T) {
	t.Parallel()
	e := Env{Root: t.TempDir(), Logf: t.Logf}
	built := e.Build(context.Background(), "x.wasm", script(t, `echo text >"$1"`))
	if text, err := os.ReadFile(built.Path); built.Missing != "" || err != nil || string(text) != "text\n" {
		t.Errorf("%+v, %q, error %v", built, text, err)
	}
	if again := e.Build(context.Background(), "x.wasm", script(t, "exit 1")); again != built {
		t.Errorf("built again: %+v", again)
	}
	for name, c := range map[string]struct{ text, missing string }{
		"says why":     {"echo at first; echo 'no compiler: install one' >&2; exit 1", "no compiler: install one"},
		"through make": {"echo 'no compiler'; echo 'make: *** [x] Error 1'; exit 2", "no compiler"},
		"says nothing": {"exit 3", "exit status 3"},
	} {
		if got := e.Build(context.Background(), name, script(t, c.text)); got != (Artifact{Missing: c.missing}) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestEnvoyVersion(t *testing.T) {
	t.Parallel()
	path := script(t, `echo; echo "$0  version: 9e55/1.40.0/Clean/RELEASE/BoringSSL"; echo`)
	if got := EnvoyVersion(context.Background(), path); got != "1.40.0" {
		t.Errorf("%q", got)
	}
}
