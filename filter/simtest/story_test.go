package simtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/healthgate/healthgate/filter/lease"
	"github.com/healthgate/healthgate/hostsim"
	"go.yaml.in/yaml/v3"
)

// TestStories plays the stories of testdata. README.md describes their commands.
func TestStories(t *testing.T) {
	t.Parallel()
	stories, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(stories) == 0 {
		t.Fatalf("%d stories, %v", len(stories), err)
	}
	for _, story := range stories {
		t.Run(strings.TrimSuffix(filepath.Base(story), ".txt"), func(t *testing.T) {
			t.Parallel()
			datadriven.RunTest(t, story, (&player{}).play)
		})
	}
}

// player plays one story. It has no host before the first "new".
type player struct {
	*sim
	logged int            // lines of the log that have been shown
	asked  map[string]int // requests of each upstream that have been shown
	config any            // the newest configuration
}

// play runs the command of one block, and returns what came out and what the plugin logged meanwhile.
func (p *player) play(t *testing.T, d *datadriven.TestData) string {
	b := newBlock(t, d)
	command := commands[d.Cmd]
	if command == nil || p.sim == nil && d.Cmd != "new" {
		d.Fatalf(t, "there is no such command, or no host yet: %s", d.Cmd)
	}
	out := command(p, b)
	b.end()
	if p.sim != nil {
		log := p.stateLog()
		for _, line := range log[p.logged:] {
			if d.Cmd != "new" || !strings.HasPrefix(line, "info") { // every story begins with the same good news
				out = append(out, line)
			}
		}
		p.logged = len(log)
		if why := p.Crashed(); why != "" {
			d.Fatalf(t, "an Envoy would have crashed: %s", why)
		}
	}
	if len(out) == 0 {
		return "ok"
	}
	return strings.Join(out, "\n")
}

// commands are what a block may begin with. Each returns the lines that come out.
var commands = map[string]func(*player, *block) []string{
	"new":         (*player).new,
	"update":      (*player).update,
	"drained":     quiet(func(p *player, _ *block) { p.Drained() }),
	"advance":     quiet(func(p *player, b *block) { p.Advance(b.duration(b.word())) }),
	"check":       func(p *player, b *block) []string { return p.checks(b)() },
	"watch":       (*player).watch,
	"status":      (*player).status,
	"metrics":     (*player).metrics,
	"requests":    (*player).requests,
	"runtime":     quiet((*player).runtime),
	"draining":    quiet(func(p *player, b *block) { p.Admin().SetDraining(oneOf(b, b.word(), switches)) }),
	"upstream":    quiet((*player).upstream),
	"crash":       quiet(func(p *player, b *block) { p.threadOf(b).Crash() }),
	"stall":       quiet(func(p *player, b *block) { p.threadOf(b).Stall(b.duration(b.word())) }),
	"trap":        quiet((*player).trap),
	"jump":        quiet(func(p *player, b *block) { oneOf(b, b.word(), clocks)(p.Host, b.duration(b.word())) }),
	"hold-lease":  quiet((*player).holdLease),
	"forge-lease": quiet(func(p *player, b *block) { p.setLease(b.duration(b.word())) }),
	"lose-lease":  quiet(func(p *player, _ *block) { key, _ := p.datum("/lease"); p.Inject(hostsim.LoseCAS(key, 1)) }),
	"shared-data": func(p *player, _ *block) []string { return []string{fmt.Sprintf("%d entries", len(p.SharedData()))} },
	"threads": func(p *player, _ *block) (out []string) {
		for i := range p.Workers() {
			w := p.Worker(i)
			out = append(out, fmt.Sprintf("%s: dead %v, reloaded %d times", w.Name(), w.Failed(), w.Reloads()))
		}
		return out
	},
}

