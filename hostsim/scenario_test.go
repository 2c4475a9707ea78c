package hostsim_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/healthgate/healthgate/hostsim"
)

// TestScenarios plays testdata/*.txt, whose commands testdata/README.md describes. Both profiles must play the files of
// guests and modules, whose names begin with "guest", alike.
func TestScenarios(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d scenarios, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			datadriven.RunTest(t, file, newPlayer(t, hostsim.Envoy140).play)
		})
		if strings.HasPrefix(name, "guest") {
			t.Run(name+"/envoy-1.36", func(t *testing.T) {
				datadriven.RunTest(t, file, newPlayer(t, hostsim.Envoy136).play)
			})
		}
	}
}

// player plays one file. It has no host before the first "new".
type player struct {
	*hostsim.Host
	profile hostsim.Profile
	threads []string // whose log is shown
	shown   int      // lines of the log that have been shown
	crashed string
	stream  *hostsim.Stream
	asked   map[string]int // requests of each upstream that have been shown
	ended   chan error     // how each stream to the upstream "dialogue" ended
}

func newPlayer(t *testing.T, profile hostsim.Profile) *player {
	p := &player{profile: profile}
	t.Cleanup(p.close)
	return p
}

func (p *player) close() {
	if p.Host != nil {
		p.Close()
	}
	p.Host = nil
}

// play runs one command, and returns what was logged meanwhile and what the command shows.
func (p *player) play(t *testing.T, d *datadriven.TestData) string {
	b := &block{TestData: d, t: t}
	command := commands[d.Cmd]
	if command == nil || p.Host == nil && loaders[d.Cmd] == nil {
		b.Fatalf(t, "there is no such command, or no host yet: %s", d.Cmd)
	}
	var before time.Time
	if p.Host != nil {
		before = p.Now()
	}
	out := command(p, b)
	if len(b.CmdArgs) > 0 {
		b.Fatalf(t, "%s does not take %v", b.Cmd, b.CmdArgs)
	}
	if p.Host != nil {
		out = append(p.logged(before), out...)
		if why := p.Crashed(); why != p.crashed {
			p.crashed = why
			out = append(out, "Envoy crashed: "+why)
		}
	}
	if len(out) == 0 {
		return "ok"
	}
	return strings.Join(out, "\n")
}

// logged returns the new lines of the log: each with its thread if several are shown, its level if that is not info,
// and the time that had passed, if any.
func (p *player) logged(since time.Time) (lines []string) {
	for _, e := range p.LogsFrom(p.shown) {
		p.shown++
		if !slices.Contains(p.threads, e.Thread) {
			continue
		}
		line := e.Message
		if e.Level != hostsim.LogInfo {
			line = fmt.Sprintf("[%v] %s", e.Level, line)
		}
		if passed := e.Time.Sub(since); passed > 0 && !since.IsZero() {
			line = fmt.Sprintf("+%v %s", passed, line)
		}
		if e.Plugin != "" {
			line = e.Plugin + ": " + line
		}
		if len(p.threads) > 1 {
			line = e.Thread + ": " + line
		}
		lines = append(lines, line)
	}
	return lines
}

// loaders are the commands that make a host. Each returns the module.
var loaders = map[string]func(*player, *block) []byte{
	"new":    func(_ *player, b *block) []byte { return script(b.t) },
	"guest":  func(_ *player, b *block) []byte { return b.read("guests/" + b.word() + ".wasm") },
	"module": func(_ *player, b *block) []byte { return assemble(b) },
	"bytes":  func(_ *player, b *block) []byte { return []byte(b.Input) },
}

