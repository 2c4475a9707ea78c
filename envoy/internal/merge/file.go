package merge

import (
	"fmt"
	"iter"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/healthgate/healthgate/envoy/internal/document"
	"go.yaml.in/yaml/v3"
)

// File is a file of an Envoy's configuration: the bootstrap, or resources that it reads (LDS, RDS, CDS).
type File struct {
	Name string
	Text string
}

// source is a file that was read, with the changes to come.
type source struct {
	File
	lines   []int      // where each line begins
	starts  []int      // where each node begins, in order
	last    place      // that was asked for
	lastAt  int        // where it is
	root    *yaml.Node // of kind mapping
	json    bool       // the file is JSON, so what is added is JSON
	camel   bool       // fields are spelled connectTimeout, not connect_timeout
	inset   int        // how many columns a list's dashes stand right of its name
	parents map[*yaml.Node]*yaml.Node
	lists   map[*yaml.Node]*listChange
	objects map[*yaml.Node][]*yaml.Node // the fields to add: names and values

	replaced map[*yaml.Node]*yaml.Node
	wrapped  map[*yaml.Node]bool // elements without a list, which get one
	edits    []edit
	unfit    *document.Problem // what cannot be added to
}

// edit is text in the place of other text. Of lines at the same place those further right come first: they belong to
// what ends there.
type edit struct {
	at, end int
	text    string
	column  int
}

// parse reads a file, and refuses what Envoy would silently lose.
func parse(f File) (*source, error) {
	f.Text = string(document.Unescape([]byte(f.Text)))
	s := &source{File: f, json: strings.EqualFold(filepath.Ext(f.Name), ".json"),
		parents: map[*yaml.Node]*yaml.Node{}, lists: map[*yaml.Node]*listChange{}, objects: map[*yaml.Node][]*yaml.Node{},
		replaced: map[*yaml.Node]*yaml.Node{}, wrapped: map[*yaml.Node]bool{}}
	s.lines = append(s.lines, len(f.Text)-len(strings.TrimPrefix(f.Text, "\ufeff"))) // a byte order mark takes no column
	for i := range f.Text {
		if f.Text[i] == '\n' {
			s.lines = append(s.lines, i+1)
		}
	}
	if p := document.StrangeBreak(f.Name, []byte(f.Text)); p != nil {
		return nil, p
	}
	all, err := document.All(f.Name, []byte(f.Text))
	switch {
	case err != nil:
		return nil, err
	case len(all) == 0:
		return nil, s.problem(nil, "is empty")
	case len(all) > 1:
		return nil, s.problem(all[1], "a second document begins here, and Envoy reads the first alone; make them one")
	}
	if s.root = all[0].Content[0]; s.root.Kind != yaml.MappingNode {
		return nil, s.problem(s.root, "is not a configuration of Envoy: fields are expected")
	}
	camel, snake, block := 0, 0, true
	for n, parent := range each(s.root) {
		s.parents[n] = parent
		s.starts = append(s.starts, s.at(n))
		if n.Kind == yaml.SequenceNode && n.Style&yaml.FlowStyle == 0 && block && len(n.Content) > 0 && parent != nil &&
			parent.Kind == yaml.MappingNode {
			s.inset, block = max(s.dash(n.Content[0]).column-keyOf(parent, n).Column, 0), false
		}
		seen := map[string]*yaml.Node{}
		for name := range document.Fields(n) {
			if name.Kind != yaml.ScalarNode {
				return nil, s.problem(name, "the name of a field must be text; of a template, give what becomes of it")
			}
			if first := seen[name.Value]; first != nil {
				return nil, s.problem(name, "%q stands in line %d already, and Envoy silently takes the last one; make them one",
					name.Value, first.Line)
			}
			if name.Tag == "!!merge" {
				return nil, s.problem(name, "a merge key (<<), which Envoy does not know; write the fields out")
			}
			if other := seen[snakeCase(name.Value)]; other != nil && isField[snakeCase(name.Value)] {
				return nil, s.problem(name,
					"%q stands in line %d already, as %q, and in which order Envoy takes both is open; make them one",
					name.Value, other.Line, other.Value)
			}
			seen[name.Value], seen[snakeCase(name.Value)] = name, name
			if snakeCase(name.Value) != name.Value {
				camel++
			} else if strings.Contains(name.Value, "_") {
				snake++
			}
		}
	}
	slices.Sort(s.starts)
	s.camel = camel > snake
	return s, nil
}

