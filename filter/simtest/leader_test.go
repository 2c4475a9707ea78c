package simtest

import (
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/hostsim"
)

var nodes = []string{"/inbound/isalive", "/outbound/isalive", "/stats/isalive"}

// wantRate compares the requests that each node got with one per second.
func (s *sim) wantRate(before map[string]int, seconds, slack int) {
	s.t.Helper()
	for _, node := range nodes {
		if n := s.requests(node) - before[node]; n < seconds-slack || n > seconds+slack {
			s.t.Errorf("%s was asked %d times in %d s", node, n, seconds)
		}
	}
}

func (s *sim) counts() map[string]int {
	out := map[string]int{}
	for _, node := range nodes {
		out[node] = s.requests(node)
	}
	return out
}

// leader returns the thread that leads: the one that logged so last.
func (s *sim) leader() string {
	s.t.Helper()
	name := ""
	for _, e := range s.Logs() {
		if strings.HasPrefix(e.Message, "healthgate: leader: ") {
			name = e.Thread
		}
	}
	if name == "" {
		s.t.Fatal("no thread leads")
	}
	return name
}

func (s *sim) thread(name string) *hostsim.Worker {
	for i := range s.Workers() {
		if w := s.Host.Worker(i); w.Name() == name {
			return w
		}
	}
	return s.Main()
}

func TestProbesOncePerIntervalWhateverTheNumberOfWorkers(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 4, 16} {
		s := newReady(t, watchdog, hostsim.Workers(workers))
		before := s.counts()
		s.Advance(60 * time.Second)
		s.wantRate(before, 60, 1)
		s.wantMetric("healthgate_leader_changes_total", 1)
	}
}