// commands are the first words of blocks. Each returns the lines to show after those of the log.
var commands = map[string]func(*player, *block) []string{
	"new": (*player).load, "guest": (*player).load, "module": (*player).load, "bytes": (*player).load,
	"request": (*player).request,
	"start": quiet(func(p *player, b *block) {
		p.stream = p.Worker(b.number("worker", 0)).Start(b.request())
	}),
	"reply": func(p *player, b *block) []string {
		if !p.stream.Done() {
			return []string{"none yet"}
		}
		return described(p.stream.Reply(), b.list("show"))
	},
	"advance": quiet(func(p *player, b *block) { p.Advance(b.duration(b.word())) }),
	"jump": quiet(func(p *player, b *block) {
		oneOf(b, b.word(), map[string]func(time.Duration){"wall": p.JumpRealtime, "monotonic": p.JumpMonotonic})(
			b.duration(b.word()))
	}),
	"clock":    func(p *player, _ *block) []string { return []string{p.Now().UTC().Format(time.RFC3339Nano)} },
	"stall":    quiet(func(p *player, b *block) { p.Worker(b.atoi(b.word())).Stall(b.duration(b.word())) }),
	"crash":    quiet(func(p *player, b *block) { p.Worker(b.atoi(b.word())).Crash() }),
	"shutdown": quiet(func(p *player, _ *block) { p.Shutdown() }),
	"close":    quiet(func(p *player, b *block) { b.must(p.Close()) }),
	"drained":  quiet(func(p *player, _ *block) { p.Drained() }),
	"update": func(p *player, b *block) []string {
		configs, _ := p.plugins(b, nil)
		return refusal(p.Update(configs...))
	},
	"trap": quiet(func(p *player, b *block) {
		p.Inject(hostsim.TrapAt(b.word(), b.number("call", 1)).On(b.get("on", "worker 0")))
	}),
	"fail-allocation": quiet(func(p *player, b *block) { p.Inject(hostsim.FailAllocation(b.atoi(b.word()))) }),
	"lose-cas":        quiet(func(p *player, b *block) { p.Inject(hostsim.LoseCAS(b.word(), b.atoi(b.word()))) }),
	"race":            quiet(func(p *player, b *block) { p.Inject(hostsim.Race(b.word(), b.atoi(b.word()))) }),
	"fault": quiet(func(p *player, b *block) {
		p.FaultCallouts(b.word(), hostsim.CalloutFault{
			Kind: oneOf(b, b.word(), faults), Delay: b.duration(b.get("delay", "0s")),
		})
	}),
	"latency": quiet(func(p *player, b *block) { p.SetLatency(b.word(), b.duration(b.word())) }),
	"ended": func(p *player, _ *block) []string {
		if err := <-p.ended; !errors.Is(err, io.EOF) {
			return []string{"by a reset"}
		}
		return []string{"by the plugin's half-close"}
	},
	"upstream": (*player).upstream,
	"enqueue": func(p *player, b *block) []string {
		if !p.Enqueue(b.word(), b.word()) {
			return []string{"no such queue"}
		}
		return nil
	},
	"runtime":  quiet(func(p *player, b *block) { p.Admin().SetRuntime(b.word(), b.get("value", "")) }),
	"draining": quiet(func(p *player, b *block) { p.Admin().SetDraining(oneOf(b, b.word(), switches)) }),
	"no-admin": quiet(func(p *player, _ *block) { p.Admin().SetHandler(http.NotFoundHandler()) }),
	"metrics": func(p *player, b *block) (out []string) {
		prefix := b.get("prefix", "")
		for _, m := range p.Metrics() {
			if strings.HasPrefix(m.Name, prefix) {
				out = append(out, fmt.Sprintf("%s %d", m.Name, m.Value))
			}
		}
		return out
	},
	"workers": func(p *player, _ *block) (out []string) {
		for i := range p.Workers() {
			w := p.Worker(i)
			out = append(out, fmt.Sprintf("%s: dead %v, reloaded %d times", w.Name(), w.Failed(), w.Reloads()))
		}
		return out
	},
}

func quiet(do func(*player, *block)) func(*player, *block) []string {
	return func(p *player, b *block) []string { do(p, b); return nil }
}

var (
	switches = map[string]bool{"on": true, "off": false}
	policies = map[string]hostsim.FailurePolicy{
		"closed": hostsim.FailClosed, "open": hostsim.FailOpen, "reload": hostsim.FailReload,
	}
	levels = map[string]hostsim.LogLevel{
		"trace": hostsim.LogTrace, "debug": hostsim.LogDebug, "info": hostsim.LogInfo, "error": hostsim.LogError,
	}
	faults = map[string]hostsim.CalloutFaultKind{
		"late": hostsim.CalloutLate, "refused": hostsim.CalloutConnectFailure, "reset": hostsim.CalloutReset,
		"timeout": hostsim.CalloutTimeout, "never": hostsim.CalloutNever, "lost": hostsim.CalloutLost,
		"inline": hostsim.CalloutInlineFailure,
	}
)

