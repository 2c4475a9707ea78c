package voice

import (
	"fmt"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/lean/duration"
	"github.com/healthgate/healthgate/filter/maintenance"
	"github.com/healthgate/healthgate/filter/snapshot"
)

const ms = int64(duration.Millisecond)

// world has two VMs of one configuration, their store, and what they told. Endpoint "e" has the keys "k" and "z",
// endpoint "f" has "z".
type world struct {
	now, wall int64
	record    *snapshot.Record
	stored    []byte
	vms       [2]*Voice
	log       []string
	gauges    []string
}

func (w *world) Monotonic() int64 { return w.now }
func (w *world) Wall() int64      { return w.wall }
func (w *world) Info(s string)    { w.log = append(w.log, s) }
func (w *world) Warn(s string)    { w.log = append(w.log, s) }
func (w *world) Maintenance(endpoint int, on bool) {
	w.gauges = append(w.gauges, fmt.Sprintf("%c=%t", 'e'+rune(endpoint), on))
}

func newWorld() *world {
	c := &config.Config{Keys: []string{"k", "z"}, Endpoints: []config.Endpoint{
		{Name: "e", Maintenance: config.Maintenance{Keys: []int{0, 1}}},
		{Name: "f", Maintenance: config.Maintenance{Keys: []int{1}}},
	}}
	w := &world{now: int64(duration.Hour), record: snapshot.New(2, 0), vms: [2]*Voice{New(c), New(c)}}
	w.record.Runtime.At = w.now
	return w
}

func (w *world) set(key int, value, reason string) {
	s, _ := maintenance.ParseSwitch(value)
	w.record.Keys[key] = snapshot.Key{Switch: s, Value: value, Reason: reason}
}

// tick lets a VM look, claim and tell, as the plugin does.
func (w *world) tick(vm int) {
	v := w.vms[vm]
	if !v.Look(w.record, w) {
		return
	}
	if claim := v.Claim(w.stored, w.now); claim != nil {
		w.stored = claim
		v.Tell(w)
	}
}

// told compares what was told since the last call.
func (w *world) told(t *testing.T, when, gauges string, lines ...string) {
	t.Helper()
	if got := strings.Join(w.log, "\n"); got != strings.Join(lines, "\n") {
		t.Errorf("%s: log\n%s\nwant\n%s", when, got, strings.Join(lines, "\n"))
	}
	if got := strings.Join(w.gauges, " "); got != gauges {
		t.Errorf("%s: gauges %s, want %s", when, got, gauges)
	}
	w.log, w.gauges = nil, nil
}

// Whichever VM ticks first tells each change, and no other tells it again.
func TestEachChangeIsToldOnce(t *testing.T) {
	t.Parallel()
	const on, off = `maintenance: endpoint "e": on: key "k" = `, `maintenance: endpoint "e": off`
	type values = [2][2]string // of "k" and "z": value and reason
	w := newWorld()
	for i, step := range []struct {
		values values
		gauges string
		lines  []string
	}{
		{values{}, "e=false f=false", nil}, // nothing to log, but a gauge may stand at 1 from another configuration
		{values{}, "", nil},
		{values{{"on"}}, "e=true", []string{on + `"on"`}},
		{values{{"on"}}, "", nil},
		{values{{"on", "disk"}}, "e=true", []string{on + `"on", reason "disk"`}},
		{values{{"on", "a\nb \"c\""}}, "e=true", []string{on + `"on", reason "a\nb \"c\""`}},
		{values{{"100", "x"}}, "e=true", []string{on + `"100", reason "x"`}},
		{values{{"100"}}, "e=true", []string{on + `"100"`}},
		{values{{"100x"}}, "e=true", []string{on + `"100x"`}},
		{values{{"off", "x"}}, "e=false", []string{off}},
		{values{{}, {"1"}}, "e=true f=true", []string{`maintenance: endpoint "e": on: key "z" = "1"`,
			`maintenance: endpoint "f": on: key "z" = "1"`}},
		{values{{"yes"}, {"1"}}, "e=true", []string{on + `"yes"`}},
		{values{{"yes"}}, "f=false", []string{`maintenance: endpoint "f": off`}},
		{values{}, "e=false", []string{off}},
	} {
		for k, v := range step.values {
			w.set(k, v[0], v[1])
		}
		w.now += 100 * ms
		for vm := range w.vms {
			w.tick((i + vm) % 2)
		}
		w.told(t, fmt.Sprint("step ", i), step.gauges, step.lines...)
	}
}

// Maintenance ends by its time without another record.
func TestEndByTime(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.set(0, "1970-01-01T01:00:05Z", "")
	w.wall = int64(duration.Hour) + 5000*ms - 1
	w.tick(0)
	w.told(t, "before the end", "e=true f=false", `maintenance: endpoint "e": on: key "k" = "1970-01-01T01:00:05Z"`)
	w.now++
	w.wall++
	w.tick(1)
	w.tick(0)
	w.told(t, "at the end", "e=false", `maintenance: endpoint "e": off`)
}

// Nothing is told before there is a reading, nor while there is no record.
func TestNothingIsKnown(t *testing.T) {
	t.Parallel()
	w := newWorld()
	record := w.record
	record.Runtime.At = 0
	w.tick(0)
	w.record = nil
	w.tick(0)
	w.told(t, "not read yet", "")
	w.record = record
	w.record.Runtime.At = w.now
	w.set(0, "on", "")
	w.tick(0)
	w.told(t, "read", "e=true f=false", `maintenance: endpoint "e": on: key "k" = "on"`)
	w.record = nil
	w.tick(0)
	w.told(t, "no record any more", "")
}

// A VM that looked before another one told does not take that back; at its next tick it sees the same.
func TestOlderLook(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.tick(0)
	w.tick(1)
	w.told(t, "begin", "e=false f=false")
	w.set(0, "on", "")
	w.tick(0)
	w.told(t, "on", "e=true", `maintenance: endpoint "e": on: key "k" = "on"`)
	w.now -= ms
	w.set(0, "", "") // what the record was then
	w.tick(1)
	w.told(t, "an older look", "")
	w.now += ms
	w.set(0, "on", "")
	w.tick(1)
	w.told(t, "the next look", "")
}

// What is not of this form, or of a time that no VM can have written, counts as nothing told.
func TestForgedStore(t *testing.T) {
	t.Parallel()
	for _, stored := range [][]byte{nil, []byte("x"), []byte(strings.Repeat("\xff", 23)),
		[]byte(strings.Repeat("\x7f", 24))} {
		w := newWorld()
		w.stored = stored
		w.set(1, "on", "")
		w.tick(0)
		w.told(t, fmt.Sprintf("%q", stored), "e=true f=true",
			`maintenance: endpoint "e": on: key "z" = "on"`, `maintenance: endpoint "f": on: key "z" = "on"`)
	}
}

func TestLookDoesNotAllocate(t *testing.T) {
	w := newWorld()
	w.set(0, "on", "reason")
	if n := testing.AllocsPerRun(100, func() { w.vms[0].Look(w.record, w) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
