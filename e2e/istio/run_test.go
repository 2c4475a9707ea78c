package istio

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// run runs a command that must succeed, and returns what it writes to its standard output.
func run(t testing.TB, name string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), envoytest.StartLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "KUBE_FEATURE_WatchListClient=false") // package kube lists, then watches
	var out, trouble bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &trouble
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, &out, &trouble)
	}
	return out.Bytes()
}

// healthgate runs the operator's command.
func healthgate(t testing.TB, args ...string) []byte {
	t.Helper()
	path, err := envoytest.Command()
	if err != nil {
		t.Fatal(err)
	}
	return run(t, path, args...)
}
