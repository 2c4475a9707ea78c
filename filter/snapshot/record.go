// Package snapshot is the one record that the leader writes and every VM reads: maintenance, draining, each probe's
// state, and when it was written.
//
// All times named …At are nanoseconds of the process's monotonic clock, 0 for never.
package snapshot

import (
	"github.com/healthgate/healthgate/filter/duration"
	"github.com/healthgate/healthgate/filter/maintenance"
)

// MaxAge is the age after which a record no longer counts: no leader has written for many times its heartbeat.
const MaxAge = 10 * duration.Second

// Record is the shared state of one configuration.
type Record struct {
	Writer    uint64 // the leader that wrote it
	StartedAt int64  // when the first leader began
	WrittenAt int64

	Draining  bool
	RuntimeAt int64 // when runtime was last read
	PolledAt  int64 // when the last poll of the admin endpoint began

	Keys   []Key   // in the order of the configuration's keys
	Probes []Probe // in the order of the configuration's probes
}

// Key is the last reading of one runtime key.
type Key struct {
	Switch        maintenance.Switch
	Value, Reason string
}

// Probe is the state of one probe.
type Probe struct {
	Seen      bool // there was a result
	Healthy   bool
	Status    uint32 // of the last result; 503 for one without a response
	Streak    uint32 // how many results in a row contradict Healthy
	StartedAt int64  // when the last request began
	ChangedAt int64  // when Healthy last changed
	LatencyMs uint32 // of the last result
}

// New returns a record of nothing seen yet.
func New(keys, probes int, now int64) *Record {
	return &Record{StartedAt: now, Keys: make([]Key, keys), Probes: make([]Probe, probes)}
}

// Stale reports whether the record is too old to count as anything but a sign of trouble.
func (r *Record) Stale(now int64) bool { return now-r.WrittenAt > int64(MaxAge) }
