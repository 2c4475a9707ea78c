package bench

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/app"
)

var rounds = flag.Int("rounds", 11, "how often each is measured")

const (
	// enough rounds make a median that may be published.
	enough = 9
	// roundsOfStart is how many rounds there are between one start of the servers and the next. Where code and data lie
	// in memory differs from start to start, and changes what a request costs by several per cent.
	roundsOfStart = 3
	// mostStarts of each peer are measured: one takes seconds.
	mostStarts = 5
	// settle is the time between an Envoy's start and the look at its memory: V8 still compiles, and the first probes are
	// sent.
	settle = 3 * time.Second
)

// BenchmarkAnswers measures all there is, and writes build/bench/results.md.
func BenchmarkAnswers(b *testing.B) {
	peers := ofEnvoy(
		plugin{"healthgate", "healthgate", built("healthgate.wasm")},
		plugin{"healthgate, TinyGo", "tinygo", built("healthgate-tinygo.wasm")},
	)
	peers = append(peers, plugin{"Rust SDK filter", "rust", built("bench/rust.wasm")}.gated())
	peers = append(peers, ofOthers()...)
	results := []table{requests(b, peers)}
	write(b, results)
	write(b, append(results, starts(b, peers)))
}

func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}

// load is what one round found of one peer: requests a second, and the server's CPU time for one, in microseconds.
type load struct{ perSecond, cpu float64 }

// requests measures what health checks and other requests cost.
func requests(b *testing.B, peers []*peer) table {
	a, cpu := app.Start(b), lastCPU(b)
	type of struct {
		peer *peer
		path string
	}
	var all []of
	for _, p := range peers {
		if p.checks {
			all = append(all, of{p, checkPath})
		}
		if p.base != "" {
			all = append(all, of{p, trafficPath})
		}
	}
	found := map[string]map[string][]load{checkPath: {}, trafficPath: {}}
	for done := 0; done < *rounds; done += roundsOfStart {
		progress("starting all")
		f := start(b, a, peers, 1)
		f.prove(b)
		for _, p := range peers {
			pin(b, cpu, p.pid)
		}
		for _, warm := range all {
			measure(b, cpu, warm.peer, warm.path)
		}
		for round := done; round < min(done+roundsOfStart, *rounds); round++ {
			progress("requests: round %d of %d", round+1, *rounds)
			for _, i := range rand.Perm(len(all)) {
				name, path := all[i].peer.name, all[i].path
				found[path][name] = append(found[path][name], measure(b, cpu, all[i].peer, path))
			}
		}
		f.stop()
	}
	return requestsTable(peers, found)
}

// measure loads a server for a second. A second in which a request failed is measured again, but not for ever.
func measure(b *testing.B, cpu string, p *peer, path string) load {
	var err error
	for range 3 {
		before := cpuTime(b, p.pid)
		var n int
		var perSecond float64
		if n, perSecond, err = wrk(b, cpu, "http://"+p.address+path); err == nil {
			used := cpuTime(b, p.pid) - before
			return load{perSecond, float64(used) / float64(time.Microsecond) / float64(n)}
		}
		progress("%s: again: %v", p.name, err)
	}
	b.Fatalf("%s: %v", p.name, err)
	return load{}
}

// requestsTable makes the table of what was found, by path and peer. A ratio is to the base in the same round.
func requestsTable(peers []*peer, found map[string]map[string][]load) table {
	t := table{
		title: "Requests",
		about: "A closed loop of 8 connections asks for the health check, which is healthy, or for another path. " +
			"All filters are listeners of one Envoy with one worker, which answers the other path itself behind them " +
			"(`direct_response`): this is the cheapest request there is, and a filter's share in it the largest. The ratios " +
			"are of CPU time: of checks to the `health_check` filter, of other requests to the same server without a filter " +
			"or middleware.",
		columns: []string{
			"checks/s", "CPU, µs/check", "ratio", "other requests/s", "CPU, µs/other request", "ratio",
		},
	}
	for _, p := range peers {
		row := []string{p.title()}
		for _, part := range []struct{ path, base string }{{checkPath, native}, {trafficPath, p.base}} {
			var perSecond, cpu, ratio []float64
			for round, l := range found[part.path][p.name] {
				perSecond, cpu = append(perSecond, l.perSecond), append(cpu, l.cpu)
				ratio = append(ratio, l.cpu/found[part.path][part.base][round].cpu)
			}
			row = append(row, cell(perSecond, 0), cell(cpu, 1), cell(ratio, 2))
		}
		t.rows = append(t.rows, row)
	}
	return t
}

var workers = []int{1, 2, 8}

