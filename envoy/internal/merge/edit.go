package merge

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/document"
	"go.yaml.in/yaml/v3"
)

// listChange is what becomes of a list: what is added before each element, by its index, and what goes.
type listChange struct {
	added   map[int][]*yaml.Node
	removed map[int]bool
}

func (s *source) change(list *yaml.Node) *listChange {
	if s.lists[list] == nil {
		s.lists[list] = &listChange{map[int][]*yaml.Node{}, map[int]bool{}}
	}
	return s.lists[list]
}

// insert adds elements to a list before the one of this index.
func (s *source) insert(list *yaml.Node, i int, elements ...*yaml.Node) {
	if s.fits(list, yaml.SequenceNode, "a list is") {
		c := s.change(list)
		c.added[i] = append(c.added[i], elements...)
	}
}

// remove takes an element out of a list.
func (s *source) remove(list *yaml.Node, i int) { s.change(list).removed[i] = true }

// set adds a field to an object that does not have it.
func (s *source) set(object *yaml.Node, name string, value *yaml.Node) {
	if s.fits(object, yaml.MappingNode, "fields are") {
		s.objects[object] = append(s.objects[object], &yaml.Node{Kind: yaml.ScalarNode, Value: s.spell(name)}, value)
	}
}

// fits reports whether something can be added to a node, and keeps the problem where it can't.
func (s *source) fits(n *yaml.Node, kind yaml.Kind, expected string) bool {
	if n.Kind != kind && s.unfit == nil {
		s.unfit = s.problem(n, "%s expected here", expected)
	}
	return n.Kind == kind
}

// replace puts a node into the place of an alias, or of nothing.
func (s *source) replace(old, n *yaml.Node) {
	at := s.at(old)
	if old.Kind == yaml.ScalarNode && s.bare(old) != at {
		s.unfit = s.problem(old, "an anchor or a tag without a value, where one is to be put; take it out")
		return
	}
	s.replaced[old] = n
	end := at + len(old.Value)
	if old.Kind == yaml.AliasNode {
		end++
	}
	parent := s.parents[old]
	switch {
	case s.inFlow(old) || n.Style&yaml.FlowStyle != 0 || len(n.Content) == 0:
		text := s.flow(n)
		if at > 0 && s.Text[at-1] == ':' {
			text = " " + text
		}
		s.edit(at, end, text)
	case parent.Kind == yaml.SequenceNode:
		column := s.dash(old).column + 1
		s.edit(at, end, strings.TrimSpace(indent(block(n), column)))
	default:
		column := keyOf(parent, old).Column - 1
		if n.Kind == yaml.SequenceNode {
			column += s.inset
		} else {
			column += 2
		}
		for at > 0 && s.Text[at-1] == ' ' {
			at--
		}
		s.edit(at, end, "\n"+strings.TrimRight(indent(block(n), column), "\n"))
	}
}

// wrap makes a list of the one element that stands without one.
func (s *source) wrap(n *yaml.Node) {
	s.wrapped[n] = true
	if n.Kind == yaml.AliasNode || n.Style&yaml.FlowStyle != 0 {
		end := s.at(n) + len(n.Value) + 1
		if n.Kind != yaml.AliasNode {
			end = s.close(n)
		}
		s.edit(s.at(n), s.at(n), "[")
		s.edit(end, end, "]")
		return
	}
	first, bare := s.at(n.Content[0]), s.bare(n)
	dash := "- "
	if at := s.at(n); bare > at { // the anchor is the element's, as it was
		dash += strings.TrimSpace(s.Text[at:bare]) + "\n" + strings.Repeat(" ", n.Content[0].Column+1)
		s.edit(at, bare, "")
	}
	s.edit(first, first, dash)
	for line := s.line(first) + 1; line < len(s.lines) && s.lines[line] < s.end(n); line++ {
		if strings.TrimSpace(s.lineText(line)) != "" {
			s.edit(s.lines[line], s.lines[line], "  ")
		}
	}
}

func (s *source) edit(at, end int, text string) {
	s.edits = append(s.edits, edit{at, end, text, 0})
}

// addLines puts lines at the begin of a line, or at the end of a file whose last line is open.
func (s *source) addLines(at int, text string, column int) {
	text = indent(text, column)
	if at > 0 && s.Text[at-1] != '\n' {
		text = "\n" + strings.TrimSuffix(text, "\n")
	}
	s.edits = append(s.edits, edit{at, at, text, column})
}

// inFlow reports whether a node stands in brackets or braces.
func (s *source) inFlow(n *yaml.Node) bool {
	for p := s.parents[n]; p != nil; p = s.parents[p] {
		if p.Style&yaml.FlowStyle != 0 {
			return true
		}
	}
	return s.json
}

