package document

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/schema"
	"github.com/healthgate/healthgate/filter/config"
	"go.yaml.in/yaml/v3"
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

// mistakes returns what the plugin's reader refuses, without what only follows from another mistake. A misspelt field
// is read as the one that was probably meant, so that what is in it is read, too.
func (d *Document) mistakes() Problems {
	misspelt := map[*yaml.Node]bool{} // names, in corrected
	corrected := &Document{File: d.File, root: clone(d.root)}
	var out Problems
	var found []config.Error
	for more := true; more; {
		more = false
		found = config.Mistakes(corrected.toJSON(), standIns)
		for i := range found {
			if found[i].What == unknown && found[i].Place == "" { // the name is empty, which find takes for the whole
				found[i].Place = "."
			}
			e := found[i]
			if e.What != unknown || len(out) == config.MaxMistakes {
				continue
			}
			name, _ := corrected.find(e.Place)
			if field := corrected.meant(e.Place); field != "" && !misspelt[name] {
				out = append(out, corrected.Problem(e.Place, fmt.Sprintf("%s; did you mean %s?", unknown, field)))
				misspelt[name], more = true, true
				name.Value = field
			}
		}
	}
	if foreign := corrected.foreign(found); foreign != "" {
		return Problems{{File: d.File, What: "is no healthgate.yaml: it has " + foreign + ", and neither endpoints nor " +
			"probes; envoy/healthgate.yaml is an example"}}
	}
	for n, what := range corrected.odd {
		out = append(out, d.at(n, what))
	}
	for i, e := range found {
		if _, value := corrected.find(e.Place); corrected.odd[value] == "" && !follows(found, i) {
			out = append(out, corrected.Problem(e.Place, e.What))
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
	if len(found) == config.MaxMistakes || len(out) > config.MaxMistakes {
		out = append(out[:min(len(out), config.MaxMistakes)], &Problem{
			File: d.File, What: fmt.Sprintf("there may be more; it is read no further than to %d mistakes", config.MaxMistakes),
		})
	}
	return out
}

// foreign returns the fields of another kind of file, such as a bootstrap of Envoy's or a manifest; "" for a
// healthgate.yaml with mistakes.
func (d *Document) foreign(found []config.Error) string {
	var fields []string
	for _, e := range found {
		if e.What == unknown && !strings.ContainsAny(e.Place, ".[") && !slices.Contains(fields, e.Place) {
			fields = append(fields, e.Place)
		}
	}
	if d.Has("endpoints") || d.Has("probes") {
		return ""
	}
	return strings.Join(fields, ", ")
}

// meant returns the field that was probably meant by an unknown one: of those that are not there, one of a like name.
func (d *Document) meant(place string) string {
	parent, name := cut(place)
	var free []string
	for _, field := range schema.Fields(parent) {
		if !d.Has(join(parent, field)) {
			free = append(free, field)
		}
	}
	return Nearest(name, free)
}

// follows reports whether a mistake is a consequence of others.
func follows(found []config.Error, i int) bool {
	e := found[i]
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
			(typed && other.Place == "probes" || strings.HasPrefix(other.Place, "probes[") &&
				strings.HasSuffix(other.Place, "].name")):
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
