package layer

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if target, is := strings.CutPrefix(text, "-> "); is {
			if err := os.Symlink(target, path); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
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

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func some(s string) *string { return &s }

// What lies in a layer stays as it is, but for the key that is changed.
func TestDiskKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name         string
		files        map[string]string
		subdirectory *string
		change       Change
		want, err    string
	}{
		{name: "modes", files: map[string]string{"a@600": "1", "k@640": "no"},
			change: Change{{"k", "true"}, {"k.reason", "r"}},
			want:   "a=1 -rw-------; k=true -rw-r-----; k.reason=r"},
		{name: "links", files: map[string]string{"a": "-> ../other/a", "b": "-> /etc/hostname", "c": "-> a"},
			change: Change{{"k", "1"}},
			want:   "a -> ../other/a; b -> /etc/hostname; c -> a; k=1"},
		{name: "a key that is a link gives way to a file", files: map[string]string{"k": "-> ../other/victim"},
			change: Change{{"k", "true"}}, want: "k=true"},
		{name: "a key that is a link is taken out", files: map[string]string{"k": "-> ../other/victim"},
			change: Change{{"k", ""}}},
		{name: "a key in folders, off", files: map[string]string{"hg/maint": "true", "hg/other": "1"},
			subdirectory: some("."),
			change:       Change{{"hg.maint", ""}, {"hg.maint.reason", ""}}, want: "hg/other=1"},
		{name: "a key in folders, on", files: map[string]string{"hg/sub.x/maint@600": "no"},
			change: Change{{"hg.sub.x.maint", "true"}},
			want:   "hg/sub.x/maint=true -rw-------"},
		{name: "a key in both spellings", files: map[string]string{"hg/maint": "true", "hg.maint": "false"},
			subdirectory: some("."),
			change:       Change{{"hg.maint", "true"}}, err: "lies in the layer twice, as hg.maint and hg/maint"},
		{name: "a key behind a linked folder", files: map[string]string{"hg": "-> ../other"}, subdirectory: some("."),
			change: Change{{"hg.victim", "true"}}, err: "lies behind the symbolic link hg"},
		{name: "a folder that may be the subdirectory", files: map[string]string{"envoy/k": "1"},
			change: Change{{"k", "true"}},
			err:    `holds the folder "envoy": give the subdirectory`},
		{name: "a subdirectory", files: map[string]string{"envoy/a": "1"}, subdirectory: some("envoy"),
			change: Change{{"k", "true"}},
			want:   "envoy/a=1; envoy/k=true"},
		{name: "a new subdirectory and cluster", files: map[string]string{"a": "1"}, subdirectory: some("envoy/shop"),
			change: Change{{"k", "true"}},
			want:   "a=1; envoy/shop/k=true"},
		{name: "no subdirectory beside folders", files: map[string]string{"other/a": "1"}, subdirectory: some("."),
			change: Change{{"k", "true"}},
			want:   "k=true; other/a=1"},
		{name: "a subdirectory that leads elsewhere", files: map[string]string{"envoy": "-> ../other"},
			subdirectory: some("envoy"),
			change:       Change{{"victim", "true"}}, err: "leads elsewhere by a symbolic link"},
		{name: "a subdirectory outside", subdirectory: some("../other"), change: Change{{"victim", "true"}},
			err: `"../other" is no folder below`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			tree(t, filepath.Join(dir, "other"), map[string]string{"victim": "untouched", "a": "2"})
			tree(t, filepath.Join(dir, "mine"), test.files)
			if len(test.files) == 0 {
				tree(t, dir, map[string]string{"mine/a": "1"})
			}
			tree(t, dir, map[string]string{"current": "-> mine"})
			before, root := listing(t, filepath.Join(dir, "mine")), filepath.Join(dir, "current")
			for range 2 { // from the operator's folder, then from our own
				err := apply(t, DiskLayer{root, test.subdirectory}, dir, test.change)
				if test.err != "" {
					if err == nil || !strings.Contains(err.Error(), test.err) {
						t.Fatalf("%v, want … %s", err, test.err)
					}
					if got := listing(t, root); got != before {
						t.Errorf("the layer is %q, was %q", got, before)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				if got := listing(t, root); got != test.want {
					t.Errorf("the layer is %q, want %q", got, test.want)
				}
			}
			if got := listing(t, filepath.Join(dir, "mine")); got != before {
				t.Errorf("the operator's folder is %q, was %q", got, before)
			}
			if got, want := listing(t, filepath.Join(dir, "other")), "a=2; victim=untouched"; got != want {
				t.Errorf("beside it: %q, want %q", got, want)
			}
		})
	}
}

// A link that leads out of a folder which lies elsewhere still leads to the same file.
func TestDiskMovesRelativeLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tree(t, dir, map[string]string{"far/away/layer/a": "-> ../value", "far/away/value": "7",
		"here/current": "-> ../far/away/layer"})
	root := filepath.Join(dir, "here", "current")
	if err := (DiskLayer{Root: root}).Apply(t.Context(), Change{{"k", "1"}}); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(root, "a")); err != nil || string(text) != "7" {
		t.Errorf("%q, %v", text, err)
	}
}
