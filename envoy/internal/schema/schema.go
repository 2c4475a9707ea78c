// Package schema describes healthgate.yaml as a JSON Schema, for editors that complete, explain and check it while it
// is written. The plugin's own reader, package filter/config, decides; tests hold the two equal, except for what Beyond
// lists.
package schema

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Beyond lists parts of the reader's messages about mistakes that a JSON Schema does not see: comparisons between
// fields, amounts of time, and the arithmetic of networks. `healthgate validate` sees them all.
var Beyond = []string{
	"is given twice",
	"is the name of another",
	"is not the name of a probe",
	"needs the admin section",
	"is shorter than admin.interval",
	"is empty: end is not part of the range",
	"policy.at_least: ",
	"is not between",
	"is not a CIDR",
	"CIDRs",
	"bytes are more than",
	"bytes with the node's values",
	"no Unicode characters",
}

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

// Fields returns the names of the fields that an object may have at a place, as filter/config names it: "endpoints[0].trusted".
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

// variants returns the schemas with those of which one must hold.
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
	text     string // for whoever writes it
}

func required(name string, schema node, text string) field { return field{name, schema, true, text} }
func optional(name string, schema node, text string) field { return field{name, schema, false, text} }

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
		if f.text != "" {
			s["description"] = f.text
		}
		properties[f.name] = s
	}
	out := node{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
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
