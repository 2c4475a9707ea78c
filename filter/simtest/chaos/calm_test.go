package chaos

import (
	"slices"
	"time"

	"github.com/healthgate/healthgate/hostsim"
)

// What the judge asks of the plugin beyond old answers: the truth, once it has been the same for long enough, and an
// answer to each check.

// patience is how long a check may wait for probes.
func (j *judge) patience() (longest time.Duration) {
	for _, l := range append(slices.Clone(j.live), j.gone...) {
		for _, p := range l.Probes {
			if p.OnDemand > 0 {
				longest = max(longest, p.Timeout+100*ms)
			}
		}
	}
	return longest
}

// waited is that a check is answered once, and in time, unless its thread was busy or its VM died.
func (j *judge) waited(now time.Duration, o *op) {
	if !j.waiting[o] {
		j.violate("answered twice", "%v", o)
	}
	delete(j.waiting, o)
	j.patient(now, o)
}

func (j *judge) patient(now time.Duration, o *op) {
	longest := 50 * ms
	if o.arg(2) != "stranger" {
		longest += j.patience()
	}
	at, ever := j.crashed["worker "+o.arg(0)]
	disturbed := ever && o.at <= at || o.at <= j.paused || j.backward > 0 || j.refusing
	if now-o.at > longest && !disturbed {
		j.violate("a check waits", "%v has waited for %v", o, now-o.at)
	}
}

// strict reports whether all that went wrong must be mended by now.
func (j *judge) strict(now time.Duration) bool {
	if j.calmAt == 0 || len(j.seen) < j.run.plan.Workers {
		return false
	}
	last := time.Duration(0)
	for _, at := range j.seen {
		last = max(last, at)
	}
	return now >= last+recovery(j.run.plan)+j.backward
}

// recovery is how long the plugin may take to know the truth again: a lease expires, what was under way counts as lost,
// the main thread of an Envoy that was slow rests, thresholds are reached.
func recovery(p *plan) time.Duration {
	longest := time.Duration(0)
	for _, c := range p.Configs {
		for _, p := range c.Probes {
			longest = max(longest, p.Timeout+time.Second+p.bound())
		}
		if a := c.Admin; a != nil {
			longest = max(longest, 21*a.Timeout+time.Second+a.bound())
		}
	}
	return 2500*time.Millisecond + longest
}

// bound is how long a change of the application may stay unseen while all is well.
func (p *probe) bound() time.Duration {
	if p.OnDemand > 0 {
		return p.OnDemand + 250*ms
	}
	rest := time.Duration(0) // of Envoy's main thread, after a reading that was slow
	if p.Gauge {
		rest = 3 * time.Second
	}
	return rest + time.Duration(max(p.Healthy, p.Unhealthy)+1)*p.Interval*5/4 + 250*time.Millisecond + p.MinUnhealthy
}

func (a *admin) bound() time.Duration { return a.Interval*5/4*2 + 250*time.Millisecond }

// exact is that the answer is the truth, once that has been the same for long enough.
func (j *judge) exact(now time.Duration, o *op, l *live, e *endpoint, r *hostsim.Reply) {
	steady, extra := true, time.Duration(0)
	if j.deposedAt > 0 && now < j.deposedAt+20*time.Second {
		extra = 2500 * ms
	}
	demanded := func(name string) bool { return l.probe(name).OnDemand > 0 }
	if extra > 0 && now < j.deposedAt+extra+j.patience() && slices.ContainsFunc(e.rests(), demanded) {
		return // nobody asks before another one leads
	}
	known := j.known(l, e)
	settled := func(since, bound time.Duration) {
		if !known { // nor could the configuration before it tell, which may ask less often
			since = max(since, l.since)
		}
		steady = steady && now-since >= bound+extra
	}
	if l.Admin != nil {
		settled(j.draining.since, l.Admin.bound())
		if e.Key != "" {
			settled(j.key(e.Key).since, l.Admin.bound())
		}
	}
	for _, name := range e.rests() {
		settled(j.app(name).since, l.probe(name).bound())
	}
	if !steady {
		return
	}
	want, status := j.expected(l, e)
	if e.GRPC && want != "healthgate_healthy" {
		want, status = notServing, 503
	}
	passed := want == "healthgate_healthy" && e.Healthy == "pass" && r.Forwarded
	if passed || want == r.Details && status == r.Status {
		return
	}
	switch {
	case now-l.since >= recovery(j.run.plan):
		j.violate("wrong when calm", "%v got %d %s, want %d %s", o, r.Status, r.Details, status, want)
	case r.Status == 200:
		j.violate("wrong after an update", "%v got %d %s, want %d %s", o, r.Status, r.Details, status, want)
	case known:
		j.violate("flap", "%v got %d %s, want %d %s", o, r.Status, r.Details, status, want)
	}
}

