package monitor

import (
	"bytes"
	"strconv"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/duration"
	"github.com/healthgate/healthgate/filter/maintenance"
	"github.com/healthgate/healthgate/filter/snapshot"
)

// Callout is one kind of request that the leader sends: the probes in the configuration's order, then the polls.
type Callout int

// Request is what to send for a callout.
type Request struct {
	Cluster, Method, Host, Path string
	Timeout                     duration.Duration
}

func (m *Monitor) isRuntime(c Callout) bool { return int(c) == len(m.config.Probes) }
func (m *Monitor) isReady(c Callout) bool   { return int(c) == len(m.config.Probes)+1 }

// Request returns the request of a callout.
func (m *Monitor) Request(c Callout) Request {
	if int(c) < len(m.config.Probes) {
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
		names = append(names, "admin_runtime", "admin_ready")
	}
	return names
}

// noResponse is the status of a probe without a response: what a load balancer would have been told by Envoy.
const noResponse = 503

// Answered takes the response to a callout. body is asked for only when the callout needs it.
func (m *Monitor) Answered(c Callout, number uint32, status uint32, body func() []byte) {
	if !m.land(c, number) {
		return
	}
	f := &m.flights[c]
	elapsed := duration.Duration(m.clock.Monotonic() - f.began)
	// Envoy reports its own timeout as a 504 response (Router::Filter::onResponseTimeout). An application's 504 comes
	// before the timeout. So does Envoy's now and then, by the clock: its timers count from the start of the event
	// loop's round, which lies before the start of the callout. Its text tells those.
	timedOut := status == 504 &&
		(elapsed >= f.timeout-duration.Millisecond || body != nil && string(body()) == "upstream request timeout")
	switch {
	case timedOut:
		m.failed(c, "timed out after "+duration.Text(f.timeout))
	case m.isRuntime(c):
		m.runtimeAnswered(c, status, body)
	case m.isReady(c):
		m.readyAnswered(c, status, body)
	default:
		success := m.config.Probes[c].Expects(status)
		m.probed(int(c), success, status, "status "+strconv.Itoa(int(status)), elapsed)
	}
}

// Failed takes the news that a callout was reset, could not be sent, or was never answered.
func (m *Monitor) Failed(c Callout, number uint32, why string) {
	if m.land(c, number) {
		m.failed(c, why)
	}
}

func (m *Monitor) failed(c Callout, why string) {
	m.sink.CalloutFailed(c)
	switch {
	case m.isRuntime(c):
		m.runtimeFailed(why)
	case m.isReady(c): // what was last known of draining stands; the poll of runtime reports the trouble
	default:
		elapsed := duration.Duration(m.clock.Monotonic() - m.flights[c].began)
		m.probed(int(c), false, noResponse, why+", counts as "+strconv.Itoa(noResponse), elapsed)
	}
}

// probed applies one result to a probe's state. As in Envoy's active health checking the first result decides at
// once; after it, only as many contradicting results in a row as the threshold says.
func (m *Monitor) probed(i int, success bool, status uint32, what string, elapsed duration.Duration) {
	c, p := &m.config.Probes[i], &m.Record.Probes[i]
	before := *p
	p.LatencyMs = uint32(elapsed / duration.Millisecond)
	flip := !p.Seen
	if p.Seen && success != p.Healthy {
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
		p.Seen, p.Healthy, p.Streak, p.ChangedAt = true, success, 0, m.clock.Monotonic()
	}
	if success == p.Healthy {
		p.Status = status // a success on the way up must not replace the status of the failure
	}
	if flip {
		m.logProbe(c.Name, success, what)
	}
	if before.Seen != p.Seen || before.Healthy != p.Healthy || before.Status != p.Status || before.Streak != p.Streak {
		m.changed = true
	}
}

func (m *Monitor) logProbe(name string, healthy bool, what string) {
	line := "probe " + strconv.Quote(name) + ": "
	if healthy {
		m.sink.Info(line + "healthy: " + what)
	} else {
		m.sink.Warn(line + "unhealthy: " + what)
	}
}

func (m *Monitor) runtimeAnswered(c Callout, status uint32, body func() []byte) {
	if status != 200 {
		m.failed(c, "status "+strconv.Itoa(int(status)))
		return
	}
	entries, err := m.runtime.Read(body())
	if err != nil {
		m.failed(c, err.Error())
		return
	}
	if m.failing {
		m.failing = false
		m.sink.Info("runtime: read again")
	}
	if m.Record.RuntimeAt == 0 {
		m.changed = true
	}
	m.Record.RuntimeAt = m.clock.Monotonic()
	for i, e := range entries {
		m.applyEntry(i, &m.Record.Keys[i], e)
	}
	m.noticeMaintenance()
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

func (m *Monitor) runtimeFailed(why string) {
	if m.failing {
		return
	}
	m.failing = true
	m.sink.Warn("runtime: cannot be read through cluster " + strconv.Quote(m.config.Admin.Cluster) + ": " + why)
}

// readyAnswered reads the reply of Envoy's admin handler ServerInfoHandler::handlerReady: 200 "LIVE", or 503 and the
// name of another state.
func (m *Monitor) readyAnswered(c Callout, status uint32, body func() []byte) {
	draining := false
	if status != 200 {
		if draining = bytes.HasPrefix(body(), []byte("DRAINING")); !draining {
			m.failed(c, "status "+strconv.Itoa(int(status)))
			return
		}
	}
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
