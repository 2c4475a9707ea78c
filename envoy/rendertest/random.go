// Package rendertest makes up files that a healthgate.yaml may be, for tests of what is rendered from them.
package rendertest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
)

// Texts are what some YAML reader takes for something else, or a writer gets wrong.
var Texts = []string{
	"", "a", "OK", "yes", "No", "on", "OFF", "y", "true", "null", "Null", "~", "nan", ".inf",
	"200", "0x10", "0o17", "017", "0b11", "1_000", "1.0", "1e3", "-1", "+1", ".5", "12:30:45", "1:20.5", "2026-12-01",
	"2026-12-01T06:00:00Z",
	"=", "<<", "-", "--- a", "...", "? a", ": a", "a: b", "a #b", "#a",
	"[a", "{a", "a, b", "&a", "*a", "!a", "!!str a", "|", ">", "'a'", `"a"`, `a\b`,
	`a\Nb`, "a\\Nb\n\\\\N\\\n", "\\N\u0085\"", "%a", "@a", "`a`", " a", "a ", "a  b", "$a", "{{a}}", "$name",
	"a\n", "a\nb", "a\nb\n", "a\n\n", "a\n\n\nb\n\n", "\na", "\n", "\n\n", " a\nb", "a\n b", "a \nb", "a\n\t\nb\n",
	"\t", "\ta\n", "a\tb", "a\n#b\n", "a\n---\nb\n",
	"a\r\nb", "\r", "\x00", "\x1b[0m", "\x7f", "a\u0085b", "\u0085", "\u00a0",
	"a\u2028b", "\u2029", "\ufeff", "a\ufeff", "\ufffe", "é", "日本\n語\n", "😀", "\U0010ffff",
	strings.Repeat("long ", 60), strings.Repeat("x", 200),
}

// Names are what a key of filter state may be, besides ordinary ones.
var Names = []string{
	"~", "a b", "a'b", `a"b`, "a;b", "a\nb", "x\"'\n---\nkind: ConfigMap\n#", "# a", "$(touch x)", "a\u0085b",
	"a\u2028- b", "\t",
	"$name", "é", "a: b", "a\r\nkind: X",
}

// Keys are what a runtime key may be.
var Keys = []string{"hg.a", "hg.{zone}", "on", "200", "1.0", "null", "0x1", "1e3", "-", "_", "2026-12-01", "-a..b-",
	strings.Repeat("k", 200)}

// Headers are names that a reply's headers may have.
var Headers = []string{"x-a", "0x10", "1_000", "1.0", "on", "No", "null", "~", "1e3", "-", "&a", "*a", "!a", "'a'",
	"%a", "`a`", "2026-12-01", "x", "017", ".5"}

// Random returns a file that the plugin accepts, written in some of the ways that YAML has, and what it says, in the
// types of JSON.
func Random(r *rand.Rand) (text string, says map[string]any) {
	g := &generator{Rand: r}
	says = g.config()
	return Write(r, says), says
}

// Write writes a file in some of the ways that YAML has.
func Write(r *rand.Rand, says map[string]any) string {
	w := &writer{Rand: r, anchors: map[string]string{}}
	if w.maybe(4) {
		w.out.WriteString("# yaml-language-server: $schema=healthgate.schema.json\n")
	}
	w.mapping(says, 0)
	return w.out.String()
}

type generator struct{ *rand.Rand }

func (g *generator) maybe(n int) bool { return g.IntN(n) == 0 }

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// value returns a text that a header may have.
func (g *generator) value() string {
	for {
		s := pick(g.Rand, Texts)
		if s != "" && !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
			return s
		}
	}
}

func (g *generator) reply() map[string]any {
	out := map[string]any{"body": pick(g.Rand, Texts)}
	if g.maybe(2) {
		out["status"] = float64(500 + g.IntN(99))
	}
	if g.maybe(2) {
		out["content_type"] = g.value()
	}
	named := map[string]any{}
	for range g.IntN(4) {
		named[pick(g.Rand, Headers)] = g.value()
	}
	if len(named) > 0 || g.maybe(4) {
		out["headers"] = named
	}
	return out
}