// known reports whether all that the endpoint rests on was known to the configuration before.
func (j *judge) known(l *live, e *endpoint) bool {
	at := slices.Index(j.live, l)
	if at < 1 || now(j)-j.live[at-1].since < recovery(j.run.plan) {
		return false
	}
	before := j.live[at-1].settings
	known := func(f *fact, bound time.Duration) bool { return now(j)-f.since >= bound }
	for _, name := range e.rests() {
		if p := before.probe(name); p == nil || p.OnDemand > 0 || !known(j.app(name), p.bound()) {
			return false
		}
	}
	if l.Admin == nil {
		return true
	}
	return before.Admin != nil && before.Admin.Draining == l.Admin.Draining &&
		known(j.draining, before.Admin.bound()) && known(j.key(e.Key), before.Admin.bound()) &&
		(e.Key == "" || slices.ContainsFunc(before.Endpoints, func(b endpoint) bool { return b.Key == e.Key }))
}

func now(j *judge) time.Duration { return j.run.Elapsed() }

// rests are the probes that the endpoint's answer rests on.
func (e *endpoint) rests() []string {
	if e.Degraded == "" {
		return e.Probes
	}
	return append(slices.Clone(e.Probes), e.Degraded)
}

// expected is the answer by the truth.
func (j *judge) expected(l *live, e *endpoint) (details string, status int) {
	switch {
	case e.Key != "" && j.key(e.Key).on():
		return "healthgate_maintenance", 503
	case l.Admin != nil && l.Admin.Draining == "poll" && j.draining.value == "on":
		return "healthgate_draining", 503
	}
	good, first := 0, 0
	for _, name := range e.Probes {
		if status := j.statusOf(name); status == 200 {
			good++
		} else if first == 0 {
			if first = status; l.probe(name).GRPC || l.probe(name).Gauge {
				first = 503
			}
		}
	}
	if good >= e.need() {
		if e.Degraded != "" && j.statusOf(e.Degraded) != 200 {
			return "healthgate_degraded", 200
		}
		return "healthgate_healthy", 200
	}
	if first < 400 || first > 599 {
		first = 503
	}
	return "healthgate_unhealthy", first
}

// end judges what is left when all is over: the gauges of the newest configuration, and memory.
func (j *judge) end() {
	r, at := j.run, now(j)
	for i := range r.Workers() {
		if bytes := r.Worker(i).MemoryBytes(); bytes > 24<<20 {
			j.violate("leak", "worker %d has %d bytes", i, bytes)
		}
	}
	if entries := len(r.SharedData()); entries > 16 {
		j.violate("leak", "%d entries in shared data", entries)
	}
	l := j.live[len(j.live)-1]
	if !j.strict(at) || at-l.since < recovery(r.plan) {
		return
	}
	if j.updated > 0 && (j.currentAt == 0 || at-j.currentAt < 2*time.Second) {
		return // that it is the current one is known by its checks
	}
	rule := "gauge"
	if j.updated > 0 {
		rule = "gauge after an update"
	}
	gauge := func(name string, since, bound time.Duration, want bool) {
		if got, _ := r.Metric(name); at-since >= bound+time.Second && (got == 1) != want {
			j.violate(rule, "%s = %d, want %v", name, got, want)
		}
	}
	for o := range j.waiting {
		j.patient(at, o)
	}
	for _, p := range l.Probes {
		sent, lately := j.served[p.Name], max(j.app(p.Name).since, j.calmAt)
		if p.OnDemand > 0 && (len(sent) == 0 || sent[len(sent)-1] <= lately) {
			continue
		}
		gauge("healthgate_probe_up.probe."+p.Name, j.app(p.Name).since, p.bound(), j.statusOf(p.Name) == 200)
	}
	for _, e := range l.Endpoints {
		if l.Admin != nil && e.Key != "" {
			k := j.key(e.Key)
			gauge("healthgate_maintenance.endpoint."+e.Name, k.since, l.Admin.bound(), k.on())
		}
	}
	if l.Admin != nil && l.Admin.Draining == "poll" {
		gauge("healthgate_draining", j.draining.since, l.Admin.bound(), j.draining.value == "on")
	}
}
