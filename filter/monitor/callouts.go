package monitor

import (
	"strconv"
	"strings"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/lean/duration"
	"github.com/healthgate/healthgate/filter/maintenance"
	"github.com/healthgate/healthgate/filter/snapshot"
	"github.com/healthgate/healthgate/filter/verdict"
)

// Callout is one kind of request that the leader sends: the probes in the configuration's order, then the polls.
type Callout int

// Request is what to send for a callout.
type Request struct {
	Cluster, Method, Host, Path string
	Timeout                     duration.Duration
}

func (m *Monitor) isProbe(c Callout) bool   { return int(c) < len(m.config.Probes) }
func (m *Monitor) isRuntime(c Callout) bool { return int(c) == len(m.config.Probes) }

// Request returns the request of a callout.
func (m *Monitor) Request(c Callout) Request {
	if m.isProbe(c) {
		p := &m.config.Probes[c]
		return Request{p.Cluster, p.Method, p.Host, p.Path, p.Timeout}
	}
	r := Request{m.config.Admin.Cluster, "GET", "localhost", "/ready", m.config.Admin.Timeout}
	if m.isRuntime(c) {
		r.Path = "/runtime?format=json"
	}
	return r
}

// CalloutNames returns the names of a configuration's callouts in metrics, by Callout.
func CalloutNames(c *config.Config) []string {
	var names []string
	for i := range c.Probes {
		names = append(names, "probe_"+c.Probes[i].Name)
	}
	if c.Admin != nil {
		names = append(names, "admin_runtime")
		if !c.Admin.IgnoreDraining {
			names = append(names, "admin_ready")
		}
	}
	return names
}

// noResponse is the status of a probe without a response: what a load balancer would have been told by Envoy.
const noResponse = 503

// Response is what the host handed over for a callout.
type Response struct {
	Status uint32
	// Local says that no upstream has answered: Envoy did it itself. It writes 504 at the timeout (Router::Filter::
	// onResponseTimeout) and 503 without a connection. An upstream may write the same, but it says how long it took: the
	// router adds x-envoy-upstream-service-time to whatever came from one.
	Local bool
	Body  func() []byte
}

// Answered takes the response to a callout. Its body is asked for only when the callout needs it.
func (m *Monitor) Answered(c Callout, number uint32, r Response) {
	if !m.land(c, number) {
		return
	}
	switch {
	case r.Local && r.Status == 504:
		m.failed(c, snapshot.TimedOut, "timed out after "+duration.Text(m.flights[c].timeout))
	case r.Local:
		outcome, why := unreachable(string(r.Body()))
		m.failed(c, outcome, why)
	case m.isRuntime(c):
		m.runtimeAnswered(c, r)
	case m.isProbe(c):
		m.probed(int(c), snapshot.Answered, r.Status, "status "+strconv.Itoa(int(r.Status)))
	default:
		m.readyAnswered(c, r)
	}
}

// unreachable picks the reason out of the text that Envoy writes in an upstream's place: StreamResetReason in
// Http::Utility::resetReasonToString.
func unreachable(text string) (outcome snapshot.Outcome, why string) {
	_, reason, ok := strings.Cut(text, "reset reason: ")
	if !ok {
		return snapshot.Unreachable, "no response"
	}
	outcome = snapshot.CutOff
	if strings.Contains(reason, "connection failure") || strings.Contains(reason, "connection timeout") {
		outcome = snapshot.NoConnection
	}
	return outcome, "no response: " + reason
}

// Failed takes the news that a callout was reset, could not be sent, or was never answered.
func (m *Monitor) Failed(c Callout, number uint32, outcome snapshot.Outcome) {
	if !m.land(c, number) {
		return
	}
	why := [...]string{
		snapshot.CutOff: "reset within the response", snapshot.Refused: "Envoy refused to send it", snapshot.Unanswered: "was never answered",
		snapshot.NoCluster: "there is no cluster ", snapshot.NoHost: "no healthy host, or an open circuit breaker, in cluster ",
	}[outcome]
	if outcome == snapshot.NoCluster || outcome == snapshot.NoHost {
		why += strconv.Quote(m.Request(c).Cluster)
	}
	m.failed(c, outcome, why)
}

func (m *Monitor) failed(c Callout, outcome snapshot.Outcome, why string) {
	m.sink.CalloutFailed(c)
	if m.isProbe(c) {
		m.probed(int(c), outcome, noResponse, why+", counts as "+strconv.Itoa(noResponse))
		return
	}
	m.unread(c, outcome, 0, why)
}

// elapsed is how long the callout has taken by now, at most its timeout. If the process stood still meanwhile, Envoy did
// no work for it: it must neither put the next poll off nor make a reading count for longer.
func (m *Monitor) elapsed(c Callout) duration.Duration {
	f := &m.flights[c]
	return min(duration.Duration(m.clock.Monotonic()-f.began), f.timeout)
}

// found notes a result.
func (m *Monitor) found(c Callout, f *snapshot.Finding) {
	f.At = m.clock.Monotonic()
	f.TookMs = uint32(m.elapsed(c) / duration.Millisecond)
}

