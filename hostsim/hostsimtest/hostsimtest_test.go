package hostsimtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/hostsim"
)

// pretended is a test that fails without failing the one that runs.
type pretended struct {
	testing.TB
	failed  bool
	cleanup []func()
	printed string
}

func (p *pretended) Failed() bool     { return p.failed }
func (p *pretended) Cleanup(f func()) { p.cleanup = append(p.cleanup, f) }
func (p *pretended) Log(args ...any)  { p.printed += fmt.Sprintln(args...) }
func (p *pretended) Error(args ...any) {
	p.Log(args...)
	p.failed = true
}
func (p *pretended) Fatalf(format string, args ...any) { p.Fatal(fmt.Sprintf(format, args...)) }
func (p *pretended) Fatal(args ...any) {
	p.Log(args...)
	panic(p)
}

func (p *pretended) end() string {
	for _, f := range p.cleanup {
		f()
	}
	return p.printed
}

const plugin = "../testdata/script"

func TestNew(t *testing.T) {
	t.Parallel()
	code := Build(t, plugin)
	for _, failed := range []bool{false, true} {
		p := &pretended{TB: t, failed: failed}
		host := New(p, code, hostsim.PluginConfig(`request_headers log 2 "it was asked"`))
		if reply := host.Worker(0).Get("/"); reply.Status != 200 {
			t.Error(reply)
		}
		if printed := p.end(); strings.Contains(printed, "it was asked") != failed {
			t.Errorf("failed %t: %s", failed, printed)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the host is still open")
				}
			}()
			host.Worker(0).Get("/")
		}()
	}
}

// TestCrash: the client has its answer when Envoy dies of what the plugin does then, so the test has to be told.
func TestCrash(t *testing.T) {
	t.Parallel()
	p := &pretended{TB: t}
	host := New(p, Build(t, plugin), hostsim.PluginConfig(`log send_local_response 403 "late" "no" "" -1`))
	if reply := host.Worker(0).Get("/"); reply.Status != 200 {
		t.Error(reply)
	}
	printed := p.end()
	if !p.failed || !strings.Contains(printed, "Envoy would have crashed: ") || !strings.Contains(printed, "the log of") {
		t.Errorf("failed: %t, %s", p.failed, printed)
	}
}

// TestCompilers looks at what the compilers of other languages are asked, with programs in their place.
func TestCompilers(t *testing.T) {
	bin, dir, path := t.TempDir(), t.TempDir(), os.Getenv("PATH")
	t.Setenv("PATH", bin)
	t.Setenv("TINYGO", "")
	for name, remedy := range map[string]string{"tinygo": "$TINYGO", "cargo": "PATH"} {
		if err := command(dir, name, nil, nil); err == nil || !strings.Contains(err.Error(), name+" is missing: put") ||
			!strings.Contains(err.Error(), remedy) {
			t.Error(err)
		}
	}
	t.Setenv("PATH", bin+":"+path)
	for name, script := range map[string]string{
		"tinygo": `for last; do [ "$was" = -o ] && echo "tinygo $*" >"$last"; was=$last; done`,
		"rustc":  `[ -z "$OLD" ] || [ "$2" != --target=wasm32-wasip1 ]`,
		"cargo":  `echo "cargo $*" >plugin.wasm; echo '{"filenames":["/x.d"]} {"filenames":["'$PWD'/plugin.wasm"]}'`,
	} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if got := string(BuildTinyGo(t, dir, "-opt=z")); !strings.HasPrefix(got, "tinygo build -target=wasip1 ") ||
		!strings.Contains(got, " -opt=z .") {
		t.Error(got)
	}
	if err := os.WriteFile(filepath.Join(dir, "Cargo.toml"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for old, target := range map[string]string{"": "wasm32-wasip1", "1.63.0": "wasm32-wasi"} {
		t.Setenv("OLD", old)
		if got := string(Build(t, dir, "--config=old"+old)); !strings.HasPrefix(got, "cargo build ") ||
			!strings.Contains(got, " --target="+target+" ") {
			t.Error(got)
		}
	}
}

// TestCoverage: go tool knows which lines of the plugin a test has executed.
func TestCoverage(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("GOCOVERDIR", dir)
	t.Run("plugin", func(t *testing.T) {
		New(t, Build(t, plugin, "-cover"), hostsim.PluginConfig("request_headers say here")).Worker(0).Get("/")
	})
	out, err := exec.Command("go", "tool", "covdata", "func", "-i="+dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for function, want := range map[string]string{"onRequestHeaders": "100.0%", "onTick": "0.0%"} {
		found := false
		for line := range strings.Lines(string(out)) {
			f := strings.Fields(line)
			found = found || len(f) == 3 && f[1] == function && f[2] == want
		}
		if !found {
			t.Errorf("%s is not %s in\n%s", function, want, out)
		}
	}
}

func TestBuildFails(t *testing.T) {
	t.Parallel()
	p := &pretended{TB: t}
	func() {
		defer func() { _ = recover() }()
		Build(p, t.TempDir())
	}()
	if !strings.Contains(p.printed, "go build") || !strings.Contains(p.printed, "go.mod") {
		t.Error(p.printed)
	}
}

func TestPrune(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	compiled := filepath.Join(dir, "compiled", "wazero@v1.2.3", "wazero-dev-amd64-linux")
	if err := os.MkdirAll(compiled, 0o755); err != nil {
		t.Fatal(err)
	}
	for n := range maxKept + 3 {
		if err := os.WriteFile(filepath.Join(compiled, fmt.Sprint(n)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := prune(dir); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(compiled); err != nil || len(left) != maxKept {
		t.Errorf("%d files, %v", len(left), err)
	}
}

// TestImports: whoever tests a plugin compiles wazero and golang.org/x/sys, and nothing else that is not Go's own.
func TestImports(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", ".", "..").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, module := range strings.Fields(string(out)) {
		switch module {
		case "github.com/healthgate/healthgate", "github.com/tetratelabs/wazero", "golang.org/x/sys":
		default:
			t.Errorf("hostsim imports %s", module)
		}
	}
}
