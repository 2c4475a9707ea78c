// Package verdict decides what a health check gets, from the configuration and the shared record alone.
package verdict

import (
	"math"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/lean/duration"
	"github.com/healthgate/healthgate/filter/maintenance"
	"github.com/healthgate/healthgate/filter/snapshot"
)

// Kind is one outcome of a check.
type Kind uint8

// The outcomes, in the order in which they are tried. The source of the request has been judged before.
const (
	Untrusted Kind = iota
	Maintenance
	Draining
	Unknown
	Unhealthy
	Degraded // healthy, but for probes that do not fail it
	Healthy
	Passed // healthy, and the application's own endpoint answers
	Shown  // not a check: the state was shown, by an endpoint of kind status
)

// Kinds is the number of outcomes.
const Kinds = int(Shown) + 1

// String is the outcome's name in metrics and response code details.
func (k Kind) String() string {
	return [Kinds]string{"untrusted", "maintenance", "draining", "unknown", "unhealthy", "degraded", "healthy", "passed",
		"shown"}[k]
}

// Clock gives the time in nanoseconds.
type Clock interface {
	maintenance.Clock
	Monotonic() int64 // of the process
}

// Answer is what to do with a trusted check.
type Answer struct {
	Kind   Kind
	Reply  *config.Reply
	Status uint32
	// From and Until are times of the monotonic clock: between them the answer holds for as long as the record is the same
	// one, but for a key that has an end. Until is always for an answer that does not depend on the time.
	From, Until int64
}

const (
	never  = math.MinInt64
	always = math.MaxInt64
)

// Holds reports whether the answer to a check that comes now is still this one. The clock is read only if it depends
// on it.
func (a *Answer) Holds(clock Clock) bool {
	if a.Until == always {
		return true
	}
	now := clock.Monotonic()
	return a.From <= now && now <= a.Until
}

// Refuse returns the answer to a check from a source that is not trusted.
func Refuse(e *config.Endpoint) Answer { return answer(e, Untrusted) }

// Reply returns what an endpoint replies to a check of an outcome; nil for Shown, which only status endpoints have.
func Reply(e *config.Endpoint, k Kind) *config.Reply {
	switch k {
	case Untrusted:
		return &e.Untrusted
	case Maintenance:
		return &e.Maintenance.Reply
	case Draining:
		return &e.Draining
	case Unknown:
		return &e.Unknown
	case Unhealthy:
		return &e.Unhealthy
	case Degraded:
		return &e.Degraded.Reply
	case Healthy, Passed:
		return &e.Healthy
	}
	return nil
}

// Decide returns the answer to a check from a trusted source. record is nil while there is none; maintenanceRoute
// says that the request's route is marked for maintenance.
func Decide(c *config.Config, e *config.Endpoint, record *snapshot.Record, maintenanceRoute bool, clock Clock) Answer {
	if maintenanceRoute || Key(e, record, clock) >= 0 {
		return answer(e, Maintenance)
	}
	if record != nil && record.Draining {
		return answer(e, Draining)
	}
	from, until := known(c, e, record)
	now := clock.Monotonic()
	if now < from || until < now {
		unknown := answer(e, Unknown)
		unknown.Until = never // if the clock was set back, it will be known
		return unknown
	}
	a := healthy(e)
	if failing := failingProbe(e, record); failing != nil {
		a = answer(e, Unhealthy)
		if f := failing; e.Unhealthy.ProbeStatus && f.Outcome == snapshot.Answered && f.Status >= 400 && f.Status <= 599 {
			// A status below 400 would look like success to some load balancers, and HTTP has no status above 599 (RFC 9110,
			// section 15): the configured default stands.
			a.Status = failing.Status
		}
	} else if sound := soundUntil(c, e, record); now <= sound {
		until = min(until, sound)
	} else {
		a = answer(e, Degraded)
		from = max(from, sound+1)
	}
	a.From, a.Until = from, until
	return a
}

func answer(e *config.Endpoint, k Kind) Answer {
	r := Reply(e, k)
	return Answer{Kind: k, Reply: r, Status: r.Status, From: never, Until: always}
}

