package schema_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/envoy/internal/schema"
	"github.com/healthgate/healthgate/envoy/must"
	"github.com/healthgate/healthgate/filter/config"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

var update = flag.Bool("update", false, "write the schema anew: make generate")

const shipped = "../../healthgate.schema.json"

func TestShippedSchema(t *testing.T) {
	t.Parallel()
	if *update {
		must.Do(t, os.WriteFile(shipped, schema.JSON(), 0o644))
	}
	if text, err := os.ReadFile(shipped); err != nil || !bytes.Equal(text, schema.JSON()) {
		t.Errorf("%s is not what `healthgate schema` writes (%v): make generate", filepath.Base(shipped), err)
	}
}

// TestDocumentedFields: the tables of the reference are made from the fields.
func TestDocumentedFields(t *testing.T) {
	t.Parallel()
	const file = "../../../docs/configuration.md"
	text := must.Read(t, file)
	tables, want := schema.Tables(), text
	for name, table := range tables {
		begin, end := "<!-- fields: "+name+" -->\n", "<!-- /fields -->"
		before, rest, found := strings.Cut(want, begin)
		_, after, closed := strings.Cut(rest, end)
		if !found || !closed {
			t.Fatalf("%s has no place for the table %q", file, name)
		}
		want = before + begin + "\n" + table + "\n" + end + after
	}
	if *update {
		must.Write(t, file, want)
	} else if text != want {
		t.Errorf("%s is not what the fields say: make generate", file)
	}
	if n := strings.Count(want, "<!-- fields: "); n != len(tables) {
		t.Errorf("%s has places for %d tables, of %d", file, n, len(tables))
	}
}

