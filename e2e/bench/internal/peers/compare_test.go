package peers

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/bench/internal/bench"
	"github.com/healthgate/healthgate/e2e/bench/internal/report"
)

func TestTabulate(t *testing.T) {
	t.Parallel()
	cases := []Case{
		{Peer: &Peer{Name: "base"}, Base: "base"},
		{Peer: &Peer{Name: "ours", Ours: true, Brief: true}, Base: "base"},
		{Peer: &Peer{Name: "none", Missing: "no compiler"}, Base: "base"},
		{Peer: &Peer{Name: "alone"}, Base: "none"},
	}
	samples := map[string][]Sample{
		"base":  {{1000, 30 * time.Microsecond}, {3000, 10 * time.Microsecond}, {2000, 20 * time.Microsecond}},
		"ours":  {{500, 60 * time.Microsecond}, {2250, 15 * time.Microsecond}, {3000, 30 * time.Microsecond}},
		"alone": {{100, time.Millisecond}},
	}
	table := tabulate(cases, samples)
	for i, want := range []struct {
		name  string
		cells map[string]float64
	}{
		{"base", map[string]float64{"rps": 2000, "rps_ratio": 1, "cpu": 20, "cpu_ratio": 1}},
		{"ours", map[string]float64{"rps": 2250, "rps_ratio": 0.75, "cpu": 30, "cpu_ratio": 1.5}}, // 0.5, 0.75, 1.5; 2, 1.5, 1.5
		{"none", nil},
		{"alone", map[string]float64{"rps": 100, "cpu": 1000}}, // what it is compared with was not measured
	} {
		row := table.Rows[i]
		if row.Name != want.name || len(row.Cells) != len(want.cells) {
			t.Fatalf("row %d is %+v, want %s with %v", i, row, want.name, want.cells)
		}
		for id, value := range want.cells {
			if row.Cells[id].Value != value {
				t.Errorf("%s: %s is %v, want %v", row.Name, id, row.Cells[id].Value, value)
			}
		}
	}
	if base := table.Rows[0].Cells["rps"]; base != (report.Cell{Value: 2000, Spread: 0.25, Samples: 3}) {
		t.Errorf("base: %+v", base)
	}
	if row := table.Rows[1]; !row.Ours || !row.Brief {
		t.Errorf("ours: %+v", row)
	}
	if row := table.Rows[2]; row.Missing != "no compiler" {
		t.Errorf("none: %+v", row)
	}
}

// What fails becomes a row that says so; what is missing stays as it is. Both are so in the next start.
func TestCompareGoesOn(t *testing.T) {
	t.Parallel()
	env := &bench.Env{Rounds: roundsOfStart + 1, Rand: rand.New(rand.NewPCG(1, 2)), Logf: t.Logf}
	asked := map[string]int{}
	starts, stops := 0, 0
	table, err := Compare(context.Background(), env, func() ([]Case, func(), error) {
		starts++
		broken := func(name string) func() (time.Duration, error) {
			return func() (time.Duration, error) {
				asked[name]++
				return 0, errors.New("no such process")
			}
		}
		return []Case{
			{Peer: &Peer{Name: "one", CPU: broken("one")}},
			{Peer: &Peer{Name: "none", Missing: "no compiler"}},
			{Peer: &Peer{Name: "two", CPU: broken("two")}},
		}, func() { stops++ }, nil
	})
	if err == nil || !strings.Contains(err.Error(), "one: no such process") || !strings.Contains(err.Error(), "two: no such process") {
		t.Errorf("error %v", err)
	}
	for i, want := range []string{"it failed: no such process", "no compiler", "it failed: no such process"} {
		if got := table.Rows[i].Missing; got != want {
			t.Errorf("row %d: %q, want %q", i, got, want)
		}
	}
	if starts != 2 || stops != 2 || asked["one"] != 3 || asked["two"] != 3 {
		t.Errorf("%d starts, %d stops, asked %v", starts, stops, asked)
	}
}

func TestCompareEndsWithoutAStart(t *testing.T) {
	t.Parallel()
	env := &bench.Env{Rounds: 1, Rand: rand.New(rand.NewPCG(1, 2)), Logf: t.Logf}
	want := errors.New("the port is taken")
	if _, err := Compare(context.Background(), env, func() ([]Case, func(), error) { return nil, nil, want }); !errors.Is(err, want) {
		t.Errorf("error %v", err)
	}
}