var (
	clusters = map[string]string{"app": "app", "application": "application", "envoy_admin": "envoy_admin"}
	switches = map[string]bool{"on": true, "off": false}
	clocks   = map[string]func(*hostsim.Host, time.Duration){
		"wall": (*hostsim.Host).JumpRealtime, "monotonic": (*hostsim.Host).JumpMonotonic,
	}
	faults = map[string]*hostsim.CalloutFault{
		"none": nil, "refused": {Kind: hostsim.CalloutConnectFailure}, "reset": {Kind: hostsim.CalloutReset},
		"hanging": {Kind: hostsim.CalloutNever}, "no-host": {Kind: hostsim.CalloutInlineFailure},
		"lost": {Kind: hostsim.CalloutLost},
	}
)

func quiet(do func(*player, *block)) func(*player, *block) []string {
	return func(p *player, b *block) []string { do(p, b); return nil }
}

// new loads the plugin with a configuration: the input, or a file of testdata that the input changes.
func (p *player) new(b *block) []string {
	if p.sim != nil {
		b.must(p.Close())
	}
	config := b.yaml(b.Input)
	if name := b.wordOr(""); name != "" {
		config = b.changed(b.yaml(b.read(name + ".yaml")))
	}
	p.config = config
	var text []byte
	if config != nil {
		var err error
		text, err = json.Marshal(config)
		b.must(err)
	}
	opts := []hostsim.Option{
		hostsim.Workers(b.number("workers", 1)), hostsim.XFFNumTrustedHops(b.number("xff-num-trusted-hops", 0)),
		hostsim.UseRemoteAddress(oneOf(b, b.get("use-remote-address", "off"), switches)),
		hostsim.AllowOnHeadersStopIteration(oneOf(b, b.get("bodies", "off"), switches)),
	}
	if id := b.get("node", ""); id != "" {
		opts = append(opts, hostsim.Node{ID: id})
	}
	settling := b.duration(b.get("settle", settle.String()))
	wasm, err := module()
	b.must(err)
	p.sim, err = start(b.t, wasm, string(text), opts...)
	p.logged, p.asked = 0, map[string]int{}
	if refused := (*hostsim.LoadError)(nil); errors.As(err, &refused) {
		return stateLog(refused.Logs)
	}
	b.must(err)
	p.Advance(settling)
	return nil
}

// update gives the plugin the last configuration with the changes of the input, as an update of its listener does.
func (p *player) update(b *block) []string {
	p.config = b.changed(p.config)
	text, err := json.Marshal(p.config)
	b.must(err)
	b.must(p.Update(string(text)))
	return nil
}

// changed makes the changes of the input.
func (b *block) changed(config any) any {
	changes, _ := b.yaml(b.Input).(map[string]any)
	for _, path := range slices.Sorted(maps.Keys(changes)) {
		config = changed(config, strings.Split(path, "."), changes[path])
	}
	return config
}

// changed sets what a path leads to. In a list, the path names an element, which is added if there is none.
func changed(node any, path []string, value any) any {
	if len(path) == 0 {
		return value
	}
	switch node := node.(type) {
	case map[string]any:
		node[path[0]] = changed(node[path[0]], path[1:], value)
		return node
	case []any:
		for _, element := range node {
			if element := element.(map[string]any); element["name"] == path[0] {
				changed(element, path[1:], value)
				return node
			}
		}
		added, _ := changed(nil, path[1:], value).(map[string]any)
		added["name"] = path[0]
		return append(node, added)
	}
	return map[string]any{path[0]: changed(nil, path[1:], value)}
}

func (p *player) runtime(b *block) {
	values := map[string]string{}
	b.must(yaml.Unmarshal([]byte(b.Input), &values))
	for key := range b.named {
		values[key] = b.get(key, "")
	}
	for key, value := range values {
		p.Admin().SetRuntime(key, value)
	}
}

