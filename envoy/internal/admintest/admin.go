// Package admintest is an Envoy's admin interface without an Envoy, of which tests may have hundreds.
package admintest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/healthgate/healthgate/envoy/admin"
	"github.com/healthgate/healthgate/envoy/internal/report"
	"github.com/healthgate/healthgate/filter/maintenance"
	"github.com/healthgate/healthgate/filter/verdict"
)

// Key switches the one health check, shop, of which the configuration has nothing in the way.
const Key = "healthgate.maintenance"

const dump = `{"configs": [
{"@type": "x.BootstrapConfigDump", "last_updated": "BEGUN", "bootstrap": {"layered_runtime": {"layers": [
  {"name": "admin", "admin_layer": {}}]}}},
{"@type": "x.ClustersConfigDump", "static_clusters": [{"cluster": {"name": "adm"}}, {"cluster": {"name": "app"}}]},
{"@type": "x.ListenersConfigDump", "static_listeners": [{"listener": {"name": "l", "filter_chains": [{"filters": [{
  "typed_config": {"@type": "x.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "l",
  "http_filters": [{"name": "hg", "typed_config": {"@type": "x.filters.http.wasm.v3.Wasm", "config": {
    "failure_policy": "FAIL_RELOAD", "configuration": {"value": {
    "endpoints": [{"name": "shop", "paths": ["/hc"], "trusted": {"cidrs": ["10.0.0.0/8"]},
      "maintenance": {"keys": ["` + Key + `"]}, "probes": {"names": ["web"]}}],
    "probes": [{"name": "web", "cluster": "app", "path": "/"}], "admin": {"cluster": "adm"}}}}}}],
  "route_config": {"virtual_hosts": [{"domains": ["*"], "routes": [
    {"match": {"prefix": "/"}, "route": {"cluster": "app"}}]}]}}}]}]}}]}]}`

// Admin is what is asked and told. Its health check gets what its runtime and probe say.
type Admin struct {
	*httptest.Server
	// Before is called at each request, and may answer it.
	Before func(w http.ResponseWriter, r *http.Request) (answered bool)
	// Filters are JSON, of HTTP filters before the plugin, each with a comma.
	Filters string
	// Rests is JSON, of what the health check rests on in place of its probe.
	Rests string
	// Asks is whether a load balancer sends a check between two looks at the metrics; nil: none ever does.
	Asks func(out bool) bool

	mu      sync.Mutex
	runtime map[string]string
	up      bool
	drains  bool
	posts   int
	writes  int // of the plugin's record
	counts  map[verdict.Kind]int
}

// Start starts an admin whose instance is healthy.
func Start(t testing.TB) *Admin {
	a := &Admin{runtime: map[string]string{}, up: true, counts: map[verdict.Kind]int{}}
	a.Server = httptest.NewUnstartedServer(a) // so that who is asked by another process has seen all of it
	a.Server.Start()
	t.Cleanup(a.Close)
	return a
}

// Runtime returns the keys of the admin layer.
func (a *Admin) Runtime() map[string]string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.runtime)
}

// Posts returns how often it was told something.
func (a *Admin) Posts() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.posts
}

// Out reports whether its health check fails.
func (a *Admin) Out() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.out()
}

func (a *Admin) out() bool { return !a.up || a.drains || a.inMaintenance() }

func (a *Admin) inMaintenance() bool {
	key, _ := maintenance.ParseSwitch(a.runtime[Key])
	return key.Active(report.Clock(time.Now()))
}

// Probe says whether the application's probe is up.
func (a *Admin) Probe(up bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.up = up
}

func (a *Admin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.Before != nil && a.Before(w, r) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.Method == http.MethodPost {
		a.posts++
	}
	switch r.URL.Path {
	case "/runtime":
		answer := admin.Runtime{Layers: []string{"admin"}, Entries: map[string]admin.Entry{}}
		for key, value := range a.runtime {
			answer.Entries[key] = admin.Entry{Value: value, Layers: []string{value}}
		}
		_ = json.NewEncoder(w).Encode(answer)
	case "/runtime_modify":
		for key, values := range r.URL.Query() {
			if a.runtime[key] = values[0]; values[0] == "" {
				delete(a.runtime, key)
			}
		}
		fmt.Fprint(w, "OK\n")
	case "/stats":
		a.stats(w, regexp.MustCompile(r.URL.Query().Get("filter")))
	case "/healthcheck/fail", "/healthcheck/ok":
		a.drains = r.URL.Path == "/healthcheck/fail"
		fmt.Fprint(w, "OK\n")
	case "/drain_listeners":
		fmt.Fprint(w, "OK\n")
	case "/ready":
		fmt.Fprint(w, map[bool]string{true: "DRAINING", false: "LIVE"}[a.drains])
	case "/config_dump":
		const filters, rests = `"http_filters": [`, `"probes": {"names": ["web"]}` // BEGUN tells one from another, too
		fmt.Fprint(w, strings.NewReplacer("BEGUN", a.URL, filters, filters+a.Filters, rests, cmp.Or(a.Rests, rests)).
			Replace(dump))
	case "/server_info":
		fmt.Fprint(w, `{"version": "x", "node": {"id": "n"}}`)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (a *Admin) stats(w http.ResponseWriter, asked *regexp.Regexp) {
	number := map[bool]int{true: 1}
	a.writes++
	if a.Asks != nil && a.Asks(a.out()) {
		switch {
		case a.inMaintenance():
			a.counts[verdict.Maintenance]++
		case a.drains:
			a.counts[verdict.Draining]++
		case a.up:
			a.counts[verdict.Healthy]++
		default:
			a.counts[verdict.Unhealthy]++
		}
	}
	const prefix = "wasmcustom.healthgate_"
	for _, of := range []string{"listener_stopped", "total_listeners_draining", "total_filter_chains_draining"} {
		if name := "listener_manager." + of; asked.MatchString(name) {
			fmt.Fprintln(w, name+": 0")
		}
	}
	counts := map[string]int{
		"maintenance.endpoint.shop": number[a.inMaintenance()],
		"probe_up.probe.web":        number[a.up],
		"draining":                  number[a.drains],
		"snapshot_age_seconds":      0,
		"snapshot_writes_total":     a.writes,
	}
	if name := "http.l.downstream_rq_active"; asked.MatchString(name) {
		fmt.Fprintln(w, name+": 0")
	}
	for k := range verdict.Kind(verdict.Kinds) {
		counts["checks_total.endpoint.shop.verdict."+k.String()] = a.counts[k]
	}
	for name, value := range counts {
		if asked.MatchString(prefix + name) {
			fmt.Fprintf(w, "%s%s: %d\n", prefix, name, value)
		}
	}
}
