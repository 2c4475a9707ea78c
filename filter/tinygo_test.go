package main

import (
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The plugin must compile with TinyGo, which is not on every machine. These tests hold its sources to what TinyGo
// compiles well and small: a short list of imports, no goroutines, and the language of Go 1.23.

// allowedImports are small in code and free of reflection. fmt, encoding/json and regexp would each add a tenth to
// the standard Go module and multiply the TinyGo one; time and net/netip a twentieth, which packages duration, rfc3339
// and trust do without.
var allowedImports = map[string]bool{
	"bytes": true, "encoding/binary": true, "errors": true, "math": true,
	"strconv": true, "strings": true, "unicode/utf8": true, "unsafe": true,
}

const ownImports = "github.com/healthgate/healthgate/filter/"

// inTinyGoBuild evaluates a file's build constraint for TinyGo's wasm target.
func inTinyGoBuild(t *testing.T, file *ast.File) bool {
	for _, group := range file.Comments {
		for _, c := range group.List {
			if group.Pos() > file.Package || !constraint.IsGoBuild(c.Text) {
				continue
			}
			expr, err := constraint.Parse(c.Text)
			if err != nil {
				t.Fatal(err)
			}
			return expr.Eval(func(tag string) bool { return tag == "tinygo" || tag == "wasm" || tag == "wasip1" })
		}
	}
	return true
}

func TestSourcesSuitTinyGo(t *testing.T) {
	t.Parallel()
	files := token.NewFileSet()
	seen := 0
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if path == "link" || path == filepath.Join("sdk", "trim") { // steps of the build, not parts of the plugin
			return fs.SkipDir
		}
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(files, path, nil, parser.ParseComments)
		if err != nil || !inTinyGoBuild(t, file) {
			return err
		}
		seen++
		for _, spec := range file.Imports {
			name, _ := strconv.Unquote(spec.Path.Value)
			isSDK := strings.HasPrefix(name, "github.com/tetratelabs/proxy-wasm-go-sdk/") && filepath.Dir(path) == "sdk"
			if !allowedImports[name] && !strings.HasPrefix(name, ownImports) && !isSDK {
				t.Errorf("%s: import of %q, which is not among those that suit TinyGo", files.Position(spec.Pos()), name)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n.(type) {
			case *ast.GoStmt, *ast.SelectStmt, *ast.ChanType:
				t.Errorf("%s: goroutines and channels need a scheduler, which the plugin is built without", files.Position(n.Pos()))
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 20 {
		t.Errorf("only %d source files were found", seen)
	}
}

func TestSourcesKeepToGo123(t *testing.T) {
	t.Parallel()
	build := exec.Command("go", "build", "-gcflags=-lang=go1.23", "-o", os.DevNull, "./...")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
