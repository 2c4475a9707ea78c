package document

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

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
func TestMistakesHaveLines(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, text, want string }{
		{"a value of a list", strings.Replace(good, "10.0.0.0/8", "10.0.0.0/33", 1),
			`f.yaml:9:7: endpoints[0].trusted.cidrs[0]: "10.0.0.0/33" is not a CIDR`},
		{"an unknown field", strings.Replace(good, "  paths", "  path: x\n  paths", 1),
			"f.yaml:6:3: endpoints[0].path: unknown field"},
		{"a missing field, at what surrounds it", strings.Replace(good, "  paths: [/hc]\n", "", 1),
			"f.yaml:5:3: endpoints[0].paths: is required, with at least one path"},
		{"a field given twice, at the second", good + "  paths: [/x]\n",
			"f.yaml:11:3: endpoints[0].paths: is given twice"},
		{"a name with dots", strings.Replace(good, `"1"`, `""`, 1),
			"f.yaml:10:23: endpoints[0].healthy.headers.x.y: must not be empty"},
		{"an alias, where it stands", strings.Replace(good, "name: a", "name: &n 7", 1),
			"f.yaml:5:3: endpoints[0].name: is a number, must be a string"},
		{"the root", "- a\n", "f.yaml:1:1: is an array, must be an object"},
		{"no YAML", "endpoints:\n- name: [a\n", "f.yaml:2:1: not YAML: did not find expected ',' or ']'"},
		{"no YAML in a block", "a: b\nb: c\n- d\n", "f.yaml:3:1: not YAML: did not find expected key"},
		{"a tab", "a:\n\tb: c\n", "f.yaml:2:1: not YAML: a tab indents this line; write spaces instead"},
		{"a tab after spaces", "a:\n  - b: c\n  \td: e\n", "f.yaml:3:3: not YAML: a tab indents this line; write spaces instead"},
		{"a tab in a list", "a:\n\t- b\n", "f.yaml:2:1: not YAML: a tab indents this line; write spaces instead"},
		{"an at sign", "a: @b\n", "f.yaml:1:1: not YAML: a value here begins with a character such as @, % or `; write it in quotes"},
		{"two colons", "a: b: c\n", "f.yaml:1:1: not YAML: mapping values are not allowed in this context; check the indentation, and write a value that has a colon before a blank in quotes"},
		{"half a character", `{"a": "\ud83d\ude00"}`, "f.yaml:1:1: not YAML: found invalid Unicode character escape code; write a character that takes two, such as \\ud83d\\ude00, as itself or as one, \\U0001f600"},
		{"Latin-1", "a: \xe9\n", "f.yaml: not YAML: incomplete UTF-8 octet sequence; write the file in UTF-8"},
		{"too large", "#" + strings.Repeat("x", 4<<20), "f.yaml: is larger than 4 MiB, comments and all, and the plugin takes 1 MiB"},
		{"a second document that is no YAML", good + "---\na: [b\n", "f.yaml:12:1: not YAML: did not find expected ',' or ']'"},
		{"a second document that is no YAML at all", good + "---\n@\n", "f.yaml:12:1: not YAML: a value here begins with a character such as @, % or `; write it in quotes"},
		{"nothing", "# only a comment\n", "f.yaml: is empty; envoy/healthgate.yaml is an example, and the smallest is endpoints: [{name: a, paths: [/healthz], trusted: {cidrs: [10.0.0.0/8]}}]"},
		{"null", "null\n", "f.yaml: is empty; envoy/healthgate.yaml is an example, and the smallest is endpoints: [{name: a, paths: [/healthz], trusted: {cidrs: [10.0.0.0/8]}}]"},
		{"two documents", good + "---\n" + good, "f.yaml:11:1: a second document begins here; a configuration is one document, so remove one of them"},
		{"a merge key", "a: &a {b: c}\nd:\n  <<: *a\n", "f.yaml:3:3: merge keys (<<) are not part of YAML 1.2; write the fields out"},
		{"infinity", "admin: {cluster: .inf}\n", "f.yaml:1:18: .inf is not a JSON number"},
		{"a name that is none", "? [a]\n: b\n", "f.yaml:1:3: the name of a field must be text"},
		{"binary", "admin: {cluster: !!binary aGk=}\n", "f.yaml:1:18: binary values have no place here; write text"},
		{"an unknown alias", "a: *b\n", "f.yaml: not YAML: unknown anchor 'b' referenced"},
		{"a bomb", bomb(), "f.yaml:1:5: is nested too deeply, or too large"},
	} {
		_, err := Parse("f.yaml", []byte(test.text))
		if err == nil || err.Error() != test.want {
			t.Errorf("%s:\n got %v\nwant %s", test.name, err, test.want)
		}
	}
}

