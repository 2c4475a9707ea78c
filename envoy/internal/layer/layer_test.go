package layer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// keys reads a disk layer as Envoy does: through its link.
func keys(t *testing.T, root string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(root + "/")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(root, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = strings.TrimSpace(string(text))
	}
	return out
}

func same(a, b map[string]string) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

func TestDisk(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "current")
	for _, step := range []struct {
		change Change
		want   map[string]string
	}{
		{Change{{"k", "true"}, {"k.reason", "disk swap"}},
			map[string]string{"k": "true", "k.reason": "disk swap"}}, // the first makes it
		{Change{{"other", "1"}}, map[string]string{"k": "true", "k.reason": "disk swap", "other": "1"}},
		{Change{{"k", ""}, {"k.reason", ""}, {"absent", ""}}, map[string]string{"other": "1"}},
	} {
		before, _ := os.Readlink(root)
		if err := (DiskLayer{Root: root}).Apply(t.Context(), step.change); err != nil {
			t.Fatal(err)
		}
		if got := keys(t, root); !same(got, step.want) {
			t.Errorf("%v: %v, want %v", step.change, got, step.want)
		}
		if after, err := os.Readlink(root); err != nil || after == before {
			t.Errorf("the link was not replaced, so Envoy would not notice: %q, %q, %v", before, after, err)
		}
		if left, err := os.ReadDir(filepath.Dir(root)); err != nil || len(left) != 2 {
			t.Errorf("beside the link there is more than its folder: %v, %v", left, err)
		}
	}
	info, err := os.Stat(filepath.Join(root, "other"))
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("an Envoy of another user can't read it: %v, %v", info.Mode(), err)
	}
}

func TestDiskRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for root, want := range map[string]string{
		dir:                            "is not a symbolic link",
		filepath.Join(dir, "..data"):   "the kubelet replaces; change it with kubectl patch configmap",
		filepath.Join(dir, "typo/cur"): "there is no folder " + filepath.Join(dir, "typo"),
		"/proc/1/environ/runtime/cur":  "not a directory",
	} {
		if err := (DiskLayer{Root: root}).Apply(t.Context(), Change{{"k", "1"}}); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want … %s", root, err, want)
		}
	}
	locked := filepath.Join(dir, "locked")
	if err := os.Mkdir(locked, 0o755); err != nil {
		t.Fatal(err)
	}
	unlock, err := lock(t.Context(), locked)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (DiskLayer{Root: filepath.Join(locked, "current")}).Apply(ctx, Change{{"k", "1"}}); err == nil ||
		!strings.Contains(err.Error(), "context canceled") {
		t.Error(err)
	}
	if left, err := os.ReadDir(locked); err != nil || len(left) != 0 {
		t.Errorf("something is left: %v, %v", left, err)
	}
}

