// Package snapshot is the one record that the leader writes and every VM reads: maintenance, draining, each probe's
// state, and how old each of these findings is.
//
// All times named …At are nanoseconds of the process's monotonic clock, 0 for never.
package snapshot

import (
	"github.com/healthgate/healthgate/filter/lean/duration"
	"github.com/healthgate/healthgate/filter/maintenance"
)

// MaxAge is the age after which a record no longer counts: no leader has written for many times its heartbeat.
const MaxAge = 10 * duration.Second

// Record is the shared state of one configuration.
type Record struct {
	Writer    uint64 // the leader that wrote it
	Number    uint64 // grows with each write: higher than that of any record which it took findings from
	WrittenAt int64  // a heartbeat: it makes no finding younger
	Terms     Terms  // what the findings are of; empty in a record that is not stored

	Runtime  Finding // the last reading of Keys
	Ready    Finding // the last reading of Draining
	Draining bool

	Keys   []Key   // in the order of the terms, which is the configuration's
	Probes []Probe // likewise
}

// Outcome is how a request of the leader's ended.
type Outcome uint8

// The outcomes.
const (
	NoOutcome    Outcome = iota // none has ended yet
	Answered                    // a response, with Status
	TimedOut                    // Envoy gave up at the timeout
	Unreachable                 // Envoy answered itself, and did not say why
	CutOff                      // reset before or within the response
	NoCluster                   // Envoy has no cluster of this name
	NoHost                      // nothing was sent: no healthy host, or an open circuit breaker
	Refused                     // nothing was sent, for another reason
	Unanswered                  // Envoy never said anything
	NoConnection                // none could be made
	Unreadable                  // a response to a poll, with Status, that is not what Envoy's admin writes
	NotServing                  // gRPC's NOT_SERVING
	NoState                     // of gRPC: neither SERVING nor NOT_SERVING
	GRPCError                   // another grpc-status than 0, which is Status
)

// Finding is what one kind of request last found. Only another result makes it younger.
type Finding struct {
	Outcome   Outcome // of a probe: of the last result that agrees with its state
	Status    uint32  // of the same; 0 if there is none, as in statistics
	StartedAt int64   // when the last request began
	At        int64   // when the last result came: any of a probe's, a poll's only if it could be read
	TookMs    uint32  // how long that one took
}

// Took is how long the last result took.
func (f *Finding) Took() duration.Duration { return duration.Duration(f.TookMs) * duration.Millisecond }

// Unread reports, of a poll, that the last one could not be read.
func (f *Finding) Unread() bool { return f.Outcome != NoOutcome && f.Outcome != Answered }

// Key is the last reading of one runtime key.
type Key struct {
	Switch        maintenance.Switch
	Value, Reason string
	Unread        bool // the reading is of a configuration that has not this key
}

// New returns a record of nothing seen yet.
func New(keys, probes int) *Record {
	return &Record{Keys: make([]Key, keys), Probes: make([]Probe, probes)}
}

// Set makes r a copy of another record of the same configuration.
func (r *Record) Set(to *Record) {
	keys, probes := r.Keys, r.Probes
	*r = *to
	r.Keys, r.Probes = keys, probes
	copy(keys, to.Keys)
	copy(probes, to.Probes)
}

// Clear makes r a record of nothing seen yet, with the same origin.
func (r *Record) Clear() {
	clear(r.Keys)
	clear(r.Probes)
	*r = Record{Writer: r.Writer, Number: r.Number, Keys: r.Keys, Probes: r.Probes}
}

// Read reports whether all of the keys were read once.
func (r *Record) Read() bool {
	for i := range r.Keys {
		if r.Keys[i].Unread {
			return false
		}
	}
	return len(r.Keys) == 0 || r.Runtime.At != 0
}

// Outlived reports whether the clock was set back since the record was written: one that was written later says an
// earlier time, or one that has yet to come. What the first one found is then older than it looks.
func (r *Record) Outlived(by *Record, now int64) bool {
	return by.Number > r.Number && (by.WrittenAt < r.WrittenAt || by.WrittenAt > now)
}

// Stale reports whether no one has written the record for so long that no one leads.
func (r *Record) Stale(now int64) bool { return now-r.WrittenAt > int64(MaxAge) }

// Plausible reports whether the record's times are of the past. All VMs share a clock, so no leader wrote another one;
// shared data may be written by other plugins.
func (r *Record) Plausible(now int64) bool {
	ok := past(r.WrittenAt, now) && r.Runtime.past(now) && r.Ready.past(now)
	for i := range r.Probes {
		ok = ok && r.Probes[i].past(now) && past(r.Probes[i].ChangedAt, now)
	}
	return ok
}

func (f *Finding) past(now int64) bool { return past(f.StartedAt, now) && past(f.At, now) }

func past(at, now int64) bool { return 0 <= at && at <= now }