// write returns the text with all changes.
func (s *source) write() string {
	for list, c := range s.lists {
		switch {
		case list.Style&yaml.FlowStyle == 0:
			s.writeList(list, c)
		case s.inFlow(list), len(list.Content) > 0 && strings.Contains(s.Text[s.at(list):s.close(list)], "#"):
			s.writeFlow(list, c)
		default:
			s.openList(list, c)
		}
	}
	for object, fields := range s.objects {
		s.writeFields(object, fields)
	}
	slices.SortStableFunc(s.edits, func(a, b edit) int { return cmp.Or(a.at-b.at, b.column-a.column) })
	var out strings.Builder
	at := 0
	for _, e := range s.edits {
		if e.at > at {
			out.WriteString(s.Text[at:e.at])
			at = e.at
		}
		if strings.Contains(s.Text, "\r\n") {
			e.text = strings.ReplaceAll(e.text, "\n", "\r\n")
		}
		out.WriteString(e.text)
		at = max(at, e.end)
	}
	out.WriteString(s.Text[at:])
	return out.String()
}

// writeList changes a list without brackets.
func (s *source) writeList(list *yaml.Node, c *listChange) {
	column := s.dash(list.Content[0]).column - 1
	for i := range len(list.Content) + 1 {
		at := s.end(list)
		if i < len(list.Content) {
			at = s.above(s.dash(list.Content[i]).line)
		}
		if added := c.added[i]; len(added) > 0 {
			s.addLines(at, block(listOf(added...)), column)
		}
		if c.removed[i] {
			s.edit(at, s.end(list.Content[i]), "")
		}
	}
}

// writeFlow changes a list in brackets. What is added takes the place, and the comma, of what goes behind it.
func (s *source) writeFlow(list *yaml.Node, c *listChange) {
	all := list.Content
	rest := len(all) // from there on all go
	for rest > 0 && c.removed[rest-1] && len(c.added[rest-1]) == 0 {
		rest--
	}
	if last := c.added[len(all)]; rest < len(all) && len(last) > 0 {
		c.added[rest], c.added[len(all)] = last, nil
		rest++
	}
	for i, n := range all {
		at := s.at(n)
		var texts []string
		for _, added := range c.added[i] {
			texts = append(texts, s.flowAt(added, at))
		}
		comma := s.comma(list, at)
		switch text := strings.Join(texts, comma); {
		case i >= rest:
			if i == rest {
				s.cutFlow(list, i)
			}
		case !c.removed[i] && text != "":
			s.edit(at, at, text+comma)
		case c.removed[i] && text != "":
			s.edit(at, s.inlineEnd(list, i), text)
		case c.removed[i]:
			s.edit(at, s.at(all[i+1]), "")
		}
	}
	var last []string
	for _, n := range c.added[len(all)] {
		last = append(last, s.flowIn(list, n))
	}
	s.appendFlow(list, last)
}

// cutFlow takes the elements from an index on out of a list in brackets, and the comma before them.
func (s *source) cutFlow(list *yaml.Node, i int) {
	from, end := s.at(list.Content[i]), s.close(list)-1
	if i > 0 {
		end = s.inlineEnd(list, len(list.Content)-1)
		s.scan(s.inlineEnd(list, i-1), func(comma int, _ bool) bool {
			if strings.Contains(s.Text[comma:from], "#") { // a comment stays
				s.edit(comma, comma+1, "")
			} else {
				from = comma
			}
			return false
		})
	}
	s.edit(from, end, "")
}

// flowIn returns a node as JSON for the end of what is in brackets or braces.
func (s *source) flowIn(n, added *yaml.Node) string {
	if len(n.Content) == 0 {
		return s.flow(added)
	}
	return s.flowAt(added, s.at(n.Content[0]))
}

// appendFlow adds texts at the end of what is in brackets or braces; a comment there stays beside what it is about.
func (s *source) appendFlow(n *yaml.Node, texts []string) {
	end := s.close(n) - 1
	if len(texts) == 0 {
		return
	}
	if len(n.Content) == 0 {
		s.edit(end, end, strings.Join(texts, ", "))
		return
	}
	at := s.behind(n.Content[len(n.Content)-1], end)
	comma := s.comma(n, s.at(n.Content[0]))
	line, _, _ := strings.Cut(s.Text[at:], "\n")
	line = strings.TrimRight(line, "\r")
	between, _, commented := strings.Cut(line, "#")
	if !commented || strings.Trim(between, " \t,") != "" {
		s.edit(at, at, comma+strings.Join(texts, comma))
		return
	}
	if !strings.Contains(between, ",") {
		s.edit(at, at, ",")
	}
	if comma == ", " { // the comment ends the line, so the first one added begins another
		before := s.lineText(s.line(at))
		comma = ",\n" + before[:len(before)-len(strings.TrimLeft(before, " "))] + "    "
	}
	s.edit(at+len(line), at+len(line), strings.TrimPrefix(comma, ",")+strings.Join(texts, comma))
}

// behind returns the place behind an element or value in brackets or braces, which end there.
func (s *source) behind(n *yaml.Node, end int) int {
	at := end
	s.scan(s.at(n), func(i int, quoted bool) bool {
		if i < end && (quoted || s.Text[i] != ',') {
			at = i + 1
		}
		return i < end
	})
	return at
}

