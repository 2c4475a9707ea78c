package simtest

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/filter/lease"
	"github.com/healthgate/healthgate/hostsim"
)

// withStatus is the watchdog's configuration with a status endpoint, which trusts another network.
var withStatus = strings.Replace(watchdog, `"endpoints": [`,
	`"endpoints": [{"name": "state", "kind": "status", "paths": ["/healthgate/status"], "trusted": {"cidrs": ["192.0.2.0/24"]}},`, 1)

const (
	statusPath = "/healthgate/status"
	operator   = "192.0.2.7:50000"
)

// look asks a worker for the state, as an operator.
func (s *sim) look(worker int, headers ...[2]string) *hostsim.Reply {
	s.t.Helper()
	return s.Host.Worker(worker).Do(&hostsim.Request{Path: statusPath, Peer: operator, Header: headers})
}

// statusPage is the part of the status document that these tests look at.
type statusPage struct {
	Status, ServiceID, Output string
	Checks                    map[string][]struct {
		Status, Since, Output, Outcome string
		ObservedValue                  any
		HTTPStatus                     int
		Maintenance                    *struct{ Key, Value, Reason string }
	}
}

// wantStatus asks every worker for the state, and returns what the last one says.
func (s *sim) wantStatus(httpStatus int, status, output string) statusPage {
	s.t.Helper()
	var d statusPage
	for i := range s.Workers() {
		r := s.look(i)
		d = statusPage{}
		if err := json.Unmarshal(r.Body, &d); err != nil {
			s.t.Fatalf("%v: worker %d: %v: %s", s.Elapsed(), i, err, r.Body)
		}
		if r.Status != httpStatus || d.Status != status || d.Output != output {
			s.t.Errorf("%v: worker %d: %d %s %q, want %d %s %q", s.Elapsed(), i, r.Status, d.Status, d.Output, httpStatus, status, output)
		}
		if r.Forwarded || r.Details != "healthgate_shown" {
			s.t.Errorf("worker %d: forwarded %v, details %q", i, r.Forwarded, r.Details)
		}
	}
	return d
}

func TestStatusFollowsTheState(t *testing.T) {
	t.Parallel()
	s := newSim(t, withStatus, hostsim.Workers(2))
	s.wantStatus(503, "fail", "my-service: there is no shared record yet; middleware: there is no shared record yet")
	s.Advance(settle)
	d := s.wantStatus(200, "pass", "")
	if d.ServiceID != "node-1" || len(d.Checks) != 8 {
		t.Errorf("%+v", d)
	}

	s.set("/inbound/isalive", 500)
	s.Advance(3 * time.Second)
	d = s.wantStatus(503, "fail", "my-service: inbound (500) failing; 2 of 3 healthy, 3 needed")
	p := d.Checks["inbound:responseTime"][0]
	since, err := time.Parse(time.RFC3339, p.Since)
	if age := s.Now().Sub(since); err != nil || p.Status != "fail" || p.HTTPStatus != 500 || age < time.Second || age > 4*time.Second {
		t.Errorf("inbound is shown as %+v, %s old", p, age)
	}
	s.set("/inbound/isalive", 0)

	s.Admin().SetRuntime("maintenance", "true")
	s.Admin().SetRuntime("maintenance.reason", `new <disk> & "more"`)
	s.Advance(time.Second)
	d = s.wantStatus(503, "fail", `my-service: under maintenance by key "maintenance": new <disk> & "more"`)
	m := d.Checks["my-service:verdict"][0].Maintenance
	if m == nil || m.Key != "maintenance" || m.Value != "true" || m.Reason != `new <disk> & "more"` {
		t.Errorf("maintenance is shown as %+v", m)
	}
	if v := d.Checks["middleware:verdict"][0]; v.Status != "pass" || v.ObservedValue != "healthy" || v.HTTPStatus != 200 {
		t.Errorf("the other endpoint is shown as %+v", v)
	}
	s.Admin().SetRuntime("maintenance", "")

	s.Admin().SetDraining(true)
	s.Advance(time.Second)
	s.wantStatus(503, "fail", "my-service: Envoy is draining; middleware: Envoy is draining")
	s.Admin().SetDraining(false)
	s.breakAdmin("refused")
	s.Advance(20 * time.Second)
	if r := s.look(0); !strings.Contains(string(r.Body), "the last values are kept") {
		t.Errorf("an unreadable runtime does not show: %s", r.Body)
	}
}

