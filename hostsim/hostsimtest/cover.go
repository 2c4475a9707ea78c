package hostsimtest

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/healthgate/healthgate/hostsim"
)

// coverageFunction is what a plugin that was built with -cover exports beside its callbacks. Go writes what was
// executed when a program exits, and to files; a plugin does neither.
const coverageFunction = "hostsim_coverage"

// goCommand is how go is started for a build.
type goCommand struct {
	program    string
	env, flags []string
}

// coverageExport lets go build add the function to Go's own package for coverage, by an overlay: the compiler puts that
// package into whatever it builds with -cover. The plugin's sources stay as they are.
//
// Go refuses an overlay of files below GOMODCACHE, where it keeps the toolchains that it fetches. So it is started from
// there, with another name for GOMODCACHE.
func coverageExport(dir, out string) (*goCommand, error) {
	env := exec.Command("go", "env", "GOROOT", "GOMODCACHE")
	env.Dir = dir // whose go.mod may choose another toolchain
	said, err := env.Output()
	if err != nil {
		return nil, err
	}
	root, modules, _ := strings.Cut(strings.TrimSpace(string(said)), "\n")
	source, overlay, link := out+".cover.go", out+".overlay.json", out+".modules"
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{
		filepath.Join(root, "src", "internal", "coverage", "cfile", "hostsim.go"): source}})
	if err != nil {
		return nil, err
	}
	const text = `package cfile

import "os"

//go:wasmexport ` + coverageFunction + `
func hostsimCoverage() {
	_ = WriteMeta(os.Stdout)
	_ = WriteCounters(os.Stdout)
}
`
	_ = os.Remove(link) // the first time, there is none
	if err := os.Symlink(modules, link); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return &goCommand{
		program: filepath.Join(root, "bin", "go"),
		env:     []string{"GOROOT=" + root, "GOTOOLCHAIN=local", "GOMODCACHE=" + link},
		flags:   []string{"-covermode=atomic", "-overlay=" + overlay}, // atomic counters can be read any time
	}, errors.Join(os.WriteFile(source, []byte(text), 0o600), os.WriteFile(overlay, replace, 0o600))
}

// metaHeader is the begin of Go's file covmeta.HASH (internal/coverage.MetaFileHeader).
type metaHeader struct {
	Magic           [4]byte
	Version         uint32
	Length, Entries uint64
	Hash            [16]byte
}

// written counts the files with counters of this process.
var written atomic.Int64

// writeCoverage writes what the VMs of a host have executed to $GOCOVERDIR, as a program that exits would.
func writeCoverage(host *hostsim.Host) error {
	dir := os.Getenv("GOCOVERDIR")
	if dir == "" {
		return nil
	}
	outputs := host.Main().Call(coverageFunction)
	for i := range host.Workers() {
		outputs = append(outputs, host.Worker(i).Call(coverageFunction)...)
	}
	for _, out := range outputs {
		var head metaHeader
		if _, err := binary.Decode(out, binary.LittleEndian, &head); err != nil || head.Length > uint64(len(out)) {
			return fmt.Errorf("the plugin's coverage can't be read: %d bytes, %w", len(out), err)
		}
		meta := filepath.Join(dir, fmt.Sprintf("covmeta.%x", head.Hash))
		counters := filepath.Join(dir, fmt.Sprintf("covcounters.%x.%d.%d", head.Hash, os.Getpid(), written.Add(1)))
		if err := errors.Join(os.WriteFile(meta, out[:head.Length], 0o600),
			os.WriteFile(counters, out[head.Length:], 0o600)); err != nil {
			return err
		}
	}
	return nil
}
