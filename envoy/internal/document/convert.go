package document

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// toJSON writes the document as JSON, fields in their order, and those given twice twice: the plugin's reader refuses
// them. What JSON does not have, and what YAML leaves open, is noted in d.odd.
func (d *Document) toJSON() []byte {
	var out bytes.Buffer
	d.odd = map[*yaml.Node]string{}
	d.writeJSON(&out, d.root)
	return out.Bytes()
}

func (d *Document) writeJSON(out *bytes.Buffer, n *yaml.Node) {
	d.checkTag(n)
	switch n.Kind {
	case yaml.MappingNode:
		out.WriteByte('{')
		comma := ""
		for name, value := range Fields(n) {
			if name.Kind != yaml.ScalarNode {
				d.odd[name] = "the name of a field must be text"
				continue
			}
			d.checkTag(name)
			out.WriteString(comma)
			comma = ","
			out.WriteString(JSON(name.Value, ""))
			out.WriteByte(':')
			d.writeJSON(out, value)
		}
		out.WriteByte('}')
	case yaml.SequenceNode:
		out.WriteByte('[')
		for i, child := range n.Content {
			if i > 0 {
				out.WriteByte(',')
			}
			d.writeJSON(out, child)
		}
		out.WriteByte(']')
	default:
		switch {
		case isText(n):
		case isNumber(n) && ambiguousNumber.MatchString(n.Value):
			d.odd[n] = n.Value + " is a number that readers of YAML take differently; " +
				"write it in decimal digits alone, or in quotes if it is text"
		case writeValue(out, n) == nil:
			return
		case n.Style&yaml.TaggedStyle != 0:
			d.odd[n] = fmt.Sprintf("%q is not what the tag %s says; leave the tag out", n.Value, n.ShortTag())
		default: // infinity, for one
			d.odd[n] = n.Value + " is not a JSON number"
		}
		out.WriteString(JSON(n.Value, ""))
	}
}

// checkTag refuses tags that stand for something else than JSON has: what !vault, say, stands for, only its program
// knows.
func (d *Document) checkTag(n *yaml.Node) {
	switch tag := n.ShortTag(); tag {
	case "!!map", "!!seq", "!!str", "!!null", "!!bool", "!!int", "!!float", "!!timestamp", "!!merge":
	case "!!binary":
		d.odd[n] = "binary values have no place here; write text"
	default:
		d.odd[n] = "the tag " + tag + " has no meaning here; write the value that it stands for"
	}
}

func isNumber(n *yaml.Node) bool { return n.ShortTag() == "!!int" || n.ShortTag() == "!!float" }

// ambiguousNumber matches numbers that YAML 1.1 and 1.2 read differently, 0310 and 1_000, and those in other digits
// than decimal ones, which not every reader knows.
var ambiguousNumber = regexp.MustCompile(`^[-+]?0[0-9xXoObB_]|_`)

// isText reports whether a scalar is a string. A date is one here.
func isText(n *yaml.Node) bool {
	return !slices.Contains([]string{"!!null", "!!bool", "!!int", "!!float"}, n.ShortTag())
}

// writeValue writes a number, a truth value or null as JSON, which is YAML in each of its versions.
func writeValue(out *bytes.Buffer, n *yaml.Node) error {
	var v any
	if err := n.Decode(&v); err != nil {
		return err
	}
	text, err := json.Marshal(v)
	out.Write(text)
	return err
}

// Node returns the configuration with its comments, as a node that every YAML reader takes for the same values: those
// of YAML 1.2, of 1.1 (Kubernetes) and Envoy, which has rules of its own. It has no aliases and no tags.
func (d *Document) Node() *yaml.Node { return portable(d.root, false) }