// texts are the options whose value is a text.
var texts = map[string]func(string) hostsim.PluginOption{
	"vm-config": hostsim.VMConfig, "vm-id": hostsim.VMID, "plugin-name": hostsim.PluginName, "root-id": hostsim.RootID,
}

// numbers are the options whose value is a number.
var numbers = map[string]func(int) hostsim.Option{
	"workers": hostsim.Workers, "buffer-limit": hostsim.BufferLimit, "xff-num-trusted-hops": hostsim.XFFNumTrustedHops,
	"start": func(nanos int) hostsim.Option { return hostsim.StartTime(time.Unix(0, int64(nanos))) },
}

var furtherPlugin = regexp.MustCompile(`(?m)^(plugin|service|singleton) (.*)\n`)

// plugins returns the configurations in the input, and the plugins behind the first. Each of these begins with a line
// such as "plugin NAME vm-id=ID policy=open".
func (p *player) plugins(b *block, wasm []byte) (configs []string, further []hostsim.Option) {
	heads := furtherPlugin.FindAllStringSubmatch(b.Input, -1)
	configs = furtherPlugin.Split(b.Input, -1)
	for i, head := range heads {
		words := strings.Fields(head[2])
		opts := []hostsim.PluginOption{
			hostsim.PluginName(words[0]), hostsim.VMID(words[0]), hostsim.PluginConfig(configs[i+1]),
		}
		for _, word := range words[1:] {
			key, value, _ := strings.Cut(word, "=")
			if key == "policy" {
				opts = append(opts, oneOf(b, value, policies))
			} else {
				opts = append(opts, oneOf(b, key, texts)(value))
			}
		}
		add := map[string]func([]byte, ...hostsim.PluginOption) hostsim.Option{
			"plugin": hostsim.Plugin, "service": hostsim.Service, "singleton": hostsim.SingletonService,
		}[head[1]]
		further = append(further, add(wasm, opts...))
	}
	return configs, further
}

// load makes a host. Without an error it shows what was logged meanwhile.
func (p *player) load(b *block) []string {
	p.close()
	*p = player{
		profile: p.profile, threads: []string{"worker 0"}, asked: map[string]int{}, ended: make(chan error, 8),
	}
	wasm := loaders[b.Cmd](p, b)
	profile, ok := hostsim.ParseProfile(b.get("profile", p.profile.String()))
	if !ok {
		b.Fatalf(b.t, "no such profile")
	}
	opts := []hostsim.Option{
		profile, oneOf(b, b.get("policy", "closed"), policies),
		hostsim.MinLogLevel(oneOf(b, b.get("log-level", "info"), levels)),
		hostsim.CallDeadline(b.duration(b.get("deadline", "10s"))),
		hostsim.ReloadBackoff(b.duration(b.get("backoff", "1s"))),
		hostsim.AllowOnHeadersStopIteration(b.has("allow-on-headers-stop-iteration")),
		hostsim.UseRemoteAddress(oneOf(b, b.get("use-remote-address", "off"), switches)),
		hostsim.EnableTrailers(oneOf(b, b.get("trailers", "off"), switches)),
		hostsim.ForeignFunction("upper", func(in []byte) ([]byte, error) { return []byte(strings.ToUpper(string(in))), nil }),
		hostsim.HostFunction("env", "proxy_double", func(c *hostsim.Caller, args ...uint32) uint32 {
			text, ok := c.Read(args[0], args[1])
			if !ok || !c.Return(args[2], args[3], append(text, text...)) {
				return 6 // InvalidMemoryAccess
			}
			return 0
		}),
		hostsim.HostFunction("env", "proxy_ask", func(c *hostsim.Caller, args ...uint32) uint32 {
			now, ok := c.Call("on_ask", args...)
			c.After(100*time.Millisecond, func() { c.Call("on_answer", now) })
			if !ok {
				return 1 // NotFound
			}
			return 0
		}),
		hostsim.ForeignFunction("broken", func([]byte) ([]byte, error) { return nil, errors.New("broken") }),
	}
	if b.Cmd == "new" || b.Cmd == "guest" {
		configs, more := p.plugins(b, wasm)
		opts = append(append(opts, hostsim.PluginConfig(configs[0])), more...)
	}
	if admin, ok := b.Arg("admin"); ok {
		opts = append(opts, hostsim.Admin(admin.Vals[0]))
		b.get("admin", "")
	}
	for name, option := range texts {
		if _, ok := b.Arg(name); ok {
			opts = append(opts, option(b.get(name, "")))
		}
	}
	for name, option := range numbers {
		if _, ok := b.Arg(name); ok {
			opts = append(opts, option(b.number(name, 0)))
		}
	}
	for _, pair := range b.list("env") {
		key, value, _ := strings.Cut(pair, ":")
		opts = append(opts, hostsim.Env(key, value))
	}
	if directions := b.list("listeners"); directions != nil {
		var all []hostsim.Listener
		for _, d := range directions {
			all = append(all, hostsim.Listener{Direction: b.atoi(d)})
		}
		opts = append(opts, hostsim.Listeners(all...))
	}
	if node := b.list("node"); node != nil {
		opts = append(opts, hostsim.Node{ID: node[0], Zone: node[1]})
	}
	for _, pair := range b.list("upstreams") {
		name, answers, _ := strings.Cut(pair, ":")
		opts = append(opts, hostsim.Upstream(name, p.handler(b, answers)))
	}
	if app := b.get("app", ""); app != "" {
		opts = append(opts, hostsim.Application(p.handler(b, app)))
	}
	p.threads = append(p.threads, b.list("threads")...)
	host, err := hostsim.New(wasm, opts...)
	if err == nil {
		p.Host = host
	}
	return refusal(err)
}

