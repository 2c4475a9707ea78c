// Package verdict decides what a health check gets, from the configuration and the shared record alone.
package verdict

import (
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
	Healthy
	Passed // healthy, and the application's own endpoint answers
	Shown  // not a check: the state was shown, by an endpoint of kind status
)

// Kinds is the number of outcomes.
const Kinds = int(Shown) + 1

// String is the outcome's name in metrics and response code details.
func (k Kind) String() string {
	return [Kinds]string{"untrusted", "maintenance", "draining", "unknown", "unhealthy", "healthy", "passed", "shown"}[k]
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
}

// Refuse returns the answer to a check from a source that is not trusted.
func Refuse(e *config.Endpoint) Answer { return answer(e, Untrusted) }

// Reply returns what an endpoint replies to a check of an outcome; nil for Shown, which is no check's.
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
	if !known(c, e, record, clock.Monotonic()) {
		return answer(e, Unknown)
	}
	if failing := failingProbe(e, record); failing != nil {
		a := answer(e, Unhealthy)
		if e.Unhealthy.ProbeStatus && failing.Status >= 400 && failing.Status <= 599 {
			// A status below 400 would look like success to some load balancers, and one above 599 is none of HTTP (RFC 9110,
			// section 15): the configured default stands.
			a.Status = failing.Status
		}
		return a
	}
	return healthy(e)
}

func answer(e *config.Endpoint, k Kind) Answer {
	r := Reply(e, k)
	return Answer{Kind: k, Reply: r, Status: r.Status}
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

// known reports whether all that the endpoint rests on was found, and not too long ago.
func known(c *config.Config, e *config.Endpoint, record *snapshot.Record, now int64) bool {
	keys, draining := len(e.Maintenance.Keys) > 0, c.Admin != nil && !c.Admin.IgnoreDraining
	if !keys && !draining && len(e.Probes.Names) == 0 {
		return true // it rests on nothing
	}
	if record == nil || record.Stale(now) ||
		keys && !RuntimeKnown(c.Admin, record, now) || draining && !DrainingKnown(c.Admin, record, now) {
		return false
	}
	for _, i := range e.Probes.Names {
		if !ProbeKnown(&c.Probes[i], &record.Probes[i], now) {
			return false
		}
	}
	return true
}

// ProbeKnown reports whether the probe's state rests on results that are recent.
func ProbeKnown(c *config.Probe, p *snapshot.Probe, now int64) bool {
	return p.At != 0 && now-p.At <= int64(c.MaxAge())
}

// RuntimeKnown reports whether the last reading of runtime may be used: it is recent, or the configuration says to keep it.
func RuntimeKnown(a *config.Admin, record *snapshot.Record, now int64) bool {
	return readingKnown(a, &record.Runtime, a.MaxAgeAfter(record.Runtime.Took()), now)
}

// DrainingKnown is RuntimeKnown for the last reading of draining.
func DrainingKnown(a *config.Admin, record *snapshot.Record, now int64) bool {
	return readingKnown(a, &record.Ready, a.MaxAge, now)
}

// readingKnown is false for what was never read: there is nothing to keep.
func readingKnown(a *config.Admin, f *snapshot.Finding, limit duration.Duration, now int64) bool {
	return f.At != 0 && (!a.FailOnStale || now-f.At <= int64(limit))
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
