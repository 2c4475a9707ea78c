// Package bench is what the sections of the benchmark share: where they are, how long they may take, and what a
// section is.
package bench

import (
	"cmp"
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/healthgate/healthgate/e2e/bench/internal/report"
)

// Section is a part of the benchmark, which can be run by itself.
type Section struct {
	ID      string // as in `make bench SECTIONS=checks`
	Summary string // in one line
	// Measure returns what it has measured even if a part of it failed, together with the error.
	Measure func(context.Context, *Env) ([]report.Table, error)
}

// Env is where a benchmark runs.
type Env struct {
	Root   string // of the repository
	Dir    string // scratch, empty at first
	Quick  bool   // to see that all works: the figures are worth nothing
	Rounds int    // how often each case is measured
	Rand   *rand.Rand
	Envoy  string // path of the binary
	Wrk    string // path of the load generator
	Lock   string // path of a file to lock while measuring alone; empty for none
	Logf   func(format string, args ...any)

	versions []report.Version
	built    map[string]Artifact // by the path in the repository
}

// Used notes the version of something that the figures depend on.
func (e *Env) Used(name, version string) {
	v := report.Version{Name: name, Version: strings.TrimSpace(version)}
	for _, known := range e.versions {
		if known == v {
			return
		}
	}
	e.versions = append(e.versions, v)
}

// Versions returns what has been noted.
func (e *Env) Versions() []report.Version { return e.versions }

// Artifact is something that has been built, or why it has not been.
type Artifact struct {
	Path    string
	Missing string // "TinyGo is not installed"; empty if Path is there
}

// Healthgate returns the plugin that `make filter` built.
func (e *Env) Healthgate() Artifact {
	path := filepath.Join(e.Root, "build", "healthgate.wasm")
	if _, err := os.Stat(path); err != nil {
		return Artifact{Missing: "run make filter: " + err.Error()}
	}
	return Artifact{Path: path}
}

// TinyGo returns the plugin built with TinyGo.
func (e *Env) TinyGo(ctx context.Context) Artifact {
	a := e.run(ctx, "build/healthgate-tinygo.wasm", "make", "--no-print-directory", "filter-tinygo")
	if a.Missing == "" {
		tinygo := FirstLine(ctx, filepath.Join(e.Root, "scripts", "get-tinygo"))
		if words := strings.Fields(FirstLine(ctx, tinygo, "version")); len(words) > 2 {
			e.Used("TinyGo", words[2])
		}
	}
	return a
}

// Build runs a script of the repository that takes the path of what it builds as its last argument.
func (e *Env) Build(ctx context.Context, name string, script ...string) Artifact {
	output := filepath.Join("build", "bench", name)
	if err := os.MkdirAll(filepath.Join(e.Root, filepath.Dir(output)), 0o755); err != nil {
		return Artifact{Missing: err.Error()}
	}
	return e.run(ctx, output, append(script, output)...)
}

// run runs a command in the repository's folder, which builds the file output in it; once for each output.
func (e *Env) run(ctx context.Context, output string, command ...string) Artifact {
	if a, known := e.built[output]; known {
		return a
	}
	e.Logf("building %s", output)
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = e.Root
	a := Artifact{Path: filepath.Join(e.Root, output)}
	if out, err := cmd.CombinedOutput(); err != nil {
		a = Artifact{Missing: cmp.Or(LastLine(out), err.Error())}
	}
	if e.built == nil {
		e.built = map[string]Artifact{}
	}
	e.built[output] = a
	return a
}

// EnvoyVersion returns the version that an Envoy says it is, "1.40.0".
func EnvoyVersion(ctx context.Context, path string) string {
	if m := envoyVersion.FindStringSubmatch(FirstLine(ctx, path, "--version")); m != nil {
		return m[1]
	}
	return ""
}

// "envoy  version: COMMIT/1.40.0/Clean/RELEASE/BoringSSL"
var envoyVersion = regexp.MustCompile(`version: [^/]*/([^/]+)/`)

// GoVersion returns the version of the Go that builds the plugin, "1.26.1".
func GoVersion(ctx context.Context) string {
	return strings.TrimPrefix(FirstLine(ctx, "go", "env", "GOVERSION"), "go")
}

// FirstLine returns the first line, of those that are not empty, of what a command prints; nothing if it fails.
func FirstLine(ctx context.Context, command string, args ...string) string {
	out, _ := exec.CommandContext(ctx, command, args...).Output()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line
}

// FirstLineOf returns the first line of an error: an Envoy's log may stand behind it.
func FirstLineOf(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// LastLine returns the last line that is not empty and not make's own: where a command that failed says why.
func LastLine(output []byte) string {
	last := ""
	for line := range strings.Lines(string(output)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "make") {
			last = line
		}
	}
	return last
}
