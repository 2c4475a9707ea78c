package chaos

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// tally is what many runs have come to.
type tally struct {
	Runs, Twice, Checks int
	Virtual, Took       time.Duration
	Marks               map[string]int // runs that reached each mark
	Times               map[string]int // how often in all
	PassedOver          map[string]int // runs that broke an open rule
	Found               []found
}

// found is a plan that breaks a rule, as small as could be made.
type found struct {
	Seed       uint64
	Rule, Text string
	Plan       string
}

func newTally() *tally {
	return &tally{Marks: map[string]int{}, Times: map[string]int{}, PassedOver: map[string]int{}}
}

func (t *tally) add(o *tally) {
	t.Runs, t.Twice, t.Checks = t.Runs+o.Runs, t.Twice+o.Twice, t.Checks+o.Checks
	t.Virtual += o.Virtual
	for _, pair := range [][2]map[string]int{{t.Marks, o.Marks}, {t.Times, o.Times}, {t.PassedOver, o.PassedOver}} {
		for name, n := range pair[1] {
			pair[0][name] += n
		}
	}
	t.Found = append(t.Found, o.Found...)
}

const (
	twice = 20   // one run in so many is played twice
	batch = 256  // of seeds, between two notes of how far a campaign has come
	shown = 3    // plans that are minimised of each rule
	rare  = 5000 // runs in which every mark is reached, though some are one in five hundred
)

// ledger counts how often each rule was broken.
type ledger struct {
	mu sync.Mutex
	n  map[string]int
}

func (l *ledger) add(rule string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n[rule]++
	return l.n[rule]
}

// seed plays the plan of a seed.
func (t *tally) seed(wasm []byte, seed uint64, known *ledger) {
	p := generate(seed)
	r := play(wasm, p)
	t.Runs++
	t.Checks += r.checks
	t.Virtual += r.Elapsed()
	for name, n := range r.marks {
		t.Marks[name]++
		t.Times[name] += n
	}
	for rule := range r.passedOver {
		t.PassedOver[rule]++
	}
	v := r.violation
	if v == nil && seed%twice == 0 {
		t.Twice++
		if again := play(wasm, p); again.trace.Sum64() != r.trace.Sum64() {
			v = &violation{"determinism", again.Elapsed(), "two runs of the same plan differ"}
		}
	}
	if v == nil {
		return
	}
	f := found{seed, v.rule, v.String(), ""}
	if known.add(v.rule) <= shown && v.rule != "determinism" {
		small := minimise(p, breaks(wasm, v.rule))
		f.Text = play(wasm, small).violation.String()
		small.Notes = []string{f.Text, fmt.Sprintf("seed %d", seed)}
		f.Plan = small.String()
	}
	t.Found = append(t.Found, f)
}

// batched plays n seeds on all cores. It returns nil if ctx ended before the last.
func batched(ctx context.Context, wasm []byte, first, n uint64, known *ledger) *tally {
	var mu sync.Mutex
	var players sync.WaitGroup
	all, next := newTally(), first
	for range runtime.GOMAXPROCS(0) {
		players.Go(func() {
			own := newTally()
			for ctx.Err() == nil {
				mu.Lock()
				seed := next
				next++
				mu.Unlock()
				if seed >= first+n {
					break
				}
				own.seed(wasm, seed, known)
			}
			mu.Lock()
			defer mu.Unlock()
			all.add(own)
		})
	}
	players.Wait()
	if ctx.Err() != nil && all.Runs < int(n) {
		return nil
	}
	return all
}

// missed are the marks that no run reached.
func (t *tally) missed() []string {
	return slices.DeleteFunc(wanted(), func(mark string) bool { return t.Marks[mark] > 0 })
}

func (t *tally) line() string {
	return fmt.Sprintf("%s runs, %s hours of virtual time, %s checks, %d plans that break a rule, %.1f runs/s",
		grouped(t.Runs), grouped(int(t.Virtual.Hours())), grouped(t.Checks), len(t.Found), t.rate())
}

func (t *tally) rate() float64 { return float64(t.Runs) / max(t.Took.Seconds(), 1e-9) }

// table is how often each mark was reached, as docs/reliability.md shows it.
func (t *tally) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s runs with %s checks in %s hours of virtual time, in %v on %d cores. %s runs were played twice, "+
		"and were the same. Plans that break a rule: %d.\n\n| what happened | runs | times |\n|---|---:|---:|\n",
		grouped(t.Runs), grouped(t.Checks), grouped(int(t.Virtual.Hours())), t.Took.Round(time.Second),
		runtime.GOMAXPROCS(0), grouped(t.Twice), len(t.Found))
	for _, name := range slices.Sorted(maps.Keys(t.Marks)) {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", name, grouped(t.Marks[name]), grouped(t.Times[name]))
	}
	return b.String()
}