func healthy(e *config.Endpoint) Answer {
	if e.Healthy.Pass {
		return answer(e, Passed)
	}
	return answer(e, Healthy)
}

// Key returns the endpoint's first runtime key, as an index into the configuration's keys, that switches maintenance
// on; -1 if none does. The clock is read only for a key that has an end.
func Key(e *config.Endpoint, record *snapshot.Record, clock maintenance.Clock) int {
	if record == nil {
		return -1
	}
	for _, k := range e.Maintenance.Keys {
		if record.Keys[k].Switch.Active(clock) {
			return k
		}
	}
	return -1
}

// known returns between which times all that the endpoint rests on counts as known: the record was written, and
// nothing is too old.
func known(c *config.Config, e *config.Endpoint, record *snapshot.Record) (from, until int64) {
	keys, draining := len(e.Maintenance.Keys) > 0, c.Admin != nil && !c.Admin.IgnoreDraining
	if !keys && !draining && len(e.Probes.Names) == 0 {
		return never, always // it rests on nothing
	}
	if record == nil {
		return always, never
	}
	until = record.WrittenAt + int64(snapshot.MaxAge)
	if keys {
		until = min(until, runtimeUntil(c.Admin, record))
	}
	for _, k := range e.Maintenance.Keys {
		if record.Keys[k].Unread {
			until = never
		}
	}
	if draining {
		until = min(until, drainingUntil(c.Admin, record))
	}
	for _, i := range e.Probes.Names {
		until = min(until, probeUntil(&c.Probes[i], &record.Probes[i]))
	}
	return record.WrittenAt, until
}

// soundUntil returns until when the probes without which an endpoint is degraded are known to be healthy; never if
// one is not.
func soundUntil(c *config.Config, e *config.Endpoint, record *snapshot.Record) (until int64) {
	until = always
	for _, i := range e.Degraded.Probes {
		if record == nil || !record.Probes[i].Healthy {
			return never
		}
		until = min(until, probeUntil(&c.Probes[i], &record.Probes[i]))
	}
	return until
}

// ProbeKnown reports whether the probe's state rests on results that are recent.
func ProbeKnown(c *config.Probe, p *snapshot.Probe, now int64) bool { return now <= probeUntil(c, p) }

// RuntimeKnown reports whether the last reading of runtime may be used: it is recent, or the configuration says to
// keep it.
func RuntimeKnown(a *config.Admin, record *snapshot.Record, now int64) bool {
	return now <= runtimeUntil(a, record)
}

func probeUntil(c *config.Probe, p *snapshot.Probe) int64 {
	if c.XDS && p.Healthy {
		return always
	}
	return goodFor(&p.Finding, c.MaxAge())
}

func runtimeUntil(a *config.Admin, record *snapshot.Record) int64 {
	return readingUntil(a, &record.Runtime, a.MaxAgeAfter(record.Runtime.Took()))
}

func drainingUntil(a *config.Admin, record *snapshot.Record) int64 {
	return readingUntil(a, &record.Ready, a.MaxAge)
}

func readingUntil(a *config.Admin, f *snapshot.Finding, limit duration.Duration) int64 {
	until := goodFor(f, limit)
	if until != never && !a.FailOnStale {
		return always
	}
	return until
}

// goodFor returns until when a finding counts; never for what was not found: there is nothing to keep.
func goodFor(f *snapshot.Finding, limit duration.Duration) int64 {
	if f.At == 0 {
		return never
	}
	return f.At + int64(limit)
}

// failingProbe returns the first unhealthy probe if the endpoint's policy does not hold, else nil.
func failingProbe(e *config.Endpoint, record *snapshot.Record) *snapshot.Probe {
	var first *snapshot.Probe
	healthy := 0
	for _, i := range e.Probes.Names {
		p := &record.Probes[i]
		switch {
		case p.Healthy:
			healthy++
		case first == nil:
			first = p
		}
	}
	if healthy >= e.Probes.Need {
		return nil
	}
	return first
}