// refusal shows why a module or a configuration was not loaded, and what was logged last.
func refusal(err error) []string {
	if err == nil {
		return nil
	}
	text, log := err.Error(), ""
	if refused := (*hostsim.LoadError)(nil); errors.As(err, &refused) {
		text = refused.Message
		if n := len(refused.Logs); n > 0 && !strings.Contains(text, refused.Logs[n-1].Message) {
			last := refused.Logs[n-1]
			log = fmt.Sprintf(" (%s logged %q)", last.Thread, last.Message)
		}
	}
	text, _, _ = strings.Cut(text, "\n") // without a stack trace
	return []string{"refused: " + text + log}
}

// request sends a request and shows the answer, with the calls between host and plugin if the block says "trace".
func (p *player) request(b *block) (out []string) {
	traced := b.has("trace")
	worker, times, show := p.Worker(b.number("worker", 0)), b.number("times", 1), b.list("show")
	request := b.request()
	trace := p.Trace()
	for range times {
		out = append(out, described(worker.Do(request), show)...)
	}
	trace.Stop()
	if !traced {
		return out
	}
	p.shown = len(p.Logs())
	calls := []string{}
	for _, e := range trace.Events() {
		// The guest's garbage collector decides when it makes these calls, and where a string goes.
		if strings.Contains(e.Text, "poll_oneoff") || strings.Contains(e.Text, "clock_time_get") {
			continue
		}
		call, _, _ := strings.Cut(e.String(), "proxy_on_memory_allocate = ")
		if call != e.String() {
			call += "proxy_on_memory_allocate = ADDRESS"
		}
		calls = append(calls, call)
	}
	return append(calls, out...)
}

// request returns the request that a block's input and arguments describe.
func (b *block) request() *hostsim.Request {
	r := &hostsim.Request{
		Path: b.wordOr("/"), Peer: b.get("peer", ""), RouteName: b.get("route", ""), Before: b.number("before", 0),
		Listener: b.number("listener", 0),
	}
	for line := range strings.SplitSeq(b.Input, "\n") {
		name, value, ok := strings.Cut(line, ":")
		if pseudo := strings.HasPrefix(line, ":"); pseudo {
			name, value, _ = strings.Cut(line[1:], ":")
			*oneOf(b, name, map[string]*string{"method": &r.Method, "path": &r.Path, "authority": &r.Authority}) =
				strings.TrimSpace(value)
		} else if ok {
			r.Header = append(r.Header, [2]string{name, strings.TrimSpace(value)})
		}
	}
	for _, chunk := range b.list("body") {
		r.Chunks = append(r.Chunks, []byte(chunk))
	}
	for _, trailer := range b.list("trailer") {
		name, value, _ := strings.Cut(trailer, ":")
		r.Trailer = append(r.Trailer, [2]string{name, value})
	}
	if state := b.get("filter-state", ""); state != "" {
		key, value, _ := strings.Cut(state, ":")
		r.FilterState = map[string]string{key: value}
	}
	if metadata := b.get("route-metadata", ""); metadata != "" {
		b.must(json.Unmarshal([]byte(metadata), &r.RouteMetadata))
	}
	return r
}

