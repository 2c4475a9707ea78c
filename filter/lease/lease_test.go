package lease

import (
	"math/rand"
	"testing"

	"github.com/healthgate/healthgate/filter/lean/duration"
)

// store has Envoy's compare-and-swap: cas 0 overwrites, and an absent key takes any cas.
type store struct {
	value []byte
	cas   uint32
}

func (s *store) set(value []byte, cas uint32) bool {
	if s.value != nil && cas != 0 && cas != s.cas {
		return false
	}
	s.value = value
	s.cas++
	return true
}

type vm struct {
	owner   uint64
	leads   bool
	expires int64 // of the lease it took last
	tick    int64 // the next one
	// An election that stalled between its reading and its write.
	pending bool
	cas     uint32
	readAt  int64
}

const (
	ms   = int64(duration.Millisecond)
	tick = int64(Renewal)
)

func (v *vm) read(s *store, now int64) {
	switch Next(s.value, s.value != nil, v.owner, now) {
	case Swap:
		if v.pending, v.cas, v.readAt = true, s.cas, now; s.value == nil {
			v.cas = Absent
		}
	case Follow:
		v.leads = false
	}
}

func (v *vm) write(s *store) {
	v.pending = false
	if v.leads = s.set(Value(v.owner, v.readAt), v.cas); v.leads {
		v.expires = v.readAt + int64(TTL)
	}
}

// simulate runs VMs with crashes and stalls; the first never stalls. Stalls inside elections may delay a takeover, so
// they are a choice.
func simulate(t *testing.T, seed int64, splits bool) (changes int) {
	r := rand.New(rand.NewSource(seed))
	s := &store{}
	vms := make([]*vm, 5)
	for i := range vms {
		vms[i] = &vm{owner: uint64(i + 1), tick: r.Int63n(tick)}
	}
	owners, leader, lastLive := uint64(len(vms)), uint64(0), int64(0)
	for now := int64(0); now < 120_000*ms; now += 10 * ms {
		for _, i := range r.Perm(len(vms)) {
			v := vms[i]
			if now < v.tick {
				continue
			}
			if i > 0 && r.Intn(50) == 0 { // a crash; a new VM comes later
				owners++
				*v = vm{owner: owners, tick: now + r.Int63n(5000)*ms}
				continue
			}
			if i == 0 && r.Intn(20) == 0 { // a crash, replaced at once
				owners++
				*v = vm{owner: owners, tick: v.tick}
			}
			if !v.pending {
				v.read(s, now)
			}
			if v.pending && splits && i > 0 && r.Intn(4) == 0 {
				v.tick = now + r.Int63n(4000)*ms
				continue
			}
			if v.pending {
				v.write(s)
			}
			if v.tick = now + tick; i > 0 && r.Intn(20) == 0 {
				v.tick += r.Int63n(4000) * ms
			}
		}
		valid := 0
		for _, v := range vms {
			if v.leads && v.expires > now {
				valid++
				if lastLive = now; v.owner != leader {
					leader = v.owner
					changes++
				}
			}
		}
		if valid > 1 {
			t.Fatalf("seed %d: %d leaders with a lease at %v", seed, valid, duration.Duration(now))
		}
		// A living leader's lease is noticed as lost within one tick of its end, and it ended at most TTL after a crash.
		if !splits && now-lastLive > int64(TTL)+tick {
			t.Fatalf("seed %d: no leader from %v to %v", seed, duration.Duration(lastLive), duration.Duration(now))
		}
	}
	return changes
}

func TestElection(t *testing.T) {
	t.Parallel()
	changes := 0
	for seed := range int64(30) {
		changes += simulate(t, seed, true) + simulate(t, seed, false)
	}
	if changes < 300 {
		t.Errorf("only %d changes of the leader: the faults hit no leader", changes)
	}
}

func TestLasts(t *testing.T) {
	t.Parallel()
	const now = int64(duration.Hour)
	for passed, want := range map[int64]bool{-1: false, 0: true, int64(TTL) - 1: true, int64(TTL): false, now: false} {
		if got := Lasts(now, now+passed); got != want {
			t.Errorf("after %v: %v", duration.Duration(passed), got)
		}
	}
}

func TestNext(t *testing.T) {
	t.Parallel()
	const now = int64(duration.Hour)
	for _, test := range []struct {
		name   string
		stored []byte
		want   Step
	}{
		{"nothing", nil, Swap}, {"free", Free(), Swap}, {"another version's", []byte("x"), Swap},
		{"mine, fresh", Value(1, now), Lead}, {"mine, to renew", Value(1, now-int64(Renewal)), Swap},
		{"mine, expired", Value(1, now-2*int64(TTL)), Swap},
		{"another's", Value(2, now), Follow}, {"another's, about to end", Value(2, now-int64(TTL)+1), Follow},
		{"another's, ended", Value(2, now-int64(TTL)), Swap},
		{"another's, as long as any", Value(2, now), Follow}, {"another's, longer", Value(2, now+1), Seize},
		{"another's, without an end", encode(2, 1<<62), Seize}, {"mine, without an end", encode(1, 1<<62), Seize},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := Next(test.stored, test.stored != nil, 1, now); got != test.want {
				t.Errorf("%s: %v, want %v", test.name, got, test.want)
			}
		})
	}
}
