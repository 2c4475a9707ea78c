package layer

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/healthgate/healthgate/envoy/must"
)

// tree makes files below a folder; "NAME@MODE" gives a mode, and a text "-> TARGET" makes a symbolic link.
func tree(t *testing.T, folder string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		name, mode := name, fs.FileMode(0o644)
		if before, octal, found := strings.Cut(name, "@"); found {
			name = before
			mode = 0
			for _, c := range octal {
				mode = mode*8 + fs.FileMode(c-'0')
			}
		}
		path := filepath.Join(folder, name)
		must.Do(t, os.MkdirAll(filepath.Dir(path), 0o755))
		if target, is := strings.CutPrefix(text, "-> "); is {
			must.Do(t, os.Symlink(target, path))
			continue
		}
		must.Do(t, os.WriteFile(path, []byte(text), mode))
		must.Do(t, os.Chmod(path, mode))
	}
}

// listing returns what a layer holds: path, mode if it is not 0644, text or target.
func listing(t *testing.T, folder string) string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(folder+"/", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, _ := filepath.Rel(folder, path)
		info, err := e.Info()
		if err != nil {
			return err
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(path)
			out = append(out, name+" -> "+target)
			return err
		}
		text, err := os.ReadFile(path)
		line := name + "=" + strings.TrimSpace(string(text))
		if info.Mode().Perm() != 0o644 {
			line += " " + info.Mode().Perm().String()
		}
		out = append(out, line)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, "; ")
}

// apply is Apply behind a Try, which must say the same and change nothing in the folder.
func apply(t *testing.T, l Layer, folder string, change Change) error {
	t.Helper()
	before := listing(t, folder)
	try := l.Try(change)
	if after := listing(t, folder); after != before {
		t.Errorf("to try it made %q of %q", after, before)
	}
	err := l.Apply(t.Context(), change)
	if fmt.Sprint(try) != fmt.Sprint(err) {
		t.Errorf("to try it says %v, to do it %v", try, err)
	}
	return err
}

func some(s string) *string { return &s }

// change reads the argument set=(KEY=VALUE, ...).
func change(t *testing.T, d *datadriven.TestData) (out Change) {
	t.Helper()
	for _, arg := range d.CmdArgs {
		for _, set := range arg.Vals {
			if key, value, _ := strings.Cut(set, "="); arg.Key == "set" {
				out = append(out, Pair{key, value})
			}
		}
	}
	return out
}

func TestDiskScenarios(t *testing.T) {
	t.Parallel()
	datadriven.RunTest(t, "testdata/disk.txt", func(t *testing.T, d *datadriven.TestData) string {
		dir, root := t.TempDir(), "current"
		for line := range strings.Lines(strings.ReplaceAll(d.Input, "DIR", dir)) {
			line = strings.TrimSuffix(line, "\n")
			if name, target, is := strings.Cut(line, " -> "); is {
				tree(t, dir, map[string]string{name: "-> " + target})
			} else {
				name, text, _ := strings.Cut(line, "=")
				tree(t, dir, map[string]string{name: text})
			}
		}
		layer := DiskLayer{}
		if d.HasArg("subdirectory") {
			layer.Subdirectory = new(string)
			d.ScanArgs(t, "subdirectory", layer.Subdirectory)
		}
		d.MaybeScanArgs(t, "root", &root)
		layer.Root = filepath.Join(dir, root)
		before := listing(t, dir)
		err := apply(t, layer, dir, change(t, d))
		after := listing(t, dir)
		if err != nil {
			if after != before {
				t.Errorf("there is %s, was %s", after, before)
			}
			return strings.ReplaceAll(err.Error(), dir, "DIR") + "\n"
		}
		there := func() (folder, all string) {
			folder, _ = os.Readlink(layer.Root)
			all = strings.NewReplacer(folder, "current.NEW", dir, "DIR").Replace(listing(t, dir))
			lines := strings.Split(all, "; ")
			slices.Sort(lines)
			return folder, strings.Join(lines, "\n") + "\n"
		}
		folder, made := there()
		err = apply(t, layer, dir, change(t, d))
		if another, again := there(); err != nil || again != made || another == folder { // which Envoy would not notice
			t.Errorf("the second time: %v, in %s\n%s", err, another, again)
		}
		return made
	})
}

