package simtest

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/filter/lease"
	"github.com/healthgate/healthgate/filter/snapshot"
	"github.com/healthgate/healthgate/hostsim"
)

// crashEach lets the VM die in each of the next calls of an export.
func (s *sim) crashEach(export string) {
	for n := range 5000 {
		s.Inject(hostsim.TrapAt(export, n+1))
	}
}

// closedReady is an admin endpoint whose /ready is answered by something else.
func closedReady(s **sim, ready http.Handler) []hostsim.Option {
	return []hostsim.Option{hostsim.Admin(""), hostsim.Upstream("envoy_admin", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ready != nil && r.URL.Path == "/ready" {
			ready.ServeHTTP(w, r)
			return
		}
		(*s).Admin().ServeHTTP(w, r)
	}))}
}

// A leader that dies of each answer leaves its heartbeat in a record whose findings grow old: what they said no longer counts.
func TestFreshRecordWithOldFindings(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(s *sim){
		"the application fails": func(s *sim) { s.set("/inbound/isalive", 500) },
		"maintenance is thrown": func(s *sim) { s.Admin().SetRuntime("maintenance", "true") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newReady(t, watchdog, hostsim.Workers(2))
			s.wantHealthy()
			s.crashEach("proxy_on_http_call_response")
			change(s)
			began, oldest := s.Elapsed(), uint64(0)
			for s.Elapsed()-began < time.Minute {
				s.Advance(250 * time.Millisecond)
				for i := range s.Workers() {
					if r := s.ask(i, check); r.Status == 200 && s.Elapsed()-began > 11*time.Second {
						t.Fatalf("worker %d got 200 %v after the last result", i, s.Elapsed()-began)
					}
				}
				age, _ := s.Metric("healthgate_snapshot_age_seconds")
				oldest = max(oldest, age)
			}
			if oldest > 5 {
				t.Errorf("the record itself was %d s old, so this shows nothing", oldest)
			}
		})
	}
}

// Whatever stands in the place of Envoy's /ready is no answer: draining that was never read is unknown, and a reading
// grows old. Draining may be ignored on purpose.
func TestReadyIsClosed(t *testing.T) {
	t.Parallel()
	for name, ready := range map[string]http.Handler{
		"403": answering(403, "Forbidden"), "404": http.NotFoundHandler(), "302": http.RedirectHandler("/login", http.StatusFound),
		"500": answering(500, ""), "login page": answering(200, "<html>LIVE\n"), "503 without a body": answering(503, ""),
		"empty 200": answering(200, ""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const admin = `"envoy_admin"}`
			for config, want := range map[string]string{
				watchdog: "UNKNOWN", strings.Replace(watchdog, admin, `"envoy_admin", "on_stale": "fail"}`, 1): "UNKNOWN",
				strings.Replace(watchdog, admin, `"envoy_admin", "draining": "ignore"}`, 1): "OK",
			} {
				var s *sim
				s = newSim(t, config, closedReady(&s, ready)...)
				for range 15 {
					s.Advance(time.Second)
					if r := s.ask(0, check); string(r.Body) != want {
						t.Errorf("%v: got %d %q, want %s", s.Elapsed(), r.Status, r.Body, want)
					}
				}
				asked := 0
				for _, r := range s.UpstreamRequests("envoy_admin") {
					if r.Path() == "/ready" {
						asked++
					}
				}
				if said := strings.Count(s.LogText(), `draining: cannot be read through cluster "envoy_admin": status `); said != min(asked, 1) || (asked > 0) != (want == "UNKNOWN") {
					t.Errorf("/ready was asked %d times, and this was logged %d times", asked, said)
				}
			}
		})
	}
}

