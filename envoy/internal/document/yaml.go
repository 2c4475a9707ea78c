package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// All returns the documents of a text.
func All(file string, text []byte) (out []*yaml.Node, err error) {
	for reader := Decoder(text); ; {
		var n yaml.Node
		if err := reader.Decode(&n); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, NotYAML(file, text, err)
		}
		out = append(out, &n)
	}
}

// Fields visits the names and values of an object; of any other node, and of nil, none.
func Fields(object *yaml.Node) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(name, value *yaml.Node) bool) {
		if object == nil || object.Kind != yaml.MappingNode {
			return
		}
		for field := range slices.Chunk(object.Content, 2) {
			if !yield(field[0], field[1]) {
				return
			}
		}
	}
}

// Encode returns documents as text.
func Encode(documents ...*yaml.Node) (string, error) {
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	encoder.CompactSeqIndent()
	for _, d := range documents {
		if err := encoder.Encode(d); err != nil {
			return "", err
		}
	}
	err := encoder.Close()
	return escape.ReplaceAllStringFunc(out.String(), func(e string) string {
		if e == `\N` { // Envoy's YAML reader takes it for the byte 0x85, which is no character
			return `\u0085`
		}
		return e
	}), err
}

// escape matches those of double quotes. Nowhere else is there one of U+0085: Text.
var escape = regexp.MustCompile(`\\.`)

// JSON returns what can always be written, without escapes that only HTML needs.
func JSON(v any, indent string) string {
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	_ = encoder.Encode(v)
	return strings.TrimSuffix(out.String(), "\n")
}

// Quoted returns a text as JSON, which is YAML, too.
func Quoted(text string) string { return string(EscapeJSON([]byte(JSON(text, "")))) }
