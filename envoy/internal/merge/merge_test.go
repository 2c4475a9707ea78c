package merge

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/healthgate/healthgate/envoy/internal/document"
	"github.com/healthgate/healthgate/envoy/internal/render"
	"github.com/healthgate/healthgate/envoy/must"
	"github.com/pmezard/go-difflib/difflib"
)

// inputs returns the files of a case: each begins with a line "=== NAME".
func inputs(text string) (out []File) {
	for part := range strings.SplitSeq("\n"+text+"\n", "\n=== ") {
		if name, text, is := strings.Cut(part, "\n"); is && name != "" {
			out = append(out, File{name, strings.TrimSuffix(text, "\n") + "\n"})
		}
	}
	return out
}

func options(d *datadriven.TestData) Options {
	o := Options{Common: render.Common{Wasm: "hg.wasm", RouteKey: "healthgate.route_maintenance"}}
	for _, arg := range d.CmdArgs {
		value := strings.Join(arg.Vals, "")
		switch arg.Key {
		case "gate":
			o.Gate = value
		case "admin":
			o.Admin = value
		case "metrics":
			o.Metrics = value
		case "listen":
			o.Listen = value
		case "runtime-dir":
			o.RuntimeDir = value
		case "listener":
			o.Listeners = arg.Vals
		case "cluster":
			o.Clusters = []string{strings.Join(arg.Vals, "=")}
		}
	}
	return o
}

// short are the words by which cases write what is long and the same in each.
var short = strings.NewReplacer(
	"$manager", `"@type": type.googleapis.com/envoy.extensions`+typeManagerV3,
	"$router", `{name: router, typed_config: {"@type": `+filters+`.router.v3.Router}}`, "$http", filters)

const filters = "type.googleapis.com/envoy.extensions.filters.http"

// web is a bootstrap with these virtual hosts.
func web(hosts string) File {
	return File{"envoy.yaml", `static_resources:
  listeners:
  - name: web
    address: {socket_address: {address: 0.0.0.0, port_value: 8080}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          $manager
          stat_prefix: web
          http_protocol_options: {accept_http_10: true}
          http_filters:
          - {name: lua, typed_config: {"@type": $http.lua.v3.Lua}}
          - $router
          route_config:
            virtual_hosts:
` + indent(hosts, 12) + "\n"}
}

// given returns the files and options of a case.
func given(d *datadriven.TestData) ([]File, Options) {
	files := inputs(d.Input)
	if len(files) == 0 {
		files = []File{web(d.Input)}
	}
	for i := range files {
		files[i].Text = short.Replace(files[i].Text)
	}
	return files, options(d)
}

// cut leaves out of a diff what a merge adds everywhere: the settings of the filter, the labels of metrics, comments.
func cut(diff string) string {
	var out strings.Builder
	deeper := -1 // than this many columns is left out
	for line := range strings.Lines(diff) {
		added, is := strings.CutPrefix(line, "+")
		columns, said := indentation(added), strings.Trim(added, " -\n")
		switch {
		case is && (columns > deeper && deeper >= 0 || strings.HasPrefix(said, "#") ||
			strings.HasPrefix(said, "regex: '^wasm") ||
			strings.HasPrefix(said, "tag_name:") || strings.HasPrefix(said, `"healthgate_`)):
			continue
		case is && (said == "typed_config:" || said == "typedConfig:"):
			line, deeper = strings.TrimSuffix(line, "\n")+" …\n", columns
		default:
			deeper = -1
		}
		out.WriteString(line)
	}
	return out.String()
}

// diff shows what a merge changed.
func diff(t *testing.T, before, after File) string {
	t.Helper()
	text := must.Get(difflib.GetUnifiedDiffString(difflib.UnifiedDiff{A: difflib.SplitLines(before.Text),
		B: difflib.SplitLines(after.Text), FromFile: before.Name, Context: 1}))(t)
	_, text, _ = strings.Cut(text, "\n+++ \n")
	if text == "" {
		return ""
	}
	return "=== " + after.Name + "\n" + text
}

// kept reports the first line of a file that is not in another in its place.
func kept(before, after string) string {
	rest := after
	for line := range strings.Lines(before) {
		i := strings.Index("\n"+rest, "\n"+line)
		if i < 0 {
			return line
		}
		rest = rest[i+len(line):]
	}
	return ""
}

