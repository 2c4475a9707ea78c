// Package throw measures how soon checks follow maintenance: from the moment an operator asks for it until the first
// check gets 503, and from clearing it until the first gets 200.
package throw

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
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
	lanes  = 4                    // of a row that polls each second: its throws divided by them take a second each, and back
	pace   = 5 * time.Millisecond // between checks of one listener: how exact a time is
	limit  = 30 * time.Second
)

// row is a way to throw maintenance.
type row struct {
	name    string
	missing string
	period  time.Duration // the moment of a throw is drawn from as long: that of the polling, so that chance decides at which moment of it
	lanes   []*lane       // each throws for itself
}

// lane is a listener and plugin of its own, with a key of its own that throws maintenance on it alone.
type lane struct {
	url, key string
	rand     *rand.Rand
	toDown   []float64 // milliseconds, a throw each
	toUp     []float64
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
	rows, err := listen(ctx, env, config)
	if err != nil {
		return nil, err
	}
	e, err := envoys.Start(ctx, env.Envoy, config, 1)
	if err != nil {
		return nil, err
	}
	defer func() { _ = e.Stop() }() // it was measured
	for _, r := range rows {
		for _, l := range r.lanes {
			if err := envoys.Until(ctx, limit, l.url, http.StatusOK, "OK"); err != nil {
				return nil, fmt.Errorf("%s: %w", r.name, err)
			}
		}
	}
	n := throws
	if env.Quick {
		n = 2 * lanes
	}
	env.Logf("throwing each %d times", n)
	if err := env.Alone(ctx, func() error { return all(ctx, e, rows, n) }); err != nil {
		return nil, err
	}
	return []report.Table{tabulate(rows, n)}, nil
}

// listen adds the lanes for each build: polling as shipped, polling as often as it can, and without polling.
func listen(ctx context.Context, env *bench.Env, config *envoys.Config) (rows []*row, err error) {
	for _, build := range []struct {
		name, id string
		bench.Artifact
	}{{"healthgate", "healthgate", env.Healthgate()}, {"healthgate, TinyGo", "tinygo", env.TinyGo(ctx)}} {
		for _, way := range []struct {
			name     string
			interval string // of polls
			route    bool
			period   time.Duration
			lanes    int
		}{
			{", key polled each 1s", "1s", false, time.Second, lanes},
			{", key polled each 100ms", "100ms", false, 100 * time.Millisecond, 1},
			{", route", "1s", true, 100 * time.Millisecond, 1},
		} {
			r := &row{name: build.name + way.name, missing: build.Missing, period: way.period}
			rows = append(rows, r)
			for range way.lanes {
				if r.missing != "" {
					break
				}
				id := fmt.Sprint(build.id, len(rows), "_", len(r.lanes))
				l := &lane{key: "bench." + id, rand: rand.New(rand.NewPCG(env.Rand.Uint64(), 0))}
				settings, routes := config.Settings(), config.Routes()
				envoytest.At[envoys.Object](settings, "admin")["interval"] = way.interval
				if way.route {
					envoytest.At[envoys.Object](routes[0], "match", "runtime_fraction")["runtime_key"] = l.key
				} else {
					envoytest.At[envoys.Object](settings, "endpoints", 0, "maintenance")["keys"] = []any{l.key}
				}
				enabling, filter := config.Gated(routes, config.Wasm(id, build.Path, settings))
				port, err := config.Listen(id, enabling, filter)
				if err != nil {
					return nil, err
				}
				l.url = "http://" + envoytest.Loopback(port) + peers.CheckPath
				r.lanes = append(r.lanes, l)
			}
		}
	}
	return rows, nil
}

// all throws so many times in each row, in all lanes at once.
func all(ctx context.Context, e *envoys.Envoy, rows []*row, n int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var throwing sync.WaitGroup
	for _, r := range rows {
		for _, l := range r.lanes {
			throwing.Add(1)
			go func() {
				defer throwing.Done()
				for range n / len(r.lanes) {
					if err := l.throw(ctx, e, r.period); err != nil {
						cancel(fmt.Errorf("%s: %w", r.name, err)) // the first of them ends all
						return
					}
				}
			}()
		}
	}
	throwing.Wait()
	return context.Cause(ctx)
}

// throw throws maintenance once and clears it again.
func (l *lane) throw(ctx context.Context, e *envoys.Envoy, period time.Duration) error {
	for _, step := range []struct {
		value  string
		status int
		into   *[]float64
	}{
		{"100", http.StatusServiceUnavailable, &l.toDown},
		{"", http.StatusOK, &l.toUp},
	} {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(l.rand.Int64N(int64(period)))):
		}
		set := make(chan error, 1)
		began := time.Now()
		go func() { set <- e.SetRuntime(ctx, l.key, step.value) }()
		at, err := until(ctx, l.url, step.status)
		if err := errors.Join(<-set, err); err != nil {
			return err
		}
		*step.into = append(*step.into, float64(at.Sub(began))/float64(time.Millisecond))
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

func tabulate(rows []*row, n int) report.Table {
	t := report.Table{
		ID: "throw", Title: "Throwing maintenance",
		About: fmt.Sprintf("A key is set through admin's `/runtime_modify`, %d times, at moments drawn by chance; then it is taken back. "+
			"From the request to admin until the first check that gets 503, and then 200, each of them sent %s after "+
			"the one before it was answered.", n, pace),
		Columns: []report.Column{
			{ID: "down50", Title: "to 503, ms: median"}, {ID: "down95", Title: "95 %"}, {ID: "down100", Title: "longest"},
			{ID: "up50", Title: "to 200, ms: median"}, {ID: "up95", Title: "95 %"}, {ID: "up100", Title: "longest"},
		},
	}
	for _, r := range rows {
		out := report.Row{Name: r.name, Ours: true, Missing: r.missing}
		if r.missing == "" {
			out.Cells = map[string]report.Cell{}
			var toDown, toUp []float64
			for _, l := range r.lanes {
				toDown, toUp = append(toDown, l.toDown...), append(toUp, l.toUp...)
			}
			for id, samples := range map[string][]float64{"down": toDown, "up": toUp} {
				for _, p := range []int{50, 95, 100} {
					out.Cells[fmt.Sprint(id, p)] = report.Cell{Value: stats.Percentile(samples, float64(p))}
				}
			}
		}
		t.Rows = append(t.Rows, out)
	}
	return t
}