func TestRTDS(t *testing.T) {
	t.Parallel()
	const head = `"@type": type.googleapis.com/envoy.service.runtime.v3.Runtime`
	for _, test := range []struct {
		name, before string
		change       Change
		want         string
	}{
		{"a new file", "", Change{{"k", "true"}, {"k.reason", ""}},
			"resources:\n- " + head + "\n  name: healthgate\n  layer:\n    k: true\n"},
		{"comments and other keys stay", "# why\nresources:\n- " + head +
			"\n  name: x\n  layer:\n    a: 1 # one\n    k: true\n",
			Change{{"k", ""}, {"b", "2026-12-01T06:00:00Z"}},
			"# why\nresources:\n- " + head + "\n  name: x\n  layer:\n    a: 1 # one\n    b: \"2026-12-01T06:00:00Z\"\n"},
		{"the one of its name", "resources:\n- {" + head + ", name: x, layer: {}}\n- {" + head +
			", name: healthgate}\n", Change{{"k", "100"}},
			"resources:\n- {" + head + ", name: x, layer: {}}\n- {" + head + ", name: healthgate, layer: {k: 100}}\n"},
		{"a comment behind a value stays", "resources:\n- " + head +
			"\n  name: x\n  layer:\n    k: false # why\n", Change{{"k", "true"}},
			"resources:\n- " + head + "\n  name: x\n  layer:\n    k: true # why\n"},
		{"a value is replaced", "resources:\n- {" + head + ", name: x, layer: {k: false}}\n", Change{{"k", "true"}},
			"resources:\n- {" + head + ", name: x, layer: {k: true}}\n"},
	} {
		file := filepath.Join(t.TempDir(), "rtds.yaml")
		if test.before != "" {
			if err := os.WriteFile(file, []byte(test.before), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := RTDSFile(file).Apply(t.Context(), test.change); err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		got, err := os.ReadFile(file)
		if err != nil || string(got) != test.want {
			t.Errorf("%s: %v\n got %s\nwant %s", test.name, err, got, test.want)
		}
		if left, err := os.ReadDir(filepath.Dir(file)); err != nil || len(left) != 1 {
			t.Errorf("%s: %v, %v", test.name, left, err)
		}
	}
	file := filepath.Join(t.TempDir(), "rtds.json")
	if err := RTDSFile(file).Apply(t.Context(), Change{{"k", "true"}}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil || !json.Valid(text) || !strings.Contains(string(text), `"k": true`) {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestRTDSRefuses(t *testing.T) {
	t.Parallel()
	const runtime = `{"@type": type.googleapis.com/envoy.service.runtime.v3.Runtime, name: `
	for text, want := range map[string]string{
		"":                          "is empty; remove it, and it is made anew",
		"\n":                        "is empty; remove it, and it is made anew",
		"[":                         "is not a DiscoveryResponse",
		"resources: []":             "has no resource of type",
		"- a":                       "has no resource of type",
		"resources: [{'@type': x}]": "has no resource of type",
		"resources: [" + runtime + "a}, " + runtime +
			"b}]": "has 2 runtime layers; name the one to change \"healthgate\"",
		"resources: [" + runtime + "a, layer: 7}]": "the layer in line 1 is not an object",
		"resources: [" + runtime + "healthgate}, " + runtime +
			"healthgate}]": "has 2 runtime layers; name the one to change \"healthgate\", and no other",
		"resources: [" + runtime +
			"a, layer: {k: 1},\n layer: {}}]": "line 2 has a field for the second time; remove one of them",
	} {
		file := filepath.Join(t.TempDir(), "rtds.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := RTDSFile(file).Apply(t.Context(), Change{{"k", "1"}}); err == nil ||
			!strings.Contains(err.Error(), file+": "+want) {
			t.Errorf("%s: %v, want … %s", text, err, want)
		}
		if after, err := os.ReadFile(file); err != nil || string(after) != text {
			t.Errorf("%s: the file was touched: %v", text, err)
		}
	}
	if err := RTDSFile("/x/rtds.pb").Check(); err == nil ||
		!strings.Contains(err.Error(), "must end in .yaml, .yml or .json") {
		t.Error(err)
	}
}

func TestCheckKey(t *testing.T) {
	t.Parallel()
	for key, good := range map[string]bool{
		"healthgate.maintenance": true, "a_b-C.9": true, "": false, "..": false, "a/b": false, "a b": false, "a&b=c": false, "k.{zone}": false, "é": false,
		".k": false, "k.reason": false, "-": true,
	} {
		if err := CheckKey(key); (err == nil) != good {
			t.Errorf("%q: %v", key, err)
		}
	}
}

// What fails on the way is told of the file that was asked for, not of one that is made beside it.
func TestNotWritten(t *testing.T) {
	t.Parallel()
	full := &os.SyscallError{Syscall: "copy_file_range", Err: syscall.ENOSPC}
	for _, test := range []struct {
		err  error
		want string
	}{
		{nil, "<nil>"},
		{&os.PathError{Op: "mkdir", Path: "/d/x.a", Err: os.ErrPermission},
			"/d/x can't be written: permission denied; do it as a user who may write in /d"},
		{&os.PathError{Op: "write", Path: "/d/./x.a/key", Err: full},
			"/d/x can't be written: no space left on device; nothing was changed: free some space or inodes in /d, and do it again"},
		{errors.Join(&os.PathError{Op: "write", Path: "/d/x.a/key", Err: syscall.EFBIG}, full),
			"/d/x can't be written: file too large; nothing was changed: raise the limit of this shell, ulimit -f, and do it again"},
		{&os.LinkError{Op: "rename", Old: "/d/x.a.link", New: "/d/x", Err: syscall.EROFS},
			"/d/x can't be written: read-only file system"},
		{&os.PathError{Op: "open", Path: "/d/x.b/key", Err: os.ErrPermission}, "open /d/x.b/key: permission denied"},
	} {
		if got := fmt.Sprint(notWritten("/d/x", "/d/x.a", test.err)); got != test.want {
			t.Errorf("%v: %s\nwant %s", test.err, got, test.want)
		}
	}
}