func TestMerge(t *testing.T) {
	t.Parallel()
	datadriven.Walk(t, "testdata/merge", func(t *testing.T, path string) {
		var asked *document.Document
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "healthgate" {
				asked = must.Get(document.Parse("healthgate.yaml", []byte(d.Input)))(t)
				return ""
			}
			files, o := given(d)
			if d.Cmd == "lint" {
				found, err := Lint(files, asked)
				if err != nil {
					return err.Error()
				}
				return lines("error", found.Wrong) + lines("warning", found.Warnings)
			}
			r, err := Merge(asked, files, o)
			if err != nil {
				return "refused: " + err.Error()
			}
			var out strings.Builder
			for i, f := range r.Files {
				out.WriteString(diff(t, files[i], f))
				if line := kept(files[i].Text, f.Text); line != "" && !d.HasArg("opens") {
					t.Errorf("%s: the line %q is not there any more", d.Pos, line)
				}
			}
			again, err := Merge(asked, r.Files, o)
			if err != nil {
				t.Fatalf("%s: merged again: %v", d.Pos, err)
			}
			for i, f := range again.Files {
				if said := diff(t, r.Files[i], f); said != "" {
					t.Errorf("%s: merged again, it changes:\n%s", d.Pos, said)
				}
			}
			found, err := Lint(r.Files, asked)
			if err != nil {
				t.Fatalf("%s: lint: %v", d.Pos, err)
			}
			said := cut(out.String())
			return said + lines("warning", r.Warnings) + lines("note", r.Notes) +
				lines("lint", found.Wrong)
		})
	})
}

func lines(kind string, all []*document.Problem) string {
	var out strings.Builder
	for _, p := range all {
		fmt.Fprintf(&out, "%s: %s\n", kind, p)
	}
	return out.String()
}

// Nothing is missing in what is rendered whole: a merge leaves it as it is, and lint finds nothing.
func TestRendered(t *testing.T) {
	t.Parallel()
	const gated = ", trusted: {cidrs: [10.0.0.0/8]}, maintenance: {route_metadata: true}}"
	for _, endpoints := range []string{
		"{name: a, paths: [/a]" + gated,
		"{name: a, paths: [/a], trusted: {cidrs: [10.0.0.0/8]}}, {name: b, paths: [/b]" + gated,
		"{name: b, paths: [/b]" + gated + ", {name: a, paths: [/a]" + gated,
		"{name: a, paths: [/z, /a]" + gated,
		"{name: a, paths: [/z], trusted: {cidrs: [10.0.0.0/8]}}, {name: g, grpc: {services: [s]}" + gated +
			", {name: b, paths: [/b]" + gated,
	} {
		for _, gate := range []string{render.ByRoute, render.ByMatcher} {
			if gate == render.ByMatcher && strings.Contains(endpoints, "grpc") {
				continue
			}
			asked := must.Get(document.Parse("f", []byte("{admin: {cluster: adm}, endpoints: ["+endpoints+"]}")))(t)
			o := Options{Gate: gate, Common: render.Common{Wasm: "hg.wasm", RuntimeDir: "current/",
				RouteKey: "route.{endpoint}"}}
			files := []File{{"envoy.yaml", must.Get(render.Envoy(asked, render.EnvoyOptions{Common: o.Common, Gate: gate,
				Listen: "127.0.0.1:80", Admin: "127.0.0.1:9901", Clusters: []string{"app=127.0.0.1:7070"}}))(t)}}
			if found := must.Get(Lint(files, nil))(t); len(found.Wrong) > 0 {
				t.Errorf("%s, %s:\n%s", endpoints, gate, lines("lint", found.Wrong))
			}
			if said := diff(t, files[0], must.Get(Merge(asked, files, o))(t).Files[0]); said != "" {
				t.Errorf("%s, %s: it is merged:\n%s", endpoints, gate, said)
			}
		}
	}
}

// JSON is merged into with all escapes that it has.
func TestEscapes(t *testing.T) {
	t.Parallel()
	asked := must.Get(document.Parse("f", []byte("endpoints: [{name: a, paths: [/hc], trusted: {cidrs: ['::1']}}]")))(t)
	text := short.Replace(`{"static_resources": {"listeners": [{"name": "\ud83d\ude00\/", "filter_chains": [{"filters": [
		{"typed_config": {"@type": "type.googleapis.com\/envoy.extensions` + typeManagerV3 + `", "route_config": {},
		"http_filters": [{"name": "\\/\ud83d\ude00"}]}}]}]}]}}`)
	r := must.Get(Merge(asked, []File{{"envoy.json", text}}, Options{Common: render.Common{Wasm: "hg.wasm"}}))(t)
	var want, got any
	err := errors.Join(json.Unmarshal([]byte(text), &want), json.Unmarshal([]byte(r.Files[0].Text), &got))
	if got, want := strip(got), strip(want); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v: without healthgate there is %q, and there was %q", err, got, want)
	}
}

// What Envoy reads in another way, and no scenario can hold.
func TestStrangeText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"\xff\xfe{\x00}\x00":                   "envoy.yaml: is UTF-16, which Envoy does not read; write it in UTF-8",
		"a: 1\r\n# b\rc: 2\r\n":                "envoy.yaml:2:1: a carriage return stands alone in this line",
		"\ufeffnode: {}\r\nb: 2\r\n# and on\n": "",
	} {
		_, err := read([]File{{"envoy.yaml", text}})
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