// described returns the client's answer as lines, and how it came about.
func described(r *hostsim.Reply, show []string) []string {
	text := fmt.Sprintf("=> %d", r.Status)
	if r.Details != "" {
		text += " " + r.Details
	}
	text += fmt.Sprintf(" %q", r.Body)
	if r.Flags != "-" && r.Flags != "" {
		text += ", flags " + r.Flags
	}
	if r.Forwarded {
		text += ", forwarded"
	}
	if r.Upstream != nil && len(r.Upstream.Body) > 0 {
		text += fmt.Sprintf(" with %q", r.Upstream.Body)
	}
	if r.Reset {
		text += ", reset"
	}
	if len(r.Surplus) > 0 {
		text += fmt.Sprintf(", %q too much", r.Surplus)
	}
	out := []string{text}
	for _, key := range slices.Sorted(maps.Keys(r.Properties)) {
		out = append(out, fmt.Sprintf("   property %s: %s", key, strconv.Quote(r.Properties[key])))
	}
	for _, name := range show {
		out = append(out, fmt.Sprintf("   %s: %s", name, strings.Join(r.Header.Values(name), ", ")))
	}
	return out
}

// upstream shows the requests that a cluster has got since it was last shown.
func (p *player) upstream(b *block) (out []string) {
	name, show := b.word(), b.list("show")
	for _, r := range p.UpstreamRequestsFrom(name, p.asked[name]) {
		p.asked[name]++
		out = append(out, fmt.Sprintf("%s %s%s %q", r.Method(), r.Authority(), r.Path(), r.Body))
		for _, header := range show {
			out = append(out, fmt.Sprintf("   %s: %s", header, strings.Join(r.Header.Values(header), ", ")))
		}
	}
	if len(out) == 0 {
		return []string{"no requests"}
	}
	return out
}

// block is a command with its arguments, which are taken away as they are read, and its input.
type block struct {
	*datadriven.TestData
	t *testing.T
}

func (b *block) must(err error) {
	if err != nil {
		b.Fatalf(b.t, "%v", err)
	}
}

// wordOr takes the first argument that has no value.
func (b *block) wordOr(otherwise string) string {
	for i, arg := range b.CmdArgs {
		if arg.Vals == nil {
			b.CmdArgs = slices.Delete(b.CmdArgs, i, i+1)
			return arg.Key
		}
	}
	return otherwise
}

func (b *block) word() string {
	word := b.wordOr("")
	if word == "" {
		b.Fatalf(b.t, "%s needs one word more", b.Cmd)
	}
	return word
}

// has takes an argument away, and reports whether it was there.
func (b *block) has(name string) bool {
	before := len(b.CmdArgs)
	b.CmdArgs = slices.DeleteFunc(b.CmdArgs, func(arg datadriven.CmdArg) bool { return arg.Key == name })
	return len(b.CmdArgs) < before
}

func (b *block) list(name string) []string {
	arg, _ := b.Arg(name)
	b.has(name)
	return arg.Vals
}

func (b *block) get(name, otherwise string) string {
	if values := b.list(name); len(values) == 1 {
		return values[0]
	}
	return otherwise
}

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

func (b *block) read(file string) []byte {
	text, err := os.ReadFile("testdata/" + file)
	b.must(err)
	return text
}

func oneOf[T any](b *block, word string, choices map[string]T) T {
	choice, ok := choices[word]
	if !ok {
		b.Fatalf(b.t, "%q is none of %q", word, slices.Sorted(maps.Keys(choices)))
	}
	return choice
}
