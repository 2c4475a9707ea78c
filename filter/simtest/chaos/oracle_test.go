package chaos

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/healthgate/healthgate/hostsim"
)

// violation is what must never be, and was.
type violation struct {
	rule string
	at   time.Duration
	text string
}

func (v *violation) String() string { return fmt.Sprintf("%s: at %v: %s", v.rule, v.at, v.text) }

// open are rules that the plugin is known to break; a campaign passes over them.
var open = map[string]string{}

// judge knows the truth and what the plugin could know of it, and judges what it answers. It shares no code with the
// plugin: what it knows of the plugin's promises is docs/configuration.md.
type judge struct {
	run *run
	truth
	live       []*live // the configurations in use, the newest last
	violation  *violation
	passedOver map[string]int

	served                        map[string][]time.Duration // when each probe was sent
	success                       map[string]time.Duration   // when each probe last got a 200
	reads                         map[string]time.Duration   // when admin last answered each path
	backward                      time.Duration              // by how much the monotonic clock went back in all
	goesBack                      time.Duration              // and just now
	paused                        time.Duration              // when a thread, or all, were last disturbed in time
	faults                        []time.Duration            // what may bring a probe forward
	refusing                      bool                       // allocations
	backAt                        time.Time                  // by the wall clock, as the log
	leader                        hostsim.LogEntry           // its line in the log
	calmAt                        time.Duration              // since when nothing goes wrong; 0 while something does
	seen                          map[int]time.Duration      // each worker's first check since its VM was loaded again
	updated, drainedAt, deposedAt time.Duration
	currentAt                     time.Duration // the newest configuration's first check; 0 before it
	gone                          []*live       // until drainedAt
	waiting                       map[*op]bool  // the checks that are not answered yet
	crashed                       map[string]time.Duration
}

// live is a configuration, and what its answers have shown that it knows.
type live struct {
	*settings
	name  string
	since time.Duration
	knew  map[string]time.Duration
	good  map[string]time.Duration // each endpoint's last 200
	bad   map[string]bool          // whether it was unhealthy after that
}

func newJudge(r *run) judge {
	return judge{run: r, truth: newTruth(), served: map[string][]time.Duration{}, success: map[string]time.Duration{},
		reads: map[string]time.Duration{}, seen: map[int]time.Duration{}, passedOver: map[string]int{}, paused: -time.Hour,
		waiting: map[*op]bool{}, crashed: map[string]time.Duration{}}
}

func (j *judge) violate(rule, format string, args ...any) {
	if open[rule] != "" && !*closed {
		j.passedOver[rule]++
	} else if j.violation == nil {
		j.violation = &violation{rule, j.run.Elapsed(), fmt.Sprintf(format, args...)}
	}
}

const (
	slack = 700 * time.Millisecond // a VM looks at the clock each half second
	// reload is the time after which a dead VM is loaded again by the next request.
	reload = 1600 * time.Millisecond
)

// happens takes note of an operation.
func (j *judge) happens(o op) {
	now := j.run.Elapsed()
	j.marksOf(o)
	switch o.name {
	case "app", "runtime", "draining", "drained", "end":
		return
	case "update", "refuse-update", "depose":
		j.faults = append(j.faults, now)
		if o.name == "depose" {
			j.deposedAt = now
		}
		return
	case "calm":
		j.calmAt, j.refusing = max(now, j.paused), false
		clear(j.seen)
		return
	case "stall":
		j.paused = max(j.paused, now+o.duration(1))
	case "sleep":
		j.paused = max(j.paused, now+o.duration(0))
	case "back": // not to before its start
		j.goesBack = max(min(o.duration(0), now-j.backward), 0)
		j.backward += j.goesBack
		j.backAt = j.run.Now()
	case "wall": // the log goes by the new one from now on
		j.leader.Time, j.backAt = j.leader.Time.Add(o.duration(0)), j.backAt.Add(o.duration(0))
	case "refuse":
		j.refusing = true
	}
	j.calmAt = 0
	j.faults = append(j.faults, now)
}

func (j *judge) configured(name string) {
	j.updated, j.currentAt = j.run.Elapsed(), 0
	j.live = append(j.live, &live{j.run.plan.Configs[name], name, j.updated, map[string]time.Duration{},
		map[string]time.Duration{}, map[string]bool{}})
	for _, l := range j.live[:len(j.live)-1] {
		if l.name == name { // a root context is shared by what is the same
			j.live[len(j.live)-1].knew, j.live[len(j.live)-1].since = l.knew, l.since
		}
	}
}

func (j *judge) drainedNow() {
	if len(j.live) > 1 {
		j.gone, j.live, j.drainedAt = j.live, j.live[len(j.live)-1:], now(j)
	}
}

func (j *judge) probed(name string, ok bool) {
	now := j.run.Elapsed()
	j.served[name] = append(j.served[name], now)
	if ok {
		j.success[name] = now
	}
	j.rate(name)
}

