package operator

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// runtimeAlone is an Envoy with nothing but layers of runtime.
const runtimeAlone = `
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 9901}}}
layered_runtime:
  layers:
  - {name: disk, disk_layer: {symlink_root: ROOT}}
  - {name: admin, admin_layer: {}}
`

func withDisk(t *testing.T, root string) *envoytest.Envoy {
	port := must.Port(t)
	text := strings.NewReplacer("ROOT", root, "9901", strconv.Itoa(port)).Replace(runtimeAlone)
	return envoytest.Start(t, envoytest.FromYAML(t, text, port), 1)
}

// What the command says it has written to a disk layer is what Envoy has then: Envoy drops a whole layer, without a
// word, for one file or link in it that it can't read.
func TestDropped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root := filepath.Join(dir, "current")
	e := withDisk(t, root)
	deep := func(n int) string { return strings.Repeat("d/", n) }
	for name, test := range map[string]struct {
		files   map[string]string // a text "-> TARGET" is a link
		refused bool
	}{
		"a link to nothing":          {map[string]string{"layer/b": "-> gone"}, true},
		"a link to itself":           {map[string]string{"layer/b": "-> b"}, true},
		"folders that never end":     {map[string]string{"layer/b": "-> ."}, true},
		"a link to no YAML":          {map[string]string{"layer/b": "-> ../note", "note": "a: b: c"}, true},
		"a folder with no YAML":      {map[string]string{"layer/b": "-> ../notes", "notes/c": "a: b: c"}, true},
		"deep":                       {map[string]string{"layer/" + deep(15) + "a": "1"}, false},
		"too deep":                   {map[string]string{"layer/" + deep(16) + "a": "1"}, true},
		"a link by the layer's name": {map[string]string{"layer/c": "1", "layer/b": "-> ../layer/c"}, false},
		"a link by its own link":     {map[string]string{"layer/c": "1", "layer/b": "-> ../current/c"}, false},
		"hidden, empty, a comment":   {map[string]string{"layer/.a": "1", "layer/b": "", "layer/c": "# a: b: c"}, false},
		"a question mark":            {map[string]string{"layer/b": "?"}, true},
		"a line break of YAML 1.1":   {map[string]string{"layer/b": "a: b\u2028c: d"}, true},
		"a carriage return":          {map[string]string{"layer/b": "a: b\rc: d"}, true},
	} {
		for _, left := range []string{"current", "layer", "note", "notes"} {
			must.Do(t, os.RemoveAll(filepath.Join(dir, left)))
		}
		test.files["layer/base"] = "1"
		for file, text := range test.files {
			path := filepath.Join(dir, file)
			err := os.MkdirAll(filepath.Dir(path), 0o755)
			if target, is := strings.CutPrefix(text, "-> "); is {
				err = errors.Join(err, os.Symlink(target, path))
			} else {
				err = errors.Join(err, os.WriteFile(path, []byte(text), 0o600))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		link := filepath.Join(dir, "link")
		must.Do(t, errors.Join(os.Symlink("layer", link), os.Rename(link, root)))
		got := run(t, "maintenance", "on", "k", "--runtime-dir", root, "--subdirectory", ".")
		if refused := got.code != 0; refused != test.refused {
			t.Errorf("%s: exit code %d: %s", name, got.code, got.stderr)
		}
		if got.code == 0 {
			envoytest.Eventually(t, envoytest.Limit, name+": Envoy has the key", func() error {
				if text := e.Get("/runtime"); !strings.Contains(text, `"k": {`) || !strings.Contains(text, `"base": {`) {
					return errors.New(text)
				}
				return nil
			})
		}
	}
}

// A reason that the command takes is one that Envoy reads: texts of all that means something in YAML.
func TestReasonsAreRead(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "current")
	e := withDisk(t, root)
	pieces := []string{"a", "b", " ", ": ", ":", " #", "- ", "-", "? ", "?", "[", "]", "{", "}", ",", "&a ", "*a", "!",
		"!!str ", "|", ">", "'", `"`, "%", "@", "`", `\`, `\n`, "~", "<<", "1", "é", "\u00a0", "...", "---", "\ufeff",
		"\u2028", "\u0085", "!<t> ", "!e!x "}
	random := rand.New(rand.NewPCG(7, 7))
	taken := 0
	for range 1000 {
		var reason strings.Builder
		for range 1 + random.IntN(4) {
			reason.WriteString(pieces[random.IntN(len(pieces))])
		}
		response, err := http.Post("http://"+envoytest.Loopback(e.Config.AdminPort)+"/runtime_modify?k.reason="+
			url.PathEscape(reason.String()), "", nil)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode == http.StatusOK {
			continue
		}
		taken++
		got := run(t, "maintenance", "on", "k", "--runtime-dir", root, "--dry-run", "--reason", reason.String())
		if got.code == 0 {
			t.Errorf("%q is taken, and Envoy answers %d", reason.String(), response.StatusCode)
		}
	}
	if taken < 100 {
		t.Errorf("Envoy refused %d texts, which is no test", taken)
	}
}
