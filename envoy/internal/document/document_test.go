package document

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/healthgate/healthgate/envoy/must"
	"github.com/healthgate/healthgate/filter/config"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

const good = `# about the file

# about the endpoints
endpoints:
- name: a  # its name
  paths: [/hc]
  trusted:
    cidrs:
    - 10.0.0.0/8
  healthy: {headers: {x.y: "1"}}
`

// Each mistake is told with its line and column, in the plugin's own words.
func TestMistakes(t *testing.T) {
	t.Parallel()
	datadriven.RunTest(t, "testdata/mistakes.txt", func(_ *testing.T, d *datadriven.TestData) string {
		text := d.Input + "\n"
		switch {
		case d.HasArg("crlf"):
			text = strings.ReplaceAll(text, "\n", "\r\n")
		case d.HasArg("bom"):
			text = "\ufeff" + text
		}
		if _, err := Parse("f.yaml", []byte(text)); err != nil {
			return err.Error()
		}
		return "valid"
	})
}

// What is too large for a scenario, or no text.
func TestTooMuch(t *testing.T) {
	t.Parallel()
	const end = "  trusted: {cidrs: [10.0.0.0/8]}\n"
	for _, test := range []struct {
		name, text, end string // of the message
		lines           int
	}{
		{"Latin-1", "a: é\nbé: \xe9\n", "f.yaml:2:5: not YAML: incomplete UTF-8 octet sequence; write the file in " +
			"UTF-8", 1},
		{"a vertical tab", "a: 1\nb: é\v\n", "f.yaml:2:5: not YAML: control characters are not allowed", 1},
		{"UTF-16 without a mark", "\x00a\x00:\x00 \x001", "f.yaml:1:1: not YAML: control characters are not allowed; write " +
			"the file in UTF-8", 1},
		{"too large", "#" + strings.Repeat("x", 4<<20),
			"f.yaml: is larger than 4 MiB, comments and all, and the plugin takes 1 MiB", 1},
		{"a bomb", bomb(), "f.yaml:1:5: is nested too deeply, or too large", 1},
		{"too many endpoints", "endpoints:\n" + strings.Repeat("- {name: a, paths: [/], trusted: {cidrs: ['::1']}}\n", 66),
			"f.yaml:66:3: endpoints[64]: there are more than 64 endpoints", 64},
		{"too many mistakes", "endpoints:\n- name: a\n  paths: [" + strings.Repeat("x, ", 200) + "]\n" + end,
			"f.yaml: there may be more; it is read no further than to 100 mistakes", 101},
		{"too many misspelt fields", "endpoints:\n" + strings.Repeat("- {nam: a, path: [/], trustd: {cidr: ['::1']}}\n", 60),
			"f.yaml: there may be more; it is read no further than to 100 mistakes", 101},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Parse("f.yaml", []byte(test.text))
			if err == nil || !strings.HasSuffix("\n"+err.Error(), "\n"+test.end) ||
				strings.Count(err.Error(), "\n") != test.lines-1 {
				t.Errorf("%s:\n got %v\nwant … %s", test.name, err, test.end)
			}
		})
	}
}

// bomb unfolds to ten million values.
func bomb() string {
	out := "x0: &x0 a\n"
	for i := range 8 {
		from, to := string(rune('0'+i)), string(rune('1'+i))
		out += "x" + to + ": &x" + to + " [" + strings.Repeat("*x"+from+", ", 9) + "*x" + from + "]\n"
	}
	return out
}

func TestRead(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "healthgate.yaml")
	must.Write(t, file, good)
	d, err := Read(file)
	if err != nil || len(d.Config.Endpoints) != 1 || d.File != file {
		t.Fatalf("%+v, %v", d, err)
	}
	for file, want := range map[string]string{
		file + ".missing": file + ".missing: can't be read: no such file or directory", "": "the name of FILE is empty",
		"a\nb": `a\nb: can't be read: no such file or directory`, filepath.Dir(file): ": is a folder; give the " +
			"healthgate.yaml in it",
	} {
		t.Run(file, func(t *testing.T) {
			if _, err := Read(file); err == nil || !strings.HasSuffix(err.Error(), want) {
				t.Errorf("%q: %v, want … %s", file, err, want)
			}
		})
	}
}

