package hostsim_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/hostsim"
	"github.com/healthgate/healthgate/hostsim/hostsimtest"
)

// guests holds plugins that others made, and the sums of their files.
const guests = "testdata/guests"

// script is the plugin that does what its configuration says.
func script(t testing.TB) []byte {
	t.Helper()
	return hostsimtest.Build(t, "testdata/script")
}

// newHost builds a host for the script plugin and closes it with the test.
func newHost(t testing.TB, text string, opts ...hostsim.Option) *hostsim.Host {
	t.Helper()
	host, err := hostsim.New(script(t), append([]hostsim.Option{hostsim.PluginConfig(text)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	return host
}

// logged returns what was logged on a thread, one message a line.
func logged(host *hostsim.Host, thread string) string {
	var lines []string
	for _, e := range host.Logs() {
		if e.Thread == thread {
			lines = append(lines, e.Message)
		}
	}
	return strings.Join(lines, "\n")
}

// TestGuestsAsPublished compares the plugins that others made with the checksums that make guests wrote.
func TestGuestsAsPublished(t *testing.T) {
	t.Parallel()
	sums, err := os.Open(filepath.Join(guests, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	defer sums.Close()
	listed := 0
	for lines := bufio.NewScanner(sums); lines.Scan(); listed++ {
		want, name, _ := strings.Cut(lines.Text(), "  ")
		wasm, err := os.ReadFile(filepath.Join(guests, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := sha256.Sum256(wasm); hex.EncodeToString(got[:]) != want {
			t.Errorf("%s: its SHA-256 is %x, SHA256SUMS says %s; make guests writes both anew", name, got, want)
		}
	}
	files, err := filepath.Glob(filepath.Join(guests, "*.wasm"))
	if err != nil || len(files) != listed || listed == 0 {
		t.Errorf("%d files, %d sums, %v", len(files), listed, err)
	}
}
