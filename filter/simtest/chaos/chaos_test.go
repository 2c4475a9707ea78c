package chaos

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	seeds     = flag.Uint64("seeds", 0, "how many seeds a campaign plays")
	from      = flag.Uint64("from", 0, "the first of them")
	stateFile = flag.String("state", os.DevNull, "the file in which a campaign keeps how far it has come")
	tableFile = flag.String("table", os.DevNull, "the file that gets a campaign's table for docs/reliability.md")
	every     = flag.Duration("every", 0, "how often progress is shown where no terminal is")
	fresh     = flag.Duration("fresh", 30*time.Second, "how long to play seeds that nobody has played")
	closed    = flag.Bool("closed", false, "let nothing pass that is known to be broken")
	show      = flag.String("plan", "", "a plan to play, or the number of a seed, and to say what comes of it")
)

var module = sync.OnceValues(func() ([]byte, error) {
	path := os.Getenv("HEALTHGATE_WASM")
	if path == "" {
		path = "../../../build/healthgate.wasm"
	}
	return os.ReadFile(path)
})

func plugin(t testing.TB) []byte {
	t.Helper()
	wasm, err := module()
	if err != nil {
		t.Fatalf("%v: run `make filter` first, or set HEALTHGATE_WASM", err)
	}
	return wasm
}

// TestPlans plays the plans that once broke a rule. One that is still open must still break it.
func TestPlans(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("testdata/*.plan")
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d plans, %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".plan"), func(t *testing.T) {
			t.Parallel()
			p, err := loadPlan(path)
			if err != nil {
				t.Fatal(err)
			}
			r := play(plugin(t), p)
			if r.violation != nil {
				t.Error(r.violation)
			}
			if rule := p.breaks(); strings.HasSuffix(p.Notes[1], ", open") && r.passedOver[rule] == 0 {
				t.Errorf("%q is not broken any more: the plan is not open, nor perhaps the rule", rule)
			}
		})
	}
}

// TestFresh plays seeds that nobody has played, for a while. What it finds it prints as a plan to commit.
func TestFresh(t *testing.T) {
	t.Parallel()
	wasm := plugin(t)
	play(wasm, generate(0)) // compiles the module
	ctx, cancel := context.WithTimeout(t.Context(), *fresh)
	defer cancel()
	all := newTally()
	first := uint64(time.Now().UnixNano())
	for n := uint64(0); ctx.Err() == nil && len(all.Found) == 0; n++ {
		all.seed(wasm, first+n, &ledger{n: map[string]int{}})
	}
	t.Log(all.line())
	for _, f := range all.Found {
		t.Errorf("seed %d: %s\n%s", f.Seed, f.Text, f.Plan)
	}
}

// TestPlan plays one plan, or the plan of a seed, and tells all of it.
func TestPlan(t *testing.T) {
	if *show == "" {
		t.Skip("-plan FILE or SEED")
	}
	var seed uint64
	p, err := loadPlan(*show)
	if os.IsNotExist(err) {
		seed, err = parseSeed(*show)
		p = generate(seed)
	}
	if err != nil {
		t.Fatal(err)
	}
	r := play(plugin(t), p)
	t.Log("\n" + r.log)
	if r.violation == nil {
		t.Logf("%v, %d checks, no rule is broken; passed over %v", r.Elapsed(), r.checks, r.passedOver)
		return
	}
	small := minimise(p, breaks(plugin(t), r.violation.rule))
	t.Errorf("%v\n%v", r.violation, small)
}
