package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/envoy/internal/admintest"
	"github.com/healthgate/healthgate/envoy/must"
)

// What can't be written was not said: no command ends well then.
func TestFullOutput(t *testing.T) {
	t.Parallel()
	full := must.Get(os.OpenFile("/dev/full", os.O_WRONLY, 0))(t)
	defer full.Close()
	a := admintest.Start(t)
	for _, command := range []string{
		"--help", "--version", "schema", "completion bash", "validate " + write(t, minimal), "maintenance on --dry-run",
		"maintenance on --rtds-file " + filepath.Join(t.TempDir(), "rtds.yaml"),
		"shutdown " + admintest.Key + " --wait-checks 0 --admin " + a.URL,
		"status --watch --admin " + a.URL, "status --admin 127.0.0.1:1",
	} {
		cmd := process(t.Context(), command)
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr = full, &said
		if err := cmd.Run(); cmd.ProcessState.ExitCode() != 1 || !strings.Contains(said.String(), "no space left on device") {
			t.Errorf("%s: %v, %s", command, err, said.String())
		}
		if strings.HasPrefix(command, "shutdown") && (!strings.Contains(said.String(), ": closed: by the key") ||
			!strings.Contains(said.String(), ": idle: no request runs")) {
			t.Errorf("how the instance is left is not said: %s", said.String())
		}
		if strings.HasPrefix(command, "maintenance on --rtds") && !strings.Contains(said.String(), "; nothing else failed") {
			t.Errorf("it sounds as if it were not written: %s", said.String())
		}
	}
}

// Where one of several files can't be written, it is said which have been.
func TestHalfWritten(t *testing.T) {
	t.Parallel()
	first := filepath.Join(t.TempDir(), "first")
	err := writeFiles(fileToWrite{path: first, text: "1"}, fileToWrite{path: "/dev/full", text: "2"})
	if want := "write /dev/full: no space left on device; " + first + " is written already"; err == nil ||
		err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if text := must.Get(os.ReadFile(first))(t); string(text) != "1" {
		t.Errorf("it has %q", text)
	}
}