func (g *generator) config() map[string]any {
	var endpoints, probes []any
	var names []any
	for i := range g.IntN(3) {
		name := fmt.Sprint(pick(g.Rand, []string{"p", "0x1", "on", "1.", "1_", "null-"}), i)
		names = append(names, name)
		probes = append(probes, map[string]any{
			"name": name, "cluster": "c" + fmt.Sprint(i), "path": "/q?a=b&c='d'", "host": g.value(),
			"healthy_threshold": float64(1 + g.IntN(1000)), "interval": pick(g.Rand, []string{"1s", "1.5s", "100ms"}),
		})
	}
	for i := range 1 + g.IntN(3) {
		e := map[string]any{
			"name": fmt.Sprint(pick(g.Rand, []string{"e", "0", "on", "1.", "null", "-"}), i),
			"paths": []any{fmt.Sprintf("/%d", i), fmt.Sprint(pick(g.Rand, []string{"/~", "/a'b\"c", "/{x}&*[y]", "/-:",
				"/!$;=@", "/%20"}), i)},
			"trusted": map[string]any{"cidrs": []any{"::/0", pick(g.Rand, []string{"10.0.0.0/8", "127.0.0.1/32"})}},
			"healthy": g.reply(), "unhealthy": g.reply(),
		}
		if g.maybe(3) {
			e["trusted"].(map[string]any)["peer"] = map[string]any{"filter_state": pick(g.Rand, append(Names, Keys...))}
		}
		if g.maybe(4) {
			e["methods"] = nil
		}
		if g.maybe(3) {
			e["headers"] = []any{map[string]any{"name": pick(g.Rand, Headers), "exact": pick(g.Rand, Texts)}}
		}
		if g.maybe(2) {
			m := g.reply()
			m["route_metadata"] = g.maybe(2)
			keys := slices.Clone(Keys)
			g.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
			var list []any
			for _, k := range keys[:g.IntN(4)] {
				list = append(list, k)
			}
			if list != nil {
				m["keys"] = list
			}
			e["maintenance"] = m
		}
		if len(names) > 0 && g.maybe(2) {
			e["probes"] = map[string]any{"names": names, "policy": map[string]any{"at_least": float64(1 + g.IntN(len(names)))}}
		}
		endpoints = append(endpoints, e)
	}
	out := map[string]any{"endpoints": endpoints, "admin": map[string]any{"cluster": "admin", "max_age": "20s"}}
	if probes != nil {
		out["probes"] = probes
	}
	return out
}

// writer writes values as YAML 1.2, in some way or other.
type writer struct {
	*rand.Rand
	out     strings.Builder
	anchors map[string]string // of texts
}

func (w *writer) maybe(n int) bool { return w.IntN(n) == 0 }

var comments = []string{"# a", "#", "# ---", "# \"a: {", "# a\tb", "#- a", "# é", "# $schema: x",
	"# yaml-language-server: $schema=x", "## $name"}

// comment writes lines of their own, or nothing.
func (w *writer) comment(margin int) {
	for w.maybe(6) {
		w.out.WriteString(strings.Repeat(" ", margin) + pick(w.Rand, comments) + "\n")
		if w.maybe(4) {
			w.out.WriteString("\n")
		}
	}
}

func (w *writer) end() {
	if w.maybe(6) {
		w.out.WriteString(" " + pick(w.Rand, comments))
	}
	w.out.WriteString("\n")
}

func (w *writer) mapping(m map[string]any, margin int) {
	for _, name := range w.names(m) {
		w.comment(margin)
		w.out.WriteString(strings.Repeat(" ", margin) + w.quoted(name) + ":")
		w.value(m[name], margin)
	}
}

func (w *writer) names(m map[string]any) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	w.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names
}

// value writes what stands after a colon or a dash.
func (w *writer) value(v any, margin int) {
	switch v := v.(type) {
	case map[string]any:
		if len(v) > 0 && !w.maybe(3) {
			w.end()
			w.mapping(v, margin+2)
			return
		}
	case []any:
		if len(v) > 0 && !w.maybe(3) {
			w.end()
			for _, item := range v {
				w.comment(margin + 2)
				w.out.WriteString(strings.Repeat(" ", margin+2) + "-")
				w.value(item, margin+2)
			}
			return
		}
	case string:
		if w.block(v, margin+2) {
			return
		}
	}
	w.out.WriteString(" " + w.flow(v))
	w.end()
}

