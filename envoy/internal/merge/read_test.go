package merge

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/envoy/internal/document"
	"github.com/healthgate/healthgate/envoy/internal/dump"
	"github.com/healthgate/healthgate/envoy/internal/render"
	"github.com/healthgate/healthgate/envoy/must"
	"github.com/healthgate/healthgate/envoy/rendertest"
)

// strange are the characters that a reader or writer of YAML or JSON may treat in a way of its own.
func strange() (out []rune) {
	for r := range rune(0x100) {
		if r < ' ' || r > '~' {
			out = append(out, r)
		}
	}
	return append(out, '"', '\'', '\\', '#', 0x2028, 0x2029, 0x200e, 0x202e, 0xd7ff, 0xe000, 0xfdd0, 0xfeff, 0xfffd,
		0xfffe, 0xffff, 0x10000, 0x1f600, 0x1fffe, 0x10ffff)
}

// What is rendered or merged is read again, whatever stands in it, and the filter asks for what was written.
func TestEveryCharacter(t *testing.T) {
	t.Parallel()
	for some := range slices.Chunk(strange(), 30) {
		var endpoints strings.Builder
		for i, r := range some {
			between := "a" + string(r) + "b"
			value := between
			if r != '\t' && (r < ' ' || r == 0x7f) { // which no header has
				value = "v"
			}
			q, v, alone := rendertest.Double(between), rendertest.Double(value), rendertest.Double(string(r))
			fmt.Fprintf(&endpoints, "- {name: a%d, paths: [/a%d], hosts: [%s], headers: [{name: x, exact: %s}], "+
				"probes: {names: [p]}, trusted: {cidrs: ['::1'], peer: {filter_state: %s}}, "+
				"healthy: {body: %s, content_type: %s, headers: {x: %s}}}\n",
				i, i, v, q, q, alone, v, v)
		}
		name := rendertest.Double("c" + strings.Trim(string(some), "\t\n\r") + "d")
		isRead(t, fmt.Sprintf("endpoints:\n%sprobes: [{name: p, cluster: %s, path: /}]\nadmin: {cluster: adm}\n",
			endpoints.String(), name), string(some))
	}
}

// Random files are read again, too.
func TestRandomFiles(t *testing.T) {
	t.Parallel()
	for seed := range uint64(*seeds * 2) {
		text, _ := rendertest.Random(rand.New(rand.NewPCG(seed, 24)))
		isRead(t, text, fmt.Sprint("f", seed))
	}
}

// asText returns a file of JSON with the filter's configuration as a google.protobuf.StringValue, as Istio has it.
func asText(t *testing.T, f File) File {
	t.Helper()
	var v any
	must.Do(t, json.Unmarshal([]byte(f.Text), &v))
	dump.Each(v, func(o map[string]any) bool {
		if value := dump.At(o, "configuration", "value"); value != nil {
			o["configuration"].(map[string]any)["value"] = string(must.Get(json.Marshal(value))(t))
		}
		return true
	})
	return File{"text.json", string(document.EscapeJSON(must.Get(json.Marshal(v))(t)))}
}

