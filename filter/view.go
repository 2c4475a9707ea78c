package main

import (
	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/host"
	"github.com/healthgate/healthgate/filter/lease"
	"github.com/healthgate/healthgate/filter/sdk"
	"github.com/healthgate/healthgate/filter/snapshot"
)

// view is this VM's copy of the shared record.
type view struct {
	key    string
	record *snapshot.Record // nil while there is none
	cas    uint32           // of the stored form that record was decoded from
	space  *snapshot.Record // what record points to when it is not nil
	buffer []byte           // for encoding
}

func newView(c *config.Config, key string) view {
	return view{key: key, space: snapshot.New(len(c.Keys), len(c.Probes), 0)}
}

// refresh decodes the stored record, if it is another one than the last.
func (v *view) refresh() {
	stored, cas, ok := host.SharedData(v.key)
	if !ok {
		v.record = nil
		return
	}
	if v.record != nil && v.cas == cas {
		return
	}
	v.record, v.cas = nil, cas
	if v.space.Decode(stored) {
		v.record = v.space
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

// store writes the leader's record, unless another leader has written since: the last writer must be this one, or
// this must be its first write.
func (v *view) store(r *snapshot.Record, owner uint64) bool {
	stored, cas, err := sdk.GetSharedData(v.key)
	if err != nil {
		cas = lease.Absent
	} else if r.Writer == owner && snapshot.Writer(stored) != owner {
		return false
	}
	r.Writer = owner
	v.buffer = r.Append(v.buffer[:0])
	return sdk.SetSharedData(v.key, v.buffer, cas) == nil
}
