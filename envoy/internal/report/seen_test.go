package report

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/healthgate/healthgate/envoy/admin"
	"github.com/healthgate/healthgate/envoy/internal/reach"
	"github.com/healthgate/healthgate/envoy/must"
	"github.com/healthgate/healthgate/filter/config"
)

// TestSeenFromReportToReport: what counts is a check that got the verdict, of the same Envoy, lately.
func TestSeenFromReportToReport(t *testing.T) {
	t.Parallel()
	const healthy, unhealthy = Checks + "e.verdict.healthy", Checks + "e.verdict.unhealthy"
	type reading struct {
		after   time.Duration // the first
		process string
		stats   map[string]uint64
	}
	first := reading{0, "p", map[string]uint64{healthy: 5, unhealthy: 5}}
	for _, test := range []struct {
		name    string
		then    []reading
		wait    time.Duration
		verdict string
		at      time.Duration
		want    bool
	}{
		{"counted before", nil, 0, "healthy", 0, false},
		{"no more", []reading{{time.Second, "p", first.stats}}, 0, "healthy", time.Second, false},
		{"one more", []reading{{time.Second, "p", map[string]uint64{healthy: 6}}}, 0, "healthy", time.Second, true},
		{"one of another verdict", []reading{{time.Second, "p", map[string]uint64{healthy: 5, unhealthy: 6}}}, 0, "healthy",
			time.Second, false},
		{"one, and then one of another verdict", []reading{{time.Second, "p", map[string]uint64{healthy: 6}},
			{2 * time.Second, "p", map[string]uint64{unhealthy: 6}}}, 0, "healthy", 3 * time.Second, false},
		{"one of another verdict, and then one", []reading{{time.Second, "p", map[string]uint64{unhealthy: 6}},
			{2 * time.Second, "p", map[string]uint64{healthy: 6}}}, 0, "healthy", 3 * time.Second, true},
		{"gauges alone name it failing", []reading{{time.Second, "p", map[string]uint64{unhealthy: 6}}}, 0, "failing",
			time.Second, true},
		{"the first of its verdict", []reading{{time.Second, "p", map[string]uint64{Checks + "e.verdict.maintenance": 1}}}, 0,
			"maintenance", time.Second, true},
		{"a moment ago", []reading{{time.Second, "p", map[string]uint64{healthy: 6}}}, 0, "healthy", 30 * time.Second, true},
		{"long ago", []reading{{time.Second, "p", map[string]uint64{healthy: 6}}}, 0, "healthy", 31 * time.Second, false},
		{"as old as the reading before", []reading{{time.Minute, "p", map[string]uint64{healthy: 6}}}, 0, "healthy",
			time.Minute, false},
		{"while others are waited for", []reading{{time.Second, "p", map[string]uint64{healthy: 6}}}, time.Minute, "healthy",
			32 * time.Second, true},
		{"of another process", []reading{{time.Second, "q", map[string]uint64{healthy: 6}}}, 0, "healthy", time.Second,
			false},
		{"metrics that were not shown", []reading{{time.Second, "p", map[string]uint64{}},
			{2 * time.Second, "p", first.stats}}, 0, "healthy", 2 * time.Second, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			begin, seen := time.Unix(1_800_000_000, 0), Seen{Wait: test.wait}
			for _, r := range append([]reading{first}, test.then...) {
				seen.configured(nil, r.process)
				seen.take(r.stats, begin.Add(r.after))
			}
			if got, _ := seen.shows(&Endpoint{Name: "e", Verdict: test.verdict}, begin.Add(test.at)); got != test.want {
				t.Errorf("%t, want %t", got, test.want)
			}
		})
	}
}

