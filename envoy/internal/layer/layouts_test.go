package layer

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// Layouts that operators have beside and behind the link. Nothing but the layer changes, and it is never lost.
func TestDiskLayouts(t *testing.T) {
	t.Parallel()
	subdirectory := func(s string) func(*DiskLayer) { return func(d *DiskLayer) { d.Subdirectory = &s } }
	for _, test := range []struct {
		name  string
		files map[string]string
		set   func(*DiskLayer)
		want  map[string]string // folder, and what it then holds
		err   string
	}{
		{name: "another layer beside it", files: map[string]string{"other.a/x": "1", "other": "-> other.a",
			"layer.a/mine": "1", "current": "-> v1", "v1/a": "1"},
			want: map[string]string{"current": "a=1; k=true", "other": "x=1", "layer.a": "mine=1", "v1": "a=1"}},
		{name: "an absolute link", files: map[string]string{"current.a/a": "1", "current": "-> DIR/current.a"},
			want: map[string]string{"current": "a=1; k=true"}},
		{name: "a folder in the folder", files: map[string]string{"current.a/sub/a": "1", "current": "-> current.a/sub"},
			want: map[string]string{"current": "a=1; k=true", "current.a": "sub/a=1"}},
		{name: "a link to a link", files: map[string]string{"current.a/a": "1", "second": "-> current.a",
			"current": "-> second"},
			want: map[string]string{"current": "a=1; k=true", "second": "a=1"}},
		{name: "something in the way", files: map[string]string{"v1/a": "1", "current": "-> v1", "current.a": "-> v1"},
			want: map[string]string{"current": "a=1"}, err: "current.a is in the way"},
		{name: "a link that leads nowhere", files: map[string]string{"current": "-> gone/v1"},
			err: "is a link to gone/v1, where no folder is"},
		{name: "a link to a file", files: map[string]string{"current": "-> f", "f": "1"},
			err: "is a link to f, where no folder is"},
		{name: "a link to itself", files: map[string]string{"current": "-> current"},
			err: "is a link to current, where no folder is"},
		{name: "links into the layer", files: map[string]string{"current.a/a": "1", "current.a/b": "-> DIR/current.a/a",
			"current": "-> current.a"},
			want: map[string]string{"current": "a=1; b -> a; k=true"}},
		{name: "a subdirectory behind a link", files: map[string]string{"v1/a": "-> ../other",
			"other/x": "1", "current": "-> v1"},
			set: subdirectory("a/b"), want: map[string]string{"other": "x=1"}, err: "leads elsewhere by a symbolic link"},
		{name: "a subdirectory elsewhere", files: map[string]string{"v1/a": "1", "current": "-> v1"},
			set: subdirectory("../v1"), want: map[string]string{"current": "a=1"}, err: `the subdirectory "../v1" is no folder below`},
		{name: "a folder that bears the key's name", files: map[string]string{"v1/k/a": "1", "current": "-> v1"},
			set: subdirectory("."), want: map[string]string{"current": "k/a=1"}, err: "the key k can't be a file: the layer holds a folder of that name"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for name, text := range test.files {
				tree(t, dir, map[string]string{name: strings.ReplaceAll(text, "DIR", dir)})
			}
			d := DiskLayer{Root: filepath.Join(dir, "current")}
			if test.set != nil {
				test.set(&d)
			}
			err := apply(t, d, dir, Change{{"k", "true"}})
			if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("%v, want … %s", err, test.err)
			}
			for folder, want := range test.want {
				if got := listing(t, filepath.Join(dir, folder)); got != want {
					t.Errorf("%s holds %q, want %q", folder, got, want)
				}
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
	if err := os.Chmod(filepath.Join(dir, "current.a"), want); err != nil {
		t.Fatal(err)
	}
	if err := (DiskLayer{filepath.Join(dir, "current"), some("")}).Apply(t.Context(), Change{{"k", "1"}}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "current")); err != nil || info.Mode() != want {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// Keys of an RTDS file that Envoy reads as one, and files that a change could break.
func TestRTDSForms(t *testing.T) {
	t.Parallel()
	const head = "resources:\n- \"@type\": " + runtimeType + "\n  name: x\n  layer:\n"
	for _, test := range []struct{ name, layer, value, want, err string }{
		{name: "nested, on", layer: "    a: {k: false, other: 1}\n", value: "true", want: "    a: {k: true, other: 1}\n"},
		{name: "nested, off", layer: "    a:\n      k: true\n    b: 1\n", want: "    a: {}\n    b: 1\n"},
		{name: "nested and flat", layer: "    a: {k: true}\n    a.k: true\n", value: "false", want: "    a: {k: false}\n"},
		{name: "none yet", layer: "    ~\n", value: "true", want: "    a.k: true\n"},
		{name: "an alias", layer: "    a.k: &off false\n    other: *off\n", value: "true", err: "line 6 has an alias, *off"},
		{name: "a second document", layer: "    b: 1\n---\nx: 1\n", value: "true", err: "has a second document"},
		{name: "a tab", layer: "\tb: 1\n", value: "true", err: "line 5"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "rtds.yaml")
			if err := os.WriteFile(file, []byte(head+test.layer), 0o600); err != nil {
				t.Fatal(err)
			}
			err := apply(t, RTDSFile(file), filepath.Dir(file), Change{{"a.k", test.value}})
			if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Fatalf("%v, want … %s", err, test.err)
			}
			want := head + test.want
			if test.err != "" {
				want = head + test.layer
			}
			if got, _ := os.ReadFile(file); string(got) != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// In JSON a character may stand in escapes that YAML does not know.
func TestRTDSJSON(t *testing.T) {
	t.Parallel()
	const head = `{"resources": [{"@type": "` + runtimeType + `", "name": "x", "layer": {`
	for layer, want := range map[string]string{
		`"a": "\ud83d\ude00 \u00e9\/", "b": 1.5`: `"a": "😀 é/", "b": 1.5, "k": true`,
		`"\ud83d\ude00": "\"\\\u2028"`:           `"k": true, "😀": "\"\\\u2028"`,
		`"n": 9007199254740993, "t": "true"`:     `"k": true, "n": 9007199254740993, "t": "true"`,
		"\ufeff":                                 `"k": true`,
		`"a": "\ud83d"`:                          "has half of a character",
		`"a": 1,`:                                "is not JSON",
		`"a": 1}}]} {"b": {"c": [{`:              "has more behind its JSON",
		`"a": {"k": 1}, "a": 'x'`:                "is not JSON",
	} {
		file := filepath.Join(t.TempDir(), "rtds.json")
		before := head + layer + "}}]}"
		if layer == "\ufeff" { // a byte order mark stands first
			before = layer + head + "}}]}"
		}
		must(t, os.WriteFile(file, []byte(before), 0o644))
		err := apply(t, RTDSFile(file), filepath.Dir(file), Change{{"k", "true"}})
		text, _ := os.ReadFile(file)
		if !strings.HasPrefix(want, `"`) {
			if err == nil || !strings.Contains(err.Error(), want) || string(text) != before {
				t.Errorf("%s: %v, want … %s\n%s", layer, err, want, text)
			}
			continue
		}
		var got, wanted any
		if err != nil || json.Unmarshal(text, &got) != nil || json.Unmarshal([]byte(head+want+"}}]}"), &wanted) != nil ||
			!reflect.DeepEqual(got, wanted) {
			t.Errorf("%s: %v\n%s", layer, err, text)
		}
	}
}

func TestRTDSPlaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree(t, dir, map[string]string{"link.yaml": "-> gone.yaml"})
	for file, want := range map[string]string{
		"link.yaml":      "is a link to gone.yaml, which does not exist",
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
