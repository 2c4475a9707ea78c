package envoytest

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Validate runs envoy --mode validate. It returns what Envoy wrote, and whether it accepted the configuration.
func Validate(t testing.TB, c *Config) (output string, accepted bool) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "bootstrap.json")
	if err := os.WriteFile(file, []byte(Text(c.Bootstrap)), 0o600); err != nil {
		t.Fatal(err)
	}
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
