// Package latency measures how long single health checks take when they come at a steady rate, in an open loop: a check
// that is late does not hold up the next one.
package latency

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/healthgate/healthgate/e2e/bench/internal/bench"
	"github.com/healthgate/healthgate/e2e/bench/internal/peers"
	"github.com/healthgate/healthgate/e2e/bench/internal/report"
	"github.com/healthgate/healthgate/e2e/bench/internal/stats"
)

// Section is the one that `make bench SECTIONS=latency` runs.
var Section = bench.Section{
	ID:      "latency",
	Summary: "the slowest of a million health checks at a steady rate, for each filter",
	Measure: measure,
}

const (
	rate  = 3000 // checks a second
	round = 10 * time.Second
	total = 1_000_000 // checks for each filter
	base  = peers.HealthCheckFilter + peers.ByRoute
)

func measure(ctx context.Context, env *bench.Env) ([]report.Table, error) {
	fleet, err := peers.StartEnvoy(ctx, env)
	if err != nil {
		return nil, err
	}
	defer fleet.Close()
	var rows []*peers.Peer
	for _, p := range fleet.Peers {
		if p.Name == base || p.Name == "healthgate"+peers.ByRoute || p.Name == "healthgate, TinyGo"+peers.ByRoute {
			rows = append(rows, p)
		}
	}
	rounds := total / int(rate*round/time.Second)
	if env.Quick {
		rounds = 1
	}
	latencies, others := make([][]time.Duration, len(rows)), make([]int, len(rows))
	for n := range rounds {
		env.Logf("round %d of %d", n+1, rounds)
		err := env.Alone(ctx, func() error {
			for _, i := range stats.Interleave(env.Rand, 1, len(rows)) {
				if rows[i].Missing != "" {
					continue
				}
				took, other, err := attack(ctx, rows[i].URL+peers.CheckPath)
				others[i] += other
				if err != nil {
					return fmt.Errorf("%s: %w", rows[i].Name, err)
				}
				latencies[i] = append(latencies[i], took...)
				env.Logf("%s: the slowest so far %s", rows[i].Name, slices.Max(latencies[i]).Round(time.Microsecond))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return []report.Table{tabulate(rows, latencies, others)}, nil
}

// attack sends checks for a round, and returns how long each took, and how many were not answered with 200: on a machine
// so busy that probes time out, a check rightly fails. One that is not answered at all is an error.
func attack(ctx context.Context, url string) (took []time.Duration, other int, failed error) {
	attacker := vegeta.NewAttacker(vegeta.KeepAlive(true), vegeta.Connections(64), vegeta.Timeout(10*time.Second))
	target := vegeta.NewStaticTargeter(vegeta.Target{Method: http.MethodGet, URL: url})
	took = make([]time.Duration, 0, int(rate*round/time.Second))
	for result := range attacker.Attack(target, vegeta.Rate{Freq: rate, Per: time.Second}, round, "") {
		if result.Code != http.StatusOK {
			other++
		}
		if result.Code == 0 && failed == nil {
			failed = fmt.Errorf("not answered: %s", result.Error)
			attacker.Stop()
		}
		if ctx.Err() != nil {
			failed = ctx.Err()
			attacker.Stop()
		}
		took = append(took, result.Latency)
	}
	return took, other, failed
}

func tabulate(rows []*peers.Peer, latencies [][]time.Duration, others []int) report.Table {
	t := report.Table{
		ID: "latency", Title: "Latency at a steady rate",
		About: fmt.Sprintf("Health checks come at %d a second to one filter at a time, in rounds of %s drawn by chance, from vegeta, "+
			"an open-loop generator, in the same Envoy with one worker. The last column is the slowest, less the slowest of "+
			"the `health_check` filter.", rate, round),
		Columns: []report.Column{
			{ID: "checks", Title: "checks"},
			{ID: "other", Title: "not 200"},
			{ID: "p50", Title: "median, ms", Decimals: 2},
			{ID: "p99", Title: "99 %", Decimals: 2},
			{ID: "p999", Title: "99.9 %", Decimals: 2},
			{ID: "p9999", Title: "99.99 %", Decimals: 2},
			{ID: "max", Title: "slowest", Decimals: 1},
			{ID: "more", Title: "slower by", Decimals: 1},
		},
	}
	slowest := map[string]float64{}
	for i, p := range rows {
		if len(latencies[i]) > 0 {
			slowest[p.Name] = milliseconds(slices.Max(latencies[i]))
		}
	}
	for i, p := range rows {
		row := report.Row{Name: p.Name, Ours: p.Ours, Missing: p.Missing}
		if max, is := slowest[p.Name]; is {
			took := make([]float64, len(latencies[i]))
			for j, l := range latencies[i] {
				took[j] = milliseconds(l)
			}
			slices.Sort(took)
			row.Cells = map[string]report.Cell{
				"checks": {Value: float64(len(took))},
				"other":  {Value: float64(others[i])},
				"p50":    {Value: stats.Percentile(took, 50)},
				"p99":    {Value: stats.Percentile(took, 99)},
				"p999":   {Value: stats.Percentile(took, 99.9)},
				"p9999":  {Value: stats.Percentile(took, 99.99)},
				"max":    {Value: max},
			}
			if native, is := slowest[base]; is && p.Name != base {
				row.Cells["more"] = report.Cell{Value: max - native}
			}
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