// strange refuses what Envoy reads in another way than this command.
func (s *source) strange() error {
	text := strings.TrimPrefix(s.Text, "\ufeff")
	ending := strings.ToLower(filepath.Ext(s.Name))
	switch start := strings.TrimLeft(text, " \t\r\n"); {
	case strings.HasPrefix(s.Text, "\xff\xfe"), strings.HasPrefix(s.Text, "\xfe\xff"):
		return s.problem(nil, "is UTF-16, which Envoy does not read; write it in UTF-8")
	case ending != ".yaml" && ending != ".yml" && !strings.HasPrefix(start, "{"):
		return s.problem(nil, "is YAML, and Envoy takes it for JSON by its name; let that end with .yaml")
	}
	if i := strings.IndexByte(strings.ReplaceAll(text, "\r\n", "\n\n"), '\r'); i >= 0 {
		return s.problem(&yaml.Node{Line: 1 + strings.Count(text[:i], "\n"), Column: 1},
			"a carriage return stands alone in this line, which ends no line for Envoy; take it out")
	}
	for n := range each(s.root) {
		if n.Tag == "!!int" && strings.Contains(n.Value, "_") {
			return s.problem(n, "%s is no number for Envoy; write it without _", n.Value)
		}
		at := s.at(n)
		if before := strings.TrimRight(s.Text[s.lines[s.line(at)]:at], " "); strings.HasSuffix(before, "?") {
			n.Column = utf8.RuneCountInString(before) // what is added stands beneath the question mark
		}
	}
	return nil
}

// isField are the fields that a merge looks for; other names may be free.
var isField = map[string]bool{"static_resources": true, "layered_runtime": true, "static_layer": true,
	"stats_config": true, "stats_tags": true, "stats_matcher": true, "filter_chains": true, "default_filter_chain": true,
	"typed_config": true, "http_filters": true, "route_config": true, "virtual_hosts": true,
	"typed_per_filter_config": true, "filter_metadata": true, "inclusion_list": true}

func keyOf(mapping, value *yaml.Node) *yaml.Node {
	return mapping.Content[slices.Index(mapping.Content, value)-1]
}

// each visits a node and what is in it, with what is around it, outer ones first, but not what aliases stand for.
func each(n *yaml.Node) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(n, parent *yaml.Node) bool) { walk(n, nil, yield) }
}

func walk(n, parent *yaml.Node, visit func(n, parent *yaml.Node) bool) (more bool) {
	more = visit(n, parent)
	for _, child := range n.Content {
		more = more && walk(child, n, visit)
	}
	return more
}

// problem returns a remark on a node; nil is the whole file.
func (s *source) problem(n *yaml.Node, format string, args ...any) *document.Problem {
	p := &document.Problem{File: s.Name, What: fmt.Sprintf(format, args...)}
	if n != nil {
		p.Line, p.Column = n.Line, n.Column
	}
	return p
}

// at returns where a node begins. The library counts columns in characters.
func (s *source) at(n *yaml.Node) int { return s.offset(n.Line, n.Column) }

func (s *source) offset(line, column int) int {
	if line != s.last.line || column < s.last.column {
		s.last, s.lastAt = place{line, 1}, s.lines[min(line, len(s.lines))-1]
	}
	for ; s.last.column < column; s.last.column++ { // on from there: all of a file may be in one line
		_, size := utf8.DecodeRuneInString(s.Text[s.lastAt:])
		s.lastAt += size
	}
	return s.lastAt
}

// line returns the number of the line, from 0, in which a place is.
func (s *source) line(at int) int {
	i, found := slices.BinarySearch(s.lines, at)
	if !found {
		i--
	}
	return i
}

func (s *source) lineText(i int) string {
	end := len(s.Text)
	if i+1 < len(s.lines) {
		end = s.lines[i+1]
	}
	return s.Text[s.lines[i]:end]
}

// place is a column in a line, both from 1.
type place struct{ line, column int }

// dash returns where the dash of a list's element stands.
func (s *source) dash(element *yaml.Node) place {
	before := s.Text[s.lines[element.Line-1]:s.at(element)]
	for line := element.Line; ; {
		if i := strings.LastIndexByte(strings.TrimRight(before, " "), '-'); i >= 0 {
			return place{line, utf8.RuneCountInString(before[:i]) + 1}
		}
		if line--; line == 0 {
			return place{1, 1}
		}
		before, _, _ = strings.Cut(s.lineText(line-1), "#")
		before = strings.TrimRight(before, "\r\n")
	}
}

var (
	blank      = regexp.MustCompile(`^\s*(#.*)?$`)
	onlyDashes = regexp.MustCompile(`^\s*(-\s+)*-\s*(\s#.*)?$`)
)

