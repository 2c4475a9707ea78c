// Package scale measures whether a health check, and an Envoy at idle, cost more when there is more of everything.
package scale

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/healthgate/healthgate/e2e/bench/internal/bench"
	"github.com/healthgate/healthgate/e2e/bench/internal/cpu"
	"github.com/healthgate/healthgate/e2e/bench/internal/envoys"
	"github.com/healthgate/healthgate/e2e/bench/internal/peers"
	"github.com/healthgate/healthgate/e2e/bench/internal/report"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// Section is the one that `make bench SECTIONS=scale` runs.
var Section = bench.Section{
	ID:      "scale",
	Summary: "a check with up to 100,000 CIDRs and 64 endpoints; probes with up to 16 workers; polls of up to 10,000 keys",
	Measure: measure,
}

// build is one build of the filter.
type build struct {
	name, id string
	bench.Artifact
}

func measure(ctx context.Context, env *bench.Env) ([]report.Table, error) {
	app, err := envoys.StartApp()
	if err != nil {
		return nil, err
	}
	defer app.Close()
	builds := []build{{"healthgate", "healthgate", env.Healthgate()}, {"healthgate, TinyGo", "tinygo", env.TinyGo(ctx)}}
	checks, err1 := sizes(ctx, env, builds, app.Port)
	probes, err2 := workers(ctx, env, builds)
	polls, err3 := keys(ctx, env, builds, app.Port)
	return []report.Table{checks, probes, polls}, errors.Join(err1, err2, err3)
}

// size is one configuration of the filter's.
type size struct {
	what string
	edit func(settings envoys.Object)
	base bool // what the ones behind it are compared with
}

// grown are what the costs of a check are measured with.
func grown() []size {
	out := []size{}
	for _, n := range []int{1, 100, 10_000, 100_000} {
		out = append(out, size{"CIDRs: " + strconv.Itoa(n), func(s envoys.Object) { trust(s, n) }, n == 1})
	}
	for _, n := range []int{1, 8, 64} {
		out = append(out, size{"endpoints: " + strconv.Itoa(n), func(s envoys.Object) { endpoints(s, n) }, n == 1})
	}
	return out
}

// trust gives the endpoint n CIDRs, of which the last in the configuration is the one that checks come from. A hundred
// thousand fit into the largest configuration because they are short.
func trust(settings envoys.Object, n int) {
	cidrs := make([]any, 0, n)
	for i := range n - 1 {
		cidrs = append(cidrs, fmt.Sprintf("%x::", 0x1000+i%0xe000)+strings.TrimPrefix(fmt.Sprintf("%x", i/0xe000), "0"))
	}
	only(settings)["trusted"] = envoys.Object{"cidrs": append(cidrs, "127.0.0.1")}
}

// endpoints makes n endpoints, of which the last is the one that is asked.
func endpoints(settings envoys.Object, n int) {
	asked := only(settings)
	all := make([]any, 0, n)
	for i := range n - 1 {
		other := envoytest.Clone(asked)
		other["name"], other["paths"] = fmt.Sprint("other-", i), []any{fmt.Sprint("/other/", i, "/healthcheck")}
		all = append(all, other)
	}
	settings["endpoints"] = append(all, asked)
}

// only leaves no endpoint but the one that is asked, which it returns.
func only(settings envoys.Object) envoys.Object {
	first := envoytest.At[envoys.Object](settings, "endpoints", 0)
	settings["endpoints"] = []any{first}
	return first
}

// sized is a build with one configuration.
type sized struct {
	build
	size
	peer *peers.Peer
}

// How long an Envoy may take to load one configuration, and all of them.
const (
	loadOne = 20 * time.Second
	loadAll = 60 * time.Second
)

