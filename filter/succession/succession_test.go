package succession

import (
	"fmt"
	"testing"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/lean/duration"
	"github.com/healthgate/healthgate/filter/maintenance"
	"github.com/healthgate/healthgate/filter/snapshot"
)

const now = int64(duration.Hour)

func ago(d duration.Duration) int64 { return now - int64(d) }

// service is a configuration with endpoints "e" and "f", probes "p" and "q", and keys "k" and "l".
func service() *config.Config {
	expected := func() []config.StatusRange { return []config.StatusRange{{Start: 200, End: 300}} }
	return &config.Config{
		Endpoints: []config.Endpoint{{Name: "e"}, {Name: "f"}},
		Probes: []config.Probe{
			{Name: "p", Cluster: "app", Path: "/p", Method: "GET", Interval: duration.Second, ExpectedStatuses: expected()},
			{Name: "q", Cluster: "app", Path: "/q", Method: "GET", Interval: duration.Second, ExpectedStatuses: expected()},
		},
		Admin: &config.Admin{Cluster: "admin"}, Keys: []string{"k", "l"},
	}
}

// found is a record of service, all of it found some time ago.
func found(age duration.Duration) *snapshot.Record {
	r := snapshot.New(2, 2)
	r.WrittenAt, r.Draining = now, true
	for _, f := range []*snapshot.Finding{&r.Runtime, &r.Ready, &r.Probes[0].Finding, &r.Probes[1].Finding} {
		f.At, f.StartedAt = ago(age), ago(age)
	}
	for i := range r.Probes {
		r.Probes[i].Healthy = true
	}
	for i := range r.Keys {
		r.Keys[i] = snapshot.Key{Switch: maintenance.Switch{On: true}, Value: "on"}
	}
	return r
}

func state(k snapshot.Key) string {
	if k.Unread {
		return "unread"
	}
	return fmt.Sprint(k.Switch.On)
}

func meet(own, other *config.Config) *Kin { return Meet(Terms(own, nil), Terms(other, nil)) }

func TestAdopt(t *testing.T) {
	t.Parallel()
	const all = "[true true] [true true] true"
	for _, test := range []struct {
		name   string
		change func(own, other *config.Config)
		want   string // probes that are healthy, keys that are on, draining
	}{
		{"the same", func(_, _ *config.Config) {}, all},
		{"other timing and thresholds", func(own, _ *config.Config) {
			own.Probes[0].Interval, own.Probes[0].Timeout, own.Probes[0].UnhealthyThreshold = 5, 6, 7
			own.Admin.Interval, own.Admin.MaxAge = 8, 9
		}, all},
		{"in another order, under other names", func(_, other *config.Config) {
			other.Probes[0], other.Probes[1] = other.Probes[1], other.Probes[0]
			other.Probes[0].Name, other.Probes[1].Name = "a", "b"
			other.Keys[0], other.Keys[1] = other.Keys[1], other.Keys[0]
		}, all},
		{"another path", func(own, _ *config.Config) { own.Probes[0].Path = "/x" }, "[false true] [true true] true"},
		{"another host", func(own, _ *config.Config) { own.Probes[0].Host = "x" }, "[false true] [true true] true"},
		{"another method", func(own, _ *config.Config) { own.Probes[0].Method = "HEAD" }, "[false true] [true true] true"},
		{"another cluster", func(own, _ *config.Config) { own.Probes[0].Cluster = "x" }, "[false true] [true true] true"},
		{"other statuses", func(own, _ *config.Config) { own.Probes[1].ExpectedStatuses[0].End = 400 },
			"[true false] [true true] true"},
		{"one status less", func(own, _ *config.Config) { own.Probes[1].ExpectedStatuses = nil },
			"[true false] [true true] true"},
		{"a key more", func(own, _ *config.Config) { own.Keys[1] = "x" }, "[true true] [true unread] true"},
		{"another admin", func(own, _ *config.Config) { own.Admin.Cluster = "x" }, "[true true] [false false] false"},
		{"no admin", func(own, _ *config.Config) { own.Admin, own.Keys = nil, []string{"", ""} },
			"[true true] [false false] false"},
		{"the other has no admin", func(_, other *config.Config) { other.Admin, other.Keys = nil, nil },
			"[true true] [false false] false"},
		{"the other ignores draining", func(_, other *config.Config) { other.Admin.IgnoreDraining = true },
			"[true true] [true true] false"},
	} {
		t.Run(test.name, func(t *testing.T) {
			own, other := service(), service()
			test.change(own, other)
			r := snapshot.New(2, 2)
			r.WrittenAt = now
			meet(own, other).Adopt(r, found(duration.Second))
			got := fmt.Sprint([]bool{r.Probes[0].Healthy, r.Probes[1].Healthy}, " ",
				[]string{state(r.Keys[0]), state(r.Keys[1])}, " ", r.Draining)
			if got != test.want {
				t.Errorf("%s: %s, want %s", test.name, got, test.want)
			}
		})
	}
}

