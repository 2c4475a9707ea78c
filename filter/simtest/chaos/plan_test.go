package chaos

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// plan is all that happens in one run. It says nothing of what must come out: that is the oracle's.
type plan struct {
	notes   []string // comments at its head
	seed    uint64   // of the host: random numbers, and the order of what is due at once
	workers int
	configs map[string]*settings // A, with which all begins, and B
	ops     []op
}

// op is one thing that happens.
type op struct {
	at   time.Duration // of virtual time
	name string
	args []string
}

func (o op) String() string {
	return strings.Join(append([]string{o.at.String(), o.name}, o.args...), " ")
}

func (o op) arg(i int) string {
	if i < len(o.args) {
		return o.args[i]
	}
	return ""
}

func (o op) duration(i int) time.Duration {
	d, err := time.ParseDuration(o.arg(i))
	must(err)
	return d
}

func (o op) number(i int) int {
	n, err := strconv.Atoi(o.arg(i))
	must(err)
	return n
}

// must ends the run of a plan that says what none can.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func (p *plan) String() string {
	var b strings.Builder
	for _, n := range p.notes {
		fmt.Fprintf(&b, "# %s\n", n)
	}
	fmt.Fprintf(&b, "seed %d\nworkers %d\n", p.seed, p.workers)
	for _, name := range []string{"A", "B"} {
		if c := p.configs[name]; c != nil {
			fmt.Fprintf(&b, "config %s\n%v", name, c)
		}
	}
	b.WriteString("operations\n")
	for _, o := range p.ops {
		fmt.Fprintln(&b, o)
	}
	return b.String()
}

// readPlan reads the text form.
func readPlan(text string) (*plan, error) {
	p := &plan{configs: map[string]*settings{}}
	var config *settings
	operations := false
	for n, line := range strings.Split(strings.TrimSpace(text), "\n") {
		words := strings.Fields(line)
		var err error
		switch {
		case len(words) == 0:
		case words[0] == "#":
			p.notes = append(p.notes, strings.Join(words[1:], " "))
		case operations && len(words) > 1:
			o := op{name: words[1], args: words[2:]}
			o.at, err = time.ParseDuration(words[0])
			p.ops = append(p.ops, o)
		case words[0] == "operations":
			operations = true
		case words[0] == "seed":
			_, err = fmt.Sscanf(line, "seed %d", &p.seed)
		case words[0] == "workers":
			_, err = fmt.Sscanf(line, "workers %d", &p.workers)
		case words[0] == "config" && len(words) == 2:
			config = &settings{}
			p.configs[words[1]] = config
		case config != nil:
			err = config.read(line)
		default:
			err = fmt.Errorf("not understood: %s", line)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
	}
	if p.configs["A"] == nil || p.workers < 1 {
		return nil, fmt.Errorf("a plan needs workers and a config A")
	}
	return p, nil
}

func loadPlan(path string) (*plan, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p, err := readPlan(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

// breaks is the rule that the plan's first note says it broke.
func (p *plan) breaks() string {
	if len(p.notes) == 0 {
		return ""
	}
	rule, _, _ := strings.Cut(p.notes[0], ":")
	return rule
}

func parseSeed(text string) (uint64, error) { return strconv.ParseUint(text, 10, 64) }
