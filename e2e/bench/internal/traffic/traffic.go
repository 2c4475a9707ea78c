// Package traffic measures what each peer costs the requests that are no health checks.
package traffic

import (
	"context"

	"github.com/healthgate/healthgate/e2e/bench/internal/bench"
	"github.com/healthgate/healthgate/e2e/bench/internal/peers"
	"github.com/healthgate/healthgate/e2e/bench/internal/report"
)

// Section is the one that `make bench SECTIONS=traffic` runs.
var Section = bench.Section{
	ID:      "traffic",
	Summary: "normal requests a second, and the CPU time of one, through each peer",
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
		if p.Passes {
			cases = append(cases, peers.Case{Peer: p, Path: peers.TrafficPath, Base: p.TrafficBase})
		}
	}
	table, err := peers.Compare(ctx, env, cases)
	if err != nil {
		return nil, err
	}
	table.ID, table.Title = "traffic", "Normal traffic"
	table.About = "The same load asks for another path. Envoy itself answers it behind the filters (`direct_response`), " +
		"which makes it the cheapest request there is, and a filter's share in it the largest. Ratios are to the same " +
		"Envoy without a filter, and for the middleware to the same application without it."
	return []report.Table{table}, nil
}
