package peers

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"time"

	"github.com/healthgate/healthgate/e2e/bench/internal/bench"
	"github.com/healthgate/healthgate/e2e/bench/internal/cpu"
	"github.com/healthgate/healthgate/e2e/bench/internal/envoys"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

const application = "application\n"

// NoFilter is the peer that normal traffic is compared with, HealthCheckFilter the one that checks are.
const (
	NoFilter          = "no filter"
	HealthCheckFilter = "`health_check` filter"
)

// ByRoute ends the name of a filter behind the shipped gate.
const ByRoute = ", gate by route"

// startEnvoy starts an Envoy with one worker and a listener for each peer that is a filter or a route, on the CPU that it
// is to share with wrk or on any.
func (f *Fleet) startEnvoy(ctx context.Context, env *bench.Env, appPort int, onOne bool) error {
	config, err := envoys.New(env.Dir, appPort)
	if err != nil {
		return err
	}
	f.stops = append(f.stops, config.Close)
	routed := func(p Peer, built bench.Artifact, routes []any, filters ...any) {
		p.Passes, p.TrafficBase, p.Missing = true, NoFilter, built.Missing
		f.Peers = append(f.Peers, &p)
		if p.Missing != "" || err != nil {
			return
		}
		var port int
		port, err = config.Listen(p.Name, routes, filters...)
		p.URL = "http://" + envoytest.Loopback(port)
		p.CPU = func() (time.Duration, error) { return f.envoy.CPU() }
	}
	peer := func(p Peer, built bench.Artifact, filters ...any) {
		routed(p, built, routes(config, p.Name == directResponse), filters...)
	}
	native := bench.Artifact{}
	peer(Peer{Name: NoFilter, Brief: true}, native)
	peer(Peer{Name: HealthCheckFilter, Brief: true, Checks: true}, native, healthCheck())
	byRoute := func(p Peer, built bench.Artifact, filter envoys.Object) {
		p.Name += ByRoute
		enabling, disabled := config.Gated(routes(config, false), filter)
		routed(p, built, enabling, disabled)
	}
	byMatcher := func(p Peer, built bench.Artifact, filter envoys.Object) {
		p.Name += ", gate by matcher"
		gate, _, failed := envoytest.ByMatcher(filter)
		err = errors.Join(err, failed)
		peer(p, built, gate)
	}
	byRoute(Peer{Name: HealthCheckFilter, Checks: true}, native, healthCheck())
	byMatcher(Peer{Name: HealthCheckFilter, Checks: true}, native, healthCheck())
	peer(Peer{Name: directResponse, Checks: true, Answers: "OK"}, native)
	peer(Peer{Name: "Lua filter", Checks: true, Answers: "OK", knowsSource: true, route: true}, native, lua(env.Root))
	wasm := Peer{Checks: true, Answers: "OK", knowsSource: true, runtimeKey: true, route: true, asksNodes: true}
	for _, m := range []struct {
		name, id string
		ours     bool
		built    bench.Artifact
	}{
		{"Rust SDK filter", "rust", false, Rust(ctx, env)},
		{"healthgate", "healthgate", true, env.Healthgate()},
		{"healthgate, TinyGo", "tinygo", true, env.TinyGo(ctx)},
	} {
		filter := config.Wasm(m.id, m.built.Path, config.Settings())
		wasm.Name, wasm.Ours, wasm.Brief = m.name, m.ours, m.ours
		byRoute(wasm, m.built, filter)
		wasm.Brief = false
		byMatcher(wasm, m.built, filter)
		wasm.Name = m.name + ", no gate"
		peer(wasm, m.built, filter)
	}
	if err != nil {
		return err
	}
	start := func() (err error) {
		f.envoy, err = envoys.Start(ctx, env.Envoy, config, 1)
		return err
	}
	if onOne {
		err = cpu.OnOne(start)
	} else {
		err = start()
	}
	if err != nil {
		return err
	}
	f.stops = append(f.stops, func() {
		if err := f.envoy.Stop(); err != nil {
			env.Logf("Envoy: %v", err)
		}
	})
	return nil
}

const directResponse = "`direct_response` route"

// routes returns the shipped routes, which answer themselves instead of leading to an application: a normal request is
// the cheapest there is then, and a filter's share in it the largest. A check that gets as far as the routes was not
// answered, unless the route is what answers.
func routes(config *envoys.Config, answerChecks bool) []any {
	out := config.Routes()
	for i, route := range out {
		route := route.(envoys.Object)
		reply := answer(404, "not answered")
		switch match := envoytest.At[envoys.Object](route, "match"); {
		case i == len(out)-1:
			reply = answer(200, application)
		case match["runtime_fraction"] != nil: // the maintenance route
			envoytest.At[envoys.Object](route, "metadata", "filter_metadata")["envoy.filters.http.lua"] = envoys.Object{"maintenance": true}
			continue
		case match["path"] == CheckPath && answerChecks:
			reply = answer(200, "OK")
		}
		delete(route, "route")
		maps.Copy(route, reply)
	}
	return out
}

func answer(status int, body string) envoys.Object {
	return envoys.Object{"direct_response": envoys.Object{"status": status, "body": envoys.Object{"inline_string": body}}}
}

func healthCheck() envoys.Object {
	return envoys.Object{
		"name": "health_check",
		"typed_config": envoytest.Any("envoy.extensions.filters.http.health_check.v3.HealthCheck", envoys.Object{
			"pass_through_mode": false,
			"headers":           []any{envoys.Object{"name": ":path", "string_match": envoys.Object{"exact": CheckPath}}},
		}),
	}
}

func lua(root string) envoys.Object {
	return envoys.Object{
		"name": "envoy.filters.http.lua",
		"typed_config": envoytest.Any("envoy.extensions.filters.http.lua.v3.Lua", envoys.Object{
			"default_source_code": envoys.Object{"filename": filepath.Join(root, "e2e", "bench", "peers", "lua", "healthcheck.lua")},
		}),
	}
}
