package main

import (
	"fmt"
	"strings"

	"github.com/healthgate/healthgate/e2e/bench/internal/bench"
	"github.com/healthgate/healthgate/e2e/bench/internal/checks"
	"github.com/healthgate/healthgate/e2e/bench/internal/footprint"
	"github.com/healthgate/healthgate/e2e/bench/internal/latency"
	"github.com/healthgate/healthgate/e2e/bench/internal/scale"
	"github.com/healthgate/healthgate/e2e/bench/internal/throw"
)

// sections are all there are, in the order of the report.
var sections = []bench.Section{
	checks.Checks,
	checks.Traffic,
	latency.Section,
	throw.Section,
	footprint.Section,
	scale.Section,
}

// selected returns the sections that a list such as "checks,traffic" names; all for an empty one.
func selected(list string) ([]bench.Section, error) {
	if list == "" {
		return sections, nil
	}
	wanted := map[string]bool{}
	for id := range strings.SplitSeq(list, ",") {
		wanted[strings.TrimSpace(id)] = true
	}
	var out []bench.Section
	for _, s := range sections {
		if wanted[s.ID] {
			out = append(out, s)
			delete(wanted, s.ID)
		}
	}
	for id := range wanted {
		return nil, fmt.Errorf("there is no section %q, but %s", id, strings.Join(ids(), ", "))
	}
	return out, nil
}

func ids() []string {
	var out []string
	for _, s := range sections {
		out = append(out, s.ID)
	}
	return out
}