// probed applies one result to a probe's state. As in Envoy's active health checking the first result decides at
// once, and so does the first after none for too long; then, only as many contradicting results in a row as the threshold
// says.
func (m *Monitor) probed(i int, outcome snapshot.Outcome, status uint32, what string) {
	c, p := &m.config.Probes[i], &m.Record.Probes[i]
	success := outcome == snapshot.Answered && c.Expects(status)
	streak := p.Streak
	flip := !verdict.ProbeKnown(c, p, m.clock.Monotonic())
	m.found(Callout(i), &p.Finding)
	if !flip && success != p.Healthy {
		p.Streak++
		threshold := c.UnhealthyThreshold
		if success {
			threshold = c.HealthyThreshold
		}
		flip = p.Streak >= threshold
	} else {
		p.Streak = 0
	}
	if flip {
		p.Healthy, p.Streak, p.ChangedAt = success, 0, p.At
	}
	if success == p.Healthy && (p.Outcome != outcome || p.Status != status) {
		// A success on the way up must not replace the status of the failure.
		p.Outcome, p.Status, m.changed = outcome, status, true
	}
	if (flip || !success && !p.Healthy) && m.flights[i].tell(outcome, status, p.At, flip) {
		m.logProbe(c.Name, success, !flip, what)
	}
	if flip || p.Streak != streak {
		m.changed = true
	}
}

func (m *Monitor) logProbe(name string, healthy, still bool, what string) {
	line := "probe " + strconv.Quote(name) + ": "
	if still {
		line += "still "
	}
	if healthy {
		m.sink.Info(line + "healthy: " + what)
	} else {
		m.sink.Warn(line + "unhealthy: " + what)
	}
}

// reading is the finding of a poll, and its name in log lines.
func (m *Monitor) reading(c Callout) (f *snapshot.Finding, name string) {
	if m.isRuntime(c) {
		return &m.Record.Runtime, "runtime"
	}
	return &m.Record.Ready, "draining"
}

// read notes that a poll could be read.
func (m *Monitor) read(c Callout, status uint32) {
	f, name := m.reading(c)
	if m.flights[c].failing {
		m.flights[c].failing = false
		m.sink.Info(name + ": read again")
	}
	if f.At == 0 {
		m.changed = true
	}
	f.Outcome, f.Status = snapshot.Answered, status
	m.found(c, f)
	m.polled(c)
}

// unread notes that a poll could not be read. The last reading stands.
func (m *Monitor) unread(c Callout, outcome snapshot.Outcome, status uint32, why string) {
	f, name := m.reading(c)
	f.Outcome, f.Status = outcome, status
	if m.flights[c].tell(outcome, status, m.clock.Monotonic(), !m.flights[c].failing) {
		m.flights[c].failing = true
		m.sink.Warn(name + ": cannot be read through cluster " + strconv.Quote(m.config.Admin.Cluster) + ": " + why)
	}
	m.polled(c)
}

// polled lets Envoy's main thread rest after a poll of runtime, read or not.
func (m *Monitor) polled(c Callout) {
	if m.isRuntime(c) {
		took := m.elapsed(c)
		m.flights[c].rest(m.clock.Monotonic(), took)
		m.sink.RuntimePolled(took)
	}
}

// unreadable is unread for an answer that is not what Envoy's admin writes.
func (m *Monitor) unreadable(c Callout, r Response, why string) {
	m.sink.CalloutFailed(c)
	m.unread(c, snapshot.Answered, r.Status, why)
}

func (m *Monitor) runtimeAnswered(c Callout, r Response) {
	if r.Status != 200 {
		m.unreadable(c, r, "status "+strconv.Itoa(int(r.Status)))
		return
	}
	entries, err := m.runtime.Read(r.Body())
	if err != nil {
		m.unreadable(c, r, err.Error())
		return
	}
	for i, e := range entries {
		m.applyEntry(i, &m.Record.Keys[i], e)
	}
	m.read(c, r.Status)
}

func (m *Monitor) applyEntry(i int, key *snapshot.Key, e maintenance.Entry) {
	if key.Value == e.Value && key.Reason == e.Reason {
		return
	}
	s, known := maintenance.ParseSwitch(e.Value)
	if !known && key.Value != e.Value {
		m.sink.ValueUnrecognized()
		m.sink.Warn("runtime: key " + strconv.Quote(m.config.Keys[i]) + " = " + strconv.Quote(e.Value) +
			" is neither a truth value, a number nor an RFC 3339 time; it counts as on")
	}
	key.Switch, key.Value, key.Reason = s, e.Value, e.Reason
	m.changed = true
}

// readyAnswered reads the reply of Envoy's admin handler ServerInfoHandler::handlerReady: 200 and "LIVE", or 503 and the
// name of another state. Whatever else stands in admin's place (a closed path, a login page) says nothing.
func (m *Monitor) readyAnswered(c Callout, r Response) {
	state := string(r.Body())
	draining := state == "DRAINING\n" && r.Status == 503
	switch {
	case draining, state == "LIVE\n" && r.Status == 200:
	case (state == "INITIALIZING\n" || state == "PRE_INITIALIZING\n") && r.Status == 503:
		// An Envoy that starts does not say whether it will be drained: ask at each tick, until it does.
		m.flights[c].due = m.clock.Monotonic()
		return
	default:
		m.unreadable(c, r, "status "+strconv.Itoa(int(r.Status))+" without the name of a state")
		return
	}
	m.read(c, r.Status)
	if draining == m.Record.Draining {
		return
	}
	m.Record.Draining, m.changed = draining, true
	if draining {
		m.sink.Warn("draining: on")
	} else {
		m.sink.Info("draining: off")
	}
}
