// Package monitor is the leader's work without its input and output: when to probe and poll, what each result means
// for the shared record, and what is worth a log line.
package monitor

import (
	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/lean/duration"
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
	CalloutFailed(c *Callout)
	RuntimePolled(took duration.Duration) // whether it could be read or not
	ValueUnrecognized()
}

// Monitor is the state of one leader. Not for use by several goroutines.
type Monitor struct {
	Record   *snapshot.Record
	config   *config.Config
	clock    verdict.Clock
	sink     Sink
	runtime  *maintenance.Reader
	callouts []*Callout
	changed  bool // the record differs from the written one in more than times
}

// New makes the monitor of a VM that has just become leader. It goes on from the last leader's record, so that no
// threshold starts over. Of a record from the future only the number counts: the clock went back.
func New(c *config.Config, record *snapshot.Record, clock verdict.Clock, sink Sink) *Monitor {
	now := clock.Monotonic()
	if !record.Plausible(now) {
		record.Clear()
	}
	m := &Monitor{
		Record: record, config: c, clock: clock, sink: sink, runtime: maintenance.NewReader(c.Keys),
		callouts: callouts(c, record), changed: true,
	}
	if record.Stale(now) { // there was a time without a leader: nothing of it is kept, whatever on_stale says
		record.Runtime.At, record.Ready.At = 0, 0
	}
	for i := range m.callouts {
		m.callouts[i].takeOver(now)
	}
	return m
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

// Callouts returns what is asked, by index.
func (m *Monitor) Callouts() []*Callout { return m.callouts }

// Want has the next Due send a probe on demand, unless its last result still counts.
func (m *Monitor) Want(probe int) {
	if probe < len(m.callouts) {
		m.callouts[probe].wanted = true
	}
}

// Start is a callout to send now.
type Start struct {
	*Callout
	Number uint32 // to be given back with its result
}

// Due returns the callouts to send now and counts them as begun. It also notices callouts that were never answered.
func (m *Monitor) Due() []Start {
	now := m.clock.Monotonic()
	var out []Start
	for i := range m.callouts {
		c := m.callouts[i]
		if c.once && m.Record.Probes[c.probe].Healthy {
			continue
		}
		if c.underWay && now > c.began+int64(c.Timeout+grace) {
			m.Failed(c, c.number, snapshot.Unanswered)
		}
		if !c.underWay && c.last.StartedAt > c.began { // another configuration asked the same
			c.began = c.last.StartedAt
			c.due = c.began + int64(c.interval)
			c.restAfter()
		}
		due := c.due
		if c.Yields {
			due = max(due, c.last.StartedAt+int64(c.interval+grace))
		}
		if c.onDemand {
			c.wanted = c.wanted && !c.known(now)
		}
		if c.underWay || c.onDemand && !c.wanted || !c.onDemand && now < due {
			continue
		}
		// The grid of due times is kept, so that the rate is right although ticks come late; after a long gap it
		// starts anew instead of catching up.
		if c.due += int64(c.interval); c.due <= now {
			c.due = now + int64(c.interval)
		}
		c.began, c.last.StartedAt, c.underWay = now, now, true
		c.number++
		out = append(out, Start{c, c.number})
	}
	return out
}

// WriteDue reports whether the record should be written now.
func (m *Monitor) WriteDue() bool {
	return m.changed || m.clock.Monotonic()-m.Record.WrittenAt >= int64(Heartbeat)
}

// Adopted notes that the record got results from elsewhere.
func (m *Monitor) Adopted() { m.changed = true }

// Written notes that the record was stored.
func (m *Monitor) Written() { m.changed = false }
