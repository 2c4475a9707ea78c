package chaos

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

var (
	minutes = flag.Int("minutes", 1, "how long the plan is")
	seed    = flag.Uint64("seed", 0, "of the plan; 0: another one each time")
)

// TestChaos plays the plan of a seed on Envoys with two and with four workers at once.
func TestChaos(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64N(1_000_000)
	}
	p := generate(*seed, *minutes)
	t.Logf("make chaos-envoy MINUTES=%d SEED=%d plays:\n%v", *minutes, *seed, p)
	workers := []int{2, 4}
	rigs := make([]*rig, len(workers))
	t.Run("workers", func(t *testing.T) {
		for i, n := range workers {
			t.Run(strconv.Itoa(n), func(t *testing.T) {
				t.Parallel()
				r := newRig(t, n, func(object) {})
				r.play(p)
				rigs[i] = r
				violations, counts := r.judge.results()
				for _, v := range violations {
					t.Error(v)
				}
				if counts["answered healthy"] == 0 || counts["checks that had to be the truth"] == 0 {
					t.Error("nothing was judged")
				}
			})
		}
	})
	publish(t, rigs)
}

// TestWrongConfiguration plays on a plugin that is configured wrongly: the judge must see it.
func TestWrongConfiguration(t *testing.T) {
	r := newRig(t, 2, func(s object) {
		endpoints := envoytest.At[[]any](s, "endpoints")
		endpoints[0].(object)["maintenance"] = object{"keys": []any{key("admin"), key("disk")}} // not that of RTDS
		endpoints[0].(object)["trusted"] = object{"cidrs": []any{"127.0.0.0/8"}}                // strangers, too
		envoytest.At[object](s, "probes", 0)["interval"] = "250ms"
	})
	var p plan
	p.add(0, "runtime rtds true")
	p.add(maxAge+timeout+2*slack+2*time.Second, "end")
	r.play(p)
	_, counts := r.judge.results()
	for _, rule := range []string{"old answer", "stranger", "rate"} {
		if counts["wrong: "+rule] == 0 {
			t.Errorf("the judge did not see a broken rule: %s", rule)
		}
	}
}

// publish writes the figures as a table to build/chaos-envoy.md.
func publish(t *testing.T, rigs []*rig) {
	t.Helper()
	names := map[string]bool{}
	var of []map[string]int
	for _, r := range rigs {
		if r == nil {
			t.Fatal("no figures: not every plan was played to its end")
		}
		_, counts := r.judge.results()
		counts["memory at the start, MB"], counts["memory at the end, MB"] = int(r.memory[0]>>20), int(r.memory[1]>>20)
		of = append(of, counts)
		for name := range counts {
			names[name] = true
		}
	}
	var table strings.Builder
	table.WriteString("| | 2 workers | 4 workers |\n|---|---:|---:|\n")
	for _, name := range slices.Sorted(maps.Keys(names)) {
		fmt.Fprintf(&table, "| %s | %d | %d |\n", name, of[0][name], of[1][name])
	}
	path := filepath.Join(envoytest.Root, "build", "chaos-envoy.md")
	must.Write(t, path, table.String())
	t.Logf("build/chaos-envoy.md:\n%s", &table)
}
