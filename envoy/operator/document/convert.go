package document

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"

	"go.yaml.in/yaml/v3"
)

// toJSON writes the document as JSON, fields in their order, and those given twice twice: the plugin's reader refuses
// them.
func (d *Document) toJSON() ([]byte, error) {
	var out bytes.Buffer
	if err := d.writeJSON(&out, d.root); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func (d *Document) writeJSON(out *bytes.Buffer, n *yaml.Node) error {
	switch n.Kind {
	case yaml.MappingNode:
		out.WriteByte('{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			if i > 0 {
				out.WriteByte(',')
			}
			writeString(out, n.Content[i].Value)
			out.WriteByte(':')
			if err := d.writeJSON(out, n.Content[i+1]); err != nil {
				return err
			}
		}
		out.WriteByte('}')
	case yaml.SequenceNode:
		out.WriteByte('[')
		for i, child := range n.Content {
			if i > 0 {
				out.WriteByte(',')
			}
			if err := d.writeJSON(out, child); err != nil {
				return err
			}
		}
		out.WriteByte(']')
	default:
		return d.writeScalar(out, n)
	}
	return nil
}

func (d *Document) writeScalar(out *bytes.Buffer, n *yaml.Node) error {
	switch n.ShortTag() {
	case "!!null", "!!bool", "!!int", "!!float":
		var v any
		err := n.Decode(&v)
		var text []byte
		if err == nil {
			text, err = json.Marshal(v)
		}
		if err != nil { // infinity, for one
			return &Problem{File: d.File, Line: n.Line, Column: n.Column, What: n.Value + " is not a JSON number"}
		}
		out.Write(text)
	case "!!binary":
		return &Problem{File: d.File, Line: n.Line, Column: n.Column, What: "binary values have no place here; write text"}
	default: // a date is a string here
		writeString(out, n.Value)
	}
	return nil
}

func writeString(out *bytes.Buffer, s string) {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s) // a string can always be written
	out.Truncate(out.Len() - 1)
}

// YAML returns the configuration with its comments, in a form that every YAML reader takes alike: two spaces of
// indentation, no aliases, and quotes around strings that YAML 1.1 (Kubernetes, Envoy) would take for something else.
func (d *Document) YAML() (string, error) {
	root := clone(d.root)
	quoteAmbiguous(root)
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	encoder.CompactSeqIndent()
	if err := encoder.Encode(root); err != nil {
		return "", err
	}
	if err := encoder.Close(); err != nil {
		return "", err
	}
	return out.String(), nil
}

func clone(n *yaml.Node) *yaml.Node {
	out := *n
	out.Content = nil
	for _, child := range n.Content {
		out.Content = append(out.Content, clone(child))
	}
	return &out
}

// ambiguous are plain scalars that YAML 1.1 does not read as the strings or decimal numbers YAML 1.2 sees: truth
// values, base 60, dates, and other ways to write numbers.
var ambiguous = regexp.MustCompile(`^(?i:y|n|yes|no|on|off)$|^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$|^\d{4}-\d`)

func quoteAmbiguous(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
		switch n.ShortTag() {
		case "!!int", "!!float", "!!bool":
			var v any
			if n.Decode(&v) == nil {
				if text, err := json.Marshal(v); err == nil {
					n.Value = string(text)
				}
			}
		case "!!null":
		default:
			if n.ShortTag() == "!!timestamp" || ambiguous.MatchString(n.Value) {
				n.Tag, n.Style = "!!str", yaml.DoubleQuotedStyle
			}
		}
	}
	for _, child := range n.Content {
		quoteAmbiguous(child)
	}
}

// Plain reports whether every YAML reader takes the text, written without quotes, for that same string.
func Plain(s string) bool {
	return plain.MatchString(s) && !ambiguous.MatchString(s) && !word.MatchString(s)
}

var (
	plain = regexp.MustCompile(`^[A-Za-z/_][A-Za-z0-9/_.-]*$`)
	word  = regexp.MustCompile(`^(?i:true|false|null|nan|inf)$`)
)

// Quote writes a string as YAML, with quotes only where it needs them.
func Quote(s string) string {
	if Plain(s) {
		return s
	}
	var out bytes.Buffer
	writeString(&out, s)
	return unprintable.ReplaceAllStringFunc(out.String(), func(c string) string {
		return fmt.Sprintf(`\u%04x`, []rune(c)[0])
	})
}

// unprintable are characters that JSON may hold as they are and YAML may not.
var unprintable = regexp.MustCompile("[\u007f-\u009f\ufeff\ufffe\uffff]")
