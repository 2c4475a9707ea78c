package simtest

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/hostsim"
)

func TestRuntimeKeys(t *testing.T) {
	t.Parallel()
	s := newReady(t, watchdog, hostsim.Workers(2))
	s.wantHealthy()
	seen := len(s.stateLog())

	s.Admin().SetRuntime("maintenance", "true")
	s.Admin().SetRuntime("maintenance.reason", "disk \"swap\"\n")
	s.Advance(time.Second)
	s.wantMaintenance()
	s.want("/healthz", 200, "", "healthgate_healthy") // an endpoint of its own
	if r := s.ask(0, "/shop"); !r.Forwarded {
		t.Error("other traffic was stopped")
	}
	s.wantMetric("healthgate_maintenance.endpoint.my-service", 1)
	s.wantMetric("healthgate_maintenance.endpoint.middleware", 0)

	s.Admin().SetRuntime("maintenance", "off")
	s.Advance(time.Second)
	s.wantHealthy()
	s.wantMetric("healthgate_maintenance.endpoint.my-service", 0)
	s.wantLog(seen,
		`warning maintenance: endpoint "my-service": on: key "maintenance" = "true", reason "disk \"swap\"\n"`,
		`info maintenance: endpoint "my-service": off`)
}

func TestPlaceholders(t *testing.T) {
	t.Parallel()
	keys := `["m.{node_id}", "m.{cluster}", "m.{region}", "m.{zone}"]`
	config := strings.Replace(watchdog, `["maintenance", "maintenance.zone.{zone}"]`, keys, 1)
	for _, key := range []string{"m.node-1", "m.shop", "m.north", "m.north-a"} {
		s := newReady(t, config)
		s.Admin().SetRuntime(key, "1")
		s.Advance(time.Second)
		s.wantMaintenance()
	}
}

func TestKeyWithoutItsPlaceIsIgnored(t *testing.T) {
	t.Parallel()
	s := newReady(t, watchdog, hostsim.Workers(4), hostsim.Node{ID: "node-1"})
	s.Admin().SetRuntime("maintenance.zone.", "true")
	s.Advance(time.Second)
	s.wantHealthy()
	// Each VM reads the configuration, the canary as well; one says what is wrong with it.
	if n := strings.Count(s.LogText(), `config: endpoints[0].maintenance.keys[1]: "maintenance.zone.{zone}" is ignored`); n != 1 {
		t.Errorf("%d times in the log:\n%s", n, s.LogText())
	}
}

func TestMaintenanceUntil(t *testing.T) {
	t.Parallel()
	s := newReady(t, watchdog)
	until := s.Now().Add(5 * time.Second)
	s.Admin().SetRuntime("maintenance", until.Format(time.RFC3339Nano))
	s.Advance(time.Second)
	s.wantMaintenance()
	// The end needs no leader and no admin: the check itself looks at the clock.
	s.FaultAllCallouts("envoy_admin", &hostsim.CalloutFault{Kind: hostsim.CalloutConnectFailure})
	s.Advance(until.Sub(s.Now()) - time.Millisecond)
	s.wantMaintenance()
	s.Advance(time.Millisecond)
	s.wantHealthy()
	s.Advance(time.Second)
	if log := strings.Join(s.stateLog(), "\n"); !strings.Contains(log, `maintenance: endpoint "my-service": off`) {
		t.Errorf("log:\n%s", log)
	}
}

func TestUnrecognizedValueIsOn(t *testing.T) {
	t.Parallel()
	s := newReady(t, watchdog)
	s.Admin().SetRuntime("maintenance", "tomorrow")
	s.Advance(5 * time.Second)
	s.wantMaintenance()
	s.wantMetric("healthgate_runtime_values_unrecognized_total", 1) // once, not at each poll
	if n := strings.Count(s.LogText(), `key "maintenance" = "tomorrow" is neither`); n != 1 {
		t.Errorf("logged %d times:\n%s", n, s.LogText())
	}
}

