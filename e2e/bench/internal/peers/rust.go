package peers

import (
	"context"

	"github.com/healthgate/healthgate/e2e/bench/internal/bench"
)

// rust builds the filter on the Rust SDK.
func rust(ctx context.Context, env *bench.Env) bench.Artifact {
	return env.Build(ctx, "rust.wasm", "e2e/bench/peers/rust/build")
}
