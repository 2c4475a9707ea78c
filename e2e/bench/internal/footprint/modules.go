package footprint

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/healthgate/healthgate/e2e/bench/internal/bench"
	"github.com/healthgate/healthgate/e2e/bench/internal/peers"
)

// module is a plugin whose footprint is measured.
type module struct {
	name string
	ours bool
	bench.Artifact
}

// modules returns the plugins, the least one of standard Go first.
func modules(ctx context.Context, env *bench.Env) []module {
	return []module{
		{"bare module, standard Go", false, env.Build(ctx, "bare.wasm", "env", "GOOS=wasip1", "GOARCH=wasm",
			"sh", "-c", `go build -trimpath -ldflags="-s -w" -buildmode=c-shared -o "$0" ./e2e/bench/peers/bare`)},
		{"Rust SDK filter", false, peers.Rust(ctx, env)},
		{"healthgate", true, env.Healthgate()},
		{"healthgate, TinyGo", true, env.TinyGo(ctx)},
	}
}

// sizes returns the size of a Wasm file, and of its code section (WebAssembly 1.0, section 5.5.13).
func sizes(path string) (file, code int, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, 0, err
	}
	file = len(b)
	const header, codeSection = 8, 10
	for b = b[min(header, len(b)):]; len(b) > 1; {
		size, n := binary.Uvarint(b[1:])
		if n <= 0 || uint64(len(b)-1-n) < size {
			break
		}
		if b[0] == codeSection {
			return file, int(size), nil
		}
		b = b[1+n+int(size):]
	}
	return 0, 0, fmt.Errorf("%s: %w", path, errors.New("no code section: this is not a whole Wasm module"))
}
