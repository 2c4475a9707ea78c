package document

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/schema"
	"github.com/healthgate/healthgate/filter/config"
)

// Problems are all mistakes of a document: unknown fields first, the rest in the order of the file.
type Problems []*Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].Error()
	}
	return strings.Join(lines, "\n")
}

const unknown = "unknown field"

// mistakes returns what the plugin's reader refuses, without what only follows from another mistake.
func (d *Document) mistakes() Problems {
	found := config.Mistakes(d.json, standIns)
	// meant are the places of the fields that unknown ones probably are.
	meant := map[string]bool{}
	for i := range found {
		if found[i].What != unknown {
			continue
		}
		parent, name := cut(found[i].Place)
		var free []string // those that are not there
		for _, field := range schema.Fields(parent) {
			if !d.Has(join(parent, field)) {
				free = append(free, field)
			}
		}
		if field := Nearest(name, free); field != "" {
			meant[join(parent, field)] = true
			found[i].What += fmt.Sprintf("; did you mean %s?", field)
		}
	}
	out := Problems(slices.Clone(d.odd))
	for i, e := range found {
		p := d.Problem(e.Place, e.What)
		if !follows(found, i, meant) && !slices.ContainsFunc(d.odd, func(odd *Problem) bool { return odd.Line == p.Line }) {
			out = append(out, p)
		}
	}
	slices.SortStableFunc(out, func(a, b *Problem) int {
		if x, y := strings.HasPrefix(a.What, unknown), strings.HasPrefix(b.What, unknown); x != y {
			if x {
				return -1
			}
			return 1
		}
		return cmp.Or(a.Line-b.Line, a.Column-b.Column)
	})
	if len(found) == config.MaxMistakes {
		out = append(out, &Problem{File: d.File, What: fmt.Sprintf("there may be more; it is read no further than to %d mistakes", len(found))})
	}
	return out
}

// follows reports whether a mistake is a consequence of others.
func follows(found []config.Error, i int, meant map[string]bool) bool {
	e := found[i]
	if meant[e.Place] && strings.HasPrefix(e.What, "is required") || meant["admin"] && strings.HasPrefix(e.What, "needs the admin section") {
		return true
	}
	if strings.HasSuffix(e.What, "is not the name of a probe") && meant["probes"] {
		return true
	}
	for j, other := range found {
		typed := strings.Contains(other.What, ", must be ")
		switch {
		case j < i && (other.Place == e.Place || strings.HasPrefix(e.What, "there are more than") && other.What == e.What):
			return true
		case typed && inside(e.Place, other.Place): // nothing in it was read
			return true
		case inside(other.Place, e.Place) && !strings.Contains(e.What, ", must be "): // what lacks may be what is misspelt
			return true
		case strings.HasSuffix(e.What, "is not the name of a probe") &&
			(typed && other.Place == "probes" || strings.HasPrefix(other.Place, "probes[") && strings.Count(other.Place, ".") == 1 &&
				(strings.HasSuffix(other.Place, "].name") || meant[other.Place[:strings.Index(other.Place, ".")]+".name"])):
			return true
		}
	}
	return false
}

// inside reports whether a place is below another.
func inside(place, outer string) bool {
	rest, below := strings.CutPrefix(place, outer)
	return below && rest != "" && (outer == "" || rest[0] == '.' || rest[0] == '[')
}

// cut separates the last name of a place from what it is in.
func cut(place string) (parent, name string) {
	if i := strings.LastIndexByte(place, '.'); i >= 0 {
		return place[:i], place[i+1:]
	}
	return "", place
}

func join(parent, name string) string {
	if parent == "" {
		return name
	}
	return parent + "." + name
}
