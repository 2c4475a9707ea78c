package peers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/healthgate/healthgate/e2e/bench/internal/bench"
	"github.com/healthgate/healthgate/e2e/bench/internal/report"
	"github.com/healthgate/healthgate/e2e/bench/internal/stats"
	"github.com/healthgate/healthgate/e2e/bench/internal/wrk"
)

// connections is how many requests are under way at a time: enough to keep one worker busy.
const connections = 8

// Case is a peer, and what is asked of it.
type Case struct {
	*Peer
	Path string
	Base string // the name of the case that this one is compared with
}

// Sample is what one round found of one case.
type Sample struct {
	PerSecond float64       // requests
	CPU       time.Duration // of the server, a request
}

// Compare loads the cases one after the other, in rounds, and returns a table of them with its columns. A case that
// fails becomes a row that says so and an error, and the others go on; only the end of ctx ends them all.
func Compare(ctx context.Context, env *bench.Env, cases []Case) (report.Table, error) {
	// Short rounds, and many: what disturbs the machine for some seconds then disturbs all cases alike.
	const duration = time.Second
	samples, failed := map[string][]Sample{}, []error{}
	measure := func(i int) (s Sample, ok bool) {
		c := cases[i]
		if c.Missing != "" || ctx.Err() != nil {
			return s, false
		}
		s, err := load(ctx, env, c, duration)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", c.Name, err))
			c.Missing = "it failed: " + err.Error()
			delete(samples, c.Name)
		}
		return s, err == nil
	}
	env.Logf("warming up")
	for i := range cases {
		measure(i)
	}
	last := -1
	for round, i := range stats.Interleave(env.Rand, env.Rounds, len(cases)) {
		if round != last {
			env.Logf("round %d of %d", round+1, env.Rounds)
			last = round
		}
		if s, ok := measure(i); ok {
			samples[cases[i].Name] = append(samples[cases[i].Name], s)
		}
	}
	if err := ctx.Err(); err != nil {
		return report.Table{}, err
	}
	return tabulate(cases, samples), errors.Join(failed...)
}

// load measures a case once. A time in which a request failed counts for nothing: it is measured again, but not for ever.
func load(ctx context.Context, env *bench.Env, c Case, duration time.Duration) (s Sample, err error) {
	for range 3 {
		if s, err = loadOnce(ctx, env, c, duration); err == nil || ctx.Err() != nil {
			return s, err
		}
		env.Logf("%s: again: %v", c.Name, err)
	}
	return s, err
}

func loadOnce(ctx context.Context, env *bench.Env, c Case, duration time.Duration) (Sample, error) {
	before, err := c.CPU()
	if err != nil {
		return Sample{}, err
	}
	r, err := wrk.Run(ctx, env.Wrk, wrk.Load{URL: c.URL + c.Path, Connections: connections, Duration: duration})
	if err != nil {
		return Sample{}, err
	}
	after, err := c.CPU()
	return Sample{r.PerSecond, (after - before) / time.Duration(r.Requests)}, err
}

// tabulate makes the table of what was found. A ratio compares medians.
func tabulate(cases []Case, samples map[string][]Sample) report.Table {
	t := report.Table{
		Columns: []report.Column{
			{ID: "rps", Title: "requests/s"},
			{ID: "rps_ratio", Title: "ratio", Decimals: 2},
			{ID: "cpu", Title: "CPU, µs/request", Decimals: 1},
			{ID: "cpu_ratio", Title: "ratio", Decimals: 2},
		},
		Chart: "rps",
	}
	figures := map[string]map[string]report.Cell{}
	for name, of := range samples {
		var perSecond, cpu []float64
		for _, s := range of {
			perSecond = append(perSecond, s.PerSecond)
			cpu = append(cpu, float64(s.CPU)/float64(time.Microsecond))
		}
		figures[name] = map[string]report.Cell{"rps": report.Sampled(perSecond), "cpu": report.Sampled(cpu)}
	}
	for _, c := range cases {
		row := report.Row{Name: c.Name, Ours: c.Ours, Brief: c.Brief, Missing: c.Missing, Cells: figures[c.Name]}
		if base, is := figures[c.Base]; is && row.Cells != nil {
			row.Cells["rps_ratio"] = report.Cell{Value: row.Cells["rps"].Value / base["rps"].Value}
			row.Cells["cpu_ratio"] = report.Cell{Value: row.Cells["cpu"].Value / base["cpu"].Value}
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}