// TestNoSchemaNamed: what people copy names no schema, which would stay behind.
func TestNoSchemaNamed(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../examples/*/healthgate.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, file := range append(files, "../../healthgate.yaml") {
		if text, err := os.ReadFile(file); err != nil || bytes.Contains(text, []byte("$schema=")) {
			t.Errorf("%s names a schema (%v)", file, err)
		}
	}
}

// compile returns the schema, which a validator must take.
func compile(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document := must.Get(jsonschema.UnmarshalJSON(bytes.NewReader(schema.JSON())))(t)
	c := jsonschema.NewCompiler()
	must.Do(t, c.AddResource("healthgate.schema.json", document))
	return must.Get(c.Compile("healthgate.schema.json"))(t)
}

// beyond reports whether a JSON Schema can't see a mistake.
func beyond(err error) bool {
	var mistake *config.Error
	return errors.As(err, &mistake) && mistake.Kind == config.Relation
}

// compare fails the test unless the schema and the plugin's reader say the same of a document.
func compare(t *testing.T, s *jsonschema.Schema, text []byte) (accepted bool) {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return false
	}
	_, refused := config.Parse(text, config.Node{ID: "i", Cluster: "c", Region: "r", Zone: "z"})
	invalid := s.Validate(document)
	switch {
	case refused == nil && invalid != nil:
		t.Errorf("the plugin takes what the schema refuses:\n%s\n%v", text, invalid)
	case refused != nil && invalid == nil && !beyond(refused):
		t.Errorf("the plugin refuses what the schema takes:\n%s\n%v", text, refused)
	}
	return refused == nil
}

// full has every field there is; its mutations reach every rule.
const full = `{
  "endpoints": [{
    "name": "a", "paths": ["/hc", "/x"], "methods": ["GET", "M-SEARCH"], "hosts": ["a.example:80"],
    "headers": [{"name": "user-agent", "prefix": "ELB/", "ignore_case": true}, {"name": "x", "present_match": false}],
    "trusted": {"cidrs": ["10.0.0.0/8", "fd00::/8"], "providers": ["gcp"], "pipe": true, "peer": "connection"},
    "untrusted": {"action": "reply", "status": 404, "body": "b", "content_type": "t/p", "headers": {"x-a": "1"}},
    "healthy": {"status": 200, "body": "OK", "content_type": "text/plain", "headers": {"cache-control": "no-store"}},
    "unhealthy": {"status": "probe", "body": "FAILED", "content_type": "text/plain", "headers": {}},
    "maintenance": {"keys": ["k", "k.{zone}"], "route_metadata": true, "status": 503, "body": "M", "content_type": "a"},
    "probes": {"policy": {"at_least": 1}, "names": ["p"]},
    "unknown": {"status": 503, "body": "UNKNOWN", "content_type": "text/plain", "headers": {"a": "b"}},
    "draining": {"status": 500, "body": "D", "content_type": "", "headers": {"a": "b"}},
    "degraded": {"probes": ["q"], "headers": {"x-envoy-degraded": "1"}}
  }, {
    "name": "b", "paths": ["/b"], "trusted": {"providers": ["azure"], "peer": {"filter_state": "k"}},
    "untrusted": {"action": "pass"}, "healthy": {"action": "pass"}, "probes": {"policy": "any", "names": ["p", "q"]}
  }, {
    "name": "c", "kind": "status", "paths": ["/c"], "trusted": {"cidrs": ["::1"]}, "untrusted": null, "healthy": null
  }, {
    "name": "d", "grpc": true, "trusted": {"cidrs": ["::1"]}, "healthy": null,
    "maintenance": {"route_metadata": true}
  }, {
    "name": "e", "grpc": {"services": ["a.B", "c"]}, "trusted": {"cidrs": ["::1"]}
  }],
  "probes": [{
"name": "p", "cluster": "app", "path": "/alive?x=1", "host": "localhost", "method": "GET", "interval": "1s",
"timeout": "500ms",
    "unhealthy_threshold": 1, "healthy_threshold": 2, "min_unhealthy": "1m",
    "expected_statuses": [{"start": 200, "end": 201}, {"end": 300}]
  }, {"name": "q", "cluster": "app", "path": "/"},
    {"name": "r", "cluster": "app", "grpc": {"service": "a.B"}},
    {"name": "s", "cluster_health": {"cluster": "app", "min_healthy_percent": 50, "degraded": false}},
    {"name": "t", "gauge": {"stat": "server.concurrency", "above": 2}},
    {"name": "u", "xds": {"clusters": false, "listeners": true, "secrets": ["s"]}},
    {"name": "v", "cluster": "app", "path": "/", "interval": null, "on_demand": {"max_age": "2s"}}],
  "admin": {"cluster": "adm", "interval": "1s", "timeout": "500ms", "max_age": "10s", "on_stale": "keep",
    "draining": "poll"}
}`

// values stand in the place of every value of the full document.
var values = []string{
	`null`, `true`, `false`, `0`, `1`, `2`, `1.5`, `2e2`, `-1`, `64`, `65`, `99`, `100`, `101`, `199`, `200`, `204`, `304`,
	`599`, `600`, `601`, `1000`, `1001`, `""`, `"a"`, `"p"`, `"a b"`, `"/"`, `"/a?b"`, `"/a#b"`, `"/ü"`, `"ü"`, `"a\tb"`,
	`"a\nb"`, `"*.a"`, `"a/b"`, `"{zone}"`, `"{zon}"`, `"a{"`, `"}{"`, `"1s"`, `"1"`, `"0"`, `"1.s"`, `".5s"`, `"."`,
	`"1h2m"`, `"1 s"`, `"99ms"`, `"2h"`, `"-1s"`, `"probe"`, `"status"`, `"health_check"`, `"pass"`, `"reply"`,
	`"connection"`, `"forwarded"`, `"all"`, `"any"`, `"keep"`, `"fail"`, `"gcp"`, `"10.0.0.0/8"`, `"10.0.0.0/33"`, `"::1"`,
	`"fe80::1%eth0"`, `"10.0.0.0/8 "`, `"GET"`, `"G(T"`, `[]`, `[null]`, `[""]`, `["a","a"]`, `["/a","/a"]`, `["GET"]`,
	`["gcp"]`, `["::1"]`, `["::1","::1"]`, `["gcp","gcp"]`, `["/a"]`, `[1]`, `[{}]`, `{}`, `{"a":"b"}`, `{"a":""}`,
	`{"a":null}`, `{"a b":"c"}`, `{"Content-Type":"a"}`, `{"te":"a"}`, `{"filter_state":"k"}`, `{"filter_state":""}`,
	`{"filter_state":null}`, `{"at_least":1}`, `{"at_least":null}`, `{"action":"pass"}`, `{"action":"reply"}`,
	`{"action":null}`, `{"action":"pass","status":200}`, `{"action":"pass","status":null}`, `{"action":null,"body":"x"}`,
	`{"status":204}`, `{"status":204,"body":""}`, `{"status":204,"body":null}`, `{"status":204,"body":"x"}`,
	`{"status":"probe"}`, `{"body":null}`, `[{"name":"x","exact":""}]`, `[{"name":"x","exact":"","suffix":"a"}]`,
	`[{"name":"x","exact":null,"suffix":"a"}]`, `[{"name":"x","contains":""}]`, `[{"start":200}]`,
	`[{"start":300,"end":200}]`,
}

// mutations calls each with the document changed in one place: a value replaced, a field removed or added.
func mutations(document any, each func(change string)) {
	var walk func(place string, v any, set func(any), remove func())
	walk = func(place string, v any, set func(any), remove func()) {
		for _, text := range values {
			var other any
			if err := json.Unmarshal([]byte(text), &other); err != nil {
				panic(err)
			}
			set(other)
			each(place + " = " + text)
		}
		set(v)
		if remove != nil {
			remove()
			each(place + " removed")
			set(v)
		}
		switch v := v.(type) {
		case map[string]any:
			v["unheard_of"] = 1
			each(place + " with an unknown field")
			delete(v, "unheard_of")
			for name, child := range v {
				walk(place+"."+name, child, func(to any) { v[name] = to }, func() { delete(v, name) })
			}
		case []any:
			for i, child := range v {
				walk(fmt.Sprintf("%s[%d]", place, i), child, func(to any) { v[i] = to }, nil)
			}
		}
	}
	walk("", document, func(any) {}, nil)
}

func TestSchemaIsWhatThePluginReads(t *testing.T) {
	t.Parallel()
	s := compile(t)
	if !compare(t, s, []byte(full)) {
		t.Fatal("the full document is refused")
	}
	var document any
	must.Do(t, json.Unmarshal([]byte(full), &document))
	tried, accepted := 0, 0
	mutations(document, func(change string) {
		if t.Failed() {
			return // one is enough to read
		}
		text := must.Get(json.Marshal(document))(t)
		tried++
		if compare(t, s, text) {
			accepted++
		}
		if t.Failed() {
			t.Log(change)
		}
	})
	t.Logf("%d documents, %d of them good", tried, accepted)
	if tried < 5000 || accepted < 500 {
		t.Errorf("only %d documents were tried, of which %d are good", tried, accepted)
	}
}

// The schema refuses what the plugin's own tests show it to refuse.
func TestSchemaRefusesTheSame(t *testing.T) {
	t.Parallel()
	s := compile(t)
	text := must.Read(t, "../../../filter/config/testdata/refusals.txt")
	refusals := strings.Split(text, "\n\n")[1:]
	for _, refusal := range refusals {
		document, _, _ := strings.Cut(refusal, "\n=> ")
		if compare(t, s, []byte(document)) {
			t.Errorf("is not refused: %s", document)
		}
	}
	if len(refusals) < 50 {
		t.Errorf("there are only %d documents", len(refusals))
	}
}

// The schema names every field that the reader knows, with no text left out by accident.
func TestFullDocumentHasEveryField(t *testing.T) {
	t.Parallel()
	var root map[string]any
	must.Do(t, json.Unmarshal(schema.JSON(), &root))
	var names func(v any)
	seen := map[string]bool{}
	names = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if p, is := v["properties"].(map[string]any); is {
				for name := range p {
					seen[name] = true
				}
			}
			for _, child := range v {
				names(child)
			}
		case []any:
			for _, child := range v {
				names(child)
			}
		}
	}
	names(root)
	for name := range seen {
		if !strings.Contains(full, `"`+name+`"`) && name != "exact" && name != "suffix" && name != "contains" {
			t.Errorf("no test reaches the field %q", name)
		}
	}
}
