// Package footprint measures what a plugin costs an Envoy that has nothing to do: time until it is ready, memory, and CPU
// time for ticks and polls.
package footprint

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/healthgate/healthgate/e2e/bench/internal/bench"
	"github.com/healthgate/healthgate/e2e/bench/internal/envoys"
	"github.com/healthgate/healthgate/e2e/bench/internal/report"
	"github.com/healthgate/healthgate/e2e/bench/internal/stats"
)

// Section is the one that `make bench SECTIONS=footprint` runs.
var Section = bench.Section{
	ID:      "footprint",
	Summary: "size, time until Envoy is ready, memory, and CPU time at idle, with 1, 2 and 8 workers",
	Measure: measure,
}

const (
	settle = 3 * time.Second  // after Envoy is ready: V8 still compiles, and the first probes are sent
	idle   = 10 * time.Second // for the CPU time
	starts = 5                // of each row: one takes seconds
)

var workers = []int{1, 2, 8}

// sample is one start of an Envoy.
type sample struct {
	ready    float64 // seconds
	resident float64 // MB, after settling
	cpu      float64 // milliseconds a second at idle; only with two workers
}

const mega = 1e6

func measure(ctx context.Context, env *bench.Env) ([]report.Table, error) {
	app, err := envoys.StartApp()
	if err != nil {
		return nil, err
	}
	defer app.Close()
	all := append([]module{{name: "no filter"}}, modules(ctx, env)...)
	var found []module
	for _, m := range all {
		if m.Missing == "" {
			found = append(found, m)
		}
	}
	n := min(starts, env.Rounds)
	samples := map[string]map[int][]sample{}
	for round := range n {
		env.Logf("round %d of %d", round+1, n)
		for _, i := range stats.Interleave(env.Rand, 1, len(found)*len(workers)) {
			m, w := found[i/len(workers)], workers[i%len(workers)]
			var s sample
			err := env.Alone(ctx, func() (err error) {
				s, err = start(ctx, env, m, w, app.Port)
				return err
			})
			if err != nil {
				return nil, fmt.Errorf("%s: %w", m.name, err)
			}
			if samples[m.name] == nil {
				samples[m.name] = map[int][]sample{}
			}
			samples[m.name][w] = append(samples[m.name][w], s)
		}
	}
	t, err := tabulate(all, samples)
	return []report.Table{t}, err
}

// start starts an Envoy with the plugin behind the gate, looks at it and stops it.
func start(ctx context.Context, env *bench.Env, m module, workers, appPort int) (s sample, err error) {
	dir, err := os.MkdirTemp(env.Dir, "envoy-")
	if err != nil {
		return s, err
	}
	config, err := envoys.New(dir, appPort)
	if err != nil {
		return s, err
	}
	defer config.Close()
	routes, filters := config.Routes(), []any{}
	if m.Path != "" {
		enabling, filter := config.Gated(routes, config.Wasm("filter", m.Path, config.Settings()))
		routes, filters = enabling, []any{filter}
	}
	if _, err := config.Listen("ingress", routes, filters...); err != nil {
		return s, err
	}
	e, err := envoys.Start(ctx, env.Envoy, config, workers)
	if err != nil {
		return s, err
	}
	defer e.Stop() //nolint:errcheck // it was measured
	s.ready = e.Ready.Seconds()
	if err := wait(ctx, settle); err != nil {
		return s, err
	}
	memory, err := e.Memory()
	if err != nil {
		return s, err
	}
	s.resident = float64(memory.Resident) / mega
	if workers != 2 {
		return s, nil
	}
	before, err := e.CPU()
	if err != nil {
		return s, err
	}
	if err := wait(ctx, idle); err != nil {
		return s, err
	}
	after, err := e.CPU()
	s.cpu = float64(after-before) / float64(time.Millisecond) / idle.Seconds()
	return s, err
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func tabulate(all []module, samples map[string]map[int][]sample) (report.Table, error) {
	t := report.Table{
		ID: "footprint", Title: "Footprint",
		About: fmt.Sprintf("The shipped configuration, started %d times with each number of workers, in rounds. In the first row, "+
			"how long an Envoy without a filter takes until it is ready, and its resident memory %s later; in the others how much "+
			"more it is, the difference of the medians. CPU at idle is what the process uses for ticks, probes and polls, with 2 workers, over %s. "+
			"MB are millions of bytes.", len(samples["no filter"][workers[0]]), settle, idle),
		Columns: []report.Column{
			{ID: "file", Title: "`.wasm`, kB"}, {ID: "code", Title: "code section, kB"},
			{ID: "ready1", Title: "ready, s: 1 worker", Decimals: 2}, {ID: "ready2", Title: "2", Decimals: 2},
			{ID: "ready8", Title: "8", Decimals: 2},
			{ID: "memory1", Title: "memory, MB: 1 worker", Decimals: 1}, {ID: "memory2", Title: "2", Decimals: 1},
			{ID: "memory8", Title: "8", Decimals: 1},
			{ID: "cpu", Title: "CPU at idle, ms/s", Decimals: 1},
		},
	}
	base := figures(samples["no filter"])
	for _, m := range all {
		row := report.Row{Name: m.name, Ours: m.ours, Missing: m.Missing}
		if m.Missing == "" {
			row.Cells = map[string]report.Cell{}
			for id, value := range figures(samples[m.name]) {
				if m.Path != "" {
					value -= base[id]
				}
				row.Cells[id] = report.Cell{Value: value}
			}
		}
		if m.Path != "" {
			file, code, err := sizes(m.Path)
			if err != nil {
				return t, err
			}
			row.Cells["file"], row.Cells["code"] = report.Cell{Value: float64(file) / 1e3}, report.Cell{Value: float64(code) / 1e3}
		}
		t.Rows = append(t.Rows, row)
	}
	return t, nil
}

// figures returns the medians by the columns' IDs.
func figures(samples map[int][]sample) map[string]float64 {
	out := map[string]float64{}
	for w, of := range samples {
		var ready, resident, cpu []float64
		for _, s := range of {
			ready, resident, cpu = append(ready, s.ready), append(resident, s.resident), append(cpu, s.cpu)
		}
		out[fmt.Sprint("ready", w)], out[fmt.Sprint("memory", w)] = stats.Median(ready), stats.Median(resident)
		if w == 2 {
			out["cpu"] = stats.Median(cpu)
		}
	}
	return out
}