func TestNothingIsSharedBeforeTheFirstTick(t *testing.T) {
	t.Parallel()
	s := newSim(t, watchdog, hostsim.Workers(4)) // the canary has been configured and thrown away by now
	if data := s.SharedData(); len(data) != 0 {
		t.Errorf("shared data: %v", data)
	}
	if n := len(s.UpstreamRequests("app")); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func TestCrashedLeaderIsReplaced(t *testing.T) {
	t.Parallel()
	s := newReady(t, strings.Replace(watchdog, `"/stats/isalive"}`, `"/stats/isalive", "unhealthy_threshold": 10}`, 1),
		hostsim.Workers(4))
	s.set("/stats/isalive", 500) // half way to the threshold when the leader dies
	s.Advance(5 * time.Second)
	s.wantHealthy()
	dead := s.leader()
	died, before := s.Elapsed(), s.counts()
	s.thread(dead).Crash()
	for s.leader() == dead {
		s.Advance(10 * time.Millisecond)
		if s.Elapsed()-died > 2*time.Second+100*time.Millisecond {
			t.Fatal("no other VM took over when the lease had expired")
		}
	}
	s.Advance(500 * time.Millisecond)
	for i := range s.Workers() {
		if r := s.ask(i, check); r.Status == 200 != !s.Host.Worker(i).Failed() {
			t.Errorf("worker %d: got %d", i, r.Status)
		}
	}
	for i := 0; s.ask(3, check).Status == 200; i++ {
		if i > 6 {
			t.Fatal("the threshold started over")
		}
		s.Advance(time.Second)
	}
	s.wantRate(before, int((s.Elapsed()-died)/time.Second), 2)
	s.wantMetric("healthgate_leader_changes_total", 2)
}

func TestCrashedWorkerIsReloadedByAnyRequest(t *testing.T) {
	t.Parallel()
	s := newReady(t, watchdog, hostsim.Workers(2))
	w := s.Host.Worker(1)
	w.Crash()
	s.Advance(2 * time.Second) // the back-off
	s.ask(1, check)
	s.wantHealthy()
	if w.Failed() || w.Reloads() != 1 {
		t.Errorf("failed %v, %d reloads", w.Failed(), w.Reloads())
	}
}

func TestStalledLeaderStepsDown(t *testing.T) {
	t.Parallel()
	s := newReady(t, watchdog, hostsim.Workers(2))
	stalled := s.leader()
	before := s.counts()
	s.thread(stalled).Stall(5 * time.Second)
	s.Advance(30 * time.Second)
	if s.leader() == stalled {
		t.Error("the stalled thread leads")
	}
	s.wantRate(before, 30, 3)
	s.wantMetric("healthgate_leader_changes_total", 2)
	s.wantHealthy()
}

func TestLostSwapLosesOneTurn(t *testing.T) {
	t.Parallel()
	s := newReady(t, watchdog, hostsim.Workers(2))
	var leaseKey string
	for _, d := range s.SharedData() {
		if strings.HasSuffix(d.Key, "/lease") {
			leaseKey = d.Key
		}
	}
	before := s.counts()
	s.Inject(hostsim.LoseCAS(leaseKey, 1))
	s.Advance(30 * time.Second)
	s.wantRate(before, 30, 3)
	s.wantHealthy()
}

func TestAllVMsLost(t *testing.T) {
	t.Parallel()
	s := newReady(t, watchdog, hostsim.Workers(2))
	s.Main().Crash()
	s.Host.Worker(0).Crash()
	s.Host.Worker(1).Crash()
	s.Advance(time.Minute)
	if r := s.ask(0, check); r.Status != 503 {
		t.Errorf("got %d from a record a minute old", r.Status)
	}
	s.Advance(5 * time.Second)
	s.ask(1, check)
	s.Advance(time.Second)
	s.wantHealthy()
}

func TestWallClockMovesNothing(t *testing.T) {
	t.Parallel()
	for _, jump := range []time.Duration{time.Hour, -time.Hour} {
		s := newReady(t, watchdog, hostsim.Workers(2))
		before := s.counts()
		s.JumpRealtime(jump)
		s.wantHealthy()
		s.Advance(20 * time.Second)
		s.wantHealthy()
		s.wantRate(before, 20, 1)
		s.wantMetric("healthgate_leader_changes_total", 1)
	}
}

func TestTrapInAnyCallbackHealsItself(t *testing.T) {
	t.Parallel()
	for _, export := range []string{
		"proxy_on_tick", "proxy_on_http_call_response", "proxy_on_request_headers", "proxy_on_response_headers",
		"proxy_on_memory_allocate",
	} {
		t.Run(export, func(t *testing.T) {
			t.Parallel()
			s := newReady(t, watchdog, hostsim.Workers(2))
			s.Inject(hostsim.TrapAt(export, 1))
			for range 10 {
				for i := range s.Workers() {
					if r := s.ask(i, check); r.Status != 200 && r.Status != 503 {
						t.Errorf("worker %d: got %d", i, r.Status)
					}
				}
				s.Advance(time.Second)
			}
			s.wantHealthy()
		})
	}
}

func TestSnapshotAge(t *testing.T) {
	t.Parallel()
	s := newReady(t, watchdog)
	for range 20 {
		s.Advance(333 * time.Millisecond)
		if age, _ := s.Metric("healthgate_snapshot_age_seconds"); age > 1 {
			t.Errorf("%v: the record is %d s old", s.Elapsed(), age)
		}
	}
}

// An hour of four workers, three probes and ticks must not leak, drift or flap.
func TestAnHour(t *testing.T) {
	t.Parallel()
	s := newReady(t, watchdog, hostsim.Workers(4))
	before := s.counts()
	seen := len(s.stateLog())
	leader := s.thread(s.leader())
	s.Advance(40 * time.Minute) // by then its garbage has been collected at least once
	memory := leader.MemoryBytes()
	s.Advance(20 * time.Minute)
	s.wantHealthy()
	s.wantRate(before, 3600, 36)
	s.wantMetric("healthgate_leader_changes_total", 1)
	s.wantLog(seen)
	if grown := leader.MemoryBytes() - memory; grown > 512<<10 {
		t.Errorf("the leader's memory grew by %d bytes in 20 minutes", grown)
	}
}
