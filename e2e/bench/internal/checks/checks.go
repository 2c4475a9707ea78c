// Package checks measures how many health checks a second each peer answers, and what a check costs.
package checks

import (
	"context"

	"github.com/healthgate/healthgate/e2e/bench/internal/bench"
	"github.com/healthgate/healthgate/e2e/bench/internal/peers"
	"github.com/healthgate/healthgate/e2e/bench/internal/report"
)

// Section is the one that `make bench SECTIONS=checks` runs.
var Section = bench.Section{
	ID:      "checks",
	Summary: "health checks a second, and the CPU time of a check, for each way to answer them",
	Measure: measure,
}

func measure(ctx context.Context, env *bench.Env) ([]report.Table, error) {
	fleet, err := peers.Start(ctx, env)
	if err != nil {
		return nil, err
	}
	defer fleet.Close()
	var cases []peers.Case
	for _, p := range fleet.Peers {
		if p.Checks {
			cases = append(cases, peers.Case{Peer: p, Path: peers.CheckPath, Base: peers.HealthCheckFilter})
		}
	}
	table, err := peers.Compare(ctx, env, cases)
	if err != nil {
		return nil, err
	}
	table.ID, table.Title = "checks", "Health checks"
	table.About = "A closed loop of 8 connections (wrk) asks for the health check, which is healthy. The filters and routes are " +
		"listeners of one Envoy with one worker. Ratios are to the `health_check` filter."
	return []report.Table{table}, nil
}