// block writes a text as a literal block with its own margin, if it can be one.
func (w *writer) block(s string, margin int) bool {
	if strings.Trim(s, "\n") == "" || strings.ContainsFunc(s, func(c rune) bool {
		return c < ' ' && c != '\n' && c != '\t' || c >= 0x7f && c < 0xa0 || c == 0x2028 || c == 0x2029 || c >= 0xfe00
	}) || w.maybe(3) {
		return false
	}
	text := strings.TrimSuffix(s, "\n")
	chomp := "-"
	if text != s {
		if chomp = ""; strings.HasSuffix(text, "\n") {
			chomp = "+"
		}
	}
	w.out.WriteString(" |2" + chomp)
	w.end()
	for line := range strings.SplitSeq(text, "\n") {
		if line != "" {
			line = strings.Repeat(" ", margin) + line
		}
		w.out.WriteString(line + "\n")
	}
	return true
}

func (w *writer) flow(v any) string {
	var parts []string
	switch v := v.(type) {
	case nil:
		return pick(w.Rand, []string{"null", "~", "Null", `!!null ""`, `!!null "null"`})
	case bool:
		return pick(w.Rand, []string{fmt.Sprint(v), strings.ToUpper(fmt.Sprint(v)), fmt.Sprintf("!!bool %v", v),
			fmt.Sprintf(`!!bool "%v"`, v)})
	case float64:
		return fmt.Sprintf(pick(w.Rand, []string{"%d", "%d.0", "%de0", "!!int \"%d\"", "!!float %d", "+%d"}), int(v))
	case string:
		if anchor := w.anchors[v]; anchor != "" && w.maybe(2) {
			return "*" + anchor + " "
		}
		if w.maybe(8) && w.anchors[v] == "" {
			w.anchors[v] = fmt.Sprint("a", len(w.anchors))
			return "&" + w.anchors[v] + " " + w.quoted(v)
		}
		return w.quoted(v)
	case map[string]any:
		for _, name := range w.names(v) {
			parts = append(parts, w.quoted(name)+": "+w.flow(v[name]))
		}
		return "{" + w.joined(parts) + "}"
	case []any:
		for _, item := range v {
			parts = append(parts, w.flow(item))
		}
		return "[" + w.joined(parts) + "]"
	}
	panic(v)
}

// joined puts commas between the parts, and now and then a comment behind one.
func (w *writer) joined(parts []string) string {
	var out strings.Builder
	for i, p := range parts {
		if i > 0 && w.maybe(20) {
			out.WriteString(", " + pick(w.Rand, comments) + "\n" + strings.Repeat(" ", 30))
		} else if i > 0 {
			out.WriteString(", ")
		}
		out.WriteString(p)
	}
	return out.String()
}

var (
	plain  = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9/_.-]*$`)
	typed  = regexp.MustCompile(`^[A-Za-z0-9/_+.:~-]*[A-Za-z0-9~]$`)
	no     = regexp.MustCompile(`^(?i:true|false|null|nan|inf)$`)
	single = regexp.MustCompile(`^[ -~]*$`)
)

// quoted writes a text in a single line.
func (w *writer) quoted(s string) string {
	ways := []string{Double(s)}
	if single.MatchString(s) {
		ways = append(ways, "'"+strings.ReplaceAll(s, "'", "''")+"'")
	}
	if plain.MatchString(s) && !no.MatchString(s) {
		ways = append(ways, s, s, s)
	}
	if typed.MatchString(s) && !strings.HasPrefix(s, "-") && !strings.HasPrefix(s, ":") {
		ways = append(ways, "!!str "+s)
	}
	return pick(w.Rand, ways)
}

// Double writes a text in double quotes, as JSON, with what YAML does not take as it stands escaped.
func Double(s string) string {
	text, _ := json.Marshal(s)
	return unprintable.ReplaceAllStringFunc(string(text), func(c string) string {
		return fmt.Sprintf(`\u%04x`,
			[]rune(c)[0])
	})
}

var unprintable = regexp.MustCompile("[\u007f-\u009f\ufeff\ufffe\uffff]")
