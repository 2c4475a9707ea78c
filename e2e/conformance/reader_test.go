package conformance

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// binding is the values of names that stand in braces.
type binding map[string]string

// reader reads a file of testdata, whose README.md describes the form.
type reader struct {
	defined binding
	all     string // the options of all cases
	cases   []*Case
}

var (
	comments   = regexp.MustCompile(`(?m)^#.*\n`)
	paragraphs = regexp.MustCompile(`\n{2,}`)
	brace      = regexp.MustCompile(`\{[a-z_]+\}`)
	// quoted is a string in quotes, and word is what stands between blanks, quoted strings with their blanks included.
	quoted = `"(?:[^"\\]|\\.)*"`
	word   = regexp.MustCompile(`(?:` + quoted + `|[^\s"])+`)
)

// later are the names in braces that the case's own name and the filter take the place of.
var later = map[string]bool{"{case}": true, "{node_id}": true, "{cluster}": true, "{zone}": true, "{region}": true}

func read(text string) ([]*Case, error) {
	r := &reader{defined: binding{}}
	for _, paragraph := range paragraphs.Split(comments.ReplaceAllString(text, ""), -1) {
		first, rest, _ := strings.Cut(strings.Trim(paragraph, "\n"), "\n")
		switch what, name, _ := strings.Cut(first, " "); what {
		case "":
		case "with":
			r.all = first
		case "define":
			r.defined[name] = rest
		default:
			if err := r.each(strings.Split(strings.Trim(paragraph, "\n"), "\n")); err != nil {
				return nil, fmt.Errorf("%s: %w", first, err)
			}
		}
	}
	return r.cases, nil
}

// each adds a case for each combination of values.
func (r *reader) each(lines []string) error {
	bindings, lines, err := loops(r.tables(lines))
	if err != nil {
		return err
	}
	for _, b := range bindings {
		if err := r.add(strings.Split(r.fill(strings.Join(lines, "\n"), b), "\n")); err != nil {
			return err
		}
	}
	return nil
}

// tables puts the rows that are defined under a name in its place.
func (r *reader) tables(lines []string) (out []string) {
	for _, line := range lines {
		if rows := r.fill(line, nil); brace.FindString(line) == line && strings.HasPrefix(rows, "|") {
			line = rows
		}
		out = append(out, strings.Split(line, "\n")...)
	}
	return out
}

// fill puts values in the places of their names. What it does not know stays.
func (r *reader) fill(text string, b binding) string {
	return brace.ReplaceAllStringFunc(text, func(name string) string {
		value, ok := b[name[1:len(name)-1]]
		if !ok {
			value, ok = r.defined[name[1:len(name)-1]]
		}
		if !ok {
			return name
		}
		return r.fill(value, b)
	})
}

// loops takes the lines away that bind names, and returns every combination of their values.
func loops(lines []string) (bindings []binding, rest []string, err error) {
	bindings = []binding{{}}
	for len(lines) > 0 {
		what, text, _ := strings.Cut(lines[0], " ")
		if what != "for" && what != "let" {
			break
		}
		lines = lines[1:]
		var rows [][]string
		names, values, listed := strings.Cut(text, " in ")
		switch {
		case what == "let":
			names, values, _ = strings.Cut(text, " ")
			rows = [][]string{{values}}
		case listed:
			for _, w := range word.FindAllString(values, -1) {
				rows = append(rows, []string{strings.Trim(w, `"`)})
			}
		}
		for ; len(lines) > 0 && strings.HasPrefix(lines[0], "|"); lines = lines[1:] {
			rows = append(rows, strings.Split(lines[0][1:]+" ", " | "))
		}
		var product []binding
		for _, b := range bindings {
			for _, row := range rows {
				keys := strings.Split(names, ", ")
				if len(keys) != len(row) {
					return nil, nil, fmt.Errorf("%q are not the values of %q", row, keys)
				}
				next := maps.Clone(b)
				for i, key := range keys {
					next[key] = strings.TrimSpace(row[i])
				}
				product = append(product, next)
			}
		}
		bindings = product
	}
	return bindings, lines, nil
}

// add reads one case, whose names have their values.
func (r *reader) add(lines []string) error {
	name, ok := strings.CutPrefix(lines[0], "case ")
	if !ok {
		return fmt.Errorf("%q begins no case", lines[0])
	}
	c := &Case{Name: name}
	lines = lines[1:]
	with := []string{r.all}
	for len(lines) > 0 && strings.HasPrefix(lines[0], "with ") {
		with, lines = append(with, lines[0]), lines[1:]
	}
	for _, line := range with {
		for _, w := range word.FindAllString(strings.TrimPrefix(line, "with "), -1) {
			if err := set(w, options(c)); err != nil {
				return err
			}
		}
	}
	lines, err := r.unroll(lines)
	if err != nil {
		return err
	}
	text := strings.Join(lines, "\n")
	for _, name := range brace.FindAllString(c.Name+text, -1) {
		if !later[name] {
			return fmt.Errorf("%s is not defined", name)
		}
	}
	text, actions, _ := strings.Cut(text+"\n", "----\n")
	if c.Config, err = expanded(strings.TrimSpace(text)); err != nil {
		return err
	}
	if err := c.split(); err != nil {
		return err
	}
	for line := range strings.Lines(actions) {
		line = strings.TrimSuffix(line, "\n")
		steps, err := steps(line)
		if err != nil {
			return fmt.Errorf("%s: %w", line, err)
		}
		c.Steps = append(c.Steps, steps...)
	}
	r.cases = append(r.cases, c)
	return nil
}

