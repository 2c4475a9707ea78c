// Package checks measures how many requests a second get through each peer, and what one costs: health checks, and
// requests that are none.
package checks

import (
	"context"

	"github.com/healthgate/healthgate/e2e/bench/internal/bench"
	"github.com/healthgate/healthgate/e2e/bench/internal/peers"
	"github.com/healthgate/healthgate/e2e/bench/internal/report"
)

// Checks is the section that `make bench SECTIONS=checks` runs.
var Checks = section(bench.Section{
	ID:      "checks",
	Summary: "health checks a second, and the CPU time of a check, for each way to answer them",
}, report.Table{
	Title: "Health checks",
	About: "A closed loop of 8 connections (wrk) asks for the health check, which is healthy. The filters and routes are " +
		"listeners of one Envoy with one worker. Ratios are to the `health_check` filter.",
}, func(p *peers.Peer) (peers.Case, bool) {
	return peers.Case{Peer: p, Path: peers.CheckPath, Base: peers.HealthCheckFilter}, p.Checks
})

// Traffic is the section that `make bench SECTIONS=traffic` runs.
var Traffic = section(bench.Section{
	ID:      "traffic",
	Summary: "normal requests a second, and the CPU time of one, through each peer",
}, report.Table{
	Title: "Normal traffic",
	About: "The same load asks for another path. Envoy itself answers it behind the filters (`direct_response`), " +
		"which makes it the cheapest request there is, and a filter's share in it the largest. Ratios are to the same " +
		"Envoy without a filter, and for the middleware to the same application without it.",
}, func(p *peers.Peer) (peers.Case, bool) {
	return peers.Case{Peer: p, Path: peers.TrafficPath, Base: p.TrafficBase}, p.Passes
})

// section returns s, which measures the cases that choose makes of the peers, into a table of one with s's ID.
func section(s bench.Section, about report.Table, choose func(*peers.Peer) (peers.Case, bool)) bench.Section {
	s.Measure = func(ctx context.Context, env *bench.Env) ([]report.Table, error) {
		table, err := peers.Compare(ctx, env, func() ([]peers.Case, func(), error) {
			fleet, err := peers.Start(ctx, env)
			if err != nil {
				return nil, nil, err
			}
			var cases []peers.Case
			for _, p := range fleet.Peers {
				if c, is := choose(p); is {
					cases = append(cases, c)
				}
			}
			return cases, fleet.Close, nil
		})
		table.ID, table.Title, table.About = s.ID, about.Title, about.About
		return []report.Table{table}, err
	}
	return s
}