func (j *judge) polled(path string) { j.reads[path] = j.run.Elapsed() }

// heard judges a line of the log.
func (j *judge) heard(l hostsim.LogEntry) {
	switch {
	case strings.Contains(l.Message, "leader: this VM"):
		j.run.mark(takeover)
		j.markPairs(takeover)
		j.elected(l)
		j.faults = append(j.faults, j.run.Elapsed())
	case !strings.HasPrefix(l.Message, "Function: "): // said by the plugin, not of it
		return
	case !strings.Contains(l.Message, "injected trap") && !strings.Contains(l.Message, "killed by the test"):
		j.violate("trap", "%v", l)
	}
	j.crashed[l.Thread] = j.run.Elapsed()
}

// elected is that a lease that was just taken is nobody else's. Each configuration has a lease of its own.
func (j *judge) elected(l hostsim.LogEntry) {
	before := j.leader
	j.leader = l
	gap := l.Time.Sub(before.Time)
	if j.updated == 0 && before.Thread != l.Thread && 0 <= gap && gap < 100*ms && l.Time.Sub(j.backAt) > time.Second {
		j.violate("two leaders", "%v and %v", before, l)
	}
}

// rate is that a probe is sent once in an interval: in five steps at least three intervals pass, or in some steps
// more if something happened that may bring one forward.
func (j *judge) rate(name string) {
	at, now := j.served[name], j.run.Elapsed()
	interval, steps := time.Hour, 5
	for i, l := range append(slices.Clone(j.live), j.gone...) {
		p := l.probe(name)
		if p == nil {
			continue
		}
		if i < len(j.live) || now < j.drainedAt+3*interval {
			interval = min(interval, p.every())
		}
		if p.OnDemand > 0 && len(j.live)+len(j.gone) > 1 { // the checks of each configuration have it sent
			steps = 10
		}
	}
	for i := len(j.faults) - 1; i >= 0 && j.faults[i] > now-3*interval-3*time.Second; i-- {
		steps++
	}
	if now < j.paused+4*interval {
		return
	}
	if len(at) > steps && now-at[len(at)-1-steps] < 3*interval {
		rule := "rate"
		if len(j.live) > 1 || at[len(at)-1-steps] <= j.drainedAt {
			rule = "rate of an old configuration"
		}
		j.violate(rule, "probe %s: %d in %v, its interval is %v", name, steps+1, now-at[len(at)-1-steps], interval)
	}
}

// answered judges the answer to a check.
func (j *judge) answered(o *op, before int, r *hostsim.Reply) {
	now := j.run.Elapsed()
	j.marksOfAnswer(o, before, now, r)
	j.waited(now, o)
	if len(j.live) > 1 && strings.HasPrefix(r.Details, "downstream_local_disconnect") {
		return // it waited when the drain time of its connection was over
	}
	worker := o.number(0)
	at := len(j.live) - 1 - before
	for i := len(j.live) - 1; i > 0 && j.live[i].since > o.at; i-- {
		at-- // what came before an update waited through it
	}
	if at < 0 || o.at < j.updated && j.paused >= o.at { // or it came to a process that stood still
		return
	}
	if _, seen := j.seen[worker]; !seen && j.calmAt > 0 && now >= j.calmAt+reload {
		j.seen[worker] = now
	}
	l := j.live[at]
	e := l.endpoint(o.arg(1))
	failed := r.Details == "wasm_fail_stream"
	if before == 0 && !failed && o.arg(2) != "stranger" && j.currentAt == 0 {
		j.currentAt = now
	}
	if failed && before == 0 && j.strict(now) {
		j.violate("dead", "%v: the VM is dead", o)
	}
	switch {
	case failed || e == nil || j.refusing && r.Details == "healthgate_starved":
	case o.arg(2) == "stranger":
		if strings.HasPrefix(r.Details, "healthgate_") && (r.Details != "healthgate_untrusted" || e.Untrusted == "pass") {
			j.violate("stranger", "%v got %d %s", o, r.Status, r.Details)
		} else if e.Untrusted == "reply" && r.Forwarded && !j.refusing {
			j.violate("stranger", "%v was let through", o)
		}
	case e.Policy == "status":
		if r.Details != "healthgate_shown" && !j.refusing {
			j.violate("status page", "%v got %d %s", o, r.Status, r.Details)
		}
	case r.Forwarded && (e.Healthy != "pass" || r.Status != 200) || r.Details == "healthgate_untrusted" && !j.refusing:
		rule := "reached the application"
		if j.refusing {
			rule += " for want of memory"
		}
		j.violate(rule, "%v got %d %s", o, r.Status, r.Details)
	default:
		if r.Status == 200 {
			passed := r.Forwarded || e.GRPC // to the application, or to the route that answers checks of gRPC
			j.old(now, o, l, e, passed)
			if r.Details == "healthgate_healthy" && e.Degraded != "" && !j.lately(l, e.Degraded) {
				j.violate("old answer", "%v is not degraded, and %s did not succeed lately", o, e.Degraded)
			}
			if !passed { // what passes was decided before
				j.held(now, o, l, e)
			}
		} else {
			j.learn(now, l, e, r.Details)
		}
		if before == 0 && j.strict(now) { // an old configuration may wait for a check of its own
			j.exact(now, o, l, e, r)
		}
	}
}

