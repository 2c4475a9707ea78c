package monitor

import (
	"math"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/lean/ascii"
	"github.com/healthgate/healthgate/filter/lean/duration"
	"github.com/healthgate/healthgate/filter/snapshot"
)

// Callout is one kind of request that the leader sends again and again, and what becomes of its results. A new kind of
// probe is a new value.
type Callout struct {
	Index int    // in the list of all
	Name  string // in metrics

	Cluster, Method, Host, Path string // the request
	Message                     []byte // of a gRPC request, in its frame; nil for another one
	Timeout                     duration.Duration

	// Yields says that another configuration comes first, which asks the same: this one asks only if that was not done for
	// an interval and a second, by which it is known what the other one asked.
	Yields bool

	interval duration.Duration
	maxAge   duration.Duration // for how long a finding counts
	last     *snapshot.Finding // in the shared record
	probe    int               // which of the configuration's probes
	topic    string            // in log lines
	onDemand bool              // asked when it is wanted
	costly   bool              // Envoy's main thread rests after it
	once     bool              // of a probe: it asks until it is healthy

	// What to do with a result; failed says why there is no response.
	answered func(*Monitor, *Callout, Response)
	failed   func(m *Monitor, c *Callout, outcome snapshot.Outcome, why string)

	schedule
	logged snapshot.Finding // what the log has last
	said   string           // what is missing of xDS
}

// schedule says when a callout is due, and which one is under way.
type schedule struct {
	due, began int64
	number     uint32 // counts the callouts, so that a late answer is not taken for the current one's
	underWay   bool
	wanted     bool              // some check waits for a result
	missing    int64             // since when no poll could be read; 0 if the last one could be
	took       duration.Duration // by the last poll that could be
}

// rest puts the next callout off.
func (s *schedule) rest(now int64, pause duration.Duration) { s.due = max(s.due, now+int64(pause)) }

// complete ends the callout. It reports false for an answer that came too late to matter.
func (s *schedule) complete(number uint32) bool {
	if !s.underWay || s.number != number {
		return false
	}
	s.underWay, s.wanted = false, false
	return true
}

// tellAgain is how long a log line of what fails stands before another status, or none, is worth the next: what fails
// in turns must not fill the log.
const tellAgain = 10 * duration.Second

// tell reports whether to log a result, and notes it: always if it changes the state, else if another one was told.
func (c *Callout) tell(outcome snapshot.Outcome, status uint32, now int64, change bool) bool {
	t := &c.logged
	if !change && (t.Outcome == outcome && t.Status == status || now-t.At < int64(tellAgain)) {
		return false
	}
	t.Outcome, t.Status, t.At = outcome, status, now
	return true
}

// Names returns the names of a configuration's callouts in metrics, by Callout.Index.
func Names(c *config.Config) []string {
	var names []string
	for _, callout := range callouts(c, snapshot.New(len(c.Keys), len(c.Probes))) {
		names = append(names, callout.Name)
	}
	return names
}

// callouts returns what a configuration has the leader ask: the probes in its order, then Envoy's admin.
func callouts(c *config.Config, record *snapshot.Record) (all []*Callout) {
	for i := range c.Probes {
		p := &c.Probes[i]
		probe := &Callout{
			Name: "probe_" + p.Name, Cluster: p.Cluster, Method: p.Method, Host: p.Host, Path: p.Path, Timeout: p.Timeout,
			Message: message(p), interval: p.Interval, maxAge: p.MaxAge(), last: &record.Probes[i].Finding, probe: i,
			onDemand: p.OnDemand > 0,
			topic:    "probe " + ascii.Quote(p.Name), answered: (*Monitor).probeAnswered, failed: (*Monitor).probeFailed,
		}
		if p.OfEnvoy() {
			probe.once = p.XDS
			probe.Cluster, probe.answered, probe.failed = c.Admin.Cluster, (*Monitor).statsAnswered, (*Monitor).statsUnread
		}
		all = append(all, probe)
	}
	if c.Admin != nil {
		runtime := poll(c.Admin, "admin_runtime", "runtime", "/runtime?format=json", &record.Runtime,
			(*Monitor).runtimeAnswered)
		runtime.costly = true
		all = append(all, runtime)
		if !c.Admin.IgnoreDraining {
			all = append(all, poll(c.Admin, "admin_ready", "draining", "/ready", &record.Ready, (*Monitor).readyAnswered))
		}
	}
	for i := range all {
		all[i].Index = i
	}
	return all
}

