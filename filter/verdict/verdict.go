// Package verdict decides what a health check gets, from the configuration and the shared record alone.
package verdict

import (
	"github.com/healthgate/healthgate/filter/config"
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

// DrainingReply is the reply while Envoy drains.
var DrainingReply = config.Reply{Status: 503, Body: "DRAINING", Headers: [][2]string{{"content-type", "text/plain"}}}

// Refuse returns the answer to a check from a source that is not trusted.
func Refuse(e *config.Endpoint) Answer { return answer(Untrusted, &e.Untrusted) }

// Decide returns the answer to a check from a trusted source. record is nil while there is none; maintenanceRoute
// says that the request's route is marked for maintenance.
func Decide(c *config.Config, e *config.Endpoint, record *snapshot.Record, maintenanceRoute bool, clock Clock) Answer {
	if maintenanceRoute || Key(e, record, clock) >= 0 {
		return answer(Maintenance, &e.Maintenance.Reply)
	}
	if record != nil && record.Draining {
		return answer(Draining, &DrainingReply)
	}
	if len(e.Probes.Names) == 0 && len(e.Maintenance.Keys) == 0 {
		return healthy(e) // nothing that could be unknown
	}
	now := clock.Monotonic()
	if record == nil || record.Stale(now) || !runtimeKnown(c, e, record, now) || !probesSeen(e, record) {
		return answer(Unknown, &e.Unknown)
	}
	if failing := failingProbe(e, record); failing != nil {
		a := answer(Unhealthy, &e.Unhealthy)
		if e.Unhealthy.ProbeStatus && failing.Status >= 400 && failing.Status <= 599 {
			// A status below 400 would look like success to some load balancers, and one above 599 is none of HTTP (RFC 9110,
			// section 15): the configured default stands.
			a.Status = failing.Status
		}
		return a
	}
	return healthy(e)
}

func answer(k Kind, r *config.Reply) Answer { return Answer{Kind: k, Reply: r, Status: r.Status} }

func healthy(e *config.Endpoint) Answer {
	if e.Healthy.Pass {
		return answer(Passed, &e.Healthy)
	}
	return answer(Healthy, &e.Healthy)
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

// runtimeKnown reports whether the last reading of runtime may be used: it is recent, or the configuration says to
// keep what was last known. Before the first reading nothing is known until max_age has passed.
func runtimeKnown(c *config.Config, e *config.Endpoint, record *snapshot.Record, now int64) bool {
	if len(e.Maintenance.Keys) == 0 {
		return true
	}
	since := record.RuntimeAt
	if since == 0 {
		since = record.StartedAt
	}
	if now-since > int64(c.Admin.MaxAge) {
		return !c.Admin.FailOnStale
	}
	return record.RuntimeAt != 0
}

func probesSeen(e *config.Endpoint, record *snapshot.Record) bool {
	for _, i := range e.Probes.Names {
		if !record.Probes[i].Seen {
			return false
		}
	}
	return true
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
