package monitor

import (
	"strings"
	"testing"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/lean/duration"
	"github.com/healthgate/healthgate/filter/snapshot"
)

const (
	start = int64(duration.Hour)
	ms    = int64(duration.Millisecond)
)

// full is a configuration with one probe "p", an admin section and two keys, "k" and "z", of endpoint "e"; endpoint
// "f" has only "z".
func full() *config.Config {
	c := probes()
	c.Keys = []string{"k", "z"}
	c.Admin = &config.Admin{Cluster: "a", Interval: duration.Second, Timeout: 500 * duration.Millisecond}
	c.Endpoints = []config.Endpoint{
		{Name: "e", Maintenance: config.Maintenance{Keys: []int{0, 1}}},
		{Name: "f", Maintenance: config.Maintenance{Keys: []int{1}}},
	}
	return c
}

// The callouts of full.
const (
	probeCallout = iota
	runtimeCallout
	readyCallout
)

// rig is a monitor with its world, and the callouts under way.
type rig struct {
	*world
	*Monitor
	flying map[int]uint32
}

func newRig(c *config.Config, record *snapshot.Record) *rig { return newRigAt(start, c, record) }

func newRigAt(now int64, c *config.Config, record *snapshot.Record) *rig {
	w := &world{now: now}
	if record == nil {
		record = snapshot.New(len(c.Keys), len(c.Probes))
	}
	return &rig{w, New(c, record, w, w), map[int]uint32{}}
}

// Answered and Failed are the monitor's, by the callout's index.

func (r *rig) Answered(c int, number uint32, response Response) {
	r.Monitor.Answered(r.callouts[c], number, response)
}

func (r *rig) Failed(c int, number uint32, outcome snapshot.Outcome) {
	r.Monitor.Failed(r.callouts[c], number, outcome)
}

// due notes the callouts that begin now, and says which.
func (r *rig) due() (begun []int) {
	for _, s := range r.Due() {
		r.flying[s.Index] = s.Number
		begun = append(begun, s.Index)
	}
	return begun
}

// answer moves to the callout's next turn and answers it.
func (r *rig) answer(t *testing.T, c int, status uint32, body string) {
	t.Helper()
	r.now += int64(duration.Second)
	r.answerNow(t, c, status, body)
}

func (r *rig) answerNow(t *testing.T, c int, status uint32, body string) {
	t.Helper()
	r.due()
	number, flying := r.flying[c]
	if !flying {
		t.Fatalf("callout %d is not under way", c)
	}
	for other, n := range r.flying { // the others are of no interest: they end without a trace
		delete(r.flying, other)
		if other != c {
			r.callouts[other].complete(n)
		}
	}
	r.Answered(c, number, upstream(status, body))
}

// upstream is a response from where it was asked, local one that Envoy gave itself.
func upstream(status uint32, body string) Response {
	return Response{Status: status, Body: func() []byte { return []byte(body) }}
}

func local(status uint32, body string) Response {
	r := upstream(status, body)
	r.Local = true
	return r
}

// idle is a tick whose callouts end without a trace.
func (r *rig) idle() {
	r.due()
	for c, n := range r.flying {
		delete(r.flying, c)
		r.callouts[c].complete(n)
	}
}

func entry(key, value string) string { return `"` + key + `":{"final_value":"` + value + `"}` }

func document(entries ...string) string { return `{"entries":{` + strings.Join(entries, ",") + `}}` }

// said compares what was logged since the last call.
func (r *rig) said(t *testing.T, when string, want ...string) {
	t.Helper()
	if got := strings.Join(r.log, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("%s: log\n%s\nwant\n%s", when, got, strings.Join(want, "\n"))
	}
	r.log = nil
}
