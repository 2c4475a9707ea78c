// Package throw measures how soon checks follow maintenance: from the moment an operator asks for it until the first
// check gets 503, and from clearing it until the first gets 200.
package throw

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/healthgate/healthgate/e2e/bench/internal/bench"
	"github.com/healthgate/healthgate/e2e/bench/internal/envoys"
	"github.com/healthgate/healthgate/e2e/bench/internal/peers"
	"github.com/healthgate/healthgate/e2e/bench/internal/report"
	"github.com/healthgate/healthgate/e2e/bench/internal/stats"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// Section is the one that `make bench SECTIONS=throw` runs.
var Section = bench.Section{
	ID:      "throw",
	Summary: "from throwing maintenance to the first 503, and from clearing it to the first 200",
	Measure: measure,
}

const (
	throws = 100
	pace   = 5 * time.Millisecond // between checks of one row: how exact a time is
	limit  = 30 * time.Second
)

// row is a listener that is watched while a key of runtime is thrown.
type row struct {
	name   string
	url    string
	ours   bool
	toDown []float64 // milliseconds, a throw each
	toUp   []float64
}

func measure(ctx context.Context, env *bench.Env) ([]report.Table, error) {
	app, err := envoys.StartApp()
	if err != nil {
		return nil, err
	}
	defer app.Close()
	config, err := envoys.New(env.Dir, app.Port)
	if err != nil {
		return nil, err
	}
	defer config.Close()
	polled, routed, missing, err := listen(ctx, env, config)
	if err != nil {
		return nil, err
	}
	e, err := envoys.Start(ctx, env.Envoy, config, 1)
	if err != nil {
		return nil, err
	}
	defer e.Stop() //nolint:errcheck // it was measured
	for _, r := range append(append([]*row{}, polled...), routed...) {
		if err := envoys.Until(ctx, limit, r.url, http.StatusOK, "OK"); err != nil {
			return nil, err
		}
	}
	n := throws
	if env.Quick {
		n = 3
	}
	for i := range n {
		if i%10 == 0 {
			env.Logf("throw %d of %d", i+1, n)
		}
		for key, rows := range map[string][]*row{"healthgate.maintenance": polled, "healthgate.route_maintenance": routed} {
			if err := throw(ctx, env, e, key, rows); err != nil {
				return nil, err
			}
		}
	}
	return []report.Table{tabulate(append(polled, routed...), missing)}, nil
}

// listen adds a listener for each build, polling as shipped, polling as often as it can, and without polling.
func listen(ctx context.Context, env *bench.Env, config *envoys.Config) (polled, routed []*row, missing []report.Row, err error) {
	for _, build := range []struct {
		name, id string
		bench.Artifact
	}{{"healthgate", "healthgate", env.Healthgate()}, {"healthgate, TinyGo", "tinygo", env.TinyGo(ctx)}} {
		if build.Missing != "" {
			missing = append(missing, report.Row{Name: build.name, Missing: build.Missing})
			continue
		}
		for _, interval := range []string{"1s", "100ms"} {
			settings := config.Settings()
			envoytest.At[envoys.Object](settings, "admin")["interval"] = interval
			routes, filter := config.Gated(config.Routes(), config.Wasm(build.id+interval, build.Path, settings))
			port, err := config.Listen(build.id+interval, routes, filter)
			if err != nil {
				return nil, nil, nil, err
			}
			url := "http://" + envoytest.Loopback(port) + peers.CheckPath
			polled = append(polled, &row{name: build.name + ", key polled each " + interval, url: url, ours: true})
			if interval == "1s" {
				routed = append(routed, &row{name: build.name + ", route", url: url, ours: true})
			}
		}
	}
	return polled, routed, missing, nil
}

// throw throws maintenance once and clears it again. Chance decides at which moment of the polling.
func throw(ctx context.Context, env *bench.Env, e *envoys.Envoy, key string, rows []*row) error {
	for _, step := range []struct {
		value  string
		status int
		into   func(*row) *[]float64
	}{
		{"100", http.StatusServiceUnavailable, func(r *row) *[]float64 { return &r.toDown }},
		{"", http.StatusOK, func(r *row) *[]float64 { return &r.toUp }},
	} {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(env.Rand.Int64N(int64(time.Second)))):
		}
		var watching sync.WaitGroup
		failed := make([]error, len(rows))
		began := time.Now()
		for i, r := range rows {
			watching.Add(1)
			go func() {
				defer watching.Done()
				at, err := until(ctx, r.url, step.status)
				if err != nil {
					failed[i] = fmt.Errorf("%s: %w", r.name, err)
					return
				}
				*step.into(r) = append(*step.into(r), float64(at.Sub(began))/float64(time.Millisecond))
			}()
		}
		err := e.SetRuntime(ctx, key, step.value)
		watching.Wait()
		if err != nil {
			return err
		}
		for _, err := range failed {
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// until sends checks until one gets the status, and returns when that one was answered.
func until(ctx context.Context, url string, status int) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return time.Time{}, err
	}
	next := time.NewTicker(pace)
	defer next.Stop()
	for {
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return time.Time{}, err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil {
			return time.Time{}, err
		}
		if resp.StatusCode == status {
			return time.Now(), nil
		}
		<-next.C
	}
}

func tabulate(rows []*row, missing []report.Row) report.Table {
	t := report.Table{
		ID: "throw", Title: "Throwing maintenance",
		About: fmt.Sprintf("A key is set through admin's `/runtime_modify`, %d times, at moments drawn by chance; then it is taken back. "+
			"From the request to admin until the first check that gets 503, and then 200, each of them sent %s after "+
			"the one before it was answered.", len(rows[0].toDown), pace),
		Columns: []report.Column{
			{ID: "down50", Title: "to 503, ms: median"}, {ID: "down95", Title: "95 %"}, {ID: "down100", Title: "longest"},
			{ID: "up50", Title: "to 200, ms: median"}, {ID: "up95", Title: "95 %"}, {ID: "up100", Title: "longest"},
		},
		Rows: missing,
	}
	for _, r := range rows {
		cells := map[string]report.Cell{}
		for id, samples := range map[string][]float64{"down": r.toDown, "up": r.toUp} {
			for _, p := range []int{50, 95, 100} {
				cells[fmt.Sprint(id, p)] = report.Cell{Value: stats.Percentile(samples, float64(p))}
			}
		}
		t.Rows = append(t.Rows, report.Row{Name: r.name, Ours: r.ours, Cells: cells})
	}
	return t
}
