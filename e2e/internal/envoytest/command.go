package envoytest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/healthgate/healthgate/envoy/must"
)

// Command returns the path of the healthgate command. It is built once for each program that runs tests, which have
// folders of their own.
var Command = sync.OnceValues(func() (string, error) {
	path := filepath.Join(Root, "build", "command", filepath.Base(os.Args[0]), "healthgate")
	cmd := exec.Command("go", "build", "-o", path, "./envoy/cmd/healthgate")
	cmd.Dir = Root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})

// Healthgate runs the command, which must succeed, in the repository's root, and returns what it prints.
func Healthgate(t testing.TB, args ...string) string {
	t.Helper()
	return must.Get(healthgate(args...))(t)
}

func healthgate(args ...string) (string, error) {
	path, err := Command()
	if err != nil {
		return "", err
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = Root
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = fmt.Errorf("%s: %w\n%s%s", cmd, err, out, exit.Stderr)
	}
	return string(out), err
}

// SetMaintenance sets a maintenance key in the disk layer, where it outlives a restart of Envoy, or takes it out.
func (c *Config) SetMaintenance(on bool, key string) {
	c.t.Helper()
	how := "off"
	if on {
		how = "on"
	}
	Healthgate(c.t, "maintenance", how, key, "--runtime-dir", c.Disk())
}
