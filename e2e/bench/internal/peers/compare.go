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

// roundsOfStart is how many rounds there are between one start of what is measured and the next. Where code and data come
// to lie in memory differs from start to start, and changes what a request costs by several per cent.
const roundsOfStart = 3

// Compare loads cases one after the other, in rounds, and returns a table of them with its columns. start starts them,
// the same each time, for a few rounds. A case that fails becomes a row that says so and an error, and the others go on;
// only the end of ctx, or a start that fails, ends them all.
func Compare(ctx context.Context, env *bench.Env, start func() (cases []Case, stop func(), err error)) (report.Table, error) {
	c := comparison{samples: map[string][]Sample{}, failed: map[string]error{}}
	for done := 0; done < env.Rounds; done += roundsOfStart {
		err := c.measure(ctx, env, start, done)
		if err := errors.Join(err, ctx.Err()); err != nil {
			return report.Table{}, err
		}
	}
	var failed []error
	for _, of := range c.cases {
		if err := c.failed[of.Name]; err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", of.Name, err))
		}
	}
	return tabulate(c.cases, c.samples), errors.Join(failed...)
}

// comparison is what has been found.
type comparison struct {
	cases   []Case // of the last start
	samples map[string][]Sample
	failed  map[string]error
}

// measure does the rounds of one start; done is the number of those before.
func (c *comparison) measure(ctx context.Context, env *bench.Env, start func() ([]Case, func(), error), done int) error {
	env.Logf("starting all")
	cases, stop, err := start()
	if err != nil {
		return err
	}
	defer stop()
	c.cases = cases
	env.Logf("warming up")
	for i := range cases {
		c.load(ctx, env, cases[i])
	}
	last := -1
	for round, i := range stats.Interleave(env.Rand, min(roundsOfStart, env.Rounds-done), len(cases)) {
		if round != last {
			env.Logf("round %d of %d", done+round+1, env.Rounds)
			last = round
		}
		if s, ok := c.load(ctx, env, cases[i]); ok {
			c.samples[cases[i].Name] = append(c.samples[cases[i].Name], s)
		}
	}
	return nil
}

// load measures a case, unless it has failed before.
func (c *comparison) load(ctx context.Context, env *bench.Env, of Case) (s Sample, ok bool) {
	// Short rounds, and many: what disturbs the machine for some seconds then disturbs all cases alike.
	const duration = time.Second
	if c.failed[of.Name] == nil && of.Missing == "" && ctx.Err() == nil {
		s, err := load(ctx, env, of, duration)
		if err == nil {
			return s, true
		}
		c.failed[of.Name] = err
		delete(c.samples, of.Name)
	}
	if err := c.failed[of.Name]; err != nil {
		of.Missing = "it failed: " + err.Error()
	}
	return s, false
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

// tabulate makes the table of what was found. A ratio is to what was found of the base in the same round.
func tabulate(cases []Case, samples map[string][]Sample) report.Table {
	t := report.Table{
		Columns: []report.Column{
			{ID: "rps", Title: "requests/s"},
			{ID: "rps_ratio", Title: "ratio", Decimals: 2},
			{ID: "cpu", Title: "CPU, µs/request", Decimals: 1, Brief: true},
			{ID: "cpu_ratio", Title: "ratio", Decimals: 2, Brief: true},
		},
		Chart: "rps",
	}
	for _, c := range cases {
		row := report.Row{Name: c.Name, Ours: c.Ours, Brief: c.Brief, Missing: c.Missing}
		columns := map[string][]float64{}
		for round, s := range samples[c.Name] {
			columns["rps"] = append(columns["rps"], s.PerSecond)
			columns["cpu"] = append(columns["cpu"], float64(s.CPU)/float64(time.Microsecond))
			if base := samples[c.Base]; c.Name != c.Base && round < len(base) {
				columns["rps_ratio"] = append(columns["rps_ratio"], s.PerSecond/base[round].PerSecond)
				columns["cpu_ratio"] = append(columns["cpu_ratio"], float64(s.CPU)/float64(base[round].CPU))
			}
		}
		if len(columns) > 0 {
			row.Cells = map[string]report.Cell{}
		}
		for id, found := range columns {
			row.Cells[id] = report.Sampled(found)
		}
		if c.Name == c.Base && row.Cells != nil {
			row.Cells["rps_ratio"], row.Cells["cpu_ratio"] = report.Cell{Value: 1}, report.Cell{Value: 1}
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}