func TestRTDSScenarios(t *testing.T) {
	t.Parallel()
	datadriven.RunTest(t, "testdata/rtds.txt", func(t *testing.T, d *datadriven.TestData) string {
		dir := t.TempDir()
		file, before := filepath.Join(dir, "rtds."+d.Cmd), d.Input
		if d.HasArg("bom") {
			before = "\ufeff" + before
		}
		if !d.HasArg("new") {
			tree(t, dir, map[string]string{"rtds." + d.Cmd: before})
		}
		err := apply(t, RTDSFile(file), dir, change(t, d))
		after, _ := os.ReadFile(file)
		if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
			t.Errorf("%v, %v", left, err)
		}
		if err != nil {
			if string(after) != before {
				t.Errorf("there is %s, was %s", after, before)
			}
			return strings.ReplaceAll(err.Error(), dir, "DIR") + "\n"
		}
		return string(after)
	})
}

// off leaves the bytes that were there before on.
func TestRTDSOffUndoesOn(t *testing.T) {
	t.Parallel()
	const head = "# ours\n\nresources:\n    -   '@type': \"" + runtimeType + "\" # it\n\n        name: healthgate\n"
	const inJSON = `{"version_info": "1", "resources": [{"@type": "` + runtimeType + `",` + "\n\t" +
		`"name": "a\/\ud83d\ude00", "layer": {`
	for name, text := range map[string]string{
		"block.yaml": head + "        layer:   # why\n\n            # a comment\n            b:     0x10   # x\n\n" +
			"            text: >-\n                folded\n                text\n            c: {numerator: 1,   d: 2}",
		"crlf.yaml":    strings.ReplaceAll(head+"        layer:\n            b: 'é'\n", "\n", "\r\n"),
		"empty.yaml":   head + "        layer: {  } # none\n",
		"flow.yaml":    head + "        layer: {b: 1,\n          c: \"'\" }\n\n\n",
		"bom.yaml":     "\ufeff" + head + "        layer:\n         b: 1\n",
		"first.yaml":   head + "        layer: {\n          b: 1}\n",
		"compact.json": inJSON + `"b":1e3,"c":{}}}]}`,
		"tabs.json":    inJSON + "\n\t\t\"b\": \"{\\\"\\u007d\"\n\t}\n}]}\n",
		"empty.json":   inJSON + "}}]}\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			tree(t, dir, map[string]string{name: text})
			file := filepath.Join(dir, name)
			for _, on := range []Change{{{"k", "true"}, {"k.reason", `disk "swap" & ü`}}, {{"k", "1"}, {"k.reason", ""}}} {
				must.Do(t, apply(t, RTDSFile(file), dir, on))
				if !RTDSFile(file).Holds("k") {
					t.Error("the key is not in it")
				}
			}
			must.Do(t, apply(t, RTDSFile(file), dir, Change{{"k", ""}, {"k.reason", ""}}))
			if got, err := os.ReadFile(file); err != nil || string(got) != text {
				t.Errorf("%v, it is\n%q, was\n%q", err, got, text)
			}
		})
	}
}

// The path may be relative to the working folder, which the whole process shares.
func TestRelativeRoot(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	tree(t, dir, map[string]string{"here/current": "-> " + dir + "/here/current.a", "here/current.a/a": "1",
		"there/far/layer/b": "-> ../../value", "there/value": "7", "here/second": "-> ../there/far/layer"})
	for root, want := range map[string]string{"here/current": "a=1; k=1",
		"here/second": "b -> " + dir + "/there/value; k=1"} {
		if err := (DiskLayer{Root: root}).Apply(t.Context(), Change{{"k", "1"}}); err != nil {
			t.Error(err)
		}
		if got := listing(t, root); got != want {
			t.Errorf("%s holds %q, want %q", root, got, want)
		}
	}
}

func TestFoldersKeepTheirModes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree(t, dir, map[string]string{"current.a/sub/a": "1", "current": "-> current.a"})
	want := fs.ModeDir | fs.ModeSetgid | 0o775
	must.Do(t, os.Chmod(filepath.Join(dir, "current.a"), want))
	must.Do(t, (DiskLayer{filepath.Join(dir, "current"), some("")}).Apply(t.Context(), Change{{"k", "1"}}))
	if info, err := os.Stat(filepath.Join(dir, "current")); err != nil || info.Mode() != want {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestRTDSPlaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree(t, dir, map[string]string{"link.yaml": "-> gone.yaml", "mounted.yaml": "-> ..data/mounted.yaml",
		"..data": "-> ..1", "..1/mounted.yaml": emptyRTDS})
	for file, want := range map[string]string{
		"link.yaml":      "is a link to gone.yaml, which does not exist",
		"mounted.yaml":   "is a mounted ConfigMap, which the kubelet replaces",
		"typo/rtds.yaml": "there is no folder " + filepath.Join(dir, "typo"),
	} {
		if err := RTDSFile(filepath.Join(dir, file)).Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want … %s", file, err, want)
		}
	}
	if err := CheckKey(strings.Repeat("k", 249)); err == nil || !strings.Contains(err.Error(), "249 characters") {
		t.Error(err)
	}
}