// unroll repeats the indented lines behind those that bind names.
func (r *reader) unroll(lines []string) (out []string, err error) {
	for len(lines) > 0 {
		bindings, rest, err := loops(lines)
		if err != nil {
			return nil, err
		}
		n := 0
		for n < len(rest) && strings.HasPrefix(rest[n], " ") {
			n++
		}
		if len(rest) == len(lines) {
			n = 1
		}
		for _, b := range bindings {
			for _, line := range rest[:n] {
				out = append(out, strings.TrimSpace(r.fill(line, b)))
			}
		}
		lines = rest[n:]
	}
	return out, nil
}

// options are where the words behind "with" go.
func options(c *Case) map[string]any {
	return map[string]any{
		"filter": &c.Filter, "guest": &c.Guest, "abi-0.2.1": &c.ABI021, "tinygo": &c.TinyGo,
		"routes": &c.Routes, "route-metadata": &c.RouteMetadata, "listeners": &c.Listeners,
		"vm-config": &c.VMConfig, "policy": &c.Policy,
		"allow-on-headers-stop-iteration": &c.AllowStop, "use-remote-address": &c.Remote, "xff-num-trusted-hops": &c.Hops,
		"buffer-limit": &c.Limit, "application": &c.App, "silent": &c.Silent, "grpc": &c.Grpc, "backend": &c.Backend,
		"metrics": &c.Metrics, "alone": &c.Alone, "workers": &c.Workers, "shutdown": &c.Shutdown,
		"unordered": &c.Unordered, "repeats": &c.Repeats, "patience": &c.Patience,
	}
}

// set puts the value of a word NAME=VALUE where names says that it goes. A flag without a value is on.
func set(text string, names map[string]any) (err error) {
	name, value, given := strings.Cut(text, "=")
	target := names[name]
	flag, isFlag := target.(*bool)
	switch {
	case isFlag && (!given || value == "on" || value == "off"):
		*flag = value != "off"
		return nil
	case target == nil || isFlag || !given:
		return fmt.Errorf("%q is not known here", text)
	}
	if value, err = literal(value); err != nil {
		return fmt.Errorf("%q: %w", text, err)
	}
	switch target := target.(type) {
	case *string:
		*target = value
	case *int:
		*target, err = strconv.Atoi(value)
	case *time.Duration:
		*target, err = time.ParseDuration(value)
	case *[]string:
		*target = append(*target, value)
	case *[][2]string:
		name, value, _ := strings.Cut(value, ":")
		*target = append(*target, [2]string{name, value})
	case *policy:
		*target = policy(value)
		if _, known := policies[*target]; !known {
			err = fmt.Errorf("%q is not a policy", value)
		}
	default:
		err = json.Unmarshal([]byte(value), target)
	}
	return err
}

// literal is a value as it is, in quotes, or repeat("TEXT",TIMES).
func literal(text string) (string, error) {
	if text, err := expanded(text); strings.HasPrefix(text, `"`) && err == nil {
		return strconv.Unquote(text)
	}
	return text, nil
}

// steps are those of a line.
func steps(line string) ([]Step, error) {
	what, rest, _ := strings.Cut(line, " ")
	switch what {
	case "await":
		return []Step{{Await: rest}}, nil
	case "post":
		return []Step{{Post: rest}}, nil
	case "update":
		return []Step{{Update: true}}, nil
	case "drained":
		return []Step{{Drained: true}}, nil
	case "upstream":
		s := Step{}
		_, err := fmt.Sscanf(rest, "%s status=%d", &s.Turn, &s.Status)
		return []Step{s}, err
	case "send", "begin":
		s := Step{Async: what == "begin"}
		err := s.request(rest)
		return []Step{s}, err
	case "until":
		s := Step{}
		status, rest, _ := strings.Cut(rest, " ")
		if err := s.request(rest); err != nil {
			return nil, err
		}
		n, err := strconv.Atoi(status)
		return []Step{{Until: s.Request, Status: n}, s}, err
	}
	return nil, fmt.Errorf("%q is not a step", what)
}

// request reads METHOD PATH and what follows.
func (s *Step) request(text string) error {
	words := word.FindAllString(text, -1)
	if len(words) < 2 {
		return fmt.Errorf("%q has no method and path", text)
	}
	r := &Request{Method: words[0], Path: words[1], Authority: "localhost"}
	s.Request = r
	for _, w := range words[2:] {
		if err := set(w, map[string]any{
			"host": &r.Authority, "header": &r.Header, "body": &r.Body, "chunk": &r.Chunks, "trailer": &r.Trailer,
			"leave": &s.Leave, "listener": &r.Listener,
		}); err != nil {
			return err
		}
	}
	return nil
}