// All mistakes are told at once, unknown fields first, with the name that was probably meant; what only follows from
// another mistake is left out.
func TestAllMistakes(t *testing.T) {
	t.Parallel()
	const probe = "probes: [{name: web, cluster: c, path: /}]\n"
	const end = "  trusted: {cidrs: [10.0.0.0/8]}\n"
	for _, test := range []struct {
		name, text string
		want       []string
	}{
		{"cidr", "endpoints:\n- name: a b\n  path: [/]\n  trusted: {cidr: [10.0.0.0/8]}\n", []string{
			"3:3: endpoints[0].path: unknown field; did you mean paths?",
			"4:13: endpoints[0].trusted.cidr: unknown field; did you mean cidrs?",
			`2:3: endpoints[0].name: "a b" has characters other than letters, digits, '_', '-' and '.'`}},
		{"several of each kind", "endpoints:\n- name: a\n  paths: [/, x, /]\n  trusted: {cidrs: [10.0.0.1/8, 10.0.0.0/8, y]}\n  healthy: {status: 99}\n  methods: 7\n", []string{
			`3:14: endpoints[0].paths[1]: "x" does not start with a slash`,
			`3:17: endpoints[0].paths[2]: "/" stands here twice`,
			`4:21: endpoints[0].trusted.cidrs[0]: "10.0.0.1/8" is not a CIDR`,
			`4:45: endpoints[0].trusted.cidrs[2]: "y" is not a CIDR`,
			"5:13: endpoints[0].healthy.status: 99 is not a whole number from 200 to 599",
			"6:3: endpoints[0].methods: is a number, must be an array"}},
		{"a probe's name", "probes: [{nme: web, cluster: c, path: /}]\nendpoints:\n- name: a\n  paths: [/]\n" + end + "  probes: {names: [web]}\n", []string{
			"1:11: probes[0].nme: unknown field; did you mean name?"}},
		{"the probes", strings.Replace(probe, "probes", "probe", 1) + "endpoints:\n- name: a\n  paths: [/]\n" + end + "  probes: {names: [web, db]}\n", []string{
			"1:1: probe: unknown field; did you mean probes?"}},
		{"the admin", "admn: {cluster: c}\nendpoints:\n- name: a\n  paths: [/]\n" + end + "  maintenance: {keys: [k]}\n", []string{
			"1:1: admn: unknown field; did you mean admin?"}},
		{"a section of another type", "admin: 5\nendpoints:\n- name: a\n  paths: [/]\n" + end + "  probes: {names: [web], policy: {atleast: 1}}\n" + probe, []string{
			"6:35: endpoints[0].probes.policy.atleast: unknown field; did you mean at_least?",
			"1:1: admin: is a number, must be an object"}},
		{"nothing near", good + "  colour: red\n  Methods: [GET]\n", []string{
			"11:3: endpoints[0].colour: unknown field",
			"12:3: endpoints[0].Methods: unknown field; did you mean methods?"}},
		{"headers", "endpoints:\n- name: a\n  paths: [/]\n" + end + "  headers: [{name: x, exat: y}, {name: z}]\n", []string{
			"5:23: endpoints[0].headers[0].exat: unknown field; did you mean exact?",
			"5:33: endpoints[0].headers[1]: needs exactly one of exact, prefix, suffix, contains and present_match"}},
		{"durations without a unit", "probes: [{name: w, cluster: c, path: /, interval: 1, timeout: 0}]\n" + good, []string{
			`1:41: probes[0].interval: "1" is not a duration such as "500ms", "1s" or "1.5m"`,
			`1:54: probes[0].timeout: "0" is not between 10ms and 1m0s`}},
		{"no JSON", "probes: [{name: w, cluster: !!binary aGk=, path: /,\n  healthy_threshold: .inf,\n  unhealthy_threshold: .nan}]\n[a]: b\n" + good, []string{
			"1:29: binary values have no place here; write text",
			"2:22: .inf is not a JSON number",
			"3:24: .nan is not a JSON number",
			"4:1: the name of a field must be text"}},
		{"too many endpoints", "endpoints:\n" + strings.Repeat("- {name: a, paths: [/], trusted: {cidrs: ['::1']}}\n", 66), nil},
	} {
		_, err := Parse("f.yaml", []byte(test.text))
		if test.want == nil {
			if err == nil || strings.Count(err.Error(), "there are more than 64 endpoints") != 1 || strings.Count(err.Error(), "\n") != 63 {
				t.Errorf("%s: %v", test.name, err)
			}
			continue
		}
		if want := "f.yaml:" + strings.Join(test.want, "\nf.yaml:"); err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", test.name, err, want)
		}
	}
	_, err := Parse("f.yaml", []byte("endpoints:\n- name: a\n  paths: ["+strings.Repeat("x, ", 200)+"]\n"+end))
	if err == nil || !strings.HasSuffix(err.Error(), "\nf.yaml: there may be more; it is read no further than to 100 mistakes") {
		t.Error(err)
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
	if err := os.WriteFile(file, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := Read(file)
	if err != nil || len(d.Config.Endpoints) != 1 || d.File != file {
		t.Fatalf("%+v, %v", d, err)
	}
	if _, err := Read(file + ".missing"); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Error(err)
	}
}

