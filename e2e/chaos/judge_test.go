package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// What the judge knows of the plugin's promises is docs/configuration.md; the configuration is in rig_test.go.
const (
	interval     = time.Second // of probes and polls
	timeout      = 500 * time.Millisecond
	maxAge       = 10 * time.Second // of a reading, with on_stale: fail
	probeAge     = 10 * time.Second // of a probe's finding
	slack        = time.Second      // a VM looks at the clock each half second
	bound        = 4 * time.Second  // a change is answered, while all is well
	recovery     = 16 * time.Second // and all is well again so long after the last fault: leases, polls that were slow
	rateWindow   = 10 * time.Second
	shownHistory = 30 * time.Second
)

// judge knows what is the case and since when, and judges what clients get. It has no clock of its own.
type judge struct {
	mu         sync.Mutex
	violations []string
	counts     map[string]int

	causes    map[string]fact // why a check must not be healthy: runtime's layers, draining
	apps      map[string]fact // the statuses of the probes' paths
	faults    map[string]time.Time
	lastFault time.Time
	lag       time.Duration // by how much this machine was late of late
	lagAt     time.Time
	downs     []span // when Envoy was stopped or dead
	history   []event

	reads   map[string]time.Time // when admin last answered each path
	slowest time.Duration        // of these answers; the plugin polls a slow admin less often
	success map[string]time.Time // when each probe last got a 200
	probed  map[string][]time.Time
	elected []time.Time // what may bring a probe forward
	knewBy  time.Time   // when an answer last said maintenance
}

type (
	fact struct {
		value string
		since time.Time
	}
	span struct {
		from, to time.Time // to is zero while it lasts
		sleep    bool
	}
	event struct {
		at   time.Time
		text string
	}
	// exchange is what a client sent and got.
	exchange struct {
		client    string // balancer, stranger or user
		path      string
		sent, got time.Time
		status    int
		body      string
		app       bool // answered by the application
		err       error
	}
)

func newJudge(now time.Time) *judge {
	j := &judge{counts: map[string]int{}, causes: map[string]fact{},
		apps: map[string]fact{}, faults: map[string]time.Time{}, reads: map[string]time.Time{},
		success: map[string]time.Time{}, probed: map[string][]time.Time{}, lastFault: now}
	for _, name := range probes {
		j.apps[name] = fact{"200", now}
	}
	return j
}

// violate prints what was on since when, which answer came when, and what went wrong then.
func (j *judge) violate(now time.Time, rule, format string, args ...any) {
	j.counts["wrong: "+rule]++
	if j.counts["wrong: "+rule] > 3 {
		return // more of the same
	}
	ago := func(t time.Time) string { return fmt.Sprintf("%.3f s before", now.Sub(t).Seconds()) }
	var b strings.Builder
	fmt.Fprintf(&b, "%s: at %s: %s\n", rule, now.UTC().Format("15:04:05.000"), fmt.Sprintf(format, args...))
	for _, facts := range []map[string]fact{j.causes, j.apps} {
		for _, name := range slices.Sorted(maps.Keys(facts)) {
			fmt.Fprintf(&b, "  %s: %q since %s\n", name, facts[name].value, ago(facts[name].since))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(j.faults)) {
		fmt.Fprintf(&b, "  fault: %s since %s\n", name, ago(j.faults[name]))
	}
	for what, times := range map[string]map[string]time.Time{"read": j.reads, "probe succeeded": j.success} {
		for name, at := range times {
			fmt.Fprintf(&b, "  last %s: %s %s\n", what, name, ago(at))
		}
	}
	for _, e := range j.history {
		if now.Sub(e.at) < shownHistory {
			fmt.Fprintf(&b, "  %s: %s\n", ago(e.at), e.text)
		}
	}
	j.violations = append(j.violations, b.String())
}

// begin is that the plan begins: what was found before, was found by now.
func (j *judge) begin(now time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, name := range probes {
		j.success[name] = now
	}
	j.reads["/runtime"], j.reads["/ready"] = now, now
	for _, rule := range []string{"old answer", "old answer after a pause", "wrong when calm", "reached the application",
		"stranger", "normal request", "rate", "wrong answer", "no answer"} {
		j.counts["wrong: "+rule] = 0
	}
}

// counted counts an operation.
func (j *judge) counted(o op) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch o.name {
	case "calm", "end":
	case "crash":
		j.counts["done: crash "+o.arg(0)]++
	default:
		j.counts["done: "+o.name]++
	}
}

