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

// tellAgain is how long a log line of what fails stands before another status, or none, is worth the next: what fails in
// turns must not fill the log.
const tellAgain = 10 * duration.Second

// Sink takes what the monitor has to say.
type Sink interface {
	Info(text string)
	Warn(text string)
	CalloutFailed(c Callout)
	RuntimePolled(took duration.Duration) // whether it could be read or not
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
	changed bool     // the record differs from the written one in more than times
}

// flight is the schedule of one kind of callout, and the one that is under way.
type flight struct {
	interval, timeout duration.Duration
	due, began        int64
	number            uint32 // counts the callouts, so that a late answer is not taken for the current one's
	flying            bool
	failing           bool             // a poll that could not be read, and this was said
	told              snapshot.Finding // what was said last
}

// rest puts the next one off after one that took so long.
func (f *flight) rest(now int64, took duration.Duration) {
	f.due = max(f.due, now+int64(config.Pause(took)))
}

// tell reports whether to log a result, and notes it: always if it changes the state, else if another one was told.
func (f *flight) tell(outcome snapshot.Outcome, status uint32, now int64, change bool) bool {
	t := &f.told
	if !change && (t.Outcome == outcome && t.Status == status || now-t.At < int64(tellAgain)) {
		return false
	}
	t.Outcome, t.Status, t.At = outcome, status, now
	return true
}

// New makes the monitor of a VM that has just become leader. It goes on from the last leader's record, so that no
// threshold starts over; record is nil when there is none.
func New(c *config.Config, record *snapshot.Record, clock verdict.Clock, sink Sink) *Monitor {
	if record == nil {
		record = snapshot.New(len(c.Keys), len(c.Probes))
	}
	m := &Monitor{Record: record, config: c, clock: clock, sink: sink, changed: true, runtime: maintenance.NewReader(c.Keys)}
	now := clock.Monotonic()
	for i := range c.Probes {
		p, f := &c.Probes[i], &record.Probes[i]
		m.takeOver(&f.Finding, p.Interval, p.Timeout, verdict.ProbeKnown(p, f, now))
		m.flights[i].told = f.Finding
	}
	if a := c.Admin; a != nil {
		m.takeOver(&record.Runtime, a.Interval, a.Timeout, record.Runtime.At != 0)
		if !a.IgnoreDraining {
			m.takeOver(&record.Ready, a.Interval, a.Timeout, record.Ready.At != 0)
		}
	}
	return m
}

// takeOver keeps the rhythm of the last leader: no callout comes early because the leader changed. But what is not known
// is asked at once.
func (m *Monitor) takeOver(last *snapshot.Finding, interval, timeout duration.Duration, known bool) {
	f := flight{interval: interval, timeout: timeout}
	if known {
		f.due = last.StartedAt + int64(interval)
	}
	if m.isRuntime(Callout(len(m.flights))) {
		f.rest(last.At, min(last.Took(), timeout))
	}
	m.flights = append(m.flights, f)
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

// Due returns the callouts to send now and counts them as begun. It also notices callouts that were never answered.
func (m *Monitor) Due() []Start {
	now := m.clock.Monotonic()
	var out []Start
	for i := range m.flights {
		f := &m.flights[i]
		if f.flying && now > f.began+int64(f.timeout+grace) {
			m.Failed(Callout(i), f.number, snapshot.Unanswered)
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
		if m.isProbe(Callout(i)) {
			m.Record.Probes[i].StartedAt = now
		} else {
			last, _ := m.reading(Callout(i))
			last.StartedAt = now
		}
	}
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

// Written notes that the record was stored.
func (m *Monitor) Written() { m.changed = false }