// JSON is read with all escapes that it has.
func TestJSON(t *testing.T) {
	t.Parallel()
	const text = "\ufeff" + `{"endpoints": [{"name": "a", "paths": ["\/hc"], "trusted": {"cidrs": ["10.0.0.0\/8"]},
		"healthy": {"body": "\ud83d\ude00 \\ud83d\\ude00 \\\ud83d\uDE00 \\/ \\\/ \" \u0085 \u00e9 \b"}}]}`
	var want, got any
	must.Do(t, json.Unmarshal([]byte(strings.TrimPrefix(text, "\ufeff")), &want))
	must.Do(t, json.Unmarshal(must.Get(Parse("f.json", []byte(text)))(t).JSON(), &got))
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPlaceholdersStay(t *testing.T) {
	t.Parallel()
	d := must.Get(Parse("f.yaml",
		[]byte(good+"  maintenance: {keys: ['a.{zone}.{region}.{cluster}.{node_id}']}\nadmin: {cluster: c}\n")))(t)
	if want := []string{"a.{zone}.{region}.{cluster}.{node_id}"}; !reflect.DeepEqual(d.Config.Keys, want) ||
		len(d.Config.Warnings) > 0 {
		t.Errorf("%q, %q", d.Config.Keys, d.Config.Warnings)
	}
}

// What is written means the same to a reader of YAML 1.1, such as Kubernetes, and keeps its comments.
func TestYAMLForEveryReader(t *testing.T) {
	t.Parallel()
	bodies := []string{"yes", "No", "on", "OFF", "y", "12:30:45", "1:20.5", "2026-12-01", "2026-12-01T06:00:00Z", "~x",
		"a: b", "# a", "a\n\n b \nc", " ", "0x", "é"}
	text := &strings.Builder{}
	text.WriteString("probes:\n- &p {name: p, cluster: c, path: /, healthy_threshold: 31.0}\nendpoints:\n")
	for i, body := range bodies {
		quoted := must.Get(json.Marshal(body))(t)
		value := string(quoted)
		if i < 9 {
			value = body // plain: in YAML 1.2 it is a string as it stands
		}
		text.WriteString("- name: e" + string(rune('a'+i)) + " # comment " + string(rune('a'+i)) + "\n" +
			"  paths: [/" + string(rune('a'+i)) + "]\n  trusted: {cidrs: [10.0.0.0/8]}\n  healthy: {body: " + value + "}\n")
	}
	d := must.Get(Parse("f.yaml", []byte(text.String())))(t)
	for i, body := range bodies {
		if got := d.Config.Endpoints[i].Healthy.Body; got != body {
			t.Errorf("body %q was read as %q", body, got)
		}
	}
	text.Reset()
	encoder := yaml.NewEncoder(text)
	must.Do(t, encoder.Encode(d.Node()))
	out := text.String()
	for _, want := range []string{`body: "yes"`, `body: "No"`, `body: "on"`, `body: "12:30:45"`, `body: "2026-12-01"`,
		"healthy_threshold: 31", "# comment a"} {
		if !strings.Contains(out, want) {
			t.Errorf("there is no %s in\n%s", want, out)
		}
	}
	again, err := Parse("g.yaml", []byte(out))
	if err != nil || string(again.JSON()) != string(d.JSON()) {
		t.Errorf("it means something else then: %v\n%s\n%s", err, again.JSON(), d.JSON())
	}
}

// A file is as large as what Envoy makes of it for the plugin: the plugin's own reader decides about that.
func TestSizeIsThatOfTheStruct(t *testing.T) {
	t.Parallel()
	sized := func(cidrs, body int) string {
		return "endpoints: [{name: a, paths: [/a], healthy: {body: " + strings.Repeat("x", body) + "}, trusted: {cidrs: [" +
			strings.Repeat("10.0.0.0/8, ", cidrs) + "]}}]\n"
	}
	// handed returns the size of what Envoy hands to the plugin.
	handed := func(cidrs, body int) int {
		value := func(v any) *structpb.Value {
			return must.Get(structpb.NewValue(v))(t)
		}
		return proto.Size(value(map[string]any{"endpoints": []any{map[string]any{
			"name": "a", "paths": []any{"/a"}, "healthy": map[string]any{"body": strings.Repeat("x", body)},
			"trusted": map[string]any{"cidrs": slices.Repeat([]any{"10.0.0.0/8"}, cidrs)},
		}}}).GetStructValue())
	}
	const cidrs = 1_000
	body := config.MaxBytes - handed(cidrs, 1<<14) + 1<<14 // the largest that fits; lengths of this size take three bytes
	if at, above := handed(cidrs, body), handed(cidrs, body+1); at != config.MaxBytes || above != config.MaxBytes+1 {
		t.Fatalf("%d and %d bytes", at, above)
	}
	if _, err := Parse("f.yaml", []byte(sized(cidrs, body))); err != nil {
		t.Error(err)
	}
	_, err := Parse("f.yaml", []byte(sized(cidrs, body+1)))
	if want := "f.yaml: 1048577 bytes are more than 1048576: Envoy hands it to the plugin as a google.protobuf.Struct, " +
		"which is larger than the text"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestAccess(t *testing.T) {
	t.Parallel()
	d := must.Get(Parse("f.yaml", []byte(good+"  methods: null\n")))(t)
	if got := d.Strings("endpoints[0].trusted.cidrs"); !reflect.DeepEqual(got, []string{"10.0.0.0/8"}) {
		t.Errorf("%q", got)
	}
	for place, want := range map[string]bool{
		"endpoints[0].trusted": true, "endpoints[0].methods": false, "endpoints[1]": false, "admin": false,
		"endpoints[0].healthy.headers.x.y": true,
	} {
		t.Run(place, func(t *testing.T) {
			if d.Has(place) != want || len(d.Strings("endpoints[0].name")) != 0 {
				t.Errorf("%s is there: %v", place, !want)
			}
		})
	}
}

// Every reader gets the text back as it was written: as a value, inside braces, and as a field's name.
func FuzzText(f *testing.F) {
	for _, s := range []string{"", "a", "/my-service/healthcheck?", "yes", "inbound|80||", "a: b", "{zone}",
		"\x7f\u0085\u2028", "null", "1e3", "-", "..", "a\"b\\", "a\n\t\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ToValidUTF8(s, "?")
		for _, style := range []yaml.Style{0, yaml.FlowStyle} {
			text := must.Get(yaml.Marshal(&yaml.Node{Kind: yaml.MappingNode, Style: style,
				Content: []*yaml.Node{Text(s), Text(s)}}))(t)
			var got map[string]any
			if err := yaml.Unmarshal(text, &got); err != nil || len(got) != 1 || got[s] != s {
				t.Errorf("%q: %s is read as %v, %v", s, text, got, err)
			}
		}
	})
}