func TestPlaceholdersStay(t *testing.T) {
	t.Parallel()
	d, err := Parse("f.yaml", []byte(good+"  maintenance: {keys: ['a.{zone}.{region}.{cluster}.{node_id}']}\nadmin: {cluster: c}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"a.{zone}.{region}.{cluster}.{node_id}"}; !reflect.DeepEqual(d.Config.Keys, want) || len(d.Config.Warnings) > 0 {
		t.Errorf("%q, %q", d.Config.Keys, d.Config.Warnings)
	}
}

// What is written means the same to a reader of YAML 1.1, such as Kubernetes, and keeps its comments.
func TestYAMLForEveryReader(t *testing.T) {
	t.Parallel()
	bodies := []string{"yes", "No", "on", "OFF", "y", "12:30:45", "1:20.5", "2026-12-01", "2026-12-01T06:00:00Z", "~x", "a: b", "# a", "a\n\n b \nc", " ", "0x", "é"}
	text := &strings.Builder{}
	text.WriteString("probes:\n- &p {name: p, cluster: c, path: /, healthy_threshold: 0x1F}\nendpoints:\n")
	for i, body := range bodies {
		quoted, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		value := string(quoted)
		if i < 9 {
			value = body // plain: in YAML 1.2 it is a string as it stands
		}
		text.WriteString("- name: e" + string(rune('a'+i)) + " # comment " + string(rune('a'+i)) + "\n" +
			"  paths: [/" + string(rune('a'+i)) + "]\n  trusted: {cidrs: [10.0.0.0/8]}\n  healthy: {body: " + value + "}\n")
	}
	d, err := Parse("f.yaml", []byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	for i, body := range bodies {
		if got := d.Config.Endpoints[i].Healthy.Body; got != body {
			t.Errorf("body %q was read as %q", body, got)
		}
	}
	text.Reset()
	encoder := yaml.NewEncoder(text)
	if err := encoder.Encode(d.Node()); err != nil {
		t.Fatal(err)
	}
	out := text.String()
	for _, want := range []string{`body: "yes"`, `body: "No"`, `body: "on"`, `body: "12:30:45"`, `body: "2026-12-01"`, "healthy_threshold: 31", "# comment a"} {
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
	handed := func(text string) error {
		var v map[string]any
		if err := yaml.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		s, err := structpb.NewStruct(v)
		if err != nil {
			t.Fatal(err)
		}
		message, err := proto.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		_, err = config.Parse(message, config.Node{})
		return err
	}
	body := 1 // the largest that fits
	for step := 1 << 15; step > 0; step /= 2 {
		if handed(sized(72_000, body+step)) == nil {
			body += step
		}
	}
	if _, err := Parse("f.yaml", []byte(sized(72_000, body))); err != nil {
		t.Error(err)
	}
	_, err := Parse("f.yaml", []byte(sized(72_000, body+1)))
	if want := "f.yaml: 1048577 bytes are more than 1048576: Envoy hands it to the plugin as a google.protobuf.Struct, which is larger than the text"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestAccess(t *testing.T) {
	t.Parallel()
	d, err := Parse("f.yaml", []byte(good+"  methods: null\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Strings("endpoints[0].trusted.cidrs"); !reflect.DeepEqual(got, []string{"10.0.0.0/8"}) {
		t.Errorf("%q", got)
	}
	for place, want := range map[string]bool{
		"endpoints[0].trusted": true, "endpoints[0].methods": false, "endpoints[1]": false, "admin": false, "endpoints[0].healthy.headers.x.y": true,
	} {
		if d.Has(place) != want || len(d.Strings("endpoints[0].name")) != 0 {
			t.Errorf("%s is there: %v", place, !want)
		}
	}
}

// Every reader gets back whatever text it is, inside braces, too, and as a field's name.
func FuzzText(f *testing.F) {
	for _, s := range []string{"", "a", "/my-service/healthcheck?", "yes", "inbound|80||", "a: b", "{zone}", "\x7f\u0085\u2028", "null", "1e3", "-", "..", "a\"b\\", "a\n\t\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ToValidUTF8(s, "?")
		for _, style := range []yaml.Style{0, yaml.FlowStyle} {
			text, err := yaml.Marshal(&yaml.Node{Kind: yaml.MappingNode, Style: style, Content: []*yaml.Node{Text(s), Text(s)}})
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]any
			if err := yaml.Unmarshal(text, &got); err != nil || len(got) != 1 || got[s] != s {
				t.Errorf("%q: %s is read as %v, %v", s, text, got, err)
			}
		}
	})
}
