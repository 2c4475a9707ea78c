package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestPercentile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		samples []float64
		p, want float64
	}{
		{[]float64{7}, 0, 7},
		{[]float64{7}, 50, 7},
		{[]float64{3, 1, 2}, 50, 2},
		{[]float64{4, 1, 3, 2}, 50, 2.5},
		{[]float64{4, 1, 3, 2}, 100, 4},
		{[]float64{0, 10}, 99, 9.9},
		{[]float64{1, 2, 3, 4, 5}, 25, 2},
	} {
		if got := Percentile(c.samples, c.p); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("Percentile(%v, %v) = %v, want %v", c.samples, c.p, got, c.want)
		}
	}
	if got := Median(nil); !math.IsNaN(got) {
		t.Errorf("the median of nothing is %v", got)
	}
}

func TestPercentileLeavesTheSamplesAlone(t *testing.T) {
	t.Parallel()
	samples := []float64{3, 1, 2}
	Percentile(samples, 50)
	if !slices.Equal(samples, []float64{3, 1, 2}) {
		t.Errorf("they are now %v", samples)
	}
}

func TestSpread(t *testing.T) {
	t.Parallel()
	if got := Spread([]float64{80, 90, 100, 110, 120}); got != 0.1 {
		t.Errorf("got %v, want 0.1: the quartiles are 90 and 110", got)
	}
}

func TestInterleave(t *testing.T) {
	t.Parallel()
	const rounds, cases = 20, 5
	orders := map[string]bool{}
	seen := make([][]int, rounds)
	for round, c := range Interleave(rand.New(rand.NewPCG(1, 2)), rounds, cases) {
		seen[round] = append(seen[round], c)
	}
	for round, order := range seen {
		text := ""
		for _, c := range order {
			text += string(rune('a' + c))
		}
		orders[text] = true
		slices.Sort(order)
		if !slices.Equal(order, []int{0, 1, 2, 3, 4}) {
			t.Errorf("round %d had the cases %v", round, order)
		}
	}
	if len(orders) < 2 {
		t.Errorf("all rounds had the order %v", orders)
	}
	for range Interleave(rand.New(rand.NewPCG(1, 2)), rounds, cases) {
		break // a caller may stop
	}
}
