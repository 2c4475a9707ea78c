package conformance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// guest builds hostsim/testdata/script, once per process, for an ABI version.
var (
	guest020  = sync.OnceValues(func() (string, error) { return buildGuest("script020.wasm") })
	guest021  = sync.OnceValues(func() (string, error) { return buildGuest("script021.wasm", "-tags=abi021") })
	guestTiny = sync.OnceValues(buildTiny)
)

func buildGuest(name string, flags ...string) (string, error) {
	args := append([]string{"build", "-trimpath", "-ldflags=-s -w", "-buildmode=c-shared"}, flags...)
	return compile(name, "go", args...)
}

func buildTiny() (string, error) {
	tinygo, err := exec.Command(filepath.Join(envoytest.Root, "scripts", "get-tinygo")).Output()
	if err != nil {
		return "", fmt.Errorf("scripts/get-tinygo: %w", err)
	}
	return compile("script-tinygo.wasm", strings.TrimSpace(string(tinygo)),
		"build", "-target=wasip1", "-buildmode=c-shared", "-scheduler=none", "-no-debug")
}

func compile(name, compiler string, args ...string) (string, error) {
	out := filepath.Join(envoytest.Root, "build", name)
	cmd := exec.Command(compiler, append(args, "-o", out, "./hostsim/testdata/script")...)
	cmd.Dir = envoytest.Root
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the guest: %w\n%s", err, text)
	}
	return out, nil
}

// module is the path of the plugin that a case runs.
func module(t testing.TB, c *Case) string {
	t.Helper()
	switch {
	case c.Filter:
		return envoytest.Wasm(t)
	case c.Guest != "":
		return filepath.Join(envoytest.Root, "hostsim", "testdata", "guests", c.Guest+".wasm")
	}
	build := guest020
	switch {
	case c.ABI021:
		build = guest021
	case c.TinyGo:
		build = guestTiny
	}
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// binaryVersion is what `envoy --version` says: "envoy  version: HASH/1.40.0/Clean/RELEASE/BoringSSL".
func binaryVersion(t testing.TB) string {
	t.Helper()
	out, err := exec.Command(envoytest.Binary(t), "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	_, version, _ := strings.Cut(string(out), "version: ")
	return version
}
