package scale

import (
	"context"
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

// workers counts the probes that the application sees.
func workers(ctx context.Context, env *bench.Env, builds []build) (report.Table, error) {
	t := report.Table{
		ID: "scale-workers", Title: "Scale: workers",
		About: fmt.Sprintf("What the application sees of three probes, each with an interval of 1 s, over %s, and the CPU time of an Envoy "+
			"that does nothing else.", window),
		Columns: []report.Column{{ID: "probes", Title: "probes a second", Decimals: 2}, {ID: "cpu", Title: "CPU at idle, ms/s", Decimals: 1}},
	}
	for _, b := range builds {
		for _, n := range []int{1, 2, 4, 8, 16} {
			row := report.Row{Name: fmt.Sprintf("%s, workers: %d", b.name, n), Ours: true, Missing: b.Missing}
			if b.Missing == "" {
				env.Logf("%s", row.Name)
				probes, cpu, err := probesOf(ctx, env, b, n)
				if err != nil {
					return t, fmt.Errorf("%s: %w", row.Name, err)
				}
				row.Cells = map[string]report.Cell{"probes": {Value: probes}, "cpu": {Value: cpu}}
			}
			t.Rows = append(t.Rows, row)
		}
	}
	return t, nil
}

func probesOf(ctx context.Context, env *bench.Env, b build, workers int) (probes, cpu float64, err error) {
	var seen atomic.Int64
	app := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { seen.Add(1) }))
	defer app.Close()
	e, stop, err := shipped(ctx, env, b, app.Listener.Addr().(*net.TCPAddr).Port, workers, nil)
	if err != nil {
		return 0, 0, err
	}
	defer stop()
	before := seen.Load()
	cpu, err = idle(ctx, e)
	return float64(seen.Load()-before) / window.Seconds(), cpu, err
}

// idle returns the CPU time that Envoy uses, in milliseconds a second.
func idle(ctx context.Context, e *envoys.Envoy) (float64, error) {
	before, err := e.CPU()
	if err != nil {
		return 0, err
	}
	if err := wait(ctx, window); err != nil {
		return 0, err
	}
	after, err := e.CPU()
	return float64(after-before) / float64(time.Millisecond) / window.Seconds(), err
}

// keys measures what polling costs when Envoy's runtime holds many keys, all of which the answer to a poll names.
func keys(ctx context.Context, env *bench.Env, builds []build, appPort int) (report.Table, error) {
	t := report.Table{
		ID: "scale-keys", Title: "Scale: runtime keys",
		About: fmt.Sprintf("Envoy's runtime holds other keys; each poll, once a second, reads them all. CPU time at idle as above, over %s, "+
			"and the size of the document that is polled.", window),
		Columns: []report.Column{{ID: "size", Title: "document, kB", Decimals: 1}, {ID: "cpu", Title: "CPU at idle, ms/s", Decimals: 1}},
	}
	for _, b := range builds {
		for _, n := range []int{1, 100, 10_000} {
			row := report.Row{Name: fmt.Sprintf("%s, keys: %d", b.name, n), Ours: true, Missing: b.Missing}
			if b.Missing == "" {
				env.Logf("%s", row.Name)
				size, cpu, err := pollOf(ctx, env, b, n, appPort)
				if err != nil {
					return t, fmt.Errorf("%s: %w", row.Name, err)
				}
				row.Cells = map[string]report.Cell{"size": {Value: float64(size) / 1e3}, "cpu": {Value: cpu}}
			}
			t.Rows = append(t.Rows, row)
		}
	}
	return t, nil
}

func pollOf(ctx context.Context, env *bench.Env, b build, n, appPort int) (size int, cpu float64, err error) {
	e, stop, err := shipped(ctx, env, b, appPort, 1, func(c *envoys.Config) {
		layer := envoytest.At[envoys.Object](c.Bootstrap, "layered_runtime", "layers", 0, "static_layer")
		for i := range n {
			layer["feature.number_"+strconv.Itoa(i)] = strconv.Itoa(i % 101)
		}
	})
	if err != nil {
		return 0, 0, err
	}
	defer stop()
	_, document, err := envoys.Get(ctx, e.AdminURL+"/runtime?format=json")
	if err != nil {
		return 0, 0, err
	}
	if strings.Count(document, "feature.number_") < n {
		return 0, 0, fmt.Errorf("runtime has not all of the %d keys", n)
	}
	cpu, err = idle(ctx, e)
	return len(document), cpu, err
}
