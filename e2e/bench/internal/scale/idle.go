package scale

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/healthgate/healthgate/e2e/bench/internal/bench"
	"github.com/healthgate/healthgate/e2e/bench/internal/envoys"
	"github.com/healthgate/healthgate/e2e/bench/internal/report"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// window is how long probes are counted, and CPU time.
const window = 15 * time.Second

// idler is an Envoy that does nothing else than probe and poll, and its row.
type idler struct {
	row     report.Row
	b       build
	workers int
	keys    int // of its runtime, others than the filter's
	probes  atomic.Int64

	*envoys.Envoy
	cpu time.Duration
}

// idleTogether starts the Envoys, and looks at all of them over the same time: together they use a few per cent of a
// CPU. One that fails is a row that says so, and an error.
func idleTogether(ctx context.Context, env *bench.Env, idlers []*idler, start func(*idler) (stop func(), err error),
	cells func(*idler) map[string]report.Cell) ([]report.Row, error) {
	var failed []error
	fail := func(i *idler, err error) {
		failed = append(failed, fmt.Errorf("%s: %w", i.row.Name, err))
		i.row.Missing = "it failed: " + bench.FirstLineOf(err)
	}
	for _, i := range idlers {
		if i.row.Missing != "" || ctx.Err() != nil {
			continue
		}
		env.Logf("%s", i.row.Name)
		stop, err := start(i)
		if err != nil {
			fail(i, err)
			continue
		}
		defer stop()
	}
	// Seconds after they are ready, V8 still compiles.
	if err := wait(ctx, 3*time.Second); err != nil {
		return nil, err
	}
	look := func(then func(i *idler, cpu time.Duration)) {
		for _, i := range idlers {
			if i.row.Missing != "" {
				continue
			}
			cpu, err := i.CPU()
			if err != nil {
				fail(i, err)
				continue
			}
			then(i, cpu)
		}
	}
	if err := env.Alone(ctx, func() error {
		look(func(i *idler, cpu time.Duration) {
			i.probes.Store(0)
			i.cpu = cpu
		})
		return wait(ctx, window)
	}); err != nil {
		return nil, err
	}
	look(func(i *idler, cpu time.Duration) {
		i.cpu = cpu - i.cpu
		i.row.Cells = cells(i)
	})
	var rows []report.Row
	for _, i := range idlers {
		rows = append(rows, i.row)
	}
	return rows, errors.Join(failed...)
}

// idleCPU is the CPU time that it used, in milliseconds a second.
func (i *idler) idleCPU() report.Cell {
	return report.Cell{Value: float64(i.cpu) / float64(time.Millisecond) / window.Seconds()}
}

// workers counts the probes that the application sees.
func workers(ctx context.Context, env *bench.Env, builds []build) (t report.Table, err error) {
	t = report.Table{
		ID: "scale-workers", Title: "Scale: workers",
		About: fmt.Sprintf("What the application sees of three probes, each with an interval of 1 s, over %s, whose ends may cut off a "+
			"round of them (0.2 a second), and the CPU time of an Envoy that does nothing else.", window),
		Columns: []report.Column{{ID: "probes", Title: "probes a second", Decimals: 2}, {ID: "cpu", Title: "CPU at idle, ms/s", Decimals: 1}},
	}
	var idlers []*idler
	for _, b := range builds {
		for _, n := range []int{1, 2, 4, 8, 16} {
			row := report.Row{Name: fmt.Sprintf("%s, workers: %d", b.name, n), Ours: true, Missing: b.Missing}
			idlers = append(idlers, &idler{row: row, b: b, workers: n})
		}
	}
	t.Rows, err = idleTogether(ctx, env, idlers, func(i *idler) (func(), error) {
		app := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { i.probes.Add(1) }))
		e, stop, err := shipped(ctx, env, i.b, app.Listener.Addr().(*net.TCPAddr).Port, i.workers, nil)
		if err != nil {
			app.Close()
			return nil, err
		}
		i.Envoy = e
		return func() { stop(); app.Close() }, nil
	}, func(i *idler) map[string]report.Cell {
		return map[string]report.Cell{"probes": {Value: float64(i.probes.Load()) / window.Seconds()}, "cpu": i.idleCPU()}
	})
	return t, err
}

// keys measures what polling costs when Envoy's runtime holds many keys, all of which the answer to a poll names.
func keys(ctx context.Context, env *bench.Env, builds []build, appPort int) (t report.Table, err error) {
	t = report.Table{
		ID: "scale-keys", Title: "Scale: runtime keys",
		About: fmt.Sprintf("Envoy's runtime holds other keys; each poll, once a second, reads them all. CPU time at idle as above, over %s, "+
			"and the size of the document that is polled.", window),
		Columns: []report.Column{{ID: "size", Title: "document, kB", Decimals: 1}, {ID: "cpu", Title: "CPU at idle, ms/s", Decimals: 1}},
	}
	var idlers []*idler
	for _, b := range builds {
		for _, n := range []int{1, 100, 10_000} {
			row := report.Row{Name: fmt.Sprintf("%s, keys: %d", b.name, n), Ours: true, Missing: b.Missing}
			idlers = append(idlers, &idler{row: row, b: b, workers: 1, keys: n})
		}
	}
	size := map[*idler]int{}
	t.Rows, err = idleTogether(ctx, env, idlers, func(i *idler) (stop func(), err error) {
		i.Envoy, stop, err = shipped(ctx, env, i.b, appPort, i.workers, func(c *envoys.Config) {
			layer := envoytest.At[envoys.Object](c.Bootstrap, "layered_runtime", "layers", 0, "static_layer")
			for k := range i.keys {
				layer["feature.number_"+strconv.Itoa(k)] = strconv.Itoa(k % 101)
			}
		})
		if err != nil {
			return nil, err
		}
		_, document, err := envoys.Get(ctx, i.AdminURL+"/runtime?format=json")
		if err == nil && strings.Count(document, "feature.number_") < i.keys {
			err = fmt.Errorf("runtime has not all of the %d keys", i.keys)
		}
		if err != nil {
			stop()
			return nil, err
		}
		size[i] = len(document)
		return stop, nil
	}, func(i *idler) map[string]report.Cell {
		return map[string]report.Cell{"size": {Value: float64(size[i]) / 1e3}, "cpu": i.idleCPU()}
	})
	return t, err
}
