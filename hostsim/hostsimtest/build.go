package hostsimtest

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Build compiles the plugin in dir, relative to the test's package, and returns the module: a Go program, or a Rust
// crate if there is a Cargo.toml. The flags go to go build -buildmode=c-shared or cargo build --release. It builds once
// in a process; and if nothing has changed since the last go test, the compilers have nothing to do. Failure ends the
// test with what the compiler says.
//
// With the flag -cover, a plugin in Go counts what it executes; New writes that to the directory $GOCOVERDIR, for go
// tool covdata.
//
// A plugin in Go needs Go 1.24, one in Rust the target wasm32-wasip1, or wasm32-wasi as older releases call it.
func Build(t testing.TB, dir string, flags ...string) []byte {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, "Cargo.toml")); err == nil {
		return build(t, "cargo", cargo, dir, flags)
	}
	return build(t, "go", golang, dir, flags)
}

// BuildTinyGo is Build with TinyGo: tinygo of the PATH, or $TINYGO.
func BuildTinyGo(t testing.TB, dir string, flags ...string) []byte {
	t.Helper()
	return build(t, "tinygo", tinygo, dir, flags)
}

// compiler builds the plugin in dir, and leaves it in the file out or says where else it is.
type compiler func(dir, out string, flags []string) (string, error)

func golang(dir, out string, flags []string) (string, error) {
	// GOTMPDIR beside the file lets go build rename what it made, so that nobody reads half of it.
	program, env := "go", []string{"GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOTMPDIR=" + filepath.Dir(out)}
	args := append([]string{"build", "-buildmode=c-shared", "-o", out}, flags...)
	if slices.ContainsFunc(flags, func(f string) bool { return strings.HasPrefix(f, "-cover") }) {
		c, err := coverageExport(dir, out)
		if err != nil {
			return "", err
		}
		program, env, args = c.program, append(env, c.env...), append(args, c.flags...)
	}
	return out, command(dir, program, append(args, "."), nil, env...)
}

func tinygo(dir, out string, flags []string) (string, error) {
	args := append([]string{"build", "-target=wasip1", "-buildmode=c-shared", "-o", out}, flags...)
	return out, command(dir, cmp.Or(os.Getenv("TINYGO"), "tinygo"), append(args, "."), nil)
}

func cargo(dir, out string, flags []string) (string, error) {
	var messages bytes.Buffer
	target := "wasm32-wasip1"
	if command(dir, cmp.Or(os.Getenv("RUSTC"), "rustc"), []string{"--print=sysroot", "--target=" + target}, nil) != nil {
		target = "wasm32-wasi" // its name before Rust 1.78
	}
	args := append([]string{"build", "--quiet", "--release", "--target=" + target, "--message-format=json",
		"--target-dir=" + out + ".target"}, flags...)
	if err := command(dir, "cargo", args, &messages); err != nil {
		return "", err
	}
	for d := json.NewDecoder(&messages); d.More(); {
		var m struct{ Filenames []string }
		if err := d.Decode(&m); err != nil {
			return "", err
		}
		isWasm := func(name string) bool { return filepath.Ext(name) == ".wasm" }
		if i := slices.IndexFunc(m.Filenames, isWasm); i >= 0 {
			return m.Filenames[i], nil
		}
	}
	return "", fmt.Errorf(`%s: cargo made no .wasm file: Cargo.toml needs [lib] crate-type = ["cdylib"]`, dir)
}

func command(dir, name string, args []string, stdout *bytes.Buffer, env ...string) error {
	var said bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env, cmd.Stderr, cmd.Stdout = dir, append(os.Environ(), env...), &said, &said
	if stdout != nil {
		cmd.Stdout = stdout
	}
	switch err := cmd.Run(); {
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("%s is missing: put it on the PATH%s, or take a module that is built: os.ReadFile", name,
			map[string]string{"tinygo": " or name it in $TINYGO"}[name])
	case err != nil:
		return fmt.Errorf("in %s, %s %s: %w\n%s", dir, name, strings.Join(args, " "), err, said.String())
	}
	return nil
}

// builds are those of this process, by the name of their file.
var builds sync.Map

func build(t testing.TB, name string, compile compiler, dir string, flags []string) []byte {
	t.Helper()
	cache, err := cacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	key := sha256.Sum256(fmt.Appendf(nil, "%q", append([]string{name, dir}, flags...)))
	out := filepath.Join(cache, "built", hex.EncodeToString(key[:8]))
	once, _ := builds.LoadOrStore(out, sync.OnceValues(func() ([]byte, error) {
		file, err := compile(dir, out, flags)
		if err != nil {
			return nil, err
		}
		return os.ReadFile(file)
	}))
	code, err := once.(func() ([]byte, error))()
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// maxKept is how many files of compiled plugins stay in the cache.
const maxKept = 32

// prune removes the oldest files of what wazero has kept, which is another with each change of a plugin.
func prune(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "compiled", "*", "*", "*"))
	written := make(map[string]time.Time)
	for _, file := range files {
		if info, err := os.Stat(file); err == nil { // else another process removed it
			written[file] = info.ModTime()
		}
	}
	slices.SortFunc(files, func(a, b string) int { return written[b].Compare(written[a]) })
	for _, file := range files[min(len(files), maxKept):] {
		_ = os.Remove(file) // or another process did
	}
	return err
}
