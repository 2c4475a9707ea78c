package simtest

import (
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/filter/snapshot"
	"github.com/healthgate/healthgate/hostsim"
)

// A record that no leader wrote counts until the leader's next heartbeat at most, and not at all if its times lie in
// the future.
func TestForgedRecord(t *testing.T) {
	t.Parallel()
	s := newReady(t, watchdog, hostsim.Workers(2))
	s.answer("app", "/inbound/isalive", 500, "")
	s.Advance(2 * time.Second)
	unhealthy := func(name string) {
		t.Helper()
		for i := range s.Workers() {
			if r := s.ask(i, check); r.Status != 500 || r.Details != "healthgate_unhealthy" {
				t.Errorf("%s: %v: worker %d: got %d, details %q", name, s.Elapsed(), i, r.Status, r.Details)
			}
		}
	}
	unhealthy("as it is")
	forge := func(change func(r *snapshot.Record)) {
		t.Helper()
		key, value := s.datum("/snapshot")
		r := snapshot.New(2, 3)
		if !r.Decode([]byte(value)) {
			t.Fatal("the record could not be read")
		}
		r.Probes[0].Healthy = true
		change(r)
		s.SetSharedData(key, string(r.Append(nil)))
	}
	toldOnce := func() {
		t.Helper()
		const intrusion = "warning shared data: another plugin has written to healthgate's keys, " +
			"or the monotonic clock went back; what is there does not count"
		if log := strings.Join(s.stateLog(), "\n"); strings.Count(log, intrusion) != 1 {
			t.Errorf("want once: %s\n%s", intrusion, log)
		}
	}
	for name, change := range map[string]func(r *snapshot.Record){
		"far in the future":     func(r *snapshot.Record) { r.Writer, r.Probes[0].At, r.WrittenAt = 1, 1<<62, 1<<62 },
		"written in the future": func(r *snapshot.Record) { r.Writer, r.WrittenAt = 1, r.WrittenAt+int64(time.Hour) },
	} {
		forge(change)
		for range 20 {
			if r := s.ask(0, check); r.Status == 200 {
				t.Fatalf("%s: %v: got 200", name, s.Elapsed())
			}
			s.Advance(50 * time.Millisecond)
		}
		unhealthy(name)
	}
	toldOnce()

	// Times of the past can't be told from a leader's; the leader itself can tell.
	for range 20 {
		forge(func(r *snapshot.Record) { r.Number += 1000 })
		s.Advance(750 * time.Millisecond)
		unhealthy("of the past")
	}
	toldOnce()
	s.wantMetric("healthgate_leader_changes_total", 1)
}