// A state that no one writes any more is not shown as if it were the present one.
func TestStatusWithoutLeader(t *testing.T) {
	t.Parallel()
	s := newReady(t, withStatus)
	key, _ := s.datum("/lease")
	for range 29 { // held by no one here
		s.SetSharedData(key, string(lease.Value(1, s.monotonic())))
		s.Advance(500 * time.Millisecond)
	}
	d := s.wantStatus(503, "fail", "my-service: the shared record is 14 s old; middleware: the shared record is 14 s old")
	for name, want := range map[string]string{"inbound:responseTime": "warn", "envoy:draining": "warn", "snapshot:age": "fail"} {
		if c := d.Checks[name]; len(c) != 1 || c[0].Status != want {
			t.Errorf("%s is %+v, want %s", name, c, want)
		}
	}
}

func TestStatusPage(t *testing.T) {
	t.Parallel()
	s := newReady(t, withStatus)
	page := s.look(0, [2]string{"accept", "text/html,application/xhtml+xml,*/*;q=0.8"})
	for name, want := range map[string]string{
		"content-type": "text/html; charset=utf-8", "cache-control": "no-store", "vary": "accept", "x-content-type-options": "nosniff",
		"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
	} {
		if got := page.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if page.Status != 200 || !strings.HasPrefix(string(page.Body), "<!doctype html>") || !strings.Contains(string(page.Body), "my-service") {
		t.Errorf("%d %s", page.Status, page.Body)
	}
	for _, accept := range []string{"*/*", "application/health+json"} {
		r := s.look(0, [2]string{"accept", accept})
		if r.Header.Get("content-type") != "application/health+json" || r.Header.Get("cache-control") != "no-store" || !json.Valid(r.Body) {
			t.Errorf("accept %s: %v %s", accept, r.Header, r.Body)
		}
	}
	head := s.Worker(0).Do(&hostsim.Request{Method: "HEAD", Path: statusPath, Peer: operator})
	if head.Status != 200 || len(head.Body) != 0 || head.Header.Get("content-type") != "application/health+json" {
		t.Errorf("HEAD: %d %v %q", head.Status, head.Header, head.Body)
	}
}

// Nothing of the state reaches a source that the status endpoint does not trust, be it one that checks come from.
func TestStatusIsForTheTrusted(t *testing.T) {
	t.Parallel()
	for untrusted, want := range map[string]int{`{"action": "pass"}`: 200, `{"action": "reply", "status": 404}`: 404} {
		s := newReady(t, strings.Replace(withStatus, `"kind": "status"`, `"kind": "status", "untrusted": `+untrusted, 1))
		s.Admin().SetRuntime("maintenance", "true")
		s.Admin().SetRuntime("maintenance.reason", "secret")
		s.Advance(time.Second)
		for _, peer := range []string{balancer, "192.0.2.7:0", "198.51.100.1:40000"} {
			r := s.Worker(0).Do(&hostsim.Request{Path: statusPath, Peer: peer, Header: hostsim.Header{{"accept", "text/html"}}})
			if r.Status != want || r.Forwarded != (want == 200) || strings.Contains(string(r.Body), "maintenance") {
				t.Errorf("%s: %d forwarded %v, details %q: %s", peer, r.Status, r.Forwarded, r.Details, r.Body)
			}
		}
		s.wantMetric("healthgate_checks_total.endpoint.state.verdict.untrusted", 3)
		s.look(0)
		s.wantMetric("healthgate_checks_total.endpoint.state.verdict.shown", 1)
		for _, name := range []string{"healthgate_maintenance.endpoint.state", "healthgate_checks_total.endpoint.state.verdict.healthy",
			"healthgate_checks_total.endpoint.my-service.verdict.shown"} {
			if _, is := s.Metric(name); is {
				t.Errorf("there is a metric %s, which means nothing", name)
			}
		}
	}
}
