package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// TestStartsDrained: an Envoy that starts drained answers no check with success, although nothing but draining could
// tell.
func TestStartsDrained(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	config := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	l := config.Listener("ingress")
	l.Change(func(s object) {
		delete(s, "probes")
		s["endpoints"] = []any{envoytest.Parse(`{"name": "e", "paths": ["` + check + `"],
			"trusted": {"cidrs": ["` + trusted + `/32"]}, "healthy": {"body": "OK"}}`)}
	})
	flags := t.TempDir()
	must.Do(t, os.WriteFile(filepath.Join(flags, "drain"), nil, 0o600))
	config.Bootstrap["flags_path"] = flags
	b := (&bench{app: a, envoy: envoytest.Launch(t, config, 2)}).at(l)
	w := watch(t, b.balancer)
	b.within(t, envoytest.Limit, 503, "DRAINING")
	b.everywhere(t, 503, "DRAINING")
	w.Saw(t, "503 UNKNOWN", "503 DRAINING")
	b.envoy.Post("/healthcheck/ok")
	b.within(t, interval+slack, 200, "OK")
}

// TestReadyIsClosed: an admin that does not allow /ready says nothing of draining, unless draining is ignored on
// purpose.
func TestReadyIsClosed(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	config := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	admin := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: envoytest.Loopback(config.AdminPort)})
	closed := app.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ready" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		admin.ServeHTTP(w, r)
	}))
	config.AddCluster("closed", closed.Port)
	for _, draining := range []string{"poll", "ignore"} {
		config.AddListener(draining).Change(func(s object) {
			s["admin"] = object{"cluster": "closed", "interval": "500ms", "timeout": "5s", "max_age": "1s", "draining": draining}
		})
	}
	b := start(t, a, config, 2)
	ignores, polls := b.at(config.Listener("ignore")), b.at(config.Listener("poll"))
	ignores.settle(t)
	ignores.everywhere(t, 200, "OK")
	envoytest.Eventually(t, envoytest.Limit, "the log says it", func() error {
		return b.envoy.Log.Has("wasm log poll ", `draining: cannot be read through cluster "closed": status 403`)
	})
	envoytest.Eventually(t, envoytest.Limit, "max_age passes", func() error {
		if n := closed.Count("/ready"); n < 6 {
			return fmt.Errorf("/ready was asked %d times", n)
		}
		return nil
	})
	for range 20 {
		polls.balancer.get(t, check).is(t, 503, "UNKNOWN")
	}
	if n := len(b.envoy.Log.Lines("draining: cannot be read")); n != 1 {
		t.Errorf("logged %d times", n)
	}
}

