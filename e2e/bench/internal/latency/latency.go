// Package latency measures how long single health checks take when they come at a steady rate, in an open loop: a check
// that is late does not hold up the next one.
package latency

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/healthgate/healthgate/e2e/bench/internal/bench"
	"github.com/healthgate/healthgate/e2e/bench/internal/peers"
	"github.com/healthgate/healthgate/e2e/bench/internal/report"
)

// Section is the one that `make bench SECTIONS=latency` runs.
var Section = bench.Section{
	ID:      "latency",
	Summary: "the slowest of a million health checks at a steady rate, for each filter",
	Measure: measure,
}

const (
	rate  = 2000 // checks a second, for each filter
	total = 1_000_000
	quick = 20_000
	base  = peers.HealthCheckFilter + peers.ByRoute
	// connections to each filter. With no limit a check that finds all of them busy opens another, and on a machine that
	// is held up for a moment thousands of new connections hold it up for good.
	connections = 16
	// answered is how long an answer may take. A check without one failed.
	answered = time.Minute
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
	checks := total
	if env.Quick {
		checks = quick
	}
	var of map[string]*series
	err = env.Alone(ctx, func() (err error) {
		of, err = attack(ctx, env, rows, checks)
		return err
	})
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return []report.Table{tabulate(rows, of, checks)}, err
}

// attack sends so many checks to each row, by turns, and returns what came of them by the rows' names. It is an error when
// a check was not answered, or when the machine could not send them at the rate.
func attack(ctx context.Context, env *bench.Env, rows []*peers.Peer, checks int) (map[string]*series, error) {
	of, byURL := map[string]*series{}, map[string]*series{}
	var targets []vegeta.Target
	for _, p := range rows {
		if p.Missing == "" {
			s := &series{}
			url := p.URL + peers.CheckPath
			of[p.Name], byURL[url] = s, s
			targets = append(targets, vegeta.Target{Method: http.MethodGet, URL: url})
		}
	}
	attacker := vegeta.NewAttacker(vegeta.KeepAlive(true), vegeta.Connections(connections), vegeta.MaxConnections(connections),
		vegeta.Timeout(answered))
	pace := &steady{every: time.Second / time.Duration(rate*len(targets)), total: checks * len(targets)}
	seen := 0
	for result := range attacker.Attack(vegeta.NewStaticTargeter(targets...), pace, 0, "") {
		if ctx.Err() != nil {
			attacker.Stop()
		}
		due := time.Duration(result.Seq) * pace.every
		byURL[result.URL].add(due, result.End().Sub(pace.began.Add(due)), result.Code, result.Error)
		if seen++; seen%(max(pace.total/10, 1)) == 0 {
			env.Logf("%d %% of %d checks", seen*100/pace.total, pace.total)
		}
	}
	var failed []error
	for name, s := range of {
		if s.unanswered > 0 {
			failed = append(failed, fmt.Errorf("%s: %d checks were not answered within %s, one of them: %s", name, s.unanswered, answered, s.failure))
		}
	}
	return of, errors.Join(failed...)
}

// steady is a pacer of vegeta's: a number of checks at equal distances.
type steady struct {
	every time.Duration
	total int
	began time.Time
}

// Pace returns how long to wait for the next check.
func (s *steady) Pace(elapsed time.Duration, hits uint64) (wait time.Duration, stop bool) {
	if s.began.IsZero() {
		s.began = time.Now().Add(-elapsed)
	}
	return time.Duration(hits)*s.every - elapsed, hits >= uint64(s.total)
}

// Rate returns the checks a second.
func (s *steady) Rate(time.Duration) float64 { return float64(time.Second) / float64(s.every) }