// sizes measures checks of all sizes, side by side in one Envoy.
func sizes(ctx context.Context, env *bench.Env, builds []build, appPort int) (report.Table, error) {
	var e *envoys.Envoy
	var all []sized
	var cases []peers.Case
	for _, b := range builds {
		base := ""
		for _, s := range grown() {
			p := &peers.Peer{Name: b.name + ", " + s.what, Ours: true, Missing: b.Missing, CPU: func() (time.Duration, error) { return e.CPU() }}
			if s.base {
				base = p.Name
			}
			all = append(all, sized{b, s, p})
			cases = append(cases, peers.Case{Peer: p, Path: peers.CheckPath, Base: base})
		}
	}
	start := func() (_ []peers.Case, stop func(), err error) {
		e, stop, err = load(ctx, env, all, appPort, loadAll)
		if err != nil && ctx.Err() == nil {
			env.Logf("not all configurations load, trying each: %s", bench.FirstLineOf(err))
			drop(ctx, env, all, appPort)
			e, stop, err = load(ctx, env, all, appPort, loadAll)
		}
		return cases, stop, err
	}
	var t report.Table
	err := env.Alone(ctx, func() (err error) {
		t, err = peers.Compare(ctx, env, start)
		return err
	})
	t.ID, t.Title, t.Chart = "scale-checks", "Scale: health checks", ""
	t.About = "Health checks as above. The address that the check comes from is the last CIDR in the configuration, its endpoint " +
		"the last endpoint. All are listeners of one Envoy with one worker. Ratios are to the same with one."
	return t, err
}

// drop marks those that do not load as missing.
func drop(ctx context.Context, env *bench.Env, all []sized, appPort int) {
	for _, one := range all {
		if one.peer.Missing != "" {
			continue
		}
		_, stop, err := load(ctx, env, []sized{one}, appPort, loadOne)
		if err != nil {
			one.peer.Missing = fmt.Sprintf("it does not load within %s: %s", loadOne, bench.FirstLineOf(err))
			env.Logf("%s: %s", one.peer.Name, one.peer.Missing)
			continue
		}
		stop()
	}
}

// load starts an Envoy with one worker and a listener for each of these that is not missing, and waits no longer than the
// limit until all answer.
func load(ctx context.Context, env *bench.Env, all []sized, appPort int, limit time.Duration) (e *envoys.Envoy, stop func(), err error) {
	config, err := newConfig(env, appPort)
	if err != nil {
		return nil, nil, err
	}
	stop = config.Close
	defer func() {
		if err != nil {
			stop()
		}
	}()
	for i, s := range all {
		if s.peer.Missing != "" {
			continue
		}
		settings := config.Settings()
		s.edit(settings)
		id := fmt.Sprint(s.id, i)
		routes, filter := config.Gated(config.Routes(), config.Wasm(id, s.Path, settings))
		port, err := config.Listen(id, routes, filter)
		if err != nil {
			return nil, stop, err
		}
		s.peer.URL = "http://" + envoytest.Loopback(port)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := cpu.OnOne(func() (err error) {
		e, err = envoys.Start(ctx, env.Envoy, config, 1)
		return err
	}); err != nil {
		return nil, stop, err
	}
	stop = func() {
		_ = e.Stop() // it was measured
		config.Close()
	}
	for _, s := range all {
		if s.peer.Missing == "" {
			if err := envoys.Until(ctx, limit, s.peer.URL+peers.CheckPath, 200, "OK"); err != nil {
				return nil, stop, fmt.Errorf("%s: %w", s.peer.Name, err)
			}
		}
	}
	return e, stop, nil
}

func newConfig(env *bench.Env, appPort int) (*envoys.Config, error) {
	dir, err := os.MkdirTemp(env.Dir, "envoy-")
	if err != nil {
		return nil, err
	}
	return envoys.New(dir, appPort)
}

// shipped starts an Envoy with the shipped configuration and one build.
func shipped(ctx context.Context, env *bench.Env, b build, appPort, workers int, edit func(*envoys.Config)) (e *envoys.Envoy, stop func(), err error) {
	config, err := newConfig(env, appPort)
	if err != nil {
		return nil, nil, err
	}
	if edit != nil {
		edit(config)
	}
	routes, filter := config.Gated(config.Routes(), config.Wasm(b.id, b.Path, config.Settings()))
	port, err := config.Listen("ingress", routes, filter)
	if err == nil {
		e, err = envoys.Start(ctx, env.Envoy, config, workers)
	}
	if err != nil {
		config.Close()
		return nil, nil, err
	}
	stop = func() {
		_ = e.Stop() // it was measured
		config.Close()
	}
	if err := envoys.Until(ctx, time.Minute, "http://"+envoytest.Loopback(port)+peers.CheckPath, 200, "OK"); err != nil {
		stop()
		return nil, nil, err
	}
	return e, stop, nil
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
