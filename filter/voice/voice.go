// Package voice lets a configuration tell of its endpoints' maintenance, each change once. Configurations that share a
// record may have different endpoints, and only one VM of one of them leads; so any VM that notices a change tells
// it, if it is the first to put it down in shared data.
//
// It decides only what to do with the stored value; the caller reads and writes the store.
package voice

import (
	"encoding/binary"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/lean/ascii"
	"github.com/healthgate/healthgate/filter/snapshot"
	"github.com/healthgate/healthgate/filter/verdict"
)

// Sink takes what is to be told.
type Sink interface {
	Info(text string)
	Warn(text string)
	Maintenance(endpoint int, on bool)
}

// Voice is one VM's share in it.
type Voice struct {
	config *config.Config
	record *snapshot.Record
	states []state // by endpoint, at the last look
	told   []state // by endpoint, as far as this VM knows
}

// state is what there is to tell of an endpoint: a hash of the key that puts it under maintenance, its value and
// reason.
type state uint64

const (
	untold state = iota // nothing was told yet
	off
)

// New returns the voice of a VM that knows of nothing.
func New(c *config.Config) *Voice {
	n := len(c.Endpoints)
	return &Voice{config: c, states: make([]state, n), told: make([]state, n)}
}

// Look reports whether there may be something to tell. It allocates nothing.
func (v *Voice) Look(record *snapshot.Record, clock verdict.Clock) bool {
	v.record = record
	if record == nil || !record.Read() {
		return false
	}
	news := false
	for i := range v.states {
		v.states[i] = off
		if k := verdict.Key(&v.config.Endpoints[i], record, clock); k >= 0 {
			v.states[i] = hash(k, record.Keys[k].Value, record.Keys[k].Reason)
		}
		news = news || v.states[i] != v.told[i]
	}
	return news
}

func hash(key int, texts ...string) state {
	h := uint64(14695981039346656037)
	h = (h ^ uint64(key)) * 1099511628211
	for _, s := range texts {
		for i := 0; i < len(s); i++ {
			h = (h ^ uint64(s[i])) * 1099511628211
		}
		h = (h ^ 256) * 1099511628211 // no byte: where the text ends
	}
	return max(state(h), off+1)
}

// Claim returns the value that claims the news of the last look, begun at a time of the monotonic clock, for this VM;
// nil if there are none, or if another VM told what it saw later than this one looked.
func (v *Voice) Claim(stored []byte, at int64) []byte {
	clear(v.told)
	if len(stored) == 8+8*len(v.told) {
		if later := int64(binary.LittleEndian.Uint64(stored)) - at; 0 < later && later < int64(snapshot.MaxAge) {
			return nil
		}
		for i := range v.told {
			v.told[i] = state(binary.LittleEndian.Uint64(stored[8+8*i:]))
		}
	}
	news := false
	b := binary.LittleEndian.AppendUint64(nil, uint64(at))
	for i, s := range v.states {
		news = news || s != v.told[i]
		b = binary.LittleEndian.AppendUint64(b, uint64(s))
	}
	if !news {
		return nil
	}
	return b
}

// Tell tells what was claimed.
func (v *Voice) Tell(sink Sink) {
	for i, now := range v.states {
		before := v.told[i]
		v.told[i] = now
		if now == before || v.config.Endpoints[i].Kind != config.KindHealthCheck {
			continue
		}
		sink.Maintenance(i, now != off)
		name := "maintenance: endpoint " + ascii.Quote(v.config.Endpoints[i].Name)
		if now != off {
			sink.Warn(name + ": on: " + v.line(i))
		} else if before != untold {
			sink.Info(name + ": off")
		}
	}
}

// line says which key puts the endpoint under maintenance, and why.
func (v *Voice) line(endpoint int) string {
	for _, k := range v.config.Endpoints[endpoint].Maintenance.Keys {
		key := &v.record.Keys[k]
		if hash(k, key.Value, key.Reason) != v.states[endpoint] {
			continue
		}
		line := "key " + ascii.Quote(v.config.Keys[k]) + " = " + ascii.Quote(key.Value)
		if key.Reason != "" {
			line += ", reason " + ascii.Quote(key.Reason)
		}
		return line
	}
	return ""
}
