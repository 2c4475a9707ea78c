package chaos

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// plan is all that happens in one run. It says nothing of what must come out: that is the oracle's.
type plan struct {
	Notes   []string `yaml:",omitempty"`
	Seed    uint64   // of the host: random numbers, and the order of what is due at once
	Workers int
	Configs map[string]*settings // A, with which all begins, and B
	Ops     []op                 `yaml:"operations"`
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

// MarshalText implements encoding.TextMarshaler.
func (o op) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (o *op) UnmarshalText(text []byte) (err error) {
	words := strings.Fields(string(text))
	if len(words) < 2 {
		return fmt.Errorf("%q is not a time and an operation", text)
	}
	o.name, o.args = words[1], words[2:]
	o.at, err = time.ParseDuration(words[0])
	return err
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
	text, err := yaml.Marshal(p)
	must(err)
	return string(text)
}

func loadPlan(path string) (*plan, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p := &plan{}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(p); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if p.Configs["A"] == nil || p.Workers < 1 {
		return nil, fmt.Errorf("%s: a plan needs workers and a config A", path)
	}
	return p, nil
}

// breaks is the rule that the plan's first note says it broke.
func (p *plan) breaks() string {
	if len(p.Notes) == 0 {
		return ""
	}
	rule, _, _ := strings.Cut(p.Notes[0], ":")
	return rule
}

func parseSeed(text string) (uint64, error) { return strconv.ParseUint(text, 10, 64) }