// TestWhatAProbeFound: a status is the application's only if something answered; each way to get none is told apart, in
// the log and by the status endpoint.
func TestWhatAProbeFound(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	var hangs atomic.Bool
	proxy := app.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if hangs.Load() {
			<-r.Context().Done()
			return
		}
		w.WriteHeader(http.StatusGatewayTimeout)
		_, _ = io.WriteString(w, "upstream request timeout") // what an Envoy in front of the application writes
	}))
	crash := app.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/within" {
			w.Header().Set("Content-Length", "9")
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
		}
		panic(http.ErrAbortHandler) // closes the connection
	}))
	gone := app.Start(t)
	gone.Vanish()
	a.Hold("/held")
	config := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	config.AddCluster("proxy", proxy.Port)
	config.AddCluster("crash", crash.Port)
	config.AddCluster("gone", gone.Port)
	config.AddCluster("full", a.Port)
	config.AddCluster("empty", a.Port)
	clusters := envoytest.At[[]any](config.Bootstrap, "static_resources", "clusters")
	full, empty := clusters[len(clusters)-2].(object), clusters[len(clusters)-1].(object)
	full["circuit_breakers"] = object{"thresholds": []any{
		object{"max_requests": 0, "max_pending_requests": 0, "max_connections": 0},
	}}
	empty["load_assignment"] = envoytest.Parse(`{"cluster_name": "empty"}`)
	config.Listener("ingress").Change(func(s object) {
		// Whatever status: one that no one sent is no success.
		const any = `, "expected_statuses": [{"start": 100, "end": 600}]}`
		s["probes"] = []interface{}{}
		for _, p := range []string{
			`{"name": "proxy", "cluster": "proxy", "path": "/"}`,
			`{"name": "gone", "cluster": "gone", "path": "/"` + any, `{"name": "held", "cluster": "app", "path": "/held"` + any,
			`{"name": "full", "cluster": "full", "path": "/"` + any, `{"name": "empty", "cluster": "empty", "path": "/"` + any,
			`{"name": "none", "cluster": "none", "path": "/"` + any, `{"name": "crash", "cluster": "crash", "path": "/"` + any,
			`{"name": "within", "cluster": "crash", "path": "/within"` + any,
		} {
			s["probes"] = append(s["probes"].([]interface{}), envoytest.Parse(p))
		}
		envoytest.At[object](s, "endpoints", 0)["probes"] = envoytest.Parse(`{"names": ["proxy"]}`)
	})
	b := start(t, a, config, 2)
	b.within(t, envoytest.Limit, 504, "FAILED")
	for probe, want := range map[string]struct{ line, output string }{
		"proxy":  {"status 504", "status 504"},
		"gone":   {"no response: ", "no connection"},
		"held":   {"timed out after 500ms, counts as 503", "timeout"},
		"full":   {`no healthy host, or an open circuit breaker, in cluster "full", counts as 503`, "no host"},
		"empty":  {`no healthy host, or an open circuit breaker, in cluster "empty", counts as 503`, "no host"},
		"none":   {`there is no cluster "none", counts as 503`, "no cluster"},
		"crash":  {"no response: ", "reset"},
		"within": {"reset within the response, counts as 503", "reset"},
	} {
		envoytest.Eventually(t, envoytest.Limit, "probe "+probe, func() error {
			line := fmt.Sprintf("probe %q: unhealthy: %s", probe, want.line)
			return errors.Join(b.envoy.Log.Has(line), b.probeShows(probe, want.output))
		})
	}
	envoytest.Eventually(t, envoytest.Limit, "the endpoint",
		b.shows(503, "fail", "my-service: proxy (504) failing; 0 of 1 healthy, 1 needed"))
	page := b.balancer.get(t, statusPath, "Accept: text/html").Body
	for _, cell := range []string{"504", "timeout", "no connection", "no host", "no cluster", "reset"} {
		if !strings.Contains(page, "<td>"+cell+"<td>") || strings.Contains(page, "<td>503") {
			t.Errorf("the page lacks %s, or shows a 503 that no one sent: %s", cell, page)
		}
	}

	hangs.Store(true) // checks change from 504 to 503, and so does everything that says why
	b.within(t, envoytest.Limit, 503, "FAILED")
	envoytest.Eventually(t, envoytest.Limit, "the endpoint",
		b.shows(503, "fail", "my-service: proxy (timeout) failing; 0 of 1 healthy, 1 needed"))
	envoytest.Eventually(t, envoytest.Limit, "the log says it", func() error {
		const line = `probe "proxy": still unhealthy: timed out after 500ms, counts as 503`
		return errors.Join(b.envoy.Log.Has(line), b.probeShows("proxy", "timeout"))
	})
}

// TestTwoEndpointsOfOneState: plugins that ask the same share a leader, and each tells of its own endpoints, whoever
// leads.
func TestTwoEndpointsOfOneState(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	config := envoytest.Shipped(t, envoytest.FaultyWasm(t), a.Port)
	other := config.AddListener("other")
	other.Change(func(s object) { envoytest.At[object](s, "endpoints", 0)["name"] = "other-service" })
	b := start(t, a, config, 2)
	second := b.at(other)
	b.settle(t)
	second.settle(t)
	envoytest.Repeat(t, 50*time.Millisecond, func() { // a check loads the VM again that crashed on its worker
		_, _ = b.balancer.request("GET", check, "")
		_, _ = second.balancer.request("GET", check, "")
	})
	const gauge = "wasmcustom.healthgate_maintenance.endpoint."
	for round, value := range []string{"true", "", "true", ""} {
		b.envoy.SetRuntime(key, value)
		want := 1 - round%2
		b.becomes(t, gauge+"my-service", want)
		b.becomes(t, gauge+"other-service", want)
		for _, name := range []string{"my-service", "other-service"} {
			envoytest.Eventually(t, envoytest.Limit, "the log tells of "+name, func() error {
				if n := len(b.envoy.Log.Lines(fmt.Sprintf("maintenance: endpoint %q: ", name))); n != round+1 {
					return fmt.Errorf("%d times, want %d", n, round+1)
				}
				return nil
			})
		}
		killLeader(t, b)
	}
}

// TestOldFindings: a leader that dies again and again writes a fresh record of old findings, and they do not count.
func TestOldFindings(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	config := envoytest.Shipped(t, envoytest.FaultyWasm(t), a.Port)
	b := start(t, a, config, 4)
	b.settle(t)
	release := make([]func(), len(nodes))
	for i, node := range nodes { // no result comes any more, of a probe that would fail
		release[i] = a.Hold(alive(node))
	}
	began := time.Now()
	stop := envoytest.Repeat(t, 300*time.Millisecond, func() { _ = b.orders(crashLeader)() })
	envoytest.Eventually(t, 2*envoytest.Limit, "findings are old", func() error {
		if time.Since(began) < 12*time.Second {
			return errors.New("not yet")
		}
		return nil
	})
	for range 40 {
		if r, err := b.balancer.request("GET", check, ""); err == nil && r.Status == 200 {
			t.Errorf("%v after the last result, got %v", time.Since(began), r)
		}
	}
	stop()
	for _, f := range release {
		f()
	}
	b.within(t, envoytest.Limit, 200, "OK")
}