func portable(n *yaml.Node, isName bool) *yaml.Node {
	out := &yaml.Node{Kind: n.Kind, Style: n.Style & yaml.FlowStyle}
	if n.Kind == yaml.ScalarNode {
		var value bytes.Buffer
		if isName || isText(n) || writeValue(&value, n) != nil {
			out = Text(n.Value)
		} else {
			out.Value = value.String()
		}
	}
	out.HeadComment, out.LineComment = comment(n.HeadComment), comment(n.LineComment)
	out.FootComment = comment(n.FootComment)
	for i, child := range n.Content {
		child = portable(child, n.Kind == yaml.MappingNode && i%2 == 0)
		out.Content = append(out.Content, child)
	}
	// The library misplaces comments inside braces, and what stands behind or below a collection without braces.
	if slices.ContainsFunc(out.Content, commented) {
		out.Style &^= yaml.FlowStyle
	}
	if n.Kind != yaml.ScalarNode && out.Style&yaml.FlowStyle == 0 {
		out.HeadComment = strings.TrimSpace(out.HeadComment + "\n" + out.LineComment + "\n" + out.FootComment)
		out.LineComment, out.FootComment = "", ""
	}
	return out
}

func commented(n *yaml.Node) bool {
	return n.HeadComment+n.LineComment+n.FootComment != "" || slices.ContainsFunc(n.Content, commented)
}

// comment returns a comment of the file without what speaks to its editor, and with no character that may end it.
func comment(text string) string {
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		if !forEditors.MatchString(line) {
			out = append(out, Printable(line))
		}
	}
	return strings.Join(out, "\n")
}

// forEditors matches the lines that name the file's schema, which is not the schema of what is made of it.
var forEditors = regexp.MustCompile(`^#\s*(yaml-language-server:|\$schema:)`)

// Text returns a string as a node that every YAML reader takes for that string.
func Text(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Style: yaml.DoubleQuotedStyle}
	switch {
	case strings.Contains(s, `\N`): // what the library writes for U+0085: render.write looks for it
	case plain.MatchString(s) && !ambiguous.MatchString(s):
		n.Style = 0
	case strings.Contains(s, "\n") && lines.MatchString(s):
		n.Style = yaml.LiteralStyle
	case strings.Contains(s, `"`) && quotable.MatchString(s):
		n.Style = yaml.SingleQuotedStyle
	}
	return n
}

var (
	plain = regexp.MustCompile(`^[A-Za-z0-9/_][A-Za-z0-9/_.%+=~-]*( [A-Za-z0-9/_.%+=~-]+)*$`)
	// ambiguous are plain texts that a reader takes for a truth value, null, a number in some notation, or a date.
	ambiguous = regexp.MustCompile(`^(?i:y|n|yes|no|on|off|true|false|null|nan|inf)$|` +
		`^[0-9][0-9_]*(\.[0-9_]*)?(e[-+]?[0-9_]*)?$|^0(?i:x[0-9a-f_]*|[bo][0-9_]*)$|^[0-9]{4}-[0-9]`)
	quotable = regexp.MustCompile(`^[!-~]([ -~]*[!-~])?$`)
	// lines are read alike as a literal block: printable, none with blanks at its end, the first one with none at its
	// beginning, and at most one line break after the last.
	lines = regexp.MustCompile(`^[!-~\p{L}]([ -~\p{L}]*[!-~\p{L}])?(\n+[ -~\p{L}]*[!-~\p{L}])*\n?$`)
)

// Printable returns a text without line breaks and other characters that do not print; it shows how Go would write
// them.
func Printable(s string) string {
	var out strings.Builder
	for _, r := range s {
		if r == '\t' || unicode.IsPrint(r) {
			out.WriteRune(r)
		} else {
			quoted := strconv.QuoteRune(r)
			out.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return out.String()
}

// Without returns the document without the fields at these places.
func (d *Document) Without(places ...string) (*Document, error) {
	out := &Document{File: d.File, root: clone(d.root)}
	for _, place := range places {
		if name, value := out.find(place); value != nil {
			drop(out.root, name)
		}
	}
	return out, out.read()
}

// drop takes the field with this name, the very node, out of what is in n.
func drop(n, name *yaml.Node) {
	if i := slices.Index(n.Content, name); i >= 0 && n.Kind == yaml.MappingNode {
		n.Content = slices.Delete(n.Content, i, i+2)
		return
	}
	for _, child := range n.Content {
		drop(child, name)
	}
}