// results are the violations, and how often all that is counted was.
func (j *judge) results() ([]string, map[string]int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.violations), maps.Clone(j.counts)
}

func (j *judge) crashed(vms int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.counts["VMs crashed"] += vms
}

// happens takes note of an operation.
func (j *judge) happens(now time.Time, text string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.note(now, text)
}

func (j *judge) note(now time.Time, text string) {
	j.history = append(j.history, event{now, text})
	name, _, _ := strings.Cut(text, " ")
	switch name {
	case "update", "busy":
		j.lastFault = now
	case "crash", "sleep", "kill":
		j.lastFault = now
		j.elected = append(j.elected, now)
	}
}

// fault begins something that lasts, or ends it.
func (j *judge) fault(now time.Time, name string, on bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lastFault = now
	if delete(j.faults, name); on {
		j.faults[name] = now
	}
}

// down is that Envoy does not run: it sleeps or is dead.
func (j *judge) down(now time.Time, sleep bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.downs = append(j.downs, span{from: now, sleep: sleep})
}

func (j *judge) up(now time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.downs[len(j.downs)-1].to = now
	j.lastFault = now
	j.elected = append(j.elected, now)
}

// cause sets why a check must not be healthy. What is switched on counts when that is done, what is switched off before
// it is.
func (j *judge) cause(now time.Time, name, value string) { j.set(now, j.causes, name, value) }

func (j *judge) application(now time.Time, name, value string) { j.set(now, j.apps, name, value) }

func (j *judge) set(now time.Time, facts map[string]fact, name, value string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if facts[name].value != value {
		facts[name] = fact{value, now}
	}
}

func (j *judge) late(now time.Time, by time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if now.Sub(j.lagAt) > shownHistory || by > j.lag {
		j.lag, j.lagAt = by, now
	}
	j.counts["this machine was late"]++
	j.note(now, fmt.Sprintf("busy machine: late by %v", by.Round(time.Millisecond)))
}

func (j *judge) read(now time.Time, path string, took time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.reads[path] = now
	j.slowest = max(j.slowest, min(took, timeout))
}

// probe judges the rate of a probe, which is sent once in an interval, whoever leads and whatever is updated.
func (j *judge) probe(now time.Time, name string, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if ok {
		j.success[name] = now
	}
	j.counts["probes"]++
	within := func(times []time.Time, window time.Duration) []time.Time {
		return slices.DeleteFunc(times, func(at time.Time) bool { return now.Sub(at) > window })
	}
	j.probed[name] = append(within(j.probed[name], rateWindow), now)
	j.elected = within(j.elected, rateWindow+3*time.Second)
	j.counts["most probes of one kind in 10 s"] = max(j.counts["most probes of one kind in 10 s"], len(j.probed[name]))
	// One for the window's edges, one for a probe that was late; a takeover may bring one forward.
	if most := int(rateWindow/interval) + 2 + 2*len(j.elected); len(j.probed[name]) > most {
		j.violate(now, "rate", "probe %s was sent %d times in %v, at most %d were due", name, len(j.probed[name]),
			rateWindow, most)
	}
}

// reached judges what the application sees on a path of the load balancer.
func (j *judge) reached(now time.Time, client, path string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if client == "balancer" && path == check {
		j.violate(now, "reached the application", "a trusted check of %s", path)
	}
}

// verdicts are the bodies of the plugin's replies; a VM that is dead has none.
var verdicts = map[string]string{"OK": "healthy", "FAILED": "unhealthy", "UNKNOWN": "unknown", "DRAINING": "draining",
	sorry: "maintenance", "": "dead"}

