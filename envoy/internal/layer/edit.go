package layer

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/healthgate/healthgate/envoy/internal/document"
	"go.yaml.in/yaml/v3"
)

// edit returns the text of an RTDS file with a change of it, in which all else stays as it was written: comments, empty
// lines, the order of fields. Where a key lies in an unusual way, it does something else, so the caller reads what
// comes of it.
func edit(text string, change Change, isJSON bool) string {
	text, hasMark := strings.CutPrefix(text, "\ufeff")
	hasMark = hasMark && !isJSON // which Envoy reads without one alone
	t := editing{text, isJSON}
	for _, p := range slices.Backward(change) { // each is put above the others
		t.apply(p)
	}
	text = t.text
	if hasMark {
		text = "\ufeff" + text
	}
	return text
}

// editing is a text with the place where a key lies in it.
type editing struct {
	text   string
	isJSON bool
}

// escapes are what JSON has in strings, and YAML only some of. Nothing lies elsewhere for them, nor for tabs.
var escapes = regexp.MustCompile(`\\.`)

func (t *editing) apply(p Pair) {
	readable := t.text
	if t.isJSON {
		readable = escapes.ReplaceAllString(strings.ReplaceAll(t.text, "\t", " "), "__")
	}
	var root yaml.Node
	if document.Decoder([]byte(readable)).Decode(&root) != nil || len(root.Content) != 1 {
		return
	}
	resource, layer, err := findLayer(root.Content[0])
	if err != nil {
		return
	}
	name := resource.Content[0]
	for field, value := range document.Fields(resource) {
		if value == layer {
			name = field
		}
	}
	if !t.change(name, layer, p.Key, p.Value) && p.Value != "" {
		t.insert(name, layer, p)
	}
}

// change changes a key where it lies in an object of this name, and reports whether it lies there.
func (t *editing) change(of, object *yaml.Node, key, value string) bool {
	for i := 0; i+1 < len(object.Content); i += 2 {
		name, v := object.Content[i], object.Content[i+1]
		rest, below := strings.CutPrefix(key, name.Value+".")
		switch {
		case name.Value == key && value != "":
			t.replace(t.at(v), t.end(v), t.value(value))
		case value == "" && isAll(object.Content[i:i+2], key):
			t.remove(of, object, i)
		case !below || !hasKeys(v) || !t.change(name, v, rest, value):
			continue
		}
		return true
	}
	return false
}

// isAll reports whether a field is a key, or an object that holds it alone.
func isAll(field []*yaml.Node, key string) bool {
	name, v := field[0].Value, field[1]
	if !hasKeys(v) {
		return name == key
	}
	rest, below := strings.CutPrefix(key, name+".")
	return below && len(v.Content) == 2 && isAll(v.Content, rest)
}

// insert puts a key before all others in the object of this name.
func (t *editing) insert(of, object *yaml.Node, p Pair) {
	key, _ := yaml.Marshal(p.Key)
	entry := strings.TrimSpace(string(key)) + ": " + t.value(p.Value)
	if t.isJSON {
		entry = strconv.Quote(p.Key) + ": " + t.value(p.Value)
	}
	at := t.at(object)
	switch {
	case object.Style&yaml.FlowStyle == 0 && len(object.Content) > 0:
		line := strings.IndexByte(t.text[t.at(of):], '\n') + t.at(of) + 1
		end := "\n"
		if strings.HasSuffix(t.text[:line], "\r\n") {
			end = "\r\n"
		}
		t.replace(line, line, strings.Repeat(" ", object.Content[0].Column-1)+entry+end)
	case len(object.Content) > 0:
		first := t.at(object.Content[0])
		space := t.text[min(at+1, first):first]
		if space == "" || strings.TrimSpace(space) != "" {
			space = " "
		}
		t.replace(first, first, entry+","+space)
	case strings.HasPrefix(t.text[at:], "{"):
		t.replace(at+1, at+1, entry)
	}
}

// remove takes the key with this index in its object out.
func (t *editing) remove(of, object *yaml.Node, i int) {
	at, end := t.at(object.Content[i]), t.end(object.Content[i+1])
	before := at // where the value before it ends
	if i > 0 {
		before = min(t.end(object.Content[i-1]), at)
	}
	switch {
	case object.Style&yaml.FlowStyle == 0:
		start := strings.LastIndexByte(t.text[:at], '\n') + 1
		if line := strings.IndexByte(t.text[end:], '\n'); line >= 0 {
			end += line + 1
		} else {
			end = len(t.text)
		}
		t.replace(start, end, "")
		if len(object.Content) == 2 {
			colon := t.end(of) + 1
			t.replace(colon, colon, " {}")
		}
	case i+2 < len(object.Content):
		t.replace(at, t.at(object.Content[i+2]), "")
	case strings.Contains(t.text[before:at], "#"):
		t.replace(at, end, "") // the comment stays, and a comma
	default:
		t.replace(before, end, "")
	}
}

func (t *editing) replace(at, end int, text string) {
	if 0 <= at && at <= end && end <= len(t.text) {
		t.text = t.text[:at] + text + t.text[end:]
	}
}

// value writes a value as scalar does.
func (t *editing) value(text string) string {
	if scalar(text).Style == 0 {
		return text
	}
	return document.Quoted(text)
}

// at returns where a node begins. Lines count from 1, and so do the characters in them.
func (t *editing) at(n *yaml.Node) int {
	at := 0
	for range n.Line - 1 {
		at += strings.IndexByte(t.text[at:], '\n') + 1
	}
	for range n.Column - 1 {
		_, size := utf8.DecodeRuneInString(t.text[at:])
		at += size
	}
	return at
}

var quoted = regexp.MustCompile(`^(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*')`)

// end returns where a value ends whose texts stand on one line each.
func (t *editing) end(n *yaml.Node) int {
	at := t.at(n)
	if n.Kind == yaml.MappingNode {
		if len(n.Content) > 0 {
			at = t.end(n.Content[len(n.Content)-1])
		}
		if n.Style&yaml.FlowStyle != 0 {
			at += strings.IndexByte(t.text[at:], '}') + 1
		}
		return at
	}
	if in := quoted.FindString(t.text[at:]); in != "" {
		return at + len(in)
	}
	return at + len(n.Value)
}
