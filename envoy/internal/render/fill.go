package render

import (
	"embed"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/document"
	"go.yaml.in/yaml/v3"
)

// The templates are YAML. `$name` stands for a value, as an element of a list for all of a list's. A field or an
// element is left out when its value or its tag, `!name`, names a value that is not there.
//
//go:embed templates
var templates embed.FS

var envoyTemplate, istioTemplate, partsTemplate, gatewayTemplate = load("envoy"), load("istio"), load("pieces"),
	load("gateway")

// parts are the templates that others are made of.
var parts = func() values {
	out := values{}
	for name, part := range document.Fields(load("parts")[0].Content[0]) {
		out[name.Value] = part
	}
	return out
}()

// load reads the documents of a template. Only a mistake in this package makes it fail, here and below.
func load(template string) []*yaml.Node {
	text, err := templates.ReadFile("templates/" + template + ".yaml")
	if err != nil {
		panic(err)
	}
	out, err := document.All(template, text)
	if err != nil {
		panic(err)
	}
	// What stands above all documents is about all of them, not about the first one's first field.
	first := out[0].Content[0].Content[0]
	out[0].HeadComment, first.HeadComment = above(out[0].HeadComment, first.HeadComment), ""
	return out
}

// values are what the names of a template stand for: a string, int, bool, node or list of nodes. The zero value of each
// is not there. In comments, []string is as many lines.
type values map[string]any

func (v values) has(name string) bool {
	switch value := v[name].(type) {
	case string:
		return value != ""
	case int:
		return value != 0
	case bool:
		return value
	case *yaml.Node:
		return value != nil
	case []*yaml.Node:
		return len(value) > 0
	}
	return false
}

func (v values) node(name string) *yaml.Node {
	switch value := v[name].(type) {
	case string:
		return document.Text(value)
	case int:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: strconv.Itoa(value)}
	case *yaml.Node:
		return value
	case []*yaml.Node:
		return &yaml.Node{Kind: yaml.SequenceNode, Content: value}
	}
	panic(fmt.Sprintf("$%s is a %T", name, v[name]))
}

// part returns a part with the values in it.
func part(name string, v values) *yaml.Node { return v.fill(parts.node(name)) }

// documents returns the documents of a template that are there, with the values in them.
func documents(template []*yaml.Node, v values) []*yaml.Node {
	var out []*yaml.Node
	head := v.comment(template[0].HeadComment)
	for _, d := range template {
		if root := v.fill(d.Content[0]); root != nil {
			out = append(out, &yaml.Node{Kind: yaml.DocumentNode, HeadComment: head, Content: []*yaml.Node{root}})
			head = ""
		}
	}
	return out
}

// above returns two comments as one.
func above(first, second string) string { return strings.TrimSpace(first + "\n" + second) }

// fill returns the node with the values in it, nil if it is not there.
func (v values) fill(template *yaml.Node) *yaml.Node {
	n := *template
	if name, is := strings.CutPrefix(n.Tag, "!"); is && !strings.HasPrefix(name, "!") {
		if !v.has(name) {
			return nil
		}
		n.Tag, n.Style = "", n.Style&^yaml.TaggedStyle
	}
	if name, is := hole(&n); is {
		if !v.has(name) {
			return nil
		}
		return v.node(name)
	}
	n.HeadComment, n.LineComment = v.comment(n.HeadComment), v.comment(n.LineComment)
	n.FootComment = v.comment(n.FootComment)
	n.Content = nil
	for i, child := range template.Content {
		switch {
		case n.Kind == yaml.SequenceNode:
			n.Content = append(n.Content, v.elements(child)...)
		case i%2 == 1: // after its name
			if value := v.fill(child); value != nil {
				n.Content = append(n.Content, v.fill(template.Content[i-1]), value)
			}
		}
	}
	return &n
}

// elements returns what stands in the place of an element of a list.
func (v values) elements(template *yaml.Node) []*yaml.Node {
	var out []*yaml.Node
	head := v.comment(template.HeadComment)
	if name, is := hole(template); is {
		if list, is := v[name].([]*yaml.Node); is {
			out = append(out, list...)
		} else if v.has(name) {
			out = append(out, v.node(name))
		}
	} else if n := v.fill(template); n != nil {
		n.HeadComment = ""
		out = append(out, n)
	}
	for i, n := range out {
		// What stands above the first field of an element is about the element.
		if n.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle == 0 {
			name := *n.Content[0]
			head, name.HeadComment = above(head, name.HeadComment), ""
			n.Content[0] = &name
		}
		out[i].HeadComment, head = above(head, n.HeadComment), ""
	}
	return out
}

// hole returns the name of the value that a node stands for.
func hole(n *yaml.Node) (name string, is bool) {
	name, is = strings.CutPrefix(n.Value, "$")
	return name, is && n.Kind == yaml.ScalarNode && n.Style&^yaml.TaggedStyle == 0
}

var inComment = regexp.MustCompile(`\$[a-z_]+`)

// comment puts values into a comment. No character of one ends its line.
func (v values) comment(text string) string {
	return inComment.ReplaceAllStringFunc(text, func(name string) string {
		if lines, is := v[name[1:]].([]string); is {
			return strings.TrimPrefix(commented(lines), "# ")
		}
		return document.Printable(fmt.Sprint(v[name[1:]]))
	})
}

// commented returns lines as a comment.
func commented(lines []string) string {
	var out []string
	for _, line := range lines {
		out = append(out, strings.TrimRight("# "+document.Printable(line), " "))
	}
	return strings.Join(out, "\n")
}

// mapping returns a mapping of texts.
func mapping(entries ...entry) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, e := range entries {
		n.Content = append(n.Content, document.Text(e.Key), document.Text(e.Value))
	}
	return n
}
