package conformance

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
	"github.com/healthgate/healthgate/hostsim"
)

var update = flag.Bool("update", false, "write hostsim's CONFORMANCE.md anew")

// TestDocuments holds hostsim's CONFORMANCE.md to what the corpus covers.
func TestDocuments(t *testing.T) {
	groups := groups(t)
	for _, g := range groups {
		for _, c := range g.cases {
			expected(t, c, hostsim.Envoy140)
		}
	}
	file, want := filepath.Join(envoytest.Root, "hostsim", "CONFORMANCE.md"), coverage(groups)
	if *update {
		must.Do(t, os.WriteFile(file, []byte(want), 0o644))
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != want {
		t.Errorf("hostsim/CONFORMANCE.md is not what the cases say (%v): make conformance-table writes it anew", err)
	}
}

// coverage counts, for each call between host and plugin, the cases whose trace on hostsim has it.
func coverage(groups []*group) string {
	calls := map[string]bool{}
	for _, r := range traces.of {
		for call := range r.calls {
			calls[call] = true
		}
	}
	var b strings.Builder
	b.WriteString("# What the conformance cases cover\n\n" +
		"Each case runs on hostsim and on a real Envoy, and must show the same. This table says in how many cases, by\n" +
		"subject, a call between host and plugin happens. It is written by `make conformance-table` from hostsim's own\n" +
		"trace of each case.\n\n| call |")
	for _, g := range groups {
		fmt.Fprintf(&b, " %s |", g.name)
	}
	b.WriteString(" all |\n|---|" + strings.Repeat("--:|", len(groups)+1) + "\n| cases |")
	all := 0
	for _, g := range groups {
		fmt.Fprintf(&b, " %d |", len(g.cases))
		all += len(g.cases)
	}
	fmt.Fprintf(&b, " %d |\n", all)
	for _, call := range slices.Sorted(maps.Keys(calls)) {
		fmt.Fprintf(&b, "| `%s` |", call)
		all := 0
		for _, g := range groups {
			n := 0
			for _, c := range g.cases {
				if r := traces.of[c.Name]; r != nil && r.calls[call] > 0 {
					n++
				}
			}
			all += n
			fmt.Fprintf(&b, " %d |", n)
		}
		fmt.Fprintf(&b, " %d |\n", all)
	}
	return b.String()
}
