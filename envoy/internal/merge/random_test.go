package merge

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/document"
	"go.yaml.in/yaml/v3"
)

// scribe writes a configuration as somebody may have written it: braces here and there, lists at any column, comments
// and empty lines anywhere, names in quotes, dashes on lines of their own.
type scribe struct {
	*rand.Rand
	out     strings.Builder
	anchors map[string]string // by what they stand for, as JSON
	name    string            // of the field whose value is next
}

// lonely are lists of objects, of which one may stand without a list.
var lonely = map[string]bool{"listeners": true, "clusters": true, "filter_chains": true, "filters": true,
	"http_filters": true, "virtual_hosts": true, "routes": true, "layers": true, "stats_tags": true, "patterns": true,
	"resources": true, "bootstrap_extensions": true, "allow_paths": true}

func (w *scribe) chance(percent int) bool { return w.IntN(100) < percent }

// scribble returns the text of a node without aliases.
func scribble(n *yaml.Node, seed uint64) string {
	w := &scribe{Rand: rand.New(rand.NewPCG(seed, 2)), anchors: map[string]string{}}
	if w.chance(30) {
		w.out.WriteString("---\n")
	}
	w.lines(0)
	w.block(n, 0, "")
	if w.chance(30) {
		w.lines(0)
	}
	if w.chance(10) {
		w.out.WriteString("...\n")
	}
	return w.out.String()
}

// lines writes what may stand between two lines.
func (w *scribe) lines(column int) {
	for w.chance(15) {
		w.out.WriteString([]string{"\n", "  \n", "# - no: list\n", strings.Repeat(" ", column) + "# {[ it's\n",
			strings.Repeat(" ", column+2) + "# deeper\n"}[w.IntN(5)])
	}
}

// after writes what may stand behind the last text of a line.
func (w *scribe) after() {
	if w.chance(8) {
		w.out.WriteString("  # é: \"behind\"")
	}
	w.out.WriteString("\n")
}

// block writes a mapping or list of lines. The first begins where the text is.
func (w *scribe) block(n *yaml.Node, column int, first string) {
	begin := func(i int) {
		if i > 0 || first == "" {
			w.lines(column)
			w.out.WriteString(strings.Repeat(" ", column))
		}
	}
	if n.Kind == yaml.SequenceNode {
		for i, child := range n.Content {
			begin(i)
			w.out.WriteString("-")
			w.name = ""
			w.value(child, column, 2)
		}
		return
	}
	for i := 0; i < len(n.Content); i += 2 {
		begin(i)
		if w.chance(5) {
			w.out.WriteString("? ")
			w.scalar(n.Content[i])
			w.after()
			w.out.WriteString(strings.Repeat(" ", column))
		} else {
			w.scalar(n.Content[i])
		}
		w.out.WriteString(":")
		w.name = snakeCase(n.Content[i].Value)
		deeper := 1 + w.IntN(4)
		if n.Content[i+1].Kind == yaml.SequenceNode {
			deeper = w.IntN(3)
		}
		w.value(n.Content[i+1], column, deeper)
	}
}

// value writes what stands behind a dash or a name in this column.
func (w *scribe) value(n *yaml.Node, column, deeper int) {
	dash := strings.HasSuffix(w.out.String(), "-")
	says := new(source).flow(n)
	if anchor := w.anchors[says]; anchor != "" && w.chance(50) {
		w.out.WriteString(" *" + anchor)
		w.after()
		return
	}
	if lonely[w.name] && n.Kind == yaml.SequenceNode && len(n.Content) == 1 && n.Content[0].Kind == yaml.MappingNode &&
		w.chance(20) {
		n = n.Content[0]
		says = new(source).flow(n)
	}
	// A route with an anchor is left as it is, and copied.
	isRoute := w.name == "typed_per_filter_config" || n.Kind == yaml.MappingNode && find(n, "match") != nil
	if len(n.Content) > 0 && !isRoute && w.anchors[says] == "" && w.chance(20) {
		w.anchors[says] = fmt.Sprint("a", len(w.anchors))
		defer func(name string) { w.anchors[says] = name }(w.anchors[says])
		w.out.WriteString(" &" + w.anchors[says])
		w.anchors[says] = "" // not inside of itself
		dash = false         // its first line may not follow
	}
	switch {
	case n.Kind == yaml.ScalarNode || len(n.Content) == 0 || w.chance(15):
		w.out.WriteString(" ")
		w.flow(n, column+deeper)
		w.after()
	case dash && w.chance(85):
		blanks := 1 + w.IntN(3)
		w.out.WriteString(strings.Repeat(" ", blanks))
		w.block(n, column+1+blanks, "here")
	default:
		w.after()
		if strings.HasSuffix(w.out.String(), "-\n") || deeper == 0 && n.Kind == yaml.MappingNode {
			deeper = 2
		}
		w.block(n, column+max(deeper, map[bool]int{true: 1}[dash]), "")
	}
}

// flow writes a node in brackets, on several lines now and then.
func (w *scribe) flow(n *yaml.Node, column int) {
	space := func() {
		if w.chance(25) {
			if w.chance(50) {
				w.out.WriteString(" # it's {[, \"b")
			}
			w.out.WriteString("\n" + strings.Repeat(" ", column+2))
		} else if w.chance(50) {
			w.out.WriteString(" ")
		}
	}
	switch n.Kind {
	case yaml.MappingNode:
		w.out.WriteString("{")
		for i := 0; i < len(n.Content); i += 2 {
			space()
			if w.chance(5) {
				w.out.WriteString("? ")
			}
			w.scalar(n.Content[i])
			w.out.WriteString(": ")
			w.flow(n.Content[i+1], column)
			if i+2 < len(n.Content) || w.chance(10) {
				w.out.WriteString(",")
			}
		}
		space()
		w.out.WriteString("}")
	case yaml.SequenceNode:
		w.out.WriteString("[")
		for i, child := range n.Content {
			space()
			w.flow(child, column)
			if i+1 < len(n.Content) || w.chance(10) {
				w.out.WriteString(",")
			}
		}
		space()
		w.out.WriteString("]")
	default:
		w.scalar(n)
	}
}

// scalar writes a text with the quotes that it needs, or more.
func (w *scribe) scalar(n *yaml.Node) {
	switch {
	case n.ShortTag() != "!!str":
		w.out.WriteString(n.Value)
	case w.chance(20) && !strings.ContainsAny(n.Value, "\n"):
		w.out.WriteString("'" + strings.ReplaceAll(n.Value, "'", "''") + "'")
	case plainKey(n.Value) && n.Value != "" && !w.chance(10):
		w.out.WriteString(n.Value)
	default:
		w.out.WriteString(document.Quoted(n.Value))
	}
}
