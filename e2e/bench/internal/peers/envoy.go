package peers

import (
	"context"
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

// startEnvoy starts an Envoy with one worker and a listener for each peer that is a filter or a route.
func (f *Fleet) startEnvoy(ctx context.Context, env *bench.Env, appPort int) error {
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
	peer(Peer{Name: HealthCheckFilter + ", gate", Checks: true}, native, config.Gated(healthCheck()))
	peer(Peer{Name: directResponse, Brief: true, Checks: true, Answers: "OK"}, native)
	peer(Peer{Name: "Lua filter", Brief: true, Checks: true, Answers: "OK", knowsSource: true, route: true}, native, lua(env.Root))
	wasm := Peer{Brief: true, Checks: true, Answers: "OK", knowsSource: true, runtimeKey: true, route: true, asksNodes: true}
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
		wasm.Name, wasm.Ours = m.name+", gate", m.ours
		peer(wasm, m.built, config.Gated(filter))
		wasm.Name = m.name + ", gate by route"
		enabled, onRoutes := byRoute(routes(config, false), filter)
		routed(wasm, m.built, onRoutes, enabled)
		wasm.Name = m.name + ", no gate"
		peer(wasm, m.built, filter)
	}
	if err != nil {
		return err
	}
	if err := cpu.OnOne(func() (err error) {
		f.envoy, err = envoys.Start(ctx, env.Envoy, config, 1)
		return err
	}); err != nil {
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

// routes returns the shipped maintenance route, and behind it, in place of an application: a normal request is answered
// by Envoy itself, which makes it the cheapest there is and a filter's share in it the largest. A check that gets as
// far as the routes was not answered, unless the route is what answers.
func routes(config *envoys.Config, answerChecks bool) []any {
	maintenance := config.Routes()[0].(envoys.Object)
	metadata := envoytest.At[envoys.Object](maintenance, "metadata", "filter_metadata")
	metadata["envoy.filters.http.lua"] = envoys.Object{"maintenance": true}
	check := answer(404, "not answered")
	if answerChecks {
		check = answer(200, "OK")
	}
	check["match"] = envoys.Object{"path": CheckPath}
	normal := answer(200, application)
	normal["match"] = envoys.Object{"prefix": "/"}
	return []any{maintenance, check, normal}
}

// byRoute disables a filter, and enables it on the routes of checks: the other gate that costs a normal request little.
func byRoute(routes []any, filter envoys.Object) (disabled envoys.Object, enabledOn []any) {
	name := envoytest.At[string](filter, "name")
	disabled = envoytest.Clone(filter)
	disabled["disabled"] = true
	for _, route := range routes {
		route := route.(envoys.Object)
		if match := envoytest.At[envoys.Object](route, "match"); match["path"] != nil {
			route["typed_per_filter_config"] = envoys.Object{
				name: envoytest.Any("envoy.config.route.v3.FilterConfig", envoys.Object{"config": envoys.Object{}}),
			}
		}
	}
	return disabled, routes
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