// learn notes what a bad answer says that the plugin knows.
func (j *judge) learn(now time.Duration, l *live, e *endpoint, details string) {
	switch details {
	case "healthgate_maintenance":
		if j.key(e.Key).on() {
			l.knew["key "+e.Key] = now
		}
	case "healthgate_draining":
		if j.draining.value == "on" {
			l.knew["draining"] = now
		}
	case "healthgate_unhealthy":
		l.bad[e.Name] = true
		since, bound := j.unhealthySince(e), time.Second
		for _, name := range e.Probes {
			bound = max(bound, l.probe(name).bound())
		}
		if since < now-bound && (len(j.faults) == 0 || j.faults[len(j.faults)-1] < since-3*time.Second) {
			l.knew[failing(e, since)] = now
		}
	}
}

// old is what a good answer must not rest on, whatever goes wrong.
func (j *judge) old(now time.Duration, o *op, l *live, e *endpoint, passed bool) {
	rule := "old answer"
	switch {
	case passed && j.refusing:
		rule = "reached the application for want of memory"
	case j.paused > 0 && now < j.paused+2*time.Second:
		rule = "old answer after a pause"
	}
	bad := func(format string, args ...any) {
		j.violate(rule, "%v got 200: "+format, append([]any{o}, args...)...)
	}
	knew := func(what string, since time.Duration) {
		// What passes is answered by the application, after it was decided.
		if at, known := l.knew[what]; known && since <= at && !(passed && at == now) {
			bad("%s has been since %v, and it knew at %v", what, since, at)
		}
	}
	if a := l.Admin; a != nil {
		within := max(a.MaxAge, 60*a.Timeout) + a.Timeout + slack + j.backward
		fresh := func(path, what string, since time.Duration, on bool) {
			read, ever := j.reads[path]
			switch {
			case !ever:
				bad("%s was never read", path)
			case a.OnStale == "fail" && now-read > within:
				bad("%s was last read at %v", path, read)
			case on && a.OnStale == "fail" && now-since > within:
				bad("%s has been since %v", what, since)
			case on:
				knew(what, since)
			}
		}
		if e.Key != "" {
			fresh("/runtime", "key "+e.Key, j.key(e.Key).since, j.key(e.Key).on())
		}
		if a.Draining == "poll" {
			fresh("/ready", "draining", j.draining.since, j.draining.value == "on")
		}
	}
	good := 0
	for _, name := range e.Probes {
		if j.lately(l, name) {
			good++
		}
	}
	if good < e.need() {
		bad("%d of its probes succeeded lately, and it needs %d", good, e.need())
	}
	if since := j.unhealthySince(e); since < now && j.paused < since-time.Second {
		knew(failing(e, since), since+time.Second)
	}
}

// lately reports whether a probe succeeded so lately that it may count as healthy.
func (j *judge) lately(l *live, name string) bool {
	p := l.probe(name)
	at, ever := j.success[name]
	if p.OnDemand > 0 { // an answer may have come late to a leader that was busy, until its lease was over
		return ever && now(j)-at <= p.OnDemand+p.Timeout+lease+j.backward
	}
	counts := 10 * time.Second
	if p.Gauge {
		counts = 15 * time.Second
	}
	within := time.Duration(p.Unhealthy)*(max(counts, 3*p.Interval+p.Timeout)+p.Timeout+slack) + j.backward
	return ever && now(j)-at <= within
}

// lease is how long a leader may be silent.
const lease = 1500 * ms

// every is how much time lies between two probes at the least.
func (p *probe) every() time.Duration { return cmp.Or(p.OnDemand, p.Interval) }

// held is that a probe that turned unhealthy stays so for min_unhealthy: all of the endpoint's were healthy when it was
// last answered 200. An update may bring a state that was found by another min_unhealthy, and a clock that goes back
// makes everything forgotten.
func (j *judge) held(now time.Duration, o *op, l *live, e *endpoint) {
	good, ever := l.good[e.Name]
	bad := l.bad[e.Name]
	l.good[e.Name], l.bad[e.Name] = now, false
	if !ever || !bad || j.updated > 0 || j.backward > 0 || len(e.Probes) == 0 || e.need() < len(e.Probes) {
		return
	}
	for _, name := range e.Probes {
		if now-good >= l.probe(name).MinUnhealthy-time.Second {
			return
		}
	}
	j.violate("min_unhealthy", "%v got 200, as it had %v ago, and was unhealthy since then", o, now-good)
}

// failing names one failure of an endpoint's probes: it may fail for one of them, and then for another.
func failing(e *endpoint, since time.Duration) string {
	return fmt.Sprintf("a failing of %s, since %v,", e.Name, since)
}
