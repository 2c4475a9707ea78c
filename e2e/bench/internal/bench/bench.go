// Package bench is what the sections of the benchmark share: where they are, how long they may take, and what a
// section is.
package bench

import (
	"cmp"
	"context"
	"fmt"
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
	Logf   func(format string, args ...any)

	versions []report.Version
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
func (e *Env) Healthgate() Artifact { return e.built("build/healthgate.wasm", "run make filter") }

func (e *Env) built(path, remedy string) Artifact {
	path = filepath.Join(e.Root, path)
	if _, err := os.Stat(path); err != nil {
		return Artifact{Missing: fmt.Sprintf("%v; %s", err, remedy)}
	}
	return Artifact{Path: path}
}

// TinyGo builds the plugin with TinyGo.
func (e *Env) TinyGo(ctx context.Context) Artifact {
	return e.Build(ctx, "healthgate-tinygo.wasm", "scripts/build-tinygo")
}

// Build runs a script of the repository that takes the path of what it builds as its last argument.
func (e *Env) Build(ctx context.Context, name string, script ...string) Artifact {
	output := filepath.Join(e.Root, "build", "bench", name)
	if err := os.MkdirAll(filepath.Dir(output), 0o755); err != nil {
		return Artifact{Missing: err.Error()}
	}
	e.Logf("building %s", name)
	cmd := exec.CommandContext(ctx, script[0], append(script[1:], output)...)
	cmd.Dir = e.Root
	if out, err := cmd.CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return Artifact{Missing: cmp.Or(lines[len(lines)-1], err.Error())}
	}
	return Artifact{Path: output}
}

// EnvoyVersion returns the version that an Envoy says it is, "1.40.0".
func EnvoyVersion(ctx context.Context, path string) string {
	if m := envoyVersion.FindStringSubmatch(firstLine(ctx, path, "--version")); m != nil {
		return m[1]
	}
	return ""
}

// "envoy  version: COMMIT/1.40.0/Clean/RELEASE/BoringSSL"
var envoyVersion = regexp.MustCompile(`version: [^/]*/([^/]+)/`)

// GoVersion returns the version of the Go that builds the plugin, "1.26.1".
func GoVersion(ctx context.Context) string {
	return strings.TrimPrefix(firstLine(ctx, "go", "env", "GOVERSION"), "go")
}

// firstLine returns the first line that is not empty of what a command says of itself; nothing if it fails.
func firstLine(ctx context.Context, command string, args ...string) string {
	out, _ := exec.CommandContext(ctx, command, args...).Output()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line
}
