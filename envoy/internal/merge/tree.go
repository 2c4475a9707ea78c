package merge

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/document"
	"go.yaml.in/yaml/v3"
)

// cursor is a node of a file, found through names and aliases.
type cursor struct {
	*source
	n     *yaml.Node // what aliases stand for; nil where nothing is
	alias *yaml.Node // the last alias on the way
	in    *yaml.Node // the object that has the field
}

func (c cursor) is() bool { return c.n != nil && c.n.Tag != "!!null" }

// follow returns where a node is, or what it stands for.
func (c cursor) follow(n *yaml.Node) cursor {
	out := cursor{c.source, n, c.alias, c.n}
	for out.n != nil && out.n.Kind == yaml.AliasNode {
		out.alias, out.n = out.n, out.n.Alias
	}
	return out
}

// get returns what nested objects have under these names, in either spelling.
func (c cursor) get(names ...string) cursor {
	for _, name := range names {
		var found *yaml.Node
		for field, value := range document.Fields(c.n) {
			if snakeCase(field.Value) == name && field.Tag != "!ignore" {
				found = value
			}
		}
		c = c.follow(found)
	}
	return c
}

// list returns the elements of a list. Envoy takes one element without a list for a list of it.
func (c cursor) list(names ...string) (out []cursor) {
	l := c.get(names...)
	switch {
	case !l.is():
	case l.n.Kind == yaml.SequenceNode:
		for _, n := range l.n.Content {
			out = append(out, l.follow(n))
		}
	default:
		out = append(out, l)
	}
	return out
}

// text returns a string; "" where there is none.
func (c cursor) text(names ...string) string {
	if v := c.get(names...); v.is() && v.n.Kind == yaml.ScalarNode {
		return v.n.Value
	}
	return ""
}

// isType reports whether it is a message of a type with this ending.
func (c cursor) isType(ending string) bool {
	return strings.HasSuffix(c.text("@type"), ending)
}

var hump = regexp.MustCompile(`[A-Z]`)

// snakeCase returns a field's name as proto files spell it.
func snakeCase(name string) string {
	if strings.ToLower(name) == name || !spelled.MatchString(name) {
		return name
	}
	// A digit behind an underscore leaves no hump: acceptHttp10.
	name = strings.Replace(name, "Http10", "Http_10", 1)
	return hump.ReplaceAllStringFunc(name, func(s string) string { return "_" + strings.ToLower(s) })
}

var underscore = regexp.MustCompile(`_[a-z0-9]`)

var spelled = regexp.MustCompile(`^[a-z][a-z0-9]*([A-Z][a-zA-Z0-9]*)+$`)

// spell returns a field's name as the file spells them.
func (s *source) spell(name string) string {
	if !s.camel {
		return name
	}
	return underscore.ReplaceAllStringFunc(name, func(s string) string { return strings.ToUpper(s[1:]) })
}

// free are fields of which the names in their values are no fields, but an operator's.
var free = map[string]bool{"filter_metadata": true, "static_layer": true, "value": true}

// spelt returns a node of snake case in the spelling of the file, without aliases and anchors, which might be those of
// other things in it.
func (s *source) spelt(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	out := *n
	out.Anchor, out.Content = "", nil
	for i, child := range n.Content {
		switch {
		case n.Kind == yaml.MappingNode && i%2 == 0:
			name := *child
			name.Value = s.spell(name.Value)
			child = &name
		case n.Kind == yaml.MappingNode && free[snakeCase(n.Content[i-1].Value)]:
		default:
			child = s.spelt(child)
		}
		out.Content = append(out.Content, child)
	}
	return &out
}

// clone returns a copy without aliases, anchors and comments.
func clone(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	out := &yaml.Node{Kind: n.Kind, Style: n.Style, Tag: n.Tag, Value: n.Value}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && n.Content[i&^1].Tag == "!ignore" {
			continue
		}
		out.Content = append(out.Content, clone(child))
	}
	return out
}

// plain returns what JSON holds for a node, fields in snake case.
func plain(n *yaml.Node) any { return new(source).meant(n) }

// meant is plain with the changes to come.
func (s *source) meant(n *yaml.Node) any {
	if s.wrapped[n] {
		return []any{s.changed(n)}
	}
	return s.changed(n)
}

// changed is meant for what stands without a list of its own where aliases name it.
func (s *source) changed(n *yaml.Node) any {
	if by := s.replaced[n]; by != nil {
		return s.meant(by)
	}
	switch n.Kind {
	case yaml.AliasNode:
		return s.changed(n.Alias)
	case yaml.MappingNode:
		out := map[string]any{}
		fields := slices.Concat(n.Content, s.objects[n])
		for i := 0; i < len(fields); i += 2 {
			if name := fields[i]; name.Tag != "!ignore" {
				out[snakeCase(name.Value)] = s.meant(fields[i+1])
			}
		}
		return out
	case yaml.SequenceNode:
		c := s.lists[n]
		if c == nil {
			c = new(listChange)
		}
		out := []any{}
		for i := range len(n.Content) + 1 {
			for _, added := range c.added[i] {
				out = append(out, s.meant(added))
			}
			if i < len(n.Content) && !c.removed[i] {
				out = append(out, s.meant(n.Content[i]))
			}
		}
		return out
	}
	var v any
	if err := json.Unmarshal([]byte(scalar(n)), &v); err != nil {
		return n.Value
	}
	return v
}

// find returns the value of a field in either spelling; nil if there is none.
func find(object *yaml.Node, name string) *yaml.Node {
	for field, value := range document.Fields(object) {
		if snakeCase(field.Value) == name {
			return value
		}
	}
	return nil
}

func text(s string) *yaml.Node { return document.Text(s) }

// mapping returns an object of names and values.
func mapping(fields ...any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i < len(fields); i += 2 {
		n.Content = append(n.Content, text(fields[i].(string)), fields[i+1].(*yaml.Node))
	}
	return n
}

func listOf(elements ...*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.SequenceNode, Content: elements}
}

// put adds a field to an object that has none of the name, or nothing in it.
func (c cursor) put(name string, value *yaml.Node) {
	if old := find(c.n, name); old != nil {
		c.replace(old, value)
		return
	}
	c.set(c.n, name, value)
}

// add adds elements to a list that may not be there.
func (c cursor) add(name string, elements ...*yaml.Node) {
	if list := c.get(name); list.is() {
		c.insert(list.n, len(list.n.Content), elements...)
		return
	}
	c.put(name, listOf(elements...))
}

// written returns the node as it stands in the file: an alias, where one leads to it.
func (c cursor) written() *yaml.Node {
	if c.alias != nil && c.alias.Alias == c.n {
		return c.alias
	}
	return c.n
}