// run is what one start of one peer found: seconds until it served, and the bytes that it then held.
type run struct{ ready, memory float64 }

// starts measures how much longer and larger an Envoy starts with each peer.
func starts(b *testing.B, peers []*peer) table {
	a := app.Start(b)
	type of struct {
		peer    *peer
		workers int
	}
	var all []of
	for _, p := range peers {
		for _, w := range workers {
			if !p.alike && (w == 1 || p.listen != nil) {
				all = append(all, of{p, w})
			}
		}
	}
	found := map[string]map[int][]run{}
	n := min(*rounds, mostStarts)
	for round := range n {
		progress("starts: round %d of %d", round+1, n)
		for _, i := range rand.Perm(len(all)) {
			p, w := all[i].peer, all[i].workers
			began := time.Now()
			f := start(b, a, []*peer{p}, w)
			ready := time.Since(began)
			time.Sleep(settle)
			if found[p.name] == nil {
				found[p.name] = map[int][]run{}
			}
			found[p.name][w] = append(found[p.name][w], run{ready.Seconds(), memory(b, p.pid)})
			f.stop()
		}
	}
	return startsTable(peers, found)
}

// startsTable makes the table of what was found, by peer and workers. A difference is to the base in the same round.
func startsTable(peers []*peer, found map[string]map[int][]run) table {
	t := table{
		title: "Start and memory",
		about: fmt.Sprintf("Each is started alone, with 1, 2 and 8 workers. In the rows without a filter or middleware, how "+
			"long the server takes until it serves, and the memory that it holds %s later (Pss, in millions of bytes); in the "+
			"others how much more that is. The watchdog is a process beside Envoy: the figures are all of it.", settle),
		columns: []string{"ready, s: 1 worker", "2", "8", "memory, MB: 1 worker", "2", "8"},
	}
	for _, p := range peers {
		if p.alike {
			continue
		}
		var ready, memory []string
		for _, w := range workers {
			var seconds, mega []float64
			for round, r := range found[p.name][w] {
				if p.base != "" && p.base != p.name {
					base := found[p.base][w][round]
					r = run{r.ready - base.ready, r.memory - base.memory}
				}
				seconds, mega = append(seconds, r.ready), append(mega, r.memory/1e6)
			}
			ready, memory = append(ready, cell(seconds, 2)), append(memory, cell(mega, 1))
		}
		t.rows = append(t.rows, append(append([]string{p.title()}, ready...), memory...))
	}
	return t
}

// A ratio and a difference are to the base in the same round: here each round is slower than the one before.
func TestTables(t *testing.T) {
	t.Parallel()
	peers := []*peer{{name: noFilter, base: noFilter}, {name: native, base: noFilter},
		{name: "healthgate", base: noFilter},
		{name: "watchdog"}}
	requests := requestsTable(peers, map[string]map[string][]load{
		checkPath: {
			native:       {{1000, 10}, {500, 20}, {250, 40}},
			"healthgate": {{500, 20}, {250, 40}, {125, 80}},
			"watchdog":   {{1, 1000}},
		},
		trafficPath: {noFilter: {{2000, 5}}, native: {{1000, 10}}, "healthgate": {{2000, 5}}},
	})
	starts := startsTable(peers, map[string]map[int][]run{
		noFilter: {1: {{1, 50e6}, {2, 60e6}}}, "healthgate": {1: {{3, 90e6}, {4, 100e6}}}, "watchdog": {1: {{0.5, 20e6}}},
	})
	for _, want := range []string{
		"| | checks/s | CPU, µs/check | ratio |", "| --- | ---: |",
		"| no filter | | | | 2,000 | 5.0 | 1.00 |",
		"| **healthgate** | 250 ±94 | 40.0 ±15.0 | 2.00 ±0.00 | 2,000 | 5.0 | 1.00 |",
		"| watchdog | 1 | 1,000.0 | 100.00 | | | |",
		"| no filter | 1.50 ±0.25 | | | 55.0 ±2.5 | | |",
		"| **healthgate** | 2.00 ±0.00 | | | 40.0 ±0.0 | | |",
		"| watchdog | 0.50 | | | 20.0 | | |",
	} {
		if text := requests.String() + starts.String(); !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	const readme = `| | CPU, µs/check | ratio | CPU, µs/other request | ratio |
| --- | ---: | ---: | ---: | ---: |
| no filter | | | 5.0 | 1.00 |
| ` + "`health_check` filter" + ` | 20.0 ±7.5 | 1.00 ±0.00 | 10.0 | 2.00 |
`
	if got := excerpt("# Head\n" + requests.String() + starts.String()); got != readme {
		t.Errorf("the README would have\n%s", got)
	}
}
