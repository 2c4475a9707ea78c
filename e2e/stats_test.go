package e2e

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// TestStats: checks follow what Envoy's active health checks, its outlier detection and its gauges say.
func TestStats(t *testing.T) {
	t.Parallel()
	const name = "pool.v1:80" // Envoy writes it otherwise in statistics
	a := app.Start(t)
	config := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	var hosts [4]atomic.Value // what each answers
	var members []any
	for i := range hosts {
		hosts[i].Store("healthy")
		host := app.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			switch hosts[i].Load() {
			case "degraded":
				w.Header().Set("x-envoy-degraded", "1")
			case "failing":
				w.WriteHeader(500)
			}
		}))
		members = append(members, envoytest.Parse(`{"endpoint": {"address": {"socket_address":
			{"address": "127.0.0.1", "port_value": `+strconv.Itoa(host.Port)+`}}}}`))
	}
	config.AddCluster(name, a.Port)
	for _, c := range envoytest.At[[]any](config.Bootstrap, "static_resources", "clusters") {
		switch c := c.(object); c["name"] {
		case name:
			c["load_assignment"].(object)["endpoints"] = []any{object{"lb_endpoints": members}}
			c["health_checks"] = []any{envoytest.Parse(`{"timeout": "5s", "interval": "0.1s", "no_traffic_interval": "0.1s",
				"unhealthy_threshold": 1, "healthy_threshold": 1, "http_health_check": {"path": "/"}}`)}
		case "app":
			c["outlier_detection"] = envoytest.Parse(`{"consecutive_5xx": 1, "interval": "0.2s", "base_ejection_time": "5s",
				"max_ejection_percent": 100}`)
		}
	}
	config.Listener("ingress").Change(func(s object) {
		s["probes"] = []any{
			envoytest.Parse(`{"name": "pool", "cluster_health": {"cluster": "` + name + `", "min_healthy_percent": 50},
				"interval": "100ms", "timeout": "5s"}`),
			envoytest.Parse(`{"name": "app", "cluster_health": {"cluster": "app", "min_healthy_percent": 100},
				"interval": "100ms", "timeout": "5s"}`),
			envoytest.Parse(`{"name": "load", "gauge": {"stat": "cluster.app.upstream_rq_active", "above": 2},
				"interval": "100ms", "timeout": "5s"}`),
		}
		envoytest.At[object](s, "endpoints", 0)["probes"] = object{"names": []any{"pool", "app", "load"}}
	})
	b := start(t, a, config, 2)
	release := func() {}
	get := func(path string, times int) {
		for range times {
			go func() { _, _ = b.stranger.request("GET", path, "") }() // the application says what came
		}
	}
	const total = "cluster.pool.v1_80.membership_total is 4, cluster.pool.v1_80.membership_healthy is "
	for _, step := range []struct {
		name, log string
		change    func()
		status    int
	}{
		{"all is well", `probe "pool": healthy: ` + total, func() {}, 200},
		{"three of four hosts fail", `probe "pool": unhealthy: ` + total + "1", func() {
			for i := range 3 {
				hosts[i].Store("failing")
			}
		}, 503},
		{"a degraded one counts", `probe "pool": healthy: ` + total + "1, cluster.pool.v1_80.membership_degraded is 1",
			func() { hosts[0].Store("degraded") }, 200},
		{"outlier detection ejects the application", `probe "app": unhealthy: cluster.app.membership_total is 1, ` +
			"cluster.app.membership_healthy is 0", func() { a.Answer("/boom", 500); get("/boom", 1) }, 503},
		{"and takes it back", `probe "app": healthy: `, func() {}, 200},
		{"four requests at once", `probe "load": unhealthy: cluster.app.upstream_rq_active is `,
			func() { release = a.Hold("/slow"); get("/slow", 4) }, 503},
		{"and none", `probe "load": healthy: cluster.app.upstream_rq_active is 0`, func() { release() }, 200},
	} {
		step.change()
		b.within(t, envoytest.Limit, step.status, map[int]string{200: "OK", 503: "FAILED"}[step.status])
		envoytest.Eventually(t, envoytest.Limit, step.name, func() error { return b.envoy.Log.Has(step.log) })
	}
}

// TestStatsMissing: what Envoy's statistics do not say is not known; that a cluster is not there, they do say.
func TestStatsMissing(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	config := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	tests := []struct{ name, probe, log, body string }{
		{"no-such-cluster", `"cluster_health": {"cluster": "gone", "min_healthy_percent": 0}`,
			`probe "p": unhealthy: Envoy shows no gauge cluster.gone.membership_total`, "FAILED"},
		{"no-such-gauge", `"gauge": {"stat": "server.no", "above": 0}`,
			`probe "p": cannot be read through cluster "envoy_admin": Envoy shows no gauge server.no`, "UNKNOWN"},
		{"a-counter", `"gauge": {"stat": "cluster.app.upstream_cx_total", "above": 0}`,
			`probe "p": cannot be read through cluster "envoy_admin": Envoy shows no gauge `, "UNKNOWN"},
	}
	for _, test := range tests {
		probes(config.AddListener(test.name), test.probe)
	}
	b := start(t, a, config, 1)
	for _, test := range tests {
		b.finds(t, config.Listener(test.name), test.log, test.body)
	}
}

// probes gives a listener one probe, of Envoy's statistics.
func probes(l *envoytest.Listener, probe string) {
	l.Change(func(s object) {
		s["probes"] = []any{envoytest.Parse(`{"name": "p", "interval": "100ms", "timeout": "5s", ` + probe + `}`)}
		envoytest.At[object](s, "endpoints", 0)["probes"] = object{"names": []any{"p"}}
	})
}

// finds waits until a listener's plugin has logged something, and until its check fails.
func (b *bench) finds(t *testing.T, l *envoytest.Listener, log, body string) {
	t.Helper()
	name := l.Object["name"].(string)
	envoytest.Eventually(t, envoytest.Limit, name, func() error { return b.envoy.Log.Has("wasm log "+name+" ", log) })
	b.at(l).within(t, envoytest.Limit, 503, body)
}