func poll(a *config.Admin, name, topic, path string, last *snapshot.Finding,
	answered func(*Monitor, *Callout, Response)) *Callout {
	return &Callout{
		Name: name, Cluster: a.Cluster, Method: "GET", Host: "localhost", Path: path, Timeout: a.Timeout,
		interval: a.Interval, maxAge: math.MaxInt64, last: last, topic: topic, answered: answered, failed: (*Monitor).unread,
	}
}

// takeOver keeps the rhythm of the last leader: no callout comes early because the leader changed. But what is not
// known is asked at once.
func (c *Callout) takeOver(now int64) {
	if c.known(now) {
		c.due = c.last.StartedAt + int64(c.interval)
	}
	c.restAfter()
	c.took = c.last.Took()
	c.began, c.logged = c.last.StartedAt, *c.last
}

// known reports whether the last result still counts.
func (c *Callout) known(now int64) bool { return c.last.At != 0 && now-c.last.At <= int64(c.maxAge) }

// restAfter puts the next callout off after the last one that another leader had an answer to.
func (c *Callout) restAfter() {
	if c.costly {
		c.rest(c.last.At, config.Pause(min(c.last.Took(), c.Timeout)))
	}
}

// elapsed is how long the callout has taken by now, at most its timeout. If the process stood still meanwhile, Envoy
// did no work for it: it must neither put the next poll off nor make a reading count for longer.
func (c *Callout) elapsed(now int64) duration.Duration {
	return min(duration.Duration(now-c.began), c.Timeout)
}

// found notes that there is a result.
func (c *Callout) found(now int64, took duration.Duration) {
	c.last.At = now
	c.last.TookMs = uint32(took / duration.Millisecond)
}

// Response is what the host handed over for a callout.
type Response struct {
	Status uint32
	// Local says that no upstream has answered: Envoy did it itself. It writes 504 at the timeout (Router::Filter::
	// onResponseTimeout) and 503 without a connection. An upstream may write the same, but it says how long it took: the
	// router adds x-envoy-upstream-service-time to whatever came from one.
	Local bool
	GRPC  string // grpc-status; "" if there is none
	Body  func() []byte
}

// Answered takes the response to a callout. Its body is asked for only when the callout needs it.
func (m *Monitor) Answered(c *Callout, number uint32, r Response) {
	if !c.complete(number) {
		return
	}
	switch {
	case r.Local && r.Status == 504:
		m.fail(c, snapshot.TimedOut, "timed out after "+duration.Text(c.Timeout))
	case r.Local:
		outcome, why := unreachable(string(r.Body()))
		m.fail(c, outcome, why)
	default:
		c.answered(m, c, r)
	}
}

// unreachable picks the reason out of the text that Envoy writes in an upstream's place: StreamResetReason in
// Http::Utility::resetReasonToString.
func unreachable(text string) (outcome snapshot.Outcome, why string) {
	_, reason, ok := ascii.Cut(text, "reset reason: ")
	if !ok {
		return snapshot.Unreachable, "no response"
	}
	outcome = snapshot.CutOff
	if ascii.Contains(reason, "connection failure") || ascii.Contains(reason, "connection timeout") {
		outcome = snapshot.NoConnection
	}
	return outcome, "no response: " + reason
}

// Failed takes the news that a callout was reset, could not be sent, or was never answered.
func (m *Monitor) Failed(c *Callout, number uint32, outcome snapshot.Outcome) {
	if !c.complete(number) {
		return
	}
	why := [...]string{
		snapshot.CutOff: "reset within the response", snapshot.Refused: "Envoy refused to send it",
		snapshot.Unanswered: "was never answered", snapshot.NoCluster: "there is no cluster ",
		snapshot.NoHost: "no healthy host, or an open circuit breaker, in cluster ",
	}[outcome]
	if outcome == snapshot.NoCluster || outcome == snapshot.NoHost {
		why += ascii.Quote(c.Cluster)
	}
	m.fail(c, outcome, why)
}

func (m *Monitor) fail(c *Callout, outcome snapshot.Outcome, why string) {
	m.sink.CalloutFailed(c)
	c.failed(m, c, outcome, why)
}
