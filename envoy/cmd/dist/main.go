// Command dist makes what a release consists of, in one folder: the plugin, as files and as an OCI image layout that
// Istio's WasmPlugin takes, the rendered examples, and the sums of all of it. The same sources and the same toolchains
// make the same bytes, wherever and whenever it runs. It is called by: make dist
package main

import (
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

func main() {
	out := flag.String("out", "build/dist", "the `FOLDER` that is made, in the place of an earlier one")
	wasm := flag.String("wasm", "build/healthgate.wasm", "the plugin, built by Go")
	small := flag.String("tinygo", "", "the plugin, built by TinyGo; empty when there is none")
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "Makes a release's files. Run it in the repository's root, by: make dist\n\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*out, *wasm, *small); err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1)
	}
}

// sumsFile lists the SHA-256 of every other file, as sha256sum writes and checks it.
const sumsFile = "SHA256SUMS"

// shipped are the files that an operator copies.
var shipped = []string{"envoy/bootstrap.yaml", "envoy/disk-layer", "envoy/healthgate.schema.json", "envoy/healthgate.yaml"}

func run(out, wasm, small string) (err error) {
	next := filepath.Clean(out) + ".next"
	if err := os.RemoveAll(next); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(next))
		}
	}()
	builds := []build{{"standard", wasm, "healthgate.wasm"}}
	if small != "" {
		builds = append(builds, build{"tinygo", small, "healthgate-tinygo.wasm"})
	}
	for _, b := range builds {
		if err := copyFile(b.path, filepath.Join(next, b.name)); err != nil {
			return err
		}
	}
	if err := writeLayout(filepath.Join(next, "oci"), builds); err != nil {
		return err
	}
	for _, file := range shipped {
		if err := copyFile(file, filepath.Join(next, "examples", strings.TrimPrefix(file, "envoy/"))); err != nil {
			return err
		}
	}
	err = filepath.WalkDir("envoy/examples", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return copyFile(path, filepath.Join(next, strings.TrimPrefix(filepath.ToSlash(path), "envoy/")))
	})
	if err != nil {
		return err
	}
	if err := writeSums(next); err != nil {
		return err
	}
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	return os.Rename(next, out)
}

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if info.Mode()&0o100 != 0 && !strings.HasSuffix(to, ".wasm") {
		mode = 0o755
	}
	return os.WriteFile(to, text, mode)
}

func writeSums(folder string) error {
	var lines []string
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder, path)
		lines = append(lines, fmt.Sprintf("%x  %s\n", sha256.Sum256(text), filepath.ToSlash(name)))
		return err
	})
	if err != nil {
		return err
	}
	sort.Slice(lines, func(i, j int) bool { return lines[i][66:] < lines[j][66:] })
	return os.WriteFile(filepath.Join(folder, sumsFile), []byte(strings.Join(lines, "")), 0o644)
}