// isRead renders a file in each way, and merges it, and reads what came of it. The name stands where paths do.
func isRead(t *testing.T, text, name string) {
	t.Helper()
	asked, err := document.Parse("f", []byte(text))
	if err != nil {
		t.Errorf("%v in\n%s", err, text)
		return
	}
	var clusters []string
	for _, p := range asked.Config.Probes {
		clusters = append(clusters, p.Cluster+"=127.0.0.1:7071")
	}
	path := strings.Trim(strings.ReplaceAll(name, "\x00", ""), "/")
	common := render.Common{Wasm: "/w/" + path + "/hg.wasm", RuntimeDir: "/r/" + path + "/current",
		RouteKey: "route.{endpoint}", Command: []string{"healthgate", name}}
	wrong := func(way string, err error, made string) {
		t.Errorf("%q, %s: %v, in\n%s\n\nof\n%s", name, way, err, made, text)
	}
	for _, gate := range []string{render.ByRoute, render.ByMatcher} {
		made, err := render.Envoy(asked, render.EnvoyOptions{Common: common, Gate: gate,
			Listen: "127.0.0.1:80", Admin: "127.0.0.1:9901", Clusters: append([]string{"app=127.0.0.1:7070"}, clusters...),
			Node: render.Node{ID: "n" + name}})
		if err != nil {
			wrong(gate, err, "")
			continue
		}
		files := []File{{"envoy.yaml", made}}
		for _, bootstrap := range []File{
			web("- {name: v, domains: ['*'], routes: [{match: {prefix: /}, route: {cluster: app}}]}"),
			styles[4].write(t, must.Get(parse(File{"envoy.yaml", made}))(t)),
		} {
			bootstrap.Text = short.Replace(bootstrap.Text)
			merged, err := Merge(asked, []File{bootstrap}, Options{Common: common, Gate: gate, Clusters: clusters,
				Admin: "127.0.0.1:9901"})
			if err != nil {
				wrong("merged, "+gate, err, bootstrap.Text)
				continue
			}
			files = append(files, merged.Files[0])
		}
		for _, f := range append(files, asText(t, files[2])) {
			found, err := Lint([]File{f}, nil)
			if err != nil || len(found.Wrong) > 0 {
				if found != nil {
					err = found.Wrong[0]
				}
				wrong(f.Name+", "+gate, err, f.Text)
				continue
			}
			var got, want map[string]any
			must.Do(t, json.Unmarshal(found.Documents[0].JSON(), &got))
			must.Do(t, json.Unmarshal(asked.JSON(), &want))
			if !reflect.DeepEqual(got["endpoints"], want["endpoints"]) {
				wrong(f.Name+", "+gate, fmt.Errorf("it asks for %v", got), f.Text)
			}
		}
	}
}

// Filters may have configurations of their own, by which each is judged.
func TestLintSeveral(t *testing.T) {
	t.Parallel()
	edge := strings.NewReplacer("name: web", "name: edge", "8080", "8081").Replace
	bootstrap := web("- {name: v, domains: ['*'], routes: [{match: {prefix: /}, route: {cluster: app}}]}")
	_, listener, _ := strings.Cut(bootstrap.Text, "listeners:\n")
	files := []File{{"envoy.yaml", short.Replace("static_resources:\n  listeners:\n" + listener + edge(listener))}}
	common := render.Common{Wasm: "/hg.wasm", RouteKey: "healthgate.route_maintenance"}
	for _, name := range []string{"web", "edge"} {
		asked := must.Get(document.Parse("f", []byte("endpoints: [{name: "+name+", paths: [/"+name+"], "+
			"trusted: {cidrs: [10.0.0.0/8]}, maintenance: {keys: [k]}}]\nadmin: {cluster: adm}")))(t)
		o := Options{Common: common, Listeners: []string{name}, Admin: "127.0.0.1:9901"}
		files = must.Get(Merge(asked, files, o))(t).Files
	}
	found := must.Get(Lint(files, nil))(t)
	if len(found.Wrong) > 0 || len(found.Documents) != 2 {
		t.Errorf("%d documents\n%s", len(found.Documents), lines("error", found.Wrong))
	}
	files[0].Text = strings.Replace(files[0].Text, `"path": "/edge"`, `"path": "/other"`, 1)
	found = must.Get(Lint(files, nil))(t)
	if said := lines("error", found.Wrong); !strings.Contains(said, `listener "edge"`) || strings.Contains(said, `"web"`) {
		t.Error(said)
	}
}

// A large file in one line, as programs write JSON, is no slower to read than one in many.
func TestOneLine(t *testing.T) {
	t.Parallel()
	routes := strings.Repeat("{match: {prefix: /x}, route: {cluster: app}}, ", 5000)
	bootstrap := web("- {name: v, domains: ['*'], routes: [" + routes + "]}")
	bootstrap.Text = short.Replace(bootstrap.Text)
	text := must.Get(json.Marshal(plain(must.Get(parse(bootstrap))(t).root)))(t)
	const endpoints = "endpoints: [{name: e, paths: [/h], trusted: {cidrs: [10.0.0.0/8]}}]"
	asked := must.Get(document.Parse("f", []byte(endpoints)))(t)
	merged := make(chan error, 1)
	go func() {
		_, err := Merge(asked, []File{{"envoy.json", string(text)}}, Options{Common: render.Common{Wasm: "/hg.wasm"}})
		merged <- err
	}()
	select {
	case err := <-merged:
		must.Do(t, err)
	case <-time.After(time.Minute):
		t.Error("it takes longer than a minute")
	}
}