// A /ready that is closed while Envoy runs leaves the last reading, until max_age.
func TestReadyIsClosedLater(t *testing.T) {
	t.Parallel()
	for onStale, want := range map[string]string{"keep": "OK", "fail": "UNKNOWN"} {
		s := newReady(t, strings.Replace(watchdog, `"envoy_admin"}`, `"envoy_admin", "max_age": "5s", "on_stale": "`+onStale+`"}`, 1))
		s.wantHealthy()
		s.Admin().SetHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/ready" {
				w.WriteHeader(403)
				return
			}
			_, _ = w.Write([]byte(`{"entries": {}}`))
		}))
		s.Advance(4 * time.Second)
		s.wantHealthy()
		s.Advance(3 * time.Second)
		if r := s.ask(0, check); string(r.Body) != want {
			t.Errorf("%s: got %d %q", onStale, r.Status, r.Body)
		}
	}
}

// An Envoy can start drained: no check is healthy before that is known.
func TestStartsDrained(t *testing.T) {
	t.Parallel()
	s := newSim(t, `{"endpoints": [{"name": "e", "paths": ["/healthz"], "trusted": {"cidrs": ["10.0.0.0/8"]}}],
		"admin": {"cluster": "envoy_admin"}}`, hostsim.Workers(2))
	s.Admin().SetDraining(true)
	for range 100 {
		for i := range s.Workers() {
			if r := s.ask(i, "/healthz"); r.Status == 200 {
				t.Fatalf("%v: worker %d answered 200", s.Elapsed(), i)
			}
		}
		s.Advance(10 * time.Millisecond)
	}
	s.want("/healthz", 503, "DRAINING", "healthgate_draining")
	s.Admin().SetDraining(false)
	s.Advance(time.Second)
	s.want("/healthz", 200, "", "healthgate_healthy")
}

// What the leader that died had asked is asked again at once, and not after an interval.
func TestTakeoverAsksForWhatWasNotSeen(t *testing.T) {
	t.Parallel()
	s := newSim(t, strings.ReplaceAll(strings.Replace(watchdog, `"admin": {`, `"admin": {"interval": "60s", "max_age": "60s", `, 1),
		`"cluster": "app",`, `"cluster": "app", "interval": "60s",`), hostsim.Workers(2),
		hostsim.TrapAt("proxy_on_http_call_response", 1))
	for s.Elapsed() < 5*time.Second {
		s.Advance(100 * time.Millisecond)
		if s.ask(0, check).Status == 200 {
			s.wantMetric("healthgate_leader_changes_total", 2)
			return
		}
	}
	t.Errorf("UNKNOWN for %v", s.Elapsed())
}

// A poll of runtime that takes long is followed by a rest of twenty times that: the cost is told, draining is not held up,
// and maintenance is seen after the rest.
func TestExpensivePolls(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		took  time.Duration
		polls int // in a minute
	}{{time.Millisecond, 60}, {40 * time.Millisecond, 60}, {400 * time.Millisecond, 7}, {1500 * time.Millisecond, 2}} {
		s := newReady(t, strings.Replace(watchdog, `"envoy_admin"}`, `"envoy_admin", "on_stale": "fail"}`, 1))
		polls := func(path string) (n int) {
			for _, r := range s.UpstreamRequests("envoy_admin") {
				if r.Path() == path {
					n++
				}
			}
			return n
		}
		s.SetLatency("envoy_admin", tt.took)
		s.Advance(3 * time.Second)
		before, ready := polls("/runtime?format=json"), polls("/ready")
		for range 60 {
			s.Advance(time.Second)
			s.wantHealthy() // a reading that is as old as the rest makes it is not stale
		}
		if n := polls("/runtime?format=json") - before; n < tt.polls-1 || n > tt.polls+1 {
			t.Errorf("%v: %d polls in a minute, want %d", tt.took, n, tt.polls)
		}
		if n := polls("/ready") - ready; n < 28 {
			t.Errorf("%v: /ready was asked %d times in a minute", tt.took, n)
		}
		s.wantMetric("healthgate_runtime_poll_milliseconds", uint64(tt.took/time.Millisecond))
		s.Admin().SetRuntime("maintenance", "true")
		s.Advance(max(time.Second, 20*tt.took) + 2*tt.took + 250*time.Millisecond)
		s.wantMaintenance()
	}
}

