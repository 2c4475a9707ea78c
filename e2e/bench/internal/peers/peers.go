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
	Brief   bool   // the short table has it
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

// StartEnvoy does so with those alone that are filters or routes of Envoy, which may run on every CPU.
func StartEnvoy(ctx context.Context, env *bench.Env) (*Fleet, error) {
	return startFleet(ctx, env, false)
}

func startFleet(ctx context.Context, env *bench.Env, everything bool) (_ *Fleet, err error) {
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
	if err := f.startEnvoy(ctx, env, app.Port, everything); err != nil {
		return nil, err
	}
	if everything {
		if err := f.startPython(ctx, env, app.Port); err != nil {
			return nil, err
		}
	}
	for _, p := range f.Peers {
		if p.Missing != "" {
			env.Logf("%s: not measured: %s", p.Name, p.Missing)
		}
	}
	return f, f.prove(ctx)
}

// prove tries what the peers are said to do, each of it with all of them at once.
func (f *Fleet) prove(ctx context.Context) error {
	check := func(p *Peer) string { return p.URL + CheckPath }
	healthy := func(p *Peer) error { return envoys.Until(ctx, limit, check(p), 200, p.Answers) }
	passes := func(p *Peer) error { return envoys.Until(ctx, limit, p.URL+TrafficPath, 200, application) }
	refused := func(p *Peer) error {
		status, body, err := envoys.GetFrom(ctx, "127.0.0.2", check(p))
		if err == nil && status == 200 && body == p.Answers {
			err = fmt.Errorf("a stranger's check was answered %d %q", status, body)
		}
		return err
	}
	out := func(body string) func(*Peer) error {
		return func(p *Peer) error { return envoys.Until(ctx, limit, check(p), 503, body) }
	}
	node := func(status int) func() error {
		return func() error {
			f.app.Set("outbound", demoapp.Node{Status: status})
			return nil
		}
	}
	set := func(key, value string) func() error {
		return func() error { return f.envoy.SetRuntime(ctx, key, value) }
	}
	checks := func(p *Peer) bool { return p.Checks }
	asksNodes := func(p *Peer) bool { return p.asksNodes }
	runtimeKey := func(p *Peer) bool { return p.runtimeKey }
	route := func(p *Peer) bool { return p.route }
	for _, step := range []struct {
		first func() error
		of    func(*Peer) bool
		then  func(*Peer) error
	}{
		{nil, func(p *Peer) bool { return p.Passes }, passes},
		{nil, checks, healthy},
		{nil, func(p *Peer) bool { return p.knowsSource }, refused},
		{node(503), asksNodes, out("FAILED")},
		{node(200), asksNodes, healthy},
		{set("healthgate.maintenance", "true"), runtimeKey, out(maintenance)},
		{set("healthgate.maintenance", ""), runtimeKey, healthy},
		{set("healthgate.route_maintenance", "100"), route, out(maintenance)},
		{set("healthgate.route_maintenance", ""), route, healthy},
		{nil, checks, healthy}, // all of them, as they are measured
	} {
		if step.first != nil {
			if err := step.first(); err != nil {
				return err
			}
		}
		for _, p := range f.Peers {
			if p.Missing == "" && step.of(p) {
				if err := step.then(p); err != nil {
					return fmt.Errorf("%s does not do its job: %w", p.Name, err)
				}
			}
		}
	}
	return nil
}

// limit is how long a peer may take to do something.
const limit = 20 * time.Second
