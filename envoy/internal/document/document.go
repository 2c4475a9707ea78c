// Package document reads healthgate.yaml: the plugin's configuration as an operator writes it, in YAML with comments.
// What it means is decided by the plugin's own reader, package filter/config; this package adds where in the file a
// mistake stands.
package document

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"github.com/healthgate/healthgate/filter/config"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// Document is a healthgate.yaml that the plugin accepts.
type Document struct {
	File   string
	Config *config.Config // placeholders in keys stand as they are written, "{zone}"
	root   *yaml.Node     // of kind mapping, without aliases
	json   []byte
	odd    map[*yaml.Node]string // what is wrong with values that JSON does not have
	nodes  int                   // how many resolve has seen
}

// Problem is a remark on a place of a file.
type Problem struct {
	File         string
	Line, Column int    // from 1; 0 when the remark is about the whole file
	Place        string // as filter/config names it, "endpoints[0].paths"
	What         string
}

func (p *Problem) Error() string {
	var out strings.Builder
	out.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&out, ":%d:%d", p.Line, p.Column)
	}
	out.WriteString(": ")
	if p.Place != "" {
		out.WriteString(p.Place + ": ")
	}
	out.WriteString(p.What)
	return Printable(out.String()) // names of fields may hold anything
}

// standIns keep the placeholders of keys as they are.
var standIns = config.Node{ID: "{node_id}", Cluster: "{cluster}", Region: "{region}", Zone: "{zone}"}

// Read reads a file, or standard input when its name is "-". A refused document's error is a *Problem, or Problems.
func Read(file string) (*Document, error) {
	text, err := read(file)
	if err != nil {
		return nil, Unread(file, "the healthgate.yaml", err)
	}
	return Parse(shown(file), text)
}

func shown(file string) string {
	if file == "-" {
		return "standard input"
	}
	return Printable(file)
}

// Unread says why a file can't be read that should be something.
func Unread(file, what string, err error) error {
	var why *fs.PathError
	switch {
	case file == "":
		return errors.New("the name of FILE is empty")
	case errors.Is(err, syscall.EISDIR):
		return &Problem{File: shown(file), What: "is a folder; give " + what + " in it"}
	case errors.As(err, &why):
		return &Problem{File: shown(file), What: "can't be read: " + why.Err.Error()}
	}
	return err
}

func read(file string) ([]byte, error) {
	in := os.Stdin
	if file != "-" {
		var err error
		if in, err = os.Open(file); err != nil {
			return nil, err
		}
		defer in.Close()
	}
	return io.ReadAll(io.LimitReader(in, maxText+1))
}

// maxText bounds a file, comments and all: the parser takes seconds and a gigabyte for what the plugin would refuse
// anyway.
const maxText = 4 * config.MaxBytes

// Parse is Read for a text at hand; the name stands in messages.
func Parse(name string, text []byte) (*Document, error) {
	root, err := load(name, text)
	if err != nil {
		return nil, err
	}
	return Part(name, root)
}