// answered judges what a client got.
func (j *judge) answered(x exchange) {
	j.mu.Lock()
	defer j.mu.Unlock()
	verdict, known := verdicts[x.body]
	if x.app {
		verdict, known = "healthy", true
	}
	down := j.wasDown(x.sent, x.got)
	says := fmt.Sprintf("%s: %s, sent %.3f s before, got %d %q %v", x.client, x.path, x.got.Sub(x.sent).Seconds(),
		x.status, x.body, x.err)
	switch {
	case x.client == "user":
		j.counts["normal requests"]++
		if ok := x.err == nil && x.app && x.status == 200; !ok && down {
			j.counts["normal requests failed while Envoy was stopped or dead"]++
		} else if !ok {
			j.violate(x.got, "normal request", "%s", says)
		}
	case x.client == "stranger":
		j.counts["strangers' requests"]++
		if x.err == nil && !x.app && x.body != "" {
			j.violate(x.got, "stranger", "%s", says)
		}
	case x.err != nil:
		j.counts["checks without an answer while Envoy was stopped or dead"]++
		if !down {
			j.violate(x.got, "no answer", "%s", says)
		}
	default:
		j.counts["checks"]++
		if j.counts["answered "+verdict]++; !known {
			j.violate(x.got, "wrong answer", "%s", says)
			return
		}
		decided := j.notBefore(x.sent)
		if x.status == 200 {
			j.old(decided, x, says)
		} else if verdict == "maintenance" {
			j.knewBy = x.got
		}
		j.exact(decided, x, verdict, says)
	}
}

// wasDown reports whether Envoy was stopped or dead at some moment of a span of time.
func (j *judge) wasDown(from, to time.Time) bool {
	return slices.ContainsFunc(j.downs, func(d span) bool {
		return (d.to.IsZero() || !d.to.Before(from)) && !d.from.After(to)
	})
}

// notBefore is when what was sent could be answered first: not while the process was stopped.
func (j *judge) notBefore(sent time.Time) time.Time {
	for _, d := range j.downs {
		if d.sleep && d.from.Before(sent) && d.to.After(sent) {
			return d.to
		}
	}
	return sent
}

// old is what a 200 must not rest on, whatever goes wrong.
func (j *judge) old(decided time.Time, x exchange, says string) {
	rule, late := "old answer", time.Duration(0)
	if n := len(j.downs); n > 0 && j.downs[n-1].sleep && x.got.Sub(j.downs[n-1].to) < 2*time.Second {
		rule = "old answer after a pause"
	}
	if x.got.Sub(j.lagAt) < shownHistory {
		late = j.lag
	}
	reading := max(maxAge, 60*j.slowest) + timeout + slack + late
	for name, c := range j.causes {
		switch age := decided.Sub(c.since); {
		case c.value == "":
		case age > reading:
			j.violate(x.got, rule, "%s; %s has been on for %.3f s, the bound is %v", says, name, age.Seconds(), reading)
		case name != "draining" && c.since.Before(j.knewBy.Add(-slack)) && j.knewBy.Before(decided):
			j.violate(x.got, rule, "%s; %s has been on, and maintenance was answered before", says, name)
		}
	}
	for _, path := range []string{"/runtime", "/ready"} {
		if age := decided.Sub(j.reads[path]); age > reading {
			j.violate(x.got, rule, "%s; %s was read %.3f s before, the bound is %v", says, path, age.Seconds(), reading)
		}
	}
	for _, name := range probes {
		if age := decided.Sub(j.success[name]); age > probeAge+timeout+slack+late {
			j.violate(x.got, rule, "%s; probe %s succeeded %.3f s before", says, name, age.Seconds())
		}
	}
}

// exact is that the answer is the truth, once nothing has gone wrong and nothing has changed for long enough.
func (j *judge) exact(decided time.Time, x exchange, verdict, says string) {
	if len(j.faults) > 0 || decided.Sub(j.lastFault) < recovery || j.wasDown(decided, x.got) {
		return
	}
	want := "healthy"
	for _, facts := range []map[string]fact{j.apps, j.causes} {
		for name, f := range facts {
			switch {
			case decided.Sub(f.since) < bound:
				return
			case f.value == "" || f.value == "200":
			case name == "draining":
				want = map[bool]string{true: want, false: name}[want == "maintenance"]
			case strings.HasPrefix(name, "runtime"):
				want = "maintenance"
			case want == "healthy":
				want = "unhealthy"
			}
		}
	}
	j.counts["checks that had to be the truth"]++
	if verdict != want {
		j.violate(x.got, "wrong when calm", "%s, want %s", says, want)
	}
}
