// Package dist makes what a release consists of, in one folder; docs/release.md has what is in it. The same sources and
// the same toolchains make the same bytes, wherever and whenever it runs. It is called by: make dist
package dist

import (
	"crypto/sha256"
	"debug/buildinfo"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// Main is the command dist. It returns the exit code.
func Main() int {
	var b built
	out := flag.String("out", "build/dist", "the `FOLDER` that is made, in the place of an earlier one")
	flag.StringVar(&b.version, "version", "devel", "the release's version")
	flag.StringVar(&b.commit, "commit", "unknown", "the commit that it is made of")
	flag.StringVar(&b.plugin, "wasm", "", "the plugin, built by Go")
	flag.StringVar(&b.small, "tinygo", "", "the plugin, built by TinyGo")
	flag.StringVar(&b.tinygo, "tinygo-version", "", "what tinygo version says")
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(),
			"usage: dist [flags] COMMAND...\n\nMakes a release's files; each COMMAND is healthgate, built for one platform.\n"+
				"Run it in the repository's root, by: make dist\n\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	if b.commands = flag.Args(); len(b.commands) == 0 || b.plugin == "" || b.small == "" || b.tinygo == "" {
		flag.Usage()
		return 2
	}
	if err := run(*out, &b); err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		return 1
	}
	return 0
}

// built is what a release is made of, besides the repository's files.
type built struct {
	version, commit string
	plugin          string   // the file of the plugin, built by Go
	small           string   // the same, built by TinyGo
	tinygo          string   // what tinygo version says
	commands        []string // the file of the command, built for each platform
}

// file is a built file.
type file struct {
	path string
	name string // in the release
}

// command is the file of the command for one platform.
type command struct {
	file
	os, arch string
	info     *buildinfo.BuildInfo
}

// sumsFile lists the SHA-256 of every other file, as sha256sum writes and checks it.
const sumsFile = "SHA256SUMS"

// shipped are the repository's files and folders that go with it, and where they go.
var shipped = map[string]string{
	"LICENSE":                      "LICENSE",
	"envoy/bootstrap.yaml":         "examples/bootstrap.yaml",
	"envoy/examples":               "examples",
	"envoy/healthgate.schema.json": "healthgate.schema.json",
	"envoy/healthgate.yaml":        "examples/healthgate.yaml",
	"envoy/watching":               "watching",
}

func run(out string, b *built) (err error) {
	next := filepath.Clean(out) + ".next"
	if err := os.RemoveAll(next); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(next))
		}
	}()
	plugin, small := file{b.plugin, "healthgate.wasm"}, file{b.small, "healthgate-tinygo.wasm"}
	commands, err := readCommands(b.commands)
	if err != nil {
		return err
	}
	for _, f := range []file{plugin, small} {
		if err := copyFile(f.path, filepath.Join(next, f.name), 0o644); err != nil {
			return err
		}
	}
	for _, c := range commands {
		if err := copyFile(c.path, filepath.Join(next, c.name), 0o755); err != nil {
			return err
		}
	}
	if err := writeImages(filepath.Join(next, "oci"), b, commands); err != nil {
		return err
	}
	for from, to := range shipped {
		if err := copyAll(from, filepath.Join(next, to)); err != nil {
			return err
		}
	}
	if err := writeSBOM(next, b, plugin, small, commands); err != nil {
		return err
	}
	if err := writeSums(next); err != nil {
		return err
	}
	if err := setModes(next); err != nil {
		return err
	}
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	return os.Rename(next, out)
}

// readCommands asks each binary for which platform it is.
func readCommands(paths []string) ([]command, error) {
	var commands []command
	for _, path := range paths {
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			return nil, err
		}
		c := command{file: file{path: path}, info: info}
		for _, setting := range info.Settings {
			switch setting.Key {
			case "GOOS":
				c.os = setting.Value
			case "GOARCH":
				c.arch = setting.Value
			}
		}
		c.name = "bin/healthgate-" + c.os + "-" + c.arch
		commands = append(commands, c)
	}
	return commands, nil
}

func copyFile(from, to string, mode fs.FileMode) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, text, mode)
}

// copyAll copies a file, or a folder and all in it. A file that its owner may run stays so.
func copyAll(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		return copyFile(path, filepath.Join(to, name), info.Mode().Perm())
	})
}

// setModes makes files readable for everyone, whatever umask the release was made with.
func setModes(folder string) error {
	return filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		isBlob := strings.HasPrefix(path, filepath.Join(folder, "oci")) // written with mode 0777
		if d.IsDir() || info.Mode()&0o100 != 0 && !isBlob {
			mode = 0o755
		}
		return os.Chmod(path, mode)
	})
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