// end returns where what follows a node without braces begins: the line after its last.
func (s *source) end(n *yaml.Node) int {
	last := n
	for len(last.Content) > 0 && last.Style&yaml.FlowStyle == 0 {
		last = last.Content[len(last.Content)-1]
	}
	from := s.at(last)
	inner := from // the last begin of a node that is still part of it
	if last.Style&yaml.FlowStyle != 0 && last.Kind != yaml.ScalarNode {
		inner = s.close(last) - 1
	}
	next := len(s.Text)
	if i, _ := slices.BinarySearch(s.starts, inner+1); i < len(s.starts) {
		next = s.lines[s.line(s.starts[i])]
	}
	literal := last.Kind == yaml.ScalarNode && last.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0
	block := -1 // the indentation of a block of text, in which a # begins no comment
	if first := s.line(from) + 1; literal && first < len(s.lines) {
		for ; first < len(s.lines)-1 && strings.TrimSpace(s.lineText(first)) == ""; first++ {
		}
		block = indentation(s.lineText(first))
	}
	line := s.line(next)
	if next == len(s.Text) {
		line = len(s.lines)
	}
	for ; line-1 > s.line(inner); line-- {
		text := strings.TrimRight(s.lineText(line-1), "\r\n")
		if text == "..." || onlyDashes.MatchString(text) {
			continue
		}
		if !blank.MatchString(text) || block >= 0 && strings.TrimSpace(text) != "" && indentation(text) >= block {
			break
		}
	}
	if line >= len(s.lines) {
		return len(s.Text)
	}
	return s.lines[line]
}

func indentation(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

// above returns where the comments begin that stand right above a line, from 1.
func (s *source) above(line int) int {
	i := line - 1
	for ; i > 0; i-- {
		text := strings.TrimSpace(s.lineText(i - 1))
		if !strings.HasPrefix(text, "#") {
			break
		}
	}
	return s.lines[i]
}

// open returns where a node's bracket or brace is, behind its anchor and tag.
func (s *source) open(n *yaml.Node) (at int) {
	s.scan(s.at(n), func(i int, _ bool) bool {
		at = i
		return s.Text[i] != '[' && s.Text[i] != '{'
	})
	return at
}

var anchorsAndTags = regexp.MustCompile(`^([&!]\S*[ \t]*)*`)

// bare returns the place behind a node's anchor and tag.
func (s *source) bare(n *yaml.Node) int {
	at := s.at(n)
	return at + len(anchorsAndTags.FindString(s.Text[at:]))
}

// close returns the place behind a node in brackets or braces.
func (s *source) close(n *yaml.Node) int {
	depth, end := 0, len(s.Text)
	s.scan(s.open(n), func(i int, quoted bool) bool {
		if c := s.Text[i]; !quoted && (c == '[' || c == '{') {
			depth++
		} else if !quoted && (c == ']' || c == '}') {
			depth--
		}
		if depth == 0 {
			end = i + 1
		}
		return depth > 0
	})
	return end
}

// scan visits what stands in brackets or braces, until it is told to stop: each character that is no blank and in no
// comment; of a text in quotes the last one.
func (s *source) scan(from int, visit func(i int, quoted bool) (more bool)) {
	fresh := true // a quote would begin a text here
	for i := from; i < len(s.Text); i++ {
		quoted := false
		switch c := s.Text[i]; {
		case c == '#' && i > 0 && strings.ContainsRune(" \t\n", rune(s.Text[i-1])):
			i += max(strings.IndexByte(s.Text[i:], '\n'), 0)
			continue
		case c == ' ':
			continue
		case c == '\n' || c == '\t' || c == '\r':
			fresh = true
			continue
		case fresh && c == '"':
			for i++; i < len(s.Text) && s.Text[i] != '"'; i++ {
				if s.Text[i] == '\\' {
					i++
				}
			}
			quoted = true
		case fresh && c == '\'':
			for i++; i < len(s.Text) && (s.Text[i] != '\'' || strings.HasPrefix(s.Text[i+1:], "'")); i++ {
				if s.Text[i] == '\'' { // two stand for one
					i++
				}
			}
			quoted = true
		}
		if i >= len(s.Text) || !visit(i, quoted) {
			return
		}
		fresh = !quoted && strings.IndexByte("[{,:", s.Text[i]) >= 0
	}
}

// IsDocument reports whether a file is a healthgate.yaml.
func IsDocument(f File) bool {
	s, err := parse(f)
	return err == nil && find(s.root, "endpoints") != nil
}
