package verdict

import (
	"fmt"
	"testing"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/maintenance"
	"github.com/healthgate/healthgate/filter/snapshot"
)

// Every state of four probes under every policy: "at least N" holds with N or more healthy ones, whichever they are;
// else the first unhealthy one gives its status.
func TestAtLeast(t *testing.T) {
	t.Parallel()
	const probes = 4
	for need := 1; need <= probes; need++ {
		for states := range 1 << probes {
			w := newWorld()
			w.e.Probes = config.Policy{Names: []int{0, 1, 2, 3}, Need: need}
			w.r.Probes, w.c.Probes = make([]snapshot.Probe, probes), make([]config.Probe, probes)
			healthy, first := 0, 0
			for i := range w.r.Probes {
				w.r.Probes[i] = probe(false, 500+i)
				if states>>i&1 == 1 {
					w.r.Probes[i] = probe(true, 200)
					healthy++
				} else if first == 0 {
					first = 500 + i
				}
			}
			want := fmt.Sprintf("unhealthy %d", first)
			if healthy >= need {
				want = "healthy 200"
			}
			a := Decide(w.c, w.e, w.r, false, clock{now, 1000})
			if got := fmt.Sprintf("%v %d", a.Kind, a.Status); got != want {
				t.Errorf("at least %d, states %04b: %s, want %s", need, states, got, want)
			}
		}
	}
}

// The order of the endpoint's own list counts, not that of the probes, and other probes do not matter.
func TestProbesOfTheEndpoint(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.r.Probes = []snapshot.Probe{probe(false, 500), probe(false, 501), probe(true, 200), {}}
	w.c.Probes = make([]config.Probe, 4)
	for _, test := range []struct {
		names  []int
		need   int
		status uint32
	}{
		{[]int{2}, 1, 200},
		{[]int{2, 1, 0}, 2, 501},
		{[]int{0, 2, 1}, 2, 500},
		{[]int{1, 0, 2}, 1, 200},
		{[]int{2, 3}, 1, 521},
	} {
		w.e.Probes = config.Policy{Names: test.names, Need: test.need}
		if got := Decide(w.c, w.e, w.r, false, clock{now, 1000}); got.Status != test.status {
			t.Errorf("at least %d of %v: %v %d, want %d", test.need, test.names, got.Kind, got.Status, test.status)
		}
	}
}

func TestReplies(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.e.Healthy.Body, w.e.Unhealthy.Body, w.e.Unknown.Body, w.e.Draining.Body = "h", "f", "u", "d"
	w.e.Maintenance.Reply.Body, w.e.Untrusted.Body = "m", "t"
	for _, test := range []struct {
		name, want string
		answer     func() Answer
	}{
		{"untrusted", "untrusted t", func() Answer { return Refuse(w.e) }},
		{"healthy", "healthy h", func() Answer { return Decide(w.c, w.e, w.r, false, clock{now, 0}) }},
		{"unknown", "unknown u", func() Answer { return Decide(w.c, w.e, nil, false, clock{now, 0}) }},
		{"route", "maintenance m", func() Answer { return Decide(w.c, w.e, w.r, true, clock{now, 0}) }},
		{"unhealthy", "unhealthy f", func() Answer { w.sick(500); return Decide(w.c, w.e, w.r, false, clock{now, 0}) }},
		{"draining", "draining d", func() Answer { w.r.Draining = true; return Decide(w.c, w.e, w.r, false, clock{now, 0}) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := test.answer()
			if got := a.Kind.String() + " " + a.Reply.Body; got != test.want {
				t.Errorf("%s: %s", test.name, got)
			}
		})
	}
	if Shown.String() != "shown" || Kinds != 9 {
		t.Errorf("%v is the last of %d kinds", Shown, Kinds)
	}
}

// noWall is a clock that must not be asked for the wall-clock time.
type noWall struct {
	clock
	t *testing.T
}

func (c noWall) Wall() int64 { c.t.Error("the wall clock was asked"); return 0 }

func TestKey(t *testing.T) {
	t.Parallel()
	on, off, until := maintenance.Switch{On: true}, maintenance.Switch{}, maintenance.Switch{On: true, Until: 1000}
	for _, test := range []struct {
		name     string
		switches []maintenance.Switch
		keys     []int
		wall     int64
		want     int
	}{
		{"none is on", []maintenance.Switch{off, off}, []int{0, 1}, 0, -1},
		{"no keys", []maintenance.Switch{on}, nil, 0, -1},
		{"the only one", []maintenance.Switch{off, on}, []int{0, 1}, 0, 1},
		{"the endpoint's first", []maintenance.Switch{on, on}, []int{1, 0}, 0, 1},
		{"another endpoint's", []maintenance.Switch{off, on}, []int{0}, 0, -1},
		{"until later", []maintenance.Switch{until, on}, []int{0, 1}, 999, 0},
		{"until now, then the next", []maintenance.Switch{until, on}, []int{0, 1}, 1000, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := &config.Endpoint{Maintenance: config.Maintenance{Keys: test.keys}}
			r := snapshot.New(len(test.switches), 0)
			for i, s := range test.switches {
				r.Keys[i].Switch = s
			}
			if got := Key(e, r, clock{wall: test.wall}); got != test.want {
				t.Errorf("%s: %d, want %d", test.name, got, test.want)
			}
			if got := Key(e, nil, nil); got != -1 {
				t.Errorf("%s, no record: %d", test.name, got)
			}
		})
	}
	// The wall clock is a host call: it is asked only when a key has an end.
	e := &config.Endpoint{Maintenance: config.Maintenance{Keys: []int{0, 1}}}
	r := snapshot.New(2, 0)
	r.Keys[1].Switch = on
	if got := Key(e, r, noWall{t: t}); got != 1 {
		t.Errorf("key %d", got)
	}
}

func TestProbesWithoutARecord(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.e.Maintenance.Keys = nil
	if got := Decide(w.c, w.e, nil, false, clock{now, 0}); got.Kind != Unknown {
		t.Errorf("%v", got.Kind)
	}
}
