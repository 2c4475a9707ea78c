package peers

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/healthgate/healthgate/e2e/bench/internal/bench"
)

// Rust builds the filter on the Rust SDK.
func Rust(ctx context.Context, env *bench.Env) bench.Artifact {
	home := filepath.Join(env.Root, "e2e", "bench", "peers", "rust")
	a := env.Build(ctx, "rust.wasm", filepath.Join(home, "build"))
	if a.Missing != "" {
		return a
	}
	env.Used("Rust", strings.TrimPrefix(bench.FirstLine(ctx, filepath.Join(home, "build"), "--version"), "rustc "))
	lock, err := os.ReadFile(filepath.Join(home, "Cargo.lock"))
	if m := sdkVersion.FindSubmatch(lock); err == nil && m != nil {
		env.Used("proxy-wasm crate", string(m[1]))
	}
	return a
}

var sdkVersion = regexp.MustCompile(`name = "proxy-wasm"\nversion = "(.*)"`)
