package envoytest

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/healthgate/healthgate/envoy/must"
)

// Validate runs envoy --mode validate. It returns what Envoy wrote, and whether it accepted the configuration.
func Validate(t testing.TB, c *Config) (output string, accepted bool) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "bootstrap.json")
	must.Write(t, file, Text(c.Bootstrap))
	compiling <- struct{}{}
	defer func() { <-compiling }()
	ctx, cancel := context.WithTimeout(t.Context(), 2*Limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, Binary(t), "-c", file, "--mode", "validate", "--disable-hot-restart",
		"--concurrency", "1")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("envoy --mode validate did not end: %v\n%s", err, &out)
	}
	return out.String(), err == nil
}
