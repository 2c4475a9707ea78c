package chaos

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/healthgate/healthgate/hostsim"
)

// happenings are what a plan's operations do, in the words of the tables of docs/reliability.md.
var happenings = map[string]string{
	"app": "an application's status changes", "runtime": "a maintenance key changes", "draining": "draining: %s",
	"crash": "a VM is killed", "depose": "the main thread's VM is killed while all is calm", "trap": "a trap in %s",
	"refuse": "an allocation is refused", "lose": "a compare-and-swap of the %s is lost",
	"race": "other threads tick before a write of the %s", "stall": "a thread is stalled",
	"sleep": "the process stands still", "back": "the monotonic clock goes back", "wall": "the wall clock is set",
	"callouts": "callouts: %s", "admin": "admin answers: %s", "update": "a live update to configuration %s",
	"refuse-update": "a live update that is refused", "drained": "a drain time is over",
}

const takeover = "a VM takes over"

// paired are what is marked together with the state in which it happens.
var paired = []string{"crash", "stall", "sleep", "back", "update", "drained"}

// marksOf marks an operation, alone and together with what is under way.
func (j *judge) marksOf(o op) {
	what, told := happenings[o.name]
	if !told {
		return
	}
	for _, name := range paired {
		if name == o.name {
			j.markPairs(strings.TrimSuffix(what, " to configuration %s"))
		}
	}
	if strings.Contains(what, "%s") {
		which := o.arg(0)
		if o.name == "trap" || o.name == "callouts" {
			which = o.arg(1)
		}
		what = fmt.Sprintf(what, which)
	}
	j.run.mark(what)
	if o.name == "runtime" && j.run.adminAnswer != "ok" && j.key(o.arg(0)).on() {
		j.run.mark("maintenance while admin is unreadable")
	}
}

// states are those in which something else may go wrong.
var states = []struct {
	name string
	is   func(j *judge) bool
}{
	{"a callout hangs", func(j *judge) bool { return j.run.hanging() }},
	{"a thread is stalled", func(j *judge) bool { return now(j) < j.paused }},
	{"an old configuration is in use", func(j *judge) bool { return len(j.live) > 1 }},
	{"the leader is dead", func(j *judge) bool { return j.leader.Thread != "" && j.run.thread(j.leader.Thread).Failed() }},
	{"admin is unreadable", func(j *judge) bool { return j.run.adminAnswer != "ok" }},
	{"allocations are refused", func(j *judge) bool { return j.refusing }},
	{"maintenance is on", func(j *judge) bool {
		for _, k := range j.keys {
			if k.on() {
				return true
			}
		}
		return false
	}},
}

func (j *judge) markPairs(what string) {
	for _, s := range states {
		if s.is(j) {
			j.run.mark(what + " while " + s.name)
		}
	}
}

// hanging reports whether callouts hang just now.
func (r *run) hanging() bool {
	for _, kind := range r.calloutFaults {
		if kind == "never" || kind == "lost" || kind == "timeout" || kind == "late" {
			return true
		}
	}
	return false
}

func (j *judge) marksOfAnswer(o *op, before int, at time.Duration, r *hostsim.Reply) {
	j.run.mark("answered " + cmp.Or(strings.TrimPrefix(r.Details, "healthgate_"), "nothing"))
	for what, now := range map[string]bool{
		"a check waited":                    at > o.at,
		"a check waited for a probe":        at > o.at && j.patience() > 0 && j.paused < o.at,
		"a check through an old connection": before > 0 && len(j.live) > 1,
		"judged strictly":                   j.strict(at),
		"a stranger passed":                 o.arg(2) == "stranger" && r.Forwarded,
		"200 right after a pause":           r.Status == 200 && j.paused > 0 && at < j.paused+10*ms,
	} {
		if now {
			j.run.mark(what)
		}
	}
}

// wanted are the marks that a campaign must reach.
func wanted() []string {
	all := []string{
		"answered healthy", "answered unhealthy", "answered unknown", "answered draining", "answered maintenance",
		"answered untrusted", "answered shown", "answered not_serving", "answered via_upstream", "answered wasm_fail_stream",
		takeover,
		"maintenance while admin is unreadable", "a check waited", "a check waited for a probe",
		"a check through an old connection", "judged strictly", "a stranger passed", "200 right after a pause",
	}
	which := map[string]string{
		"draining": "on off", "trap": "proxy_on_tick proxy_on_request_headers proxy_on_http_call_response",
		"lose": "lease snapshot voice", "race": "lease snapshot voice",
		"callouts": "late inline refused reset timeout never lost", "admin": "login closed empty truncated foreign",
		"update": "A B",
	}
	for name, what := range happenings {
		if which[name] == "" {
			all = append(all, what)
		}
		for _, arg := range strings.Fields(which[name]) {
			all = append(all, fmt.Sprintf(what, arg))
		}
	}
	for _, s := range states {
		all = append(all, takeover+" while "+s.name)
		for _, name := range paired {
			all = append(all, strings.TrimSuffix(happenings[name], " to configuration %s")+" while "+s.name)
		}
	}
	return all
}