// A request that Envoy does not send says why, and so does one that it answers itself.
func TestNothingWasSent(t *testing.T) {
	t.Parallel()
	s := newReady(t, `{"endpoints": [{"name": "e", "paths": ["/healthz"], "trusted": {"cidrs": ["10.0.0.0/8"]}, "probes": {"names": ["gone", "empty"]}}],
		"probes": [{"name": "gone", "cluster": "gone", "path": "/"}, {"name": "empty", "cluster": "empty", "path": "/"}]}`,
		hostsim.Upstream("empty", nil))
	s.wantLog(0, `warning probe "gone": unhealthy: there is no cluster "gone", counts as 503`,
		`warning probe "empty": unhealthy: no healthy host, or an open circuit breaker, in cluster "empty", counts as 503`)
	s.want("/healthz", 503, "FAILED", "healthgate_unhealthy")
}

// The 504 of a proxy in front of the application is the application's, whatever its text; and where no one answers, no
// expected status makes that a success.
func TestWhoseStatusItIs(t *testing.T) {
	t.Parallel()
	s := newReady(t, watchdog, hostsim.Upstream("app", answering(504, "upstream request timeout")))
	s.want(check, 504, "FAILED", "healthgate_unhealthy")

	s = newReady(t, strings.ReplaceAll(watchdog, `"cluster": "app",`, `"cluster": "app", "expected_statuses": [{"start": 500, "end": 600}],`),
		hostsim.Upstream("app", answering(503, "")))
	s.wantHealthy()
	for _, fault := range []hostsim.CalloutFault{{Kind: hostsim.CalloutConnectFailure}, {Kind: hostsim.CalloutNever}, {Kind: hostsim.CalloutReset}} {
		s.FaultAllCallouts("app", &fault)
		s.Advance(2 * time.Second)
		s.want(check, 503, "FAILED", "healthgate_unhealthy")
		s.FaultAllCallouts("app", nil)
		s.Advance(2 * time.Second)
		s.wantHealthy()
	}
}

// datum returns the key of shared data with an ending, and its value.
func (s *sim) datum(ending string) (key, value string) {
	s.t.Helper()
	for _, d := range s.SharedData() {
		if strings.HasSuffix(d.Key, ending) {
			return d.Key, d.Value
		}
	}
	s.t.Fatalf("no %s in shared data", ending)
	return "", ""
}

// monotonic is what the plugin's monotonic clock shows.
func (s *sim) monotonic() int64 { return int64(time.Second + s.Elapsed()) }

const intrusion = "warning shared data: another plugin has written to healthgate's keys; what it wrote does not count"

// wantSaid counts a line of the state log.
func (s *sim) wantSaid(line string, times int) {
	s.t.Helper()
	log := strings.Join(s.stateLog(), "\n")
	if n := strings.Count(log, line); n != times {
		s.t.Errorf("logged %d times, want %d: %s\n%s", n, times, line, log)
	}
}

// A lease that would never end is not one: another VM leads at the next election.
func TestForgedLease(t *testing.T) {
	t.Parallel()
	s := newReady(t, watchdog, hostsim.Workers(2))
	for _, expires := range []int64{1 << 62, int64(time.Hour), 1<<63 - 1} {
		key, _ := s.datum("/lease")
		s.SetSharedData(key, string(lease.Value(1, expires)))
		before := s.counts()
		s.Advance(10 * time.Second)
		s.wantRate(before, 10, 2)
		s.wantHealthy()
	}
	if n := strings.Count(s.LogText(), strings.TrimPrefix(intrusion, "warning ")); n < 1 || n > 3 { // once for each VM that noticed
		t.Errorf("logged %d times:\n%s", n, s.LogText())
	}
}

