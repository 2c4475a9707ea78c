// Package monitor is the leader's work without its input and output: when to probe and poll, what each result means
// for the shared record, and what is worth a log line.
package monitor

import (
	"strconv"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/duration"
	"github.com/healthgate/healthgate/filter/maintenance"
	"github.com/healthgate/healthgate/filter/snapshot"
	"github.com/healthgate/healthgate/filter/verdict"
)

// Heartbeat is how often the record is written when nothing in it changed but the time.
const Heartbeat = 500 * duration.Millisecond

// grace is how much longer than its timeout a callout may stay unanswered before it counts as lost.
const grace = duration.Second

// Sink takes what the monitor has to say.
type Sink interface {
	Info(text string)
	Warn(text string)
	CalloutFailed(c Callout)
	ValueUnrecognized()
}

// Monitor is the state of one leader. Not for use by several goroutines.
type Monitor struct {
	Record *snapshot.Record

	config  *config.Config
	clock   verdict.Clock
	sink    Sink
	runtime *maintenance.Reader
	flights []flight // by Callout
	said    []string // by endpoint: the maintenance line last logged
	failing bool     // runtime could not be read
	changed bool     // the record differs from the written one in more than times
}

// flight is the schedule of one kind of callout, and the one that is under way.
type flight struct {
	interval, timeout duration.Duration
	due, began        int64
	number            uint32 // counts the callouts, so that a late answer is not taken for the current one's
	flying            bool
}

// New makes the monitor of a VM that has just become leader. It goes on from the last leader's record, so that no
// threshold starts over; record is nil when there is none.
func New(c *config.Config, record *snapshot.Record, clock verdict.Clock, sink Sink) *Monitor {
	now := clock.Monotonic()
	if record == nil {
		record = snapshot.New(len(c.Keys), len(c.Probes), now)
	} else if record.Stale(now) {
		// Nobody looked for so long that the probes' states are no longer known.
		for i := range record.Probes {
			record.Probes[i].Seen = false
		}
	}
	m := &Monitor{
		Record: record, config: c, clock: clock, sink: sink, changed: true,
		runtime: maintenance.NewReader(c.Keys),
		said:    make([]string, len(c.Endpoints)),
	}
	for i := range c.Probes {
		p := &c.Probes[i]
		m.flights = append(m.flights, newFlight(p.Interval, p.Timeout, record.Probes[i].StartedAt, now))
	}
	if c.Admin != nil {
		for range 2 { // /runtime and /ready
			m.flights = append(m.flights, newFlight(c.Admin.Interval, c.Admin.Timeout, record.PolledAt, now))
		}
	}
	for i := range c.Endpoints {
		m.said[i] = m.maintenanceLine(i)
	}
	return m
}

// newFlight keeps the rhythm of the last leader: no callout comes early because the leader changed.
func newFlight(interval, timeout duration.Duration, began, now int64) flight {
	f := flight{interval: interval, timeout: timeout, due: now}
	if began != 0 {
		f.due = min(began, now) + int64(interval)
	}
	return f
}

// TickPeriod is how often Due wants to be called: a quarter of the shortest interval, at most four times a second.
func TickPeriod(c *config.Config) duration.Duration {
	shortest := duration.Second
	if c.Admin != nil {
		shortest = min(shortest, c.Admin.Interval)
	}
	for i := range c.Probes {
		shortest = min(shortest, c.Probes[i].Interval)
	}
	return shortest / 4
}

// Start is a callout to send now.
type Start struct {
	Callout Callout
	Number  uint32 // to be given back with its result
}

// Due returns the callouts to send now and counts them as begun. It also notices callouts that were never answered
// and maintenance that ended by its time.
func (m *Monitor) Due() []Start {
	now := m.clock.Monotonic()
	var out []Start
	for i := range m.flights {
		f := &m.flights[i]
		if f.flying && now > f.began+int64(f.timeout+grace) {
			m.Failed(Callout(i), f.number, "was never answered")
		}
		if f.flying || now < f.due {
			continue
		}
		// The grid of due times is kept, so that the rate is right although ticks come late; after a long gap it
		// starts anew instead of catching up.
		if f.due += int64(f.interval); f.due <= now {
			f.due = now + int64(f.interval)
		}
		f.began, f.flying = now, true
		f.number++
		out = append(out, Start{Callout(i), f.number})
		if i < len(m.config.Probes) {
			m.Record.Probes[i].StartedAt = now
		} else {
			m.Record.PolledAt = now
		}
	}
	m.noticeMaintenance()
	return out
}

// land ends the callout. It reports false for an answer that came too late to matter.
func (m *Monitor) land(c Callout, number uint32) bool {
	f := &m.flights[c]
	if !f.flying || f.number != number {
		return false
	}
	f.flying = false
	return true
}

// WriteDue reports whether the record should be written now.
func (m *Monitor) WriteDue() bool {
	return m.changed || m.clock.Monotonic()-m.Record.WrittenAt >= int64(Heartbeat)
}

// Written notes that the record was stored. changed reports whether more than its times had changed, so that what is
// derived from it has to be told anew.
func (m *Monitor) Written() (changed bool) {
	changed, m.changed = m.changed, false
	return changed
}

// Maintenance reports whether a runtime key puts the endpoint under maintenance.
func (m *Monitor) Maintenance(endpoint int) bool { return m.said[endpoint] != "" }

// noticeMaintenance logs the endpoints whose maintenance began, changed or ended.
func (m *Monitor) noticeMaintenance() {
	for i := range m.said {
		line := m.maintenanceLine(i)
		if line == m.said[i] {
			continue
		}
		name := "maintenance: endpoint " + strconv.Quote(m.config.Endpoints[i].Name)
		if line == "" {
			m.sink.Info(name + ": off")
		} else {
			m.sink.Warn(name + ": on: " + line)
		}
		m.said[i] = line
		m.changed = true
	}
}

// maintenanceLine says which key puts the endpoint under maintenance, and why; "" when none does.
func (m *Monitor) maintenanceLine(endpoint int) string {
	k := verdict.Key(&m.config.Endpoints[endpoint], m.Record, m.clock)
	if k < 0 {
		return ""
	}
	key := &m.Record.Keys[k]
	line := "key " + strconv.Quote(m.config.Keys[k]) + " = " + strconv.Quote(key.Value)
	if key.Reason != "" {
		line += ", reason " + strconv.Quote(key.Reason)
	}
	return line
}
