// Package footprint measures what a plugin costs an Envoy that has nothing to do: time until it is ready, memory, and CPU
// time for ticks and polls.
package footprint

import (
	"context"
	"errors"
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
	idle   = 15 * time.Second // for the CPU time
	starts = 5                // of each row: one takes seconds

	idleWorkers = 2 // of an Envoy whose CPU time at idle is measured
)

var workers = []int{1, 2, 8}

// sample is one start of an Envoy.
type sample struct {
	ready    float64 // seconds
	resident float64 // MB, after settling
}

const mega = 1e6

func measure(ctx context.Context, env *bench.Env) ([]report.Table, error) {
	app, err := envoys.StartApp()
	if err != nil {
		return nil, err
	}
	defer app.Close()
	all := append([]module{{name: "no filter"}}, modules(ctx, env)...)
	n := min(starts, env.Rounds)
	samples := map[string]map[int][]sample{}
	var failed []error
	fail := func(m *module, err error) {
		failed = append(failed, fmt.Errorf("%s: %w", m.name, err))
		m.Artifact = bench.Artifact{Missing: "it failed: " + bench.FirstLineOf(err)}
	}
	last := -1
	for round, i := range stats.Interleave(env.Rand, n, len(all)*len(workers)) {
		if round != last {
			env.Logf("round %d of %d", round+1, n)
			last = round
		}
		m, w := &all[i/len(workers)], workers[i%len(workers)]
		if m.Missing != "" {
			continue
		}
		var s sample
		err := env.Alone(ctx, func() (err error) {
			s, err = start(ctx, env, *m, w, app.Port)
			return err
		})
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			fail(m, err)
			continue
		}
		if samples[m.name] == nil {
			samples[m.name] = map[int][]sample{}
		}
		samples[m.name][w] = append(samples[m.name][w], s)
	}
	cpu, err := idleTogether(ctx, env, all, app.Port, fail)
	if err != nil {
		return nil, err
	}
	t, err := tabulate(all, samples, cpu)
	return []report.Table{t}, errors.Join(append(failed, err)...)
}

// launch starts an Envoy with the plugin behind the gate.
func launch(ctx context.Context, env *bench.Env, m module, workers, appPort int) (e *envoys.Envoy, stop func(), err error) {
	dir, err := os.MkdirTemp(env.Dir, "envoy-")
	if err != nil {
		return nil, nil, err
	}
	config, err := envoys.New(dir, appPort)
	if err != nil {
		return nil, nil, err
	}
	routes, filters := config.Routes(), []any{}
	if m.Path != "" {
		enabling, filter := config.Gated(routes, config.Wasm("filter", m.Path, config.Settings()))
		routes, filters = enabling, []any{filter}
	}
	if _, err = config.Listen("ingress", routes, filters...); err == nil {
		e, err = envoys.Start(ctx, env.Envoy, config, workers)
	}
	if err != nil {
		config.Close()
		return nil, nil, err
	}
	return e, func() {
		_ = e.Stop() // it was measured
		config.Close()
	}, nil
}

// start starts an Envoy, looks at it and stops it.
func start(ctx context.Context, env *bench.Env, m module, workers, appPort int) (s sample, err error) {
	e, stop, err := launch(ctx, env, m, workers, appPort)
	if err != nil {
		return s, err
	}
	defer stop()
	s.ready = e.ReadyAfter.Seconds()
	if err := wait(ctx, settle); err != nil {
		return s, err
	}
	memory, err := e.Memory()
	s.resident = float64(memory.Resident) / mega
	return s, err
}

// idleTogether returns the CPU time that an Envoy with each module uses at idle, in milliseconds a second, by the module's
// name. All of them run at the same time: together they use a few per cent of a CPU.
func idleTogether(ctx context.Context, env *bench.Env, all []module, appPort int, fail func(*module, error)) (map[string]float64, error) {
	env.Logf("CPU at idle")
	running := map[*module]*envoys.Envoy{}
	for i := range all {
		m := &all[i]
		if m.Missing != "" {
			continue
		}
		e, stop, err := launch(ctx, env, *m, idleWorkers, appPort)
		if err != nil {
			fail(m, err)
			continue
		}
		defer stop()
		running[m] = e
	}
	if err := wait(ctx, settle); err != nil {
		return nil, err
	}
	out := map[string]float64{}
	look := func(sign float64) {
		for m, e := range running {
			used, err := e.CPU()
			if err != nil {
				fail(m, err)
				delete(running, m)
			}
			out[m.name] += sign * float64(used) / float64(time.Millisecond) / idle.Seconds()
		}
	}
	err := env.Alone(ctx, func() error {
		look(-1)
		return wait(ctx, idle)
	})
	look(1)
	return out, err
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func tabulate(all []module, samples map[string]map[int][]sample, cpu map[string]float64) (report.Table, error) {
	t := report.Table{
		ID: "footprint", Title: "Footprint",
		About: fmt.Sprintf("The shipped configuration, started %d times with each number of workers, in rounds. In the first row, "+
			"how long an Envoy without a filter takes until it is ready, and its resident memory %s later; in the others how much "+
			"more it is, the difference of the medians. CPU at idle is what the process uses for ticks, probes and polls, with %d workers, over %s. "+
			"MB are millions of bytes.", len(samples["no filter"][workers[0]]), settle, idleWorkers, idle),
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
			used := cpu[m.name]
			if m.Path != "" {
				used -= cpu[all[0].name]
			}
			row.Cells["cpu"] = report.Cell{Value: used}
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
		var ready, resident []float64
		for _, s := range of {
			ready, resident = append(ready, s.ready), append(resident, s.resident)
		}
		out[fmt.Sprint("ready", w)], out[fmt.Sprint("memory", w)] = stats.Median(ready), stats.Median(resident)
	}
	return out
}
