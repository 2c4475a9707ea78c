//go:build wasm

package main

import (
	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/host"
	"github.com/healthgate/healthgate/filter/lease"
	"github.com/healthgate/healthgate/filter/snapshot"
)

// view is this VM's copy of the shared record.
type view struct {
	key     string
	record  *snapshot.Record // nil while there is none
	cas     uint32           // of the stored form that record was decoded from
	writes  uint64           // how many times records had been written when this VM last looked
	version uint64           // changes with record; never 0
	timed   bool             // record has a key that is on until some time
	space   *snapshot.Record // what record points to when it is not nil
	buffer  []byte           // for encoding
}

func newView(c *config.Config, key string) view {
	return view{key: key, version: 1, space: snapshot.New(len(c.Keys), len(c.Probes))}
}

// catchUp is refresh for a health check. The counter of writes says whether any VM has written since this one looked:
// reading it costs a fraction of reading shared data. It belongs to the process, so other configurations' writes count
// too and do no harm. It stands at 0 before the first write, and always where the operator's stats_matcher rejects it.
func (v *view) catchUp(counter host.Metric) {
	writes := host.CounterValue(counter)
	if writes == v.writes && writes != 0 {
		return
	}
	v.writes = writes // read before the record: what is written in between is noticed by the next check
	v.refresh()
}

// refresh decodes the stored record, if it is another one than the last.
func (v *view) refresh() {
	stored, cas, ok := host.SharedData(v.key)
	if !ok {
		v.record, v.timed = nil, false
		v.version++
		return
	}
	if v.record != nil && v.cas == cas {
		return
	}
	v.record, v.cas, v.timed = nil, cas, false
	v.version++
	if v.space.Decode(stored) && v.space.Plausible(host.Clock{}.Monotonic()) {
		v.record = v.space
		for i := range v.record.Keys {
			v.timed = v.timed || v.record.Keys[i].Switch.Until != 0
		}
	}
}

// take returns a copy of the record for a new leader to go on from; nil when there is none.
func (v *view) take() *snapshot.Record {
	if v.record == nil {
		return nil
	}
	r := *v.record
	r.Keys = append([]snapshot.Key(nil), r.Keys...)
	r.Probes = append([]snapshot.Probe(nil), r.Probes...)
	return &r
}

// origin tells what the leader's record must replace: what the leader wrote last, or went on from.
type origin struct {
	cas  uint32
	same bool
}

func (v *view) origin(r *snapshot.Record) origin {
	stored, cas, ok := host.SharedData(v.key)
	if !ok {
		return origin{lease.Absent, true}
	}
	writer, number := snapshot.Origin(stored)
	return origin{cas, writer == r.Writer && number == r.Number}
}

// store writes the leader's record; false if another VM was faster.
func (v *view) store(r *snapshot.Record, owner uint64, cas uint32) bool {
	writer := r.Writer
	r.Writer = owner
	r.Number++
	v.buffer = r.Append(v.buffer[:0])
	if host.SetSharedData(v.key, v.buffer, cas) != nil {
		r.Writer = writer
		r.Number--
		return false
	}
	return true
}
