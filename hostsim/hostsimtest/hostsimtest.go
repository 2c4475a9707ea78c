// Package hostsimtest spares a Go test of a plugin the same lines again and again: it builds the plugin, makes the
// host, and shows the log when the test fails.
//
//	func TestHello(t *testing.T) {
//		host := hostsimtest.New(t, hostsimtest.Build(t, "./plugin"))
//		if reply := host.Worker(0).Get("/"); reply.Header.Get("hello") != "world" {
//			t.Error(reply)
//		}
//	}
package hostsimtest

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/healthgate/healthgate/hostsim"
)

// New builds a host, which is closed at the end of the test. If the test has failed by then, its log is printed. A
// plugin that cannot be set up ends the test, and one that would have ended Envoy's process fails it, see
// hostsim.Host.Crashed: a test that expects the latter uses hostsim.New. The compiled plugin is kept for the next go
// test, see hostsim.CacheDir.
func New(t testing.TB, code []byte, opts ...hostsim.Option) *hostsim.Host {
	t.Helper()
	dir, err := cacheDir()
	if err != nil {
		t.Fatal(err)
	}
	host, err := hostsim.New(code, append([]hostsim.Option{hostsim.CacheDir(filepath.Join(dir, "compiled"))}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := writeCoverage(host); err != nil {
			t.Error(err)
		}
		_ = host.Close() // its error is always nil
		if why := host.Crashed(); why != "" {
			t.Error("Envoy would have crashed: " + why)
		}
		if t.Failed() {
			t.Log("the log of hostsim (the option hostsim.TraceTo(t.Output()) shows each call, and why one failed):\n" +
				strings.TrimSpace(hostsim.LogDump(host.Logs())))
		}
	})
	return host
}

// cacheDir is where builds and compiled plugins are kept: hostsim in the user's cache directory, or in the one for
// temporary files where there is no other.
var cacheDir = sync.OnceValues(func() (string, error) {
	parent, err := os.UserCacheDir()
	if err != nil {
		parent = os.TempDir()
	}
	dir := filepath.Join(parent, "hostsim")
	if err := os.MkdirAll(filepath.Join(dir, "built"), 0o755); err != nil {
		return "", err
	}
	return dir, prune(dir)
})