// TestRuntimeValues: what was cut or cannot be read is on, and logged; Envoy's own ways to say 0 are off.
func TestRuntimeValues(t *testing.T) {
	t.Parallel()
	s := newReady(t, watchdog)
	for _, tt := range []struct {
		value     string
		on, known bool
	}{
		{strings.Repeat(" ", 300) + "true", true, false},
		{strings.Repeat(" ", 10), true, false},
		{"[]", true, false},
		{`"false"`, false, true},
		{`{"numerator": 0, "denominator": "HUNDRED"}`, false, true},
		{`{"numerator": 1, "denominator": "HUNDRED"}`, true, true},
		{"fields {\n  key: \"numerator\"\n  value {\n    number_value: 0\n  }\n}\n", false, true},
	} {
		seen := len(s.stateLog())
		s.Admin().SetRuntime("maintenance", tt.value)
		s.Advance(time.Second)
		if tt.on {
			s.wantMaintenance()
		} else {
			s.wantHealthy()
		}
		log := strings.Join(s.stateLog()[seen:], "\n")
		if logged := strings.Contains(log, "is neither a truth value"); logged == tt.known {
			t.Errorf("%q: log:\n%s", tt.value, log)
		}
	}
}

func TestRouteMetadata(t *testing.T) {
	t.Parallel()
	s := newReady(t, watchdog)
	for _, tt := range []struct {
		value any
		on    bool
	}{{true, true}, {false, false}, {1.0, true}, {0.0, false}, {"yes", true}, {"no", false}} {
		r := s.Worker(0).Do(&hostsim.Request{Path: check, Peer: balancer,
			RouteMetadata: map[string]map[string]any{"healthgate": {"maintenance": tt.value}}})
		if (r.Status == 503) != tt.on {
			t.Errorf("%v: got %d", tt.value, r.Status)
		}
	}
	s.wantHealthy() // it was for those requests alone
}

// Whether routes have other metadata makes no difference, nor which of them was chosen before.
func TestRouteMetadataAmongOthers(t *testing.T) {
	t.Parallel()
	s := newReady(t, watchdog)
	type metadata = map[string]map[string]any
	routes := []metadata{nil, {"istio": {"config": "x"}}, {"healthgate": {"owner": "x"}}, {"healthgate": {"maintenance": true}}}
	for _, before := range routes {
		for i, route := range routes {
			s.Worker(0).Do(&hostsim.Request{Path: check, Peer: balancer, RouteMetadata: before})
			want := 200
			if i == 3 {
				want = 503
			}
			if r := s.Worker(0).Do(&hostsim.Request{Path: check, Peer: balancer, RouteMetadata: route}); r.Status != want {
				t.Errorf("%v after %v: got %d", route, before, r.Status)
			}
		}
		s.Advance(time.Second)
	}
}

func TestDraining(t *testing.T) {
	t.Parallel()
	s := newReady(t, watchdog, hostsim.Workers(2))
	seen := len(s.stateLog())
	s.Admin().SetDraining(true)
	s.Advance(time.Second)
	s.want(check, 503, "DRAINING", "healthgate_draining")
	s.want("/healthz", 503, "DRAINING", "healthgate_draining")
	s.wantMetric("healthgate_draining", 1)
	s.Admin().SetRuntime("maintenance", "on")
	s.Advance(time.Second)
	s.wantMaintenance() // comes before draining
	s.Admin().SetRuntime("maintenance", "")
	s.Admin().SetDraining(false)
	s.Advance(time.Second)
	s.wantHealthy()
	s.wantMetric("healthgate_draining", 0)
	s.wantLog(seen, `warning draining: on`,
		`warning maintenance: endpoint "my-service": on: key "maintenance" = "on"`,
		`info maintenance: endpoint "my-service": off`, `info draining: off`)
}

func TestRestartDuringMaintenanceShowsNoHealthySecond(t *testing.T) {
	t.Parallel()
	s := newSim(t, watchdog, hostsim.Workers(4))
	s.Admin().SetRuntime("maintenance", "true")
	for range 200 {
		for i := range s.Workers() {
			if r := s.ask(i, check); r.Status == 200 {
				t.Fatalf("%v: worker %d answered 200", s.Elapsed(), i)
			}
		}
		s.Advance(10 * time.Millisecond)
	}
	s.wantMaintenance()
}

