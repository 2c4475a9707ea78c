// Package peers starts everything that healthgate is compared with, side by side: all that Envoy can do in one process
// with one worker, a listener each, and the servers that are no Envoy beside it.
package peers

import (
	"context"
	"fmt"
	"time"

	"github.com/healthgate/healthgate/e2e/bench/internal/bench"
	"github.com/healthgate/healthgate/e2e/bench/internal/envoys"
	"github.com/healthgate/healthgate/envoy/demoapp"
)

// The texts and paths of envoy/bootstrap.yaml.
const (
	CheckPath   = "/my-service/healthcheck"
	TrafficPath = "/shop" // not a health check

	maintenance = "Under maintenance. Remove maintenance file when complete"
)

// Peer is one way to answer health checks.
type Peer struct {
	Name    string
	Ours    bool
	Brief   bool   // the short tables have it
	Missing string // why it can't be measured; then nothing below is there

	URL string // without a path
	// Answers is what a healthy check gets as its body.
	Answers string
	// Checks and Passes say what it can be measured with: health checks, and requests that are none.
	Checks, Passes bool
	// TrafficBase is the name of the peer that normal traffic is compared with.
	TrafficBase string
	// CPU returns the CPU time that its server has used.
	CPU func() (time.Duration, error)

	// What it can do, to be proved before it is measured.
	knowsSource bool // answers trusted addresses alone
	runtimeKey  bool // has maintenance by a runtime key
	route       bool // has maintenance by the route
	asksNodes   bool // fails with the application's nodes
}

// Fleet is all of them, running.
type Fleet struct {
	Peers []*Peer
	app   *envoys.App
	envoy *envoys.Envoy
	stops []func()
}

// Close stops them.
func (f *Fleet) Close() {
	for _, stop := range f.stops {
		defer stop()
	}
	f.stops = nil
}

// Start starts them, and proves that each does its job.
func Start(ctx context.Context, env *bench.Env) (*Fleet, error) { return startFleet(ctx, env, true) }

// StartEnvoy does so with those alone that are filters or routes of Envoy.
func StartEnvoy(ctx context.Context, env *bench.Env) (*Fleet, error) {
	return startFleet(ctx, env, false)
}

func startFleet(ctx context.Context, env *bench.Env, python bool) (_ *Fleet, err error) {
	f := &Fleet{}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	app, err := envoys.StartApp()
	if err != nil {
		return nil, err
	}
	f.app = app
	f.stops = append(f.stops, app.Close)
	if err := f.startEnvoy(ctx, env, app.Port); err != nil {
		return nil, err
	}
	if python {
		if err := f.startPython(ctx, env, app.Port); err != nil {
			return nil, err
		}
	}
	for _, p := range f.Peers {
		if p.Missing != "" {
			env.Logf("%s: not measured: %s", p.Name, p.Missing)
			continue
		}
		if err := f.prove(ctx, p); err != nil {
			return nil, fmt.Errorf("%s does not do its job: %w", p.Name, err)
		}
	}
	return f, nil
}

// prove tries what a peer is said to do.
func (f *Fleet) prove(ctx context.Context, p *Peer) error {
	const limit = 20 * time.Second
	check, traffic := p.URL+CheckPath, p.URL+TrafficPath
	if p.Passes {
		if err := envoys.Until(ctx, limit, traffic, 200, application); err != nil {
			return err
		}
	}
	if !p.Checks {
		return nil
	}
	if err := envoys.Until(ctx, limit, check, 200, p.Answers); err != nil {
		return err
	}
	if p.knowsSource {
		status, body, err := envoys.GetFrom(ctx, "127.0.0.2", check)
		if err != nil {
			return fmt.Errorf("a stranger's check: %w", err)
		}
		if status == 200 && body == p.Answers {
			return fmt.Errorf("a stranger's check was answered %d %q", status, body)
		}
	}
	if p.asksNodes {
		f.app.Set("outbound", demoapp.Node{Status: 503})
		if err := envoys.Until(ctx, limit, check, 503, "FAILED"); err != nil {
			return err
		}
		f.app.Set("outbound", demoapp.Node{Status: 200})
		if err := envoys.Until(ctx, limit, check, 200, p.Answers); err != nil {
			return err
		}
	}
	for key, throw := range map[string]bool{"healthgate.maintenance": p.runtimeKey, "healthgate.route_maintenance": p.route} {
		if !throw {
			continue
		}
		if err := f.envoy.SetRuntime(ctx, key, "100"); err != nil {
			return err
		}
		if err := envoys.Until(ctx, limit, check, 503, maintenance); err != nil {
			return err
		}
		if err := f.envoy.SetRuntime(ctx, key, ""); err != nil {
			return err
		}
		if err := envoys.Until(ctx, limit, check, 200, p.Answers); err != nil {
			return err
		}
	}
	return nil
}
