package merge

import (
	"flag"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/healthgate/healthgate/envoy/internal/document"
	"github.com/healthgate/healthgate/envoy/must"
	"go.yaml.in/yaml/v3"
)

// styles are ways to write the same configuration.
var styles = []struct {
	name  string
	write func(t *testing.T, s *source) File
}{
	{"camel case", func(t *testing.T, s *source) File {
		return encoded(t, s, (&source{camel: true}).spelt(clone(s.root)), 2)
	}},
	{"deeply indented", func(t *testing.T, s *source) File { return encoded(t, s, s.root, 4) }},
	{"in braces", func(t *testing.T, s *source) File {
		n := clone(s.root)
		n.Style = yaml.FlowStyle
		return encoded(t, s, n, 2)
	}},
	{"without braces", func(t *testing.T, s *source) File {
		n := clone(s.root)
		for n := range each(n) {
			n.Style = 0
		}
		return encoded(t, s, n, 2)
	}},
	{"JSON", func(_ *testing.T, s *source) File {
		var out strings.Builder
		writeFlow(&out, clone(s.root), "\n")
		return File{strings.TrimSuffix(strings.TrimSuffix(s.Name, ".yaml"), ".json") + ".json", out.String() + "\n"}
	}},
	{"with the line ends of Windows", func(_ *testing.T, s *source) File {
		return File{s.Name, strings.ReplaceAll(s.Text, "\n", "\r\n")}
	}},
	{"with a byte order mark", func(_ *testing.T, s *source) File { return File{s.Name, "\ufeff" + s.Text} }},
	{"without a last line end", func(_ *testing.T, s *source) File {
		return File{s.Name, strings.TrimRight(s.Text, "\n")}
	}},
}

func encoded(t *testing.T, s *source, n *yaml.Node, columns int) File {
	t.Helper()
	var out strings.Builder
	e := yaml.NewEncoder(&out)
	e.SetIndent(columns)
	must.Do(t, e.Encode(n))
	return File{strings.TrimSuffix(s.Name, ".json") + ".yaml", out.String()}
}

var seeds = flag.Int("seeds", 8, "how many times TestStyles scribbles each case")

// TestStyles merges each case as it is and written in other ways: what comes out means the same, and what was there is
// there.
func TestStyles(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"files", "grpc", "routes"} {
		text := must.Read(t, "testdata/merge/"+name)
		var asked *document.Document
		datadriven.RunTestFromString(t, text, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "healthgate" {
				asked = must.Get(document.Parse("healthgate.yaml", []byte(d.Input)))(t)
				return d.Expected
			}
			files, o := given(d)
			plainly, err := Merge(asked, files, o)
			if err != nil {
				return d.Expected // TestMerge sees what is refused
			}
			want := Plain(plainly.Files)
			if left, was := strip(asLists(Plain(plainly.Files))), strip(asLists(Plain(files))); !d.HasArg("cluster") &&
				!reflect.DeepEqual(left, was) {
				t.Errorf("%s: without healthgate there is\n%v\nand there was\n%v", d.Pos, left, was)
			}
			check := func(style string, write func(s *source) File) {
				var other []File
				for _, f := range files {
					other = append(other, write(must.Get(parse(f))(t)))
				}
				r, err := Merge(asked, other, o)
				if err != nil {
					t.Errorf("%s: %s: %v\n%s", d.Pos, style, err, other[0].Text)
					return
				}
				if got := Plain(r.Files); !reflect.DeepEqual(asLists(got), asLists(want)) {
					t.Errorf("%s: %s: it means something else\n%s\n\n%s", d.Pos, style, other[0].Text, r.Files[0].Text)
				}
			}
			for _, style := range styles {
				check(style.name, func(s *source) File { return style.write(t, s) })
			}
			for seed := range uint64(*seeds) {
				check(fmt.Sprint("scribbled, seed ", seed), func(s *source) File {
					return File{"envoy.yaml", scribble(clone(s.root), seed)}
				})
			}
			return d.Expected
		})
	}
}

// strip takes what a merge adds out of a configuration, and what is empty without it.
func strip(v any) any {
	switch v := v.(type) {
	case []any:
		out := []any{}
		for _, child := range v {
			o, _ := child.(map[string]any)
			name, _ := o["name"].(string)
			regex, _ := o["regex"].(string)
			prefix, _ := o["prefix"].(string)
			if layer, is := o["static_layer"].(map[string]any); is && reflect.DeepEqual(strip(layer), map[string]any{}) {
				continue
			}
			if strings.HasPrefix(name, "healthgate") || strings.HasPrefix(name, "maintenance-") || name == "envoy_admin" ||
				name == "admin" || name == "disk" || name == "envoy.bootstrap.internal_listener" ||
				strings.HasPrefix(regex, "^wasm") || strings.HasPrefix(prefix, "wasm") ||
				prefix == "listener_manager." || prefix == "overload." ||
				o["suffix"] == ".downstream_rq_active" {
				continue
			}
			out = append(out, strip(child))
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for name, value := range v {
			value = strip(value)
			empty := reflect.DeepEqual(value, []any{}) || reflect.DeepEqual(value, map[string]any{})
			if !strings.HasPrefix(name, "healthgate") && !empty && (name != "admin" || !isLoopback(value)) {
				out[name] = value
			}
		}
		return out
	}
	return v
}

// isLoopback reports whether this is the admin that a merge may add.
func isLoopback(admin any) bool {
	return reflect.DeepEqual(admin, map[string]any{"address": map[string]any{"socket_address": map[string]any{
		"address": "127.0.0.1", "port_value": 9901.}}})
}
