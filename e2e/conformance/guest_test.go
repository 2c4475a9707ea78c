package conformance

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
	"github.com/healthgate/healthgate/hostsim/hostsimtest"
)

// guest builds hostsim/testdata/script, once per process, for an ABI version.
var (
	guest020  = guest("script020.wasm", hostsimtest.Build, "-trimpath", "-ldflags=-s -w")
	guest021  = guest("script021.wasm", hostsimtest.Build, "-trimpath", "-ldflags=-s -w", "-tags=abi021")
	guestTiny = guest("script-tinygo.wasm", buildTiny, "-scheduler=none", "-no-debug")
)

type builder func(t testing.TB, dir string, flags ...string) []byte

func guest(name string, build builder, flags ...string) func(testing.TB) string {
	var once sync.Once
	file := filepath.Join(envoytest.Root, "build", name)
	return func(t testing.TB) string {
		t.Helper()
		once.Do(func() {
			code := build(t, filepath.Join(envoytest.Root, "hostsim", "testdata", "script"), flags...)
			must.Do(t, os.WriteFile(file, code, 0o600))
		})
		return file
	}
}

func buildTiny(t testing.TB, dir string, flags ...string) []byte {
	t.Helper()
	tinygo, err := exec.Command(filepath.Join(envoytest.Root, "scripts", "get-tinygo")).Output()
	orPanic(err)
	orPanic(os.Setenv("TINYGO", strings.TrimSpace(string(tinygo))))
	return hostsimtest.BuildTinyGo(t, dir, flags...)
}

// module is the path of the plugin that a case runs.
func module(t testing.TB, c *Case) string {
	t.Helper()
	switch {
	case c.Filter:
		return envoytest.Wasm(t)
	case c.Guest != "":
		return filepath.Join(envoytest.Root, "hostsim", "testdata", "guests", c.Guest+".wasm")
	case c.ABI021:
		return guest021(t)
	case c.TinyGo:
		return guestTiny(t)
	}
	return guest020(t)
}

// binaryVersion is what `envoy --version` says: "envoy  version: HASH/1.40.0/Clean/RELEASE/BoringSSL".
func binaryVersion(t testing.TB) string {
	t.Helper()
	out := must.Get(exec.Command(envoytest.Binary(t), "--version").Output())(t)
	_, version, _ := strings.Cut(string(out), "version: ")
	return version
}
