package envoytest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/healthgate/healthgate/envoy/must"
	"github.com/healthgate/healthgate/envoy/run"
)

// Root is the repository's folder. A test runs in its package's, below it.
var Root = func() string {
	folder, err := filepath.Abs(".")
	for err == nil && folder != filepath.Dir(folder) {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder
		}
		folder = filepath.Dir(folder)
	}
	panic("no go.mod above the working directory")
}()

// binary asks scripts/get-envoy for an Envoy, as `make run` does.
var binary = sync.OnceValues(func() (string, error) {
	path, err := run.Binary(context.Background(), Root, os.Getenv("HEALTHGATE_ENVOY_VERSION"), os.Stderr)
	if err != nil {
		return "", fmt.Errorf("%w; see its output above. Set ENVOY to the path of one, or run `make envoy`, which gets one",
			err)
	}
	return path, nil
})

// Binary returns the path of the Envoy under test: of version HEALTHGATE_ENVOY_VERSION, or the newest.
func Binary(t testing.TB) string {
	t.Helper()
	return must.Get(binary())(t)
}

// Wasm returns the path of the plugin under test: HEALTHGATE_WASM, or what `make filter` built.
func Wasm(t testing.TB) string {
	t.Helper()
	path := os.Getenv("HEALTHGATE_WASM")
	if path == "" {
		path = filepath.Join(Root, "build", "healthgate.wasm")
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		t.Fatalf("there is no plugin to test: %s is missing; run `make filter`, which builds it", path)
	}
	return path
}

// FaultyWasm returns the path of a plugin that crashes when a request asks for it: HEALTHGATE_FAULTY_WASM, or what
// `make filter-faults` built. Only an Envoy with this plugin may crash.
func FaultyWasm(t testing.TB) string {
	t.Helper()
	path := faultyPath()
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		t.Fatalf("there is no plugin that crashes: %s is missing; run `make filter-faults`, which builds it", path)
	}
	return path
}

func faultyPath() string {
	if path := os.Getenv("HEALTHGATE_FAULTY_WASM"); path != "" {
		return path
	}
	return filepath.Join(Root, "build", "healthgate_faults.wasm")
}