// grouped is a number as it is easy to read.
func grouped(n int) string {
	text := strconv.Itoa(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// findings are the plans that break a rule, and how often an open rule was broken.
func (t *tally) findings() string {
	var b strings.Builder
	for _, rule := range slices.Sorted(maps.Keys(t.PassedOver)) {
		fmt.Fprintf(&b, "known, and passed over in %d runs: %s\n", t.PassedOver[rule], rule)
	}
	for _, f := range t.Found {
		fmt.Fprintf(&b, "\nseed %d breaks a rule: %s\n%s", f.Seed, f.Text, f.Plan)
	}
	return b.String()
}

// state is what a campaign that was interrupted goes on from.
type state struct {
	Of   string // the plugin and this program
	From uint64
	*tally
}

// of tells a plugin, played by this program, from others: what they have come to does not add up.
func of(wasm []byte) string {
	program, err := os.Executable()
	must(err)
	code, err := os.ReadFile(program)
	must(err)
	return fmt.Sprintf("%x", sha256.Sum256(append(code, wasm...)))
}

// resumed is the campaign that was interrupted, or a new one.
func resumed(wasm []byte) state {
	s := state{of(wasm), *from, newTally()}
	text, err := os.ReadFile(*stateFile)
	if err != nil || len(text) == 0 {
		return s
	}
	was := state{tally: newTally()}
	must(json.Unmarshal(text, &was))
	if was.Of != s.Of || was.From != s.From {
		fmt.Println("the campaign before this was another plugin's, simulator's or FROM's: beginning anew")
		return s
	}
	fmt.Printf("going on after %s runs\n", grouped(was.Runs))
	return was
}

// keep writes the state, so that a kill leaves either the former one or this.
func (s *state) keep() {
	text, err := json.Marshal(s)
	must(err)
	if *stateFile == os.DevNull {
		return
	}
	must(os.WriteFile(*stateFile+".new", text, 0o644))
	must(os.Rename(*stateFile+".new", *stateFile))
}

// TestCampaign is `make chaos`. It ends cleanly at Ctrl-C, and goes on where it ended when it is started again.
func TestCampaign(t *testing.T) {
	if *seeds == 0 {
		t.Skip("make chaos")
	}
	wasm := plugin(t)
	s := resumed(wasm)
	debug.SetGCPercent(400) // 5% faster than by Go's default
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	known := &ledger{n: map[string]int{}}
	for _, f := range s.Found {
		known.add(f.Rule)
	}
	progress := newProgress()
	for uint64(s.Runs) < *seeds {
		began := time.Now()
		b := batched(ctx, wasm, *from+uint64(s.Runs), min(batch, *seeds-uint64(s.Runs)), known)
		if b == nil {
			break
		}
		s.add(b)
		s.Took += time.Since(began)
		s.keep()
		left := time.Duration(float64(*seeds-uint64(s.Runs)) / s.rate() * float64(time.Second))
		progress.show(fmt.Sprintf("%s, %v left", s.line(), left.Round(time.Second)))
	}
	progress.end()
	fmt.Print(s.table(), s.findings())
	must(os.WriteFile(*tableFile, []byte(s.table()), 0o644))
	if len(s.Found) > 0 {
		t.Errorf("%d plans break a rule", len(s.Found))
	}
	if missed := s.missed(); len(missed) > 0 && s.Runs >= rare {
		t.Errorf("never reached: %s", strings.Join(missed, ", "))
	}
	if uint64(s.Runs) < *seeds {
		t.Errorf("interrupted; the same command goes on after run %d", s.Runs)
	}
}

// progress is one line that changes on a terminal, and a line now and then elsewhere.
type progress struct {
	terminal bool
	next     time.Time
	width    int
}

func newProgress() *progress {
	info, err := os.Stdout.Stat()
	return &progress{terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

func (p *progress) show(line string) {
	switch {
	case p.terminal:
		fmt.Printf("\r%-*s", p.width, line)
		p.width = len(line)
	case time.Now().After(p.next):
		fmt.Println(line)
		p.next = time.Now().Add(cmp.Or(*every, 30*time.Second))
	}
}

func (p *progress) end() {
	if p.terminal {
		fmt.Println()
	}
}