// A record that no leader wrote counts until the leader's next heartbeat at most, and not at all if its times lie in the
// future.
func TestForgedRecord(t *testing.T) {
	t.Parallel()
	s := newReady(t, watchdog, hostsim.Workers(2))
	s.set("/inbound/isalive", 500)
	s.Advance(2 * time.Second)
	s.want(check, 500, "FAILED", "healthgate_unhealthy")
	for name, forge := range map[string]func(r *snapshot.Record){
		"healthy, far in the future": func(r *snapshot.Record) {
			r.Probes[0].Healthy, r.Probes[0].At = true, 1<<62
			r.WrittenAt = 1 << 62
		},
		"written in the future": func(r *snapshot.Record) { r.WrittenAt += int64(time.Hour); r.Probes[0].Healthy = true },
	} {
		key, value := s.datum("/snapshot")
		r := snapshot.New(2, 3)
		if !r.Decode([]byte(value)) {
			t.Fatal("the record could not be read")
		}
		forge(r)
		r.Writer = 1
		s.SetSharedData(key, string(r.Append(nil)))
		for range 20 {
			if r := s.ask(0, check); r.Status == 200 {
				t.Fatalf("%s: %v: got 200", name, s.Elapsed())
			}
			s.Advance(50 * time.Millisecond)
		}
		s.want(check, 500, "FAILED", "healthgate_unhealthy")
	}
	s.wantSaid(intrusion, 1)

	// Times of the past can't be told from a leader's; the leader itself can tell.
	for range 20 {
		key, value := s.datum("/snapshot")
		r := snapshot.New(2, 3)
		if !r.Decode([]byte(value)) {
			t.Fatal("the record could not be read")
		}
		r.Probes[0].Healthy = true
		r.Number += 1000
		s.SetSharedData(key, string(r.Append(nil)))
		s.Advance(750 * time.Millisecond)
		s.want(check, 500, "FAILED", "healthgate_unhealthy")
	}
	s.wantSaid(intrusion, 1)
	s.wantMetric("healthgate_leader_changes_total", 1)
}

// A configuration's maintenance is told once whoever leads, and its gauge follows.
func TestMaintenanceIsToldOnceThroughLeaderChanges(t *testing.T) {
	t.Parallel()
	s := newReady(t, watchdog, hostsim.Workers(3))
	for round := range 4 {
		value, gauge := []string{"true", "off"}[round%2], uint64(1-round%2)
		s.Admin().SetRuntime("maintenance", value)
		s.Advance(1500 * time.Millisecond)
		s.wantMetric("healthgate_maintenance.endpoint.my-service", gauge)
		s.thread(s.leader()).Crash()
		s.Advance(4 * time.Second)
		s.wantMetric("healthgate_maintenance.endpoint.my-service", gauge)
	}
	for line, times := range map[string]int{`maintenance: endpoint "my-service": on: key "maintenance" = "true"`: 2, `maintenance: endpoint "my-service": off`: 2} {
		if n := strings.Count(s.LogText(), line); n != times {
			t.Errorf("%s: logged %d times, want %d", line, n, times)
		}
	}
}

// TestPauseDuringPoll lets the process stand still while a poll of runtime is under way: that was no work of Envoy's, so it
// neither puts the next poll off nor lets the reading count for longer.
func TestPauseDuringPoll(t *testing.T) {
	t.Parallel()
	s := newReady(t, strings.Replace(watchdog, `"envoy_admin"}`, `"envoy_admin", "on_stale": "fail"}`, 1), hostsim.Workers(2))
	s.SetLatency("envoy_admin", 20*time.Millisecond)
	polls := func() (n int) {
		for _, r := range s.UpstreamRequests("envoy_admin") {
			if strings.HasPrefix(r.Path(), "/runtime") {
				n++
			}
		}
		return n
	}
	for before := polls(); polls() == before; {
		s.Advance(5 * time.Millisecond)
	}
	s.JumpMonotonic(5 * time.Minute)
	s.Admin().SetRuntime("maintenance", "true")
	s.Advance(45 * time.Second) // twenty times the timeout, and what a tick is late
	s.wantMaintenance()
}