// The youngest finding counts, whoever asked last; and no reading of a record that nobody writes any more.
func TestAdoptTheYoungest(t *testing.T) {
	t.Parallel()
	k := meet(service(), service())
	own := found(duration.Second)
	older := found(2 * duration.Second)
	older.Probes[0].Healthy, older.Draining, older.Keys[0].Switch.On = false, false, false
	older.Probes[0].StartedAt = now
	k.Adopt(own, older)
	if p := own.Probes[0]; !p.Healthy || p.At != ago(duration.Second) || p.StartedAt != now || !own.Draining ||
		!own.Keys[0].Switch.On {
		t.Errorf("%+v", own)
	}
	for gap, kept := range map[duration.Duration]bool{snapshot.MaxAge: true, snapshot.MaxAge + 1: false} {
		own, gone := snapshot.New(2, 2), found(duration.Second)
		own.WrittenAt, gone.WrittenAt = now, ago(gap)
		k.Adopt(own, gone)
		if (own.Runtime.At != 0) != kept || (own.Ready.At != 0) != kept {
			t.Errorf("the other one was written %v before: %+v", gap, own)
		}
		own, other := found(duration.Second), snapshot.New(2, 2)
		own.WrittenAt, other.WrittenAt = ago(gap), now
		k.Adopt(own, other)
		if (own.Runtime.At != 0) != kept || (own.Ready.At != 0) != kept || !own.Draining {
			t.Errorf("it was written %v before the other one: %+v", gap, own)
		}
	}
}

// The results of a probe are shared, and each configuration counts them by its own thresholds.
func TestAdoptByOwnThresholds(t *testing.T) {
	t.Parallel()
	failed := snapshot.Result{Outcome: snapshot.Answered, Status: 500}
	for _, test := range []struct {
		name           string
		own, other     uint32 // unhealthy_threshold
		ownAge         duration.Duration
		streak, others uint32 // failures in a row that each has seen
		healthy        bool
		after          uint32 // failures in a row
	}{
		{"the same thresholds", 3, 3, 2 * duration.Second, 1, 2, true, 2},
		{"a lower one", 1, 3, 2 * duration.Second, 0, 1, false, 0},
		{"a higher one", 3, 1, 2 * duration.Second, 0, 0, true, 1},
		{"a higher one that is reached", 3, 1, 2 * duration.Second, 2, 0, false, 0},
		{"nothing was known", 1, 3, duration.Hour, 0, 1, false, 0},
		{"nothing was known, and it is not reached", 2, 3, duration.Hour, 0, 1, true, 1},
	} {
		own, other := service(), service()
		own.Probes[0].UnhealthyThreshold, other.Probes[0].UnhealthyThreshold = test.own, test.other
		mine, its := found(test.ownAge), found(duration.Second)
		mine.Probes[0].Streak, its.Probes[0].Streak = test.streak, test.others
		its.Probes[0].Healthy, its.Probes[0].Latest = test.others > 0, failed
		if !its.Probes[0].Healthy {
			its.Probes[0].Outcome, its.Probes[0].Status = failed.Outcome, failed.Status
		}
		meet(own, other).Adopt(mine, its)
		p := mine.Probes[0]
		if p.Healthy != test.healthy || p.Streak != test.after || p.At != ago(duration.Second) ||
			!p.Healthy && p.Status != 500 {
			t.Errorf("%s: %+v", test.name, p)
		}
	}
}