// upstream changes what a cluster answers.
func (p *player) upstream(b *block) {
	name, path := oneOf(b, b.word(), clusters), b.wordOr("*")
	if status := b.get("status", ""); status != "" {
		body, _ := b.yaml(b.Input).(string)
		p.answer(name, path, b.atoi(strings.Replace(status, "normal", "0", 1)), body)
	}
	if delay := b.get("delay", ""); delay != "" {
		p.SetLatency(name, b.duration(delay))
	}
	if fault := b.get("fault", ""); fault != "" {
		p.FaultAllCallouts(name, oneOf(b, fault, faults))
	}
}

// threadOf returns the thread that the next word names: main, worker-1 or leader, whichever leads.
func (p *player) threadOf(b *block) *hostsim.Worker {
	name := b.word()
	if name == "leader" {
		return p.thread(p.leader())
	}
	return p.thread(strings.Replace(name, "-", " ", 1))
}

func (p *player) trap(b *block) {
	export := b.word()
	for n := range b.number("times", 1) {
		p.Inject(hostsim.TrapAt(export, n+1))
	}
}

// holdLease lets another owner, who does nothing, hold the leader's lease.
func (p *player) holdLease(b *block) {
	const renewal = 500 * time.Millisecond
	for left := b.duration(b.word()); left > 0; left -= renewal {
		p.setLease(time.Second + p.Elapsed()) // what the monotonic clock shows
		p.Advance(renewal)
	}
}

// setLease writes a lease that another owner took at a time of the monotonic clock.
func (p *player) setLease(at time.Duration) {
	key, _ := p.datum("/lease")
	p.SetSharedData(key, string(lease.Value(1, int64(at))))
}

// block is a command with its words, named arguments and input. What has been read is taken away.
type block struct {
	*datadriven.TestData
	t     *testing.T
	words []string
	named map[string][]string
}

func newBlock(t *testing.T, d *datadriven.TestData) *block {
	b := &block{TestData: d, t: t, named: map[string][]string{}}
	for _, arg := range d.CmdArgs {
		switch {
		case arg.Vals == nil:
			b.words = append(b.words, arg.Key)
		case arg.Key[0] == '/': // a path with a query
			b.words = append(b.words, arg.Key+"="+arg.Vals[0])
		default:
			b.named[arg.Key] = arg.Vals
		}
	}
	return b
}

// end makes sure that nothing is left over.
func (b *block) end() {
	if len(b.words) > 0 || len(b.named) > 0 {
		b.Fatalf(b.t, "%s does not take %q %q", b.Cmd, b.words, b.named)
	}
}

func (b *block) must(err error) {
	if err != nil {
		b.Fatalf(b.t, "%v", err)
	}
}

func (b *block) word() string {
	word := b.wordOr("")
	if word == "" {
		b.Fatalf(b.t, "%s needs one word more", b.Cmd)
	}
	return word
}

func (b *block) wordOr(otherwise string) string {
	if len(b.words) == 0 {
		return otherwise
	}
	word := b.words[0]
	b.words = b.words[1:]
	return word
}

func (b *block) list(name string, otherwise ...string) []string {
	values, ok := b.named[name]
	if !ok {
		return otherwise
	}
	delete(b.named, name)
	return values
}

func (b *block) get(name, otherwise string) string { return b.list(name, otherwise)[0] }

func (b *block) number(name string, otherwise int) int {
	if text := b.get(name, ""); text != "" {
		return b.atoi(text)
	}
	return otherwise
}

func (b *block) atoi(text string) int {
	n, err := strconv.Atoi(text)
	b.must(err)
	return n
}

func (b *block) duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	b.must(err)
	return d
}

func (b *block) yaml(text string) (value any) {
	b.must(yaml.Unmarshal([]byte(text), &value))
	return value
}

func (b *block) read(file string) string {
	text, err := os.ReadFile("testdata/" + file)
	b.must(err)
	return strings.TrimSpace(string(text))
}

func oneOf[T any](b *block, word string, choices map[string]T) T {
	choice, ok := choices[word]
	if !ok {
		b.Fatalf(b.t, "%q is none of %q", word, slices.Sorted(maps.Keys(choices)))
	}
	return choice
}