// A check that was answered before an update by xDS tells nothing of what is there since.
func TestSeenBeforeAnUpdate(t *testing.T) {
	t.Parallel()
	of := func(updated string) *reach.Envoy {
		var dump any
		must.Do(t, json.Unmarshal([]byte(`{"configs": [{"@type": "x.ListenersConfigDump", "dynamic_listeners": [
			{"active_state": {"last_updated": "`+updated+`", "listener": {"name": "l"}}}]}]}`), &dump))
		return reach.Read(dump, config.Node{}, nil)
	}
	begin, seen := time.Unix(1_800_000_000, 0), Seen{}
	for i, report := range []struct {
		updated string
		checks  uint64
		want    bool
	}{{"a", 0, false}, {"a", 1, true}, {"a", 1, true}, {"b", 1, false}, {"b", 2, true}} {
		seen.configured(of(report.updated), "p")
		seen.take(map[string]uint64{Checks + "e.verdict.healthy": report.checks}, begin)
		if got, _ := seen.shows(&Endpoint{Name: "e", Verdict: "healthy"}, begin); got != report.want {
			t.Errorf("report %d: %t", i, got)
		}
	}
}

// What Envoy begins with comes once: what came again is told by counters, and so is what can't be seen.
func TestReloaded(t *testing.T) {
	t.Parallel()
	const routes, filter = "http.ingress.rds.r.config_reload", "extension_config_discovery.http_filter.f.config_reload"
	for _, test := range []struct {
		stats      map[string]uint64
		discovered int
		want       bool
	}{
		{map[string]uint64{modifiedListeners: 0}, 0, false},
		{map[string]uint64{modifiedListeners: 1}, 0, true},
		{map[string]uint64{modifiedListeners: 0, removedListeners: 1}, 0, true},
		{map[string]uint64{modifiedListeners: 0, routes: 1, filter: 1}, 2, false},
		{map[string]uint64{modifiedListeners: 0, routes: 2}, 1, true},
		{map[string]uint64{modifiedListeners: 0, filter: 2}, 1, true},
		{map[string]uint64{modifiedListeners: 0, routes: 1}, 2, true},
		{map[string]uint64{}, 0, true},
	} {
		if got := reloaded(test.stats, test.discovered); got != test.want {
			t.Errorf("with %d discovered, %v: %t", test.discovered, test.stats, got)
		}
	}
}

// Ways in that are alike, as one for each family of addresses, are one. No metric tells by which of others checks came.
func TestUnlikeWays(t *testing.T) {
	t.Parallel()
	second := listener(`"name": "m"`, "")
	for text, want := range map[string]int{
		second: 1,
		strings.Replace(second, `"filter_chains": [{`, `"filter_chains": [{"transport_socket": {"name": "tls"}, `, 1): 2,
		strings.Replace(second, `"name": "m"`, `"name": "m", "listener_filters": [{"name": "proxy"}]`, 1):             2,
	} {
		var dump any
		must.Do(t, json.Unmarshal([]byte(strings.TrimSuffix(configured, "]}]}")+`, {"listener": `+text+"}]}]}"), &dump))
		if ways := reach.Read(dump, config.Node{}, nil).Ways("a"); len(ways) != want {
			t.Errorf("%q, want %d ways of %s", ways, want, text)
		}
	}
}

// An Envoy that answers no more while a check is waited for is not shown as it was.
func TestLostMeanwhile(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/runtime":
			fmt.Fprint(w, `{"layers": ["hand"], "entries": {}}`)
		case "/config_dump":
			fmt.Fprint(w, configured)
		case "/server_info":
			fmt.Fprint(w, `{"version": "x", "node": {"id": "n"}}`)
		case "/stats":
			if asked.Add(1) > 20 {
				panic(http.ErrAbortHandler)
			}
			fmt.Fprintf(w, "%s: 1\n%s: %d\n", probeUp+"p", Writes, asked.Load())
			for _, name := range []string{InMaintenance + "a", InMaintenance + "b", IsDraining, snapshotAge, stoppedListeners,
				drainingListeners, drainingChains} {
				fmt.Fprintln(w, name+": 0")
			}
		default:
			fmt.Fprint(w, "LIVE")
		}
	}))
	defer server.Close()
	client := must.Get(admin.New(server.URL, admin.Access{}))(t)
	r := FromAdmin(t.Context(), client, time.Now(), &Seen{Wait: time.Minute})
	if !strings.HasPrefix(r.Error, "its metrics can't be read: ") || len(r.Endpoints) > 0 {
		t.Errorf("%+v", r)
	}
}
