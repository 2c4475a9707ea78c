// Package schema describes healthgate.yaml as a JSON Schema, for editors that complete, explain and check it while it
// is written, and as the tables of docs/configuration.md. The limits and defaults are filter/config's, whose reader,
// the plugin's own, decides. Tests hold the two equal, but for mistakes of the kind config.Relation: a JSON Schema
// sees no comparison between fields, no amount of time, and no arithmetic of networks.
package schema

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// JSON returns the schema, of draft 7, which editors support best.
func JSON() []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	root := document()
	root["$schema"] = "http://json-schema.org/draft-07/schema#"
	root["title"] = "healthgate.yaml"
	if err := encoder.Encode(root); err != nil {
		panic(err) // maps of strings, numbers and the like can always be written
	}
	return out.Bytes()
}

// Fields returns the names of the fields that an object may have at a place, as filter/config names it:
// "endpoints[0].trusted".
func Fields(place string) []string {
	at := []node{document()}
	for _, name := range strings.FieldsFunc(place, func(c rune) bool { return c == '.' || c == '[' }) {
		var next []node
		for _, s := range variants(at) {
			child := s["items"]
			if !strings.HasSuffix(name, "]") {
				properties, _ := s["properties"].(node)
				child = properties[name]
			}
			if child, is := child.(node); is {
				next = append(next, child)
			}
		}
		at = next
	}
	names := map[string]bool{}
	for _, s := range variants(at) {
		properties, _ := s["properties"].(node)
		for name := range properties {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// variants returns the schemas and the alternatives (anyOf) in them.
func variants(schemas []node) []node {
	var out []node
	for _, s := range schemas {
		out = append(out, s)
		if any, is := s["anyOf"].([]node); is {
			out = append(out, variants(any)...)
		}
	}
	return out
}

// node is one JSON Schema.
type node = map[string]any

// field is a property of an object.
type field struct {
	name     string
	schema   node
	required bool
	text     string  // for whoever writes it, in Markdown
	shown    *string // as its default in tables, in the place of the schema's
	rows     []field // the rows after it in tables
}

func required(name string, schema node, text string) field {
	return field{name: name, schema: schema, required: true, text: text}
}

func optional(name string, schema node, text string) field {
	return field{name: name, schema: schema, text: text}
}

// shows says what tables have of a field: its default in words, and the fields inside it.
func (f field) shows(otherwise string, rows ...field) field {
	f.shown, f.rows = &otherwise, rows
	return f
}

// object is strict: no field but these. Like the reader it takes null for a field that is not there.
func object(fields ...field) node {
	properties, required := node{}, []string{}
	for _, f := range fields {
		s := maps.Clone(f.schema)
		if f.required {
			required = append(required, f.name)
		} else {
			s = orNull(s)
		}
		s["description"] = describe(f.text)
		properties[f.name] = s
	}
	out := node{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

var links = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)

// describe makes a sentence of a field's text, without the targets of its links.
func describe(text string) string {
	text = links.ReplaceAllString(text, "$1")
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

func orNull(s node) node {
	if kind, is := s["type"].(string); is && s["enum"] == nil {
		s["type"] = []string{kind, "null"}
		return s
	}
	out := node{"anyOf": []node{s, {"type": "null"}}}
	if d, has := s["default"]; has {
		delete(s, "default")
		out["default"] = d
	}
	return out
}

func with(s node, key string, value any) node {
	s = maps.Clone(s)
	s[key] = value
	return s
}

func otherwise(s node, value any) node { return with(s, "default", value) }

func text(pattern string) node {
	if pattern == "" {
		return node{"type": "string"}
	}
	return node{"type": "string", "pattern": pattern}
}

func oneOf(values ...string) node { return node{"type": "string", "enum": values} }

func whole(low, high int) node { return node{"type": "integer", "minimum": low, "maximum": high} }

func boolean() node { return node{"type": "boolean"} }

func list(items node) node { return node{"type": "array", "items": items} }

// set is a list in which nothing stands twice.
func set(items node) node { return with(list(items), "uniqueItems", true) }

func atLeastOne(s node) node { return with(s, "minItems", 1) }