// Part is Parse for a part of a file that was read.
func Part(file string, n *yaml.Node) (*Document, error) {
	d := &Document{File: file}
	var err error
	if d.root, err = d.resolve(n, 0); err == nil {
		err = d.read()
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

// read lets the plugin's reader take the nodes.
func (d *Document) read() error {
	var err error
	d.json = d.toJSON()
	if d.Config, err = config.Parse(d.json, standIns); err != nil || len(d.odd) > 0 {
		return d.mistakes()
	}
	var handed structpb.Struct
	if err := handed.UnmarshalJSON(d.json); err != nil {
		return err
	}
	if size := proto.Size(&handed); size > config.MaxBytes {
		return &Problem{File: d.File, What: fmt.Sprintf("%d bytes are more than %d: Envoy hands it to the plugin as a "+
			"google.protobuf.Struct, which is larger than the text", size, config.MaxBytes)}
	}
	return nil
}

// With returns the document with other strings at places where there are some.
func (d *Document) With(values map[string]string) (*Document, error) {
	out := &Document{File: d.File, root: clone(d.root)}
	for place, value := range values {
		_, n := out.find(place)
		n.Tag, n.Style, n.Value = "!!str", 0, value
	}
	return out, out.read()
}

func clone(n *yaml.Node) *yaml.Node {
	out := *n
	out.Content = nil
	for _, child := range n.Content {
		out.Content = append(out.Content, clone(child))
	}
	return &out
}

// Problem returns a remark on a place of this document, with its line.
func (d *Document) Problem(place, what string) *Problem {
	n, _ := d.find(place)
	p := d.at(n, what)
	p.Place = place
	return p
}

func (d *Document) at(n *yaml.Node, what string) *Problem {
	return &Problem{File: d.File, Line: n.Line, Column: n.Column, What: what}
}

// JSON returns the configuration as the JSON object that the YAML stands for.
func (d *Document) JSON() []byte { return d.json }

// yamlLine is how the YAML parser names a line.
var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// fromZero are the messages that count lines from 0: the parser's, as opposed to the scanner's.
var fromZero = regexp.MustCompile(`did not find expected (<document start>|node content|key|'-' indicator|',' or ` +
	`'[]}]')$`)

// inBrackets are the messages about what stands between brackets or braces, or may do so.
var inBrackets = regexp.MustCompile("^did not find expected (node content|',' or '[]}]'|alphabetic or numeric " +
	"character)$")

// otherKind matches what the library says of a value that does not fit.
var otherKind = regexp.MustCompile("^line (\\d+): cannot unmarshal \\S+( `.*`)? into ")

// NotYAML says where the YAML library gave up, and why.
func NotYAML(file string, text []byte, err error) *Problem {
	var typed *yaml.TypeError
	if errors.As(err, &typed) {
		if m := otherKind.FindStringSubmatch(typed.Errors[0]); m != nil {
			line, _ := strconv.Atoi(m[1])
			return &Problem{File: file, Line: line, Column: 1,
				What: "a value of another kind is expected here" + strings.Replace(m[2], " ", " than ", 1)}
		}
	}
	said := yamlLine.ReplaceAllString(err.Error(), "")
	p := &Problem{File: file}
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil && m[1] != "" {
		p.Line, _ = strconv.Atoi(m[1])
		p.Column = 1
		if fromZero.MatchString(said) {
			p.Line++
		}
	} else if strings.HasPrefix(said, "found ") || strings.HasPrefix(said, "did not find ") ||
		strings.HasPrefix(said, "mapping") {
		p.Line, p.Column = 1, 1 // the first line goes without saying
	}
	lines := bytes.Split(text, []byte("\n"))
	if anchor, is := strings.CutPrefix(said, "unknown anchor '"); is { // of which no line is told
		alias := []byte("*" + strings.TrimSuffix(anchor, "' referenced"))
		if i := slices.IndexFunc(lines, func(line []byte) bool { return bytes.Contains(line, alias) }); i >= 0 {
			p.Line, p.Column = i+1, bytes.Index(lines[i], alias)+1
		}
	}
	last := min(p.Line+1, len(lines)) // what it says of a tab may be of the line before
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		last = 0 // between braces tabs are blanks
	}
	for n := max(p.Line, 1); n <= last; n++ {
		blanks := lines[n-1][:len(lines[n-1])-len(bytes.TrimLeft(lines[n-1], " \t-?"))]
		if tab := bytes.IndexByte(blanks, '\t'); tab >= 0 && (n == p.Line || strings.Contains(said, "tab")) {
			said, p.Line, p.Column = "a tab indents this line; write spaces instead", n, tab+1
			break
		}
	}
	if said == "found character that cannot start any token" {
		said = "a value here begins with a character such as @, % or `; write it in quotes"
	}
	said += map[string]string{
		"mapping values are not allowed in this context": "; check the indentation, and write a value that has a colon " +
			"before a blank in quotes",
		"found unknown escape character": `; between double quotes write a backslash as \\, and a slash as itself`,
		"found invalid Unicode character escape code": `; write a character that takes two, such as \ud83d\ude00, as ` +
			`itself or as one, \U0001f600`,
	}[said]
	if inBrackets.MatchString(said) {
		if at := signFrom(text, max(p.Line, 1)); at >= 0 {
			said += "; between brackets or braces write a text in quotes that has ?, [ or {, or begins with :, * or &"
			p.Line, p.Column = position(text, at)
		}
	}
	strange := -1 // where a character begins that no text has
	switch {
	case strings.Contains(said, "UTF-8"):
		strange = bytes.IndexRune(text, utf8.RuneError)
		said += "; write the file in UTF-8"
	case said == "control characters are not allowed":
		strange = bytes.IndexFunc(text, func(r rune) bool {
			return unicode.IsControl(r) && !strings.ContainsRune("\t\r\n\u0085", r)
		})
		if bytes.IndexByte(text, 0) >= 0 {
			said += "; write the file in UTF-8"
		}
	}
	if strange >= 0 {
		p.Line, p.Column = position(text, strange)
	}
	p.What = "not YAML: " + said
	return p
}

// load returns the one document of a text.
func load(file string, text []byte) (*yaml.Node, error) {
	if len(text) > maxText {
		return nil, &Problem{File: file,
			What: fmt.Sprintf("is larger than %d MiB, comments and all, and the plugin takes %d MiB",
				maxText>>20, config.MaxBytes>>20)}
	}
	if p := StrangeBreak(file, text); p != nil {
		return nil, p
	}
	all, err := All(file, text)
	if err != nil {
		return nil, err
	}
	if len(all) > 1 {
		return nil, &Problem{File: file, Line: all[1].Line, Column: 1,
			What: "a second document begins here; a configuration is one document, so remove one of them"}
	}
	if len(all) == 0 || all[0].Content[0].Tag == "!!null" {
		return nil, &Problem{File: file, What: "is empty; envoy/healthgate.yaml is an example, and the smallest is " +
			"endpoints: [{name: a, paths: [/healthz], trusted: {cidrs: [10.0.0.0/8]}}]"}
	}
	return all[0].Content[0], nil // what stands above it, in a HeadComment, is about the file
}

// Bounds on what aliases may unfold to. A configuration needs a depth of 7, and has at most 100,000 CIDRs.
const (
	maxDepth = 32
	maxNodes = 500_000
)

// resolve returns the node with its aliases unfolded and without anchors.
func (d *Document) resolve(n *yaml.Node, depth int) (*yaml.Node, error) {
	if d.nodes++; depth > maxDepth || d.nodes > maxNodes {
		return nil, d.at(n, "is nested too deeply, or too large")
	}
	if n.Kind == yaml.AliasNode {
		return d.resolve(n.Alias, depth+1)
	}
	out := *n
	out.Anchor = ""
	out.Content = nil
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && child.Tag == "!!merge" {
			return nil, d.at(child, "merge keys (<<) are not part of YAML 1.2; write the fields out")
		}
		resolved, err := d.resolve(child, depth+1)
		if err != nil {
			return nil, err
		}
		out.Content = append(out.Content, resolved)
	}
	return &out, nil
}