// comma returns what stands between two elements or fields: each on a line, as the first is, or all on one.
func (s *source) comma(n *yaml.Node, at int) string {
	if s.line(at) == s.line(s.open(n)) {
		return ", "
	}
	line := s.lineText(s.line(at))
	return ",\n" + line[:len(line)-len(strings.TrimLeft(line, " \t"))]
}

// openList writes a list in brackets without them, and changes it.
func (s *source) openList(list *yaml.Node, c *listChange) {
	column := keyOf(s.parents[list], list).Column - 1 + s.inset
	dash := "\n" + strings.Repeat(" ", column) + "- "
	at := s.open(list)
	for at > 0 && s.Text[at-1] == ' ' {
		at--
	}
	from := s.open(list) + 1
	for i := range len(list.Content) + 1 {
		if added := c.added[i]; len(added) > 0 {
			s.edit(at, at, "\n"+strings.TrimRight(indent(block(listOf(added...)), column), "\n"))
		}
		if i == len(list.Content) {
			s.edit(at, s.close(list), "")
			break
		}
		end := s.inlineEnd(list, i)
		if c.removed[i] {
			s.edit(at, end, "")
		} else {
			s.edit(at, from+len(s.Text[from:])-len(strings.TrimLeft(s.Text[from:], " \t\r\n,")), dash)
		}
		at, from = end, end
	}
}

// inlineEnd returns the place behind an element of a list in brackets.
func (s *source) inlineEnd(list *yaml.Node, i int) int {
	n := list.Content[i]
	if n.Kind != yaml.ScalarNode && n.Kind != yaml.AliasNode {
		return s.close(n)
	}
	if i+1 < len(list.Content) {
		return s.behind(n, s.at(list.Content[i+1]))
	}
	return s.behind(n, s.close(list)-1)
}

// writeFields adds fields to an object.
func (s *source) writeFields(object *yaml.Node, fields []*yaml.Node) {
	if object.Style&yaml.FlowStyle == 0 {
		at := s.end(object)
		s.addLines(at, block(&yaml.Node{Kind: yaml.MappingNode, Content: fields}), object.Content[0].Column-1)
		return
	}
	var texts []string
	for i := 0; i < len(fields); i += 2 {
		name := s.flow(fields[i])
		if !s.json && plainKey(fields[i].Value) {
			name = fields[i].Value
		}
		texts = append(texts, name+": "+s.flowIn(object, fields[i+1]))
	}
	s.appendFlow(object, texts)
}

func plainKey(name string) bool {
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_") == ""
}

// block returns a node as lines without brackets.
func block(n *yaml.Node) string {
	text, err := document.Encode(n)
	if err != nil { // the node was made here or read from a file
		panic(err)
	}
	return text
}

func indent(text string, columns int) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" {
			out.WriteString(strings.Repeat(" ", columns))
		}
		out.WriteString(line)
	}
	return out.String()
}

// flow returns a node as JSON on one line, which is YAML, too.
func (s *source) flow(n *yaml.Node) string {
	var out strings.Builder
	writeFlow(&out, n, "")
	return out.String()
}

// flowAt returns a node as JSON for a place: on several lines where a JSON file has the neighbour on a line of its own.
func (s *source) flowAt(n *yaml.Node, at int) string {
	line := s.lineText(s.line(at))
	before := line[:at-s.lines[s.line(at)]]
	if !s.json || strings.TrimSpace(before) != "" {
		return s.flow(n)
	}
	var out strings.Builder
	writeFlow(&out, n, "\n"+before)
	return out.String()
}

// writeFlow writes JSON; with a line break, which holds the indentation, on several lines.
func writeFlow(out *strings.Builder, n *yaml.Node, newline string) {
	deeper, comma := newline, ", "
	if newline != "" {
		deeper, comma = newline+"  ", ","+newline+"  "
	}
	if newline != "" { // what is short stands on one line
		var line strings.Builder
		if writeFlow(&line, n, ""); line.Len() < 80 {
			out.WriteString(line.String())
			return
		}
	}
	brackets := map[yaml.Kind]string{yaml.MappingNode: "{}", yaml.SequenceNode: "[]"}[n.Kind]
	switch {
	case n.Kind == yaml.ScalarNode:
		out.WriteString(scalar(n))
	case len(n.Content) == 0:
		out.WriteString(brackets)
	default:
		out.WriteString(brackets[:1] + deeper)
		for i := 0; i < len(n.Content); i++ {
			if i > 0 {
				out.WriteString(comma)
			}
			if n.Kind == yaml.MappingNode {
				out.WriteString(document.Quoted(n.Content[i].Value) + ": ")
				i++
			}
			writeFlow(out, n.Content[i], deeper)
		}
		out.WriteString(newline + brackets[1:])
	}
}

func scalar(n *yaml.Node) string {
	var v any
	if n.ShortTag() != "!!str" && n.Decode(&v) == nil {
		if text, err := json.Marshal(v); err == nil {
			return string(text)
		}
	}
	return document.Quoted(n.Value)
}