// brokenAdmin are ways in which admin can fail. After a poll that timed out, the next one waits for twenty times as long.
var brokenAdmin = map[string]struct {
	handler        http.Handler
	fault          *hostsim.CalloutFault
	runtime, ready string // what the log says
	rest           time.Duration
}{
	"refused": {fault: &hostsim.CalloutFault{Kind: hostsim.CalloutConnectFailure},
		runtime: `no response: remote connection failure`, ready: `no response: remote connection failure`},
	"hanging": {fault: &hostsim.CalloutFault{Kind: hostsim.CalloutNever},
		runtime: `timed out after 2s`, ready: `timed out after 2s`, rest: 40 * time.Second},
	"no host": {fault: &hostsim.CalloutFault{Kind: hostsim.CalloutInlineFailure},
		runtime: `no healthy host, or an open circuit breaker, in cluster "envoy_admin"`,
		ready:   `no healthy host, or an open circuit breaker, in cluster "envoy_admin"`},
	"refusing": {handler: http.NotFoundHandler(), runtime: `status 404`, ready: `status 404 without the name of a state`},
	"login": {handler: answering(200, "<html>LIVE\n"),
		runtime: `not the JSON of /runtime?format=json`, ready: `status 200 without the name of a state`},
}

func answering(status int, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
}

func (s *sim) breakAdmin(name string) {
	s.Admin().SetHandler(brokenAdmin[name].handler)
	s.FaultAllCallouts("envoy_admin", brokenAdmin[name].fault)
}

func TestRuntimeUnreadable(t *testing.T) {
	t.Parallel()
	for name, broken := range brokenAdmin {
		for _, onStale := range []string{"keep", "fail"} {
			t.Run(name+"/"+onStale, func(t *testing.T) {
				t.Parallel()
				s := newReady(t, strings.Replace(watchdog, `"envoy_admin"}`, `"envoy_admin", "on_stale": "`+onStale+`"}`, 1))
				s.wantHealthy()
				seen := len(s.stateLog())
				s.breakAdmin(name)
				s.Advance(9 * time.Second)
				s.wantHealthy() // max_age is 10 s
				s.Advance(3 * time.Second)
				if onStale == "keep" {
					s.wantHealthy()
				} else {
					s.wantUnknown()
				}
				if n, _ := s.Metric("healthgate_callout_failures_total.callout.admin_runtime"); n != 1 && (broken.rest != 0 || n < 10) {
					t.Errorf("%d callout failures were counted", n)
				}
				s.Admin().SetHandler(nil)
				s.FaultAllCallouts("envoy_admin", nil)
				s.Advance(2*time.Second + broken.rest)
				s.wantHealthy()
				log := strings.Join(s.stateLog()[seen:], "\n")
				for _, line := range []string{
					`warning runtime: cannot be read through cluster "envoy_admin": ` + broken.runtime,
					`warning draining: cannot be read through cluster "envoy_admin": ` + broken.ready,
					`info runtime: read again`, `info draining: read again`,
				} {
					if strings.Count(log, line) != 1 {
						t.Errorf("log:\n%s\nwant once: %s", log, line)
					}
				}
			})
		}
	}
}

func TestMaintenanceOutlivesAnUnreadableRuntime(t *testing.T) {
	t.Parallel()
	for _, onStale := range []string{"keep", "fail"} {
		s := newReady(t, strings.Replace(watchdog, `"envoy_admin"}`, `"envoy_admin", "on_stale": "`+onStale+`"}`, 1))
		s.Admin().SetRuntime("maintenance", "true")
		s.Advance(time.Second)
		s.breakAdmin("refused")
		s.Advance(time.Minute)
		s.wantMaintenance()
	}
}

// There is nothing to keep of what was never read.
func TestNeverRead(t *testing.T) {
	t.Parallel()
	for _, onStale := range []string{"keep", "fail"} {
		s := newSim(t, strings.Replace(watchdog, `"envoy_admin"}`, `"envoy_admin", "on_stale": "`+onStale+`"}`, 1))
		s.breakAdmin("refused")
		for range 30 {
			s.Advance(time.Second)
			s.wantUnknown()
			s.want("/healthz", 503, "UNKNOWN", "healthgate_unknown")
		}
		s.FaultAllCallouts("envoy_admin", nil)
		s.Advance(2 * time.Second)
		s.wantHealthy()
		s.want("/healthz", 200, "", "healthgate_healthy")
	}
}
