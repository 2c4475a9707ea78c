//go:build wasm

package main

import (
	"math"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/host"
	"github.com/healthgate/healthgate/filter/lease"
	"github.com/healthgate/healthgate/filter/snapshot"
)

// view is this VM's copy of the shared record.
type view struct {
	own     stored
	terms   snapshot.Terms // of the own record
	kin     []*kin
	record  *snapshot.Record // the own one, with what other configurations found of the same; nil while there is none
	seen    int              // how many stored forms record was made of
	writes  uint64           // how many times records had been written when this VM last looked
	version uint64           // changes with record; never 0
	timed   bool             // record has a key that is on until some time
	space   *snapshot.Record // what record points to when it is not nil
	buffer  []byte           // for encoding
}

func newView(c *config.Config, state uint64) view {
	return view{own: newStored(state), version: 1, space: snapshot.New(len(c.Keys), len(c.Probes))}
}

// stored is a record in shared data.
type stored struct {
	key    string
	record *snapshot.Record
	there  bool
	whole  bool // of this build's form
	valid  bool // and of the past
	cas    uint32
	reads  int // how many stored forms were read
}

func newStored(state uint64) stored {
	return stored{key: recordKey(state, "snapshot"), record: snapshot.New(0, 0)}
}

// read decodes the record, if it is another one than the last.
func (s *stored) read() (news bool) {
	data, cas, ok := host.SharedData(s.key)
	if !ok {
		cas = 0
	}
	if ok && s.valid && s.cas == cas || !ok && !s.valid && s.reads > 0 {
		return false
	}
	s.reads++
	s.cas, s.there, s.whole = cas, ok, ok && s.record.Decode(data)
	s.valid = s.whole && s.record.Plausible(host.Clock{}.Monotonic())
	return true
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

// forget has the next refresh make the record anew.
func (v *view) forget() { v.seen, v.writes = -1, math.MaxUint64 }

// refresh reads the record, and makes it anew if there is another one. The own record holds what others had written
// before it, so of theirs only later ones matter. If the own one does not count, the clock went back, and nothing
// counts before the next one: findings from before look younger than they are. Nor does what was written before the
// newest record if the clock went back since.
func (v *view) refresh() {
	v.own.read()
	reads := v.own.reads
	for _, k := range v.kin {
		k.read(v.terms)
		reads += k.stored.reads
	}
	if reads == v.seen {
		return
	}
	v.seen = reads
	v.version++
	v.timed = false
	v.record = nil
	if v.known() {
		v.record = v.space
		v.record.Set(v.own.record)
	} else if v.own.there {
		return
	}
	newest, now := v.own.record, host.Clock{}.Monotonic()
	for _, k := range v.kin {
		if k.whole && k.stored.record.Number > newest.Number {
			newest = k.stored.record
		}
	}
	if v.record != nil && v.record.Outlived(newest, now) {
		v.record.Clear()
	}
	for _, k := range v.kin {
		if !k.valid || k.stored.record.Number <= v.own.record.Number || k.stored.record.Outlived(newest, now) {
			continue
		}
		if v.record == nil {
			v.record = v.space
			v.record.Clear()
		}
		k.Adopt(v.record, k.stored.record)
		v.record.WrittenAt = max(v.record.WrittenAt, k.stored.record.WrittenAt)
	}
	if v.record != nil {
		for i := range v.record.Keys {
			v.timed = v.timed || v.record.Keys[i].Switch.Until != 0
		}
	}
}

// known reports whether there is a record. Another plugin that writes to its key may have written one of another size.
func (v *view) known() bool {
	r := v.own.record
	return v.own.valid && len(r.Keys) == len(v.space.Keys) && len(r.Probes) == len(v.space.Probes)
}

// take returns a copy of the record for a new leader to go on from.
func (v *view) take() *snapshot.Record {
	r := snapshot.New(len(v.space.Keys), len(v.space.Probes))
	if v.record != nil {
		r.Set(v.record)
	} else if v.own.there { // it does not count, but for its number
		r.Writer, r.Number = v.own.record.Writer, v.own.record.Number
	}
	return r
}

// origin tells what the leader's record must replace: what the leader wrote last, or went on from.
type origin struct {
	cas  uint32
	same bool
}

func (v *view) origin(r *snapshot.Record) origin {
	stored, cas, ok := host.SharedData(v.own.key)
	if !ok {
		return origin{lease.Absent, true}
	}
	writer, number := snapshot.Origin(stored)
	return origin{cas, writer == r.Writer && number == r.Number}
}

// store writes the leader's record; false if another VM was faster. Its number is higher than that of any record whose
// findings it has.
func (v *view) store(r *snapshot.Record, owner uint64, cas uint32) bool {
	writer, number := r.Writer, r.Number
	r.Writer = owner
	for _, k := range v.kin {
		if k.whole {
			r.Number = max(r.Number, k.stored.record.Number)
		}
	}
	r.Number++
	r.Terms = v.terms
	v.buffer = r.Append(v.buffer[:0])
	if host.SetSharedData(v.own.key, v.buffer, cas) != nil {
		r.Writer, r.Number = writer, number
		return false
	}
	return true
}
