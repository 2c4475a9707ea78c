package envoy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func diskLayer(args ...string) (string, error) {
	out, err := exec.Command("./disk-layer", args...).CombinedOutput()
	return string(out), err
}

func TestDiskLayer(t *testing.T) {
	parent := filepath.Join(t.TempDir(), "runtime")
	root := filepath.Join(parent, "current")
	run := func(args ...string) string {
		t.Helper()
		out, err := diskLayer(append([]string{root}, args...)...)
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return out
	}
	run("init")
	run("set", "healthgate.maintenance", "true")
	run("set", "healthgate.maintenance.reason", "disk swap, rack 4")
	run("init") // a layer that is there stays
	if got, want := run("list"), "healthgate.maintenance=true\nhealthgate.maintenance.reason=disk swap, rack 4\n"; got != want {
		t.Errorf("list: %q, want %q", got, want)
	}

	before, err := os.Readlink(root)
	if err != nil {
		t.Fatal(err)
	}
	run("delete", "healthgate.maintenance.reason")
	after, err := os.Readlink(root)
	if err != nil || after == before {
		t.Errorf("the link was not replaced: %q, then %q, %v", before, after, err)
	}
	if got, want := run("list"), "healthgate.maintenance=true\n"; got != want {
		t.Errorf("list: %q, want %q", got, want)
	}
	left, err := os.ReadDir(parent)
	if err != nil || len(left) != 2 {
		t.Errorf("the link and one layer should be left, there are %v, %v", left, err)
	}
}

func TestDiskLayerLosesNoChange(t *testing.T) {
	root := filepath.Join(t.TempDir(), "current")
	var wg sync.WaitGroup
	for i := range 5 {
		wg.Go(func() {
			if out, err := diskLayer(root, "set", fmt.Sprintf("key%d", i), "1"); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	wg.Wait()
	if out, err := diskLayer(root, "list"); err != nil || strings.Count(out, "=1\n") != 5 {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestDiskLayerRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{
		{},
		{dir + "/current", "set", "key"},
		{dir + "/current", "set", "../key", "1"},
		{dir + "/current", "set", "", "1"},
		{dir + "/current", "delete", ".."},
		{dir + "/current", "list"},
		{dir, "set", "key", "1"}, // a folder, no link
	} {
		if out, err := diskLayer(args...); err == nil || out == "" {
			t.Errorf("%q: %v, %q", args, err, out)
		}
	}
}
