package monitor

import (
	"strconv"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/lean/ascii"
	"github.com/healthgate/healthgate/filter/lean/duration"
	"github.com/healthgate/healthgate/filter/maintenance"
	"github.com/healthgate/healthgate/filter/snapshot"
)

// read notes that a poll could be read.
func (m *Monitor) read(c *Callout, status uint32) {
	if c.last.Unread() {
		m.sink.Info(c.topic + ": read again")
	}
	if c.last.At == 0 {
		m.changed = true
	}
	c.last.Outcome, c.last.Status = snapshot.Answered, status
	now := m.clock.Monotonic()
	took := c.elapsed(now)
	cost := took
	if c.last.At != 0 { // a single one that took longer had to wait
		cost = min(took, c.took)
	}
	c.took, c.missing = took, 0
	c.found(now, cost)
	m.polled(c, now, config.Pause(cost))
}

// unread notes that a poll could not be read. The last reading stands.
func (m *Monitor) unread(c *Callout, outcome snapshot.Outcome, why string) {
	m.notRead(c, outcome, 0, why)
}

// unreadable is unread for an answer that is not what Envoy's admin writes.
func (m *Monitor) unreadable(c *Callout, r Response, why string) {
	m.sink.CalloutFailed(c)
	m.notRead(c, snapshot.Unreadable, r.Status, why)
}

func (m *Monitor) notRead(c *Callout, outcome snapshot.Outcome, status uint32, why string) {
	news := !c.last.Unread()
	c.last.Outcome, c.last.Status = outcome, status
	if c.tell(outcome, status, m.clock.Monotonic(), news) {
		m.sink.Warn(c.topic + ": cannot be read through cluster " + ascii.Quote(c.Cluster) + ": " + why)
	}
	// Envoy's main thread may have been busy with something else: only while one poll after another is not answered, the
	// rest becomes as long as if the polls were the cause.
	now := m.clock.Monotonic()
	took := c.elapsed(now)
	if c.missing == 0 {
		c.missing = c.began
	}
	m.polled(c, now, min(config.Pause(took), max(took, duration.Duration(now-c.missing)/8)))
}

// polled lets Envoy's main thread rest after a costly poll, read or not.
func (m *Monitor) polled(c *Callout, now int64, pause duration.Duration) {
	if c.costly {
		c.rest(now, pause)
		m.sink.RuntimePolled(c.elapsed(now))
	}
}

func (m *Monitor) runtimeAnswered(c *Callout, r Response) {
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
		key := &m.Record.Keys[i]
		m.changed, key.Unread = m.changed || key.Unread, false
		m.applyEntry(i, key, e)
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
		m.sink.Warn("runtime: key " + ascii.Quote(m.config.Keys[i]) + " = " + ascii.Quote(e.Value) +
			" is neither a truth value, a number nor an RFC 3339 time; it counts as on")
	}
	key.Switch, key.Value, key.Reason = s, e.Value, e.Reason
	m.changed = true
}

// readyAnswered reads the reply of Envoy's admin handler ServerInfoHandler::handlerReady: 200 and "LIVE", or 503 and
// the name of another state. Whatever else stands in admin's place (a closed path, a login page) says nothing.
func (m *Monitor) readyAnswered(c *Callout, r Response) {
	state := string(r.Body())
	draining := state == "DRAINING\n" && r.Status == 503
	switch {
	case draining, state == "LIVE\n" && r.Status == 200:
	case (state == "INITIALIZING\n" || state == "PRE_INITIALIZING\n") && r.Status == 503:
		// An Envoy that starts does not say whether it will be drained: ask at each tick, until it does.
		c.due = m.clock.Monotonic()
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
