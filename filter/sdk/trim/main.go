// Command trim is the first step of building the plugin: trim DIR
//
// It copies the SDK without the names of the packages fmt and time, and writes a go.mod for `go build -modfile` that takes
// the copy for the SDK. The plugin uses neither, but what a program only imports is linked and initialized all the same:
// standard files, network pollers and GODEBUG settings, 200 kB of the module's code. A plugin built without it works.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const module = "github.com/proxy-wasm/proxy-wasm-go-sdk"

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: trim DIR")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "trim: %v\n", err)
		os.Exit(1)
	}
}

// run writes into a folder of the main module, whose root it is started in.
func run(dir string) error {
	from, err := list("-m", "-f", "{{.Dir}}", module)
	if err != nil {
		return err
	}
	to := filepath.Join(dir, "module")
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	root := module + "/proxywasm"
	files, err := list("-f", `{{$dir := .Dir}}{{range .GoFiles}}{{$dir}}/{{.}}{{"\n"}}{{end}}`, root, root+"/internal", root+"/types")
	if err != nil {
		return err
	}
	for _, file := range append(files, filepath.Join(from[0], "go.mod")) {
		name, err := filepath.Rel(from[0], file)
		if err != nil {
			return err
		}
		source, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if strings.HasSuffix(file, ".go") {
			if source, err = trim(file, source); err != nil {
				return err
			}
		}
		if err := write(filepath.Join(to, name), source); err != nil {
			return err
		}
	}
	gomod, err := os.ReadFile("go.mod")
	if err != nil {
		return err
	}
	gosum, err := os.ReadFile("go.sum")
	if err != nil {
		return err
	}
	gomod = fmt.Appendf(gomod, "\nreplace %s => ./%s\n", module, filepath.ToSlash(to))
	if err := write(filepath.Join(dir, "go.sum"), gosum); err != nil {
		return err
	}
	return write(filepath.Join(dir, "go.mod"), gomod)
}

func write(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o644)
}

// list returns what go list writes about the plugin's build, line by line.
func list(args ...string) ([]string, error) {
	command := exec.Command("go", append([]string{"list"}, args...)...)
	command.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", command, err)
	}
	return strings.Fields(string(out)), nil
}