// Has reports whether something stands at a place, other than null.
func (d *Document) Has(place string) bool {
	_, value := d.find(place)
	return value != nil && value.Tag != "!!null"
}

// Nulls returns the places of the fields that have no value.
func (d *Document) Nulls() []string { return nulls(d.root, "") }

func nulls(n *yaml.Node, place string) (out []string) {
	for i, child := range n.Content {
		at := fmt.Sprintf("%s[%d]", place, i)
		if n.Kind == yaml.MappingNode {
			if i%2 == 0 {
				continue
			}
			at = join(place, n.Content[i-1].Value)
		}
		if child.ShortTag() == "!!null" {
			out = append(out, at)
		}
		out = append(out, nulls(child, at)...)
	}
	return out
}

// Strings returns the elements of a list of strings; nothing if there is no such list.
func (d *Document) Strings(place string) []string {
	_, list := d.find(place)
	if list == nil || list.Kind != yaml.SequenceNode {
		return nil
	}
	var out []string
	for _, n := range list.Content {
		out = append(out, n.Value)
	}
	return out
}

// find returns where a place is, for a field its name, for an element of a list its value, and its value. Where nothing
// stands, at is what surrounds the place, and value is nil.
func (d *Document) find(place string) (at, value *yaml.Node) {
	at, value = d.root, d.root
	for rest := place; rest != ""; {
		rest = strings.TrimPrefix(rest, ".")
		var next *yaml.Node
		switch value.Kind {
		case yaml.SequenceNode:
			end := strings.IndexByte(rest, ']')
			if end < 0 {
				return at, nil
			}
			i, err := strconv.Atoi(strings.TrimPrefix(rest[:end], "["))
			if err != nil || i >= len(value.Content) {
				return at, nil
			}
			next, rest = value.Content[i], rest[end+1:]
			at = next
		case yaml.MappingNode:
			// A name may hold dots, so the longest that fits is meant; of two equal ones the second is too many.
			length := 0
			for name, field := range Fields(value) {
				after, fits := strings.CutPrefix(rest, name.Value)
				if fits && len(name.Value) >= length && (after == "" || after[0] == '.' || after[0] == '[') {
					length, at, next = len(name.Value), name, field
				}
			}
			rest = rest[length:]
		}
		if next == nil {
			return at, nil
		}
		value = next
	}
	return at, value
}
