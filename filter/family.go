//go:build wasm

package main

import (
	"encoding/binary"
	"math"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/host"
	"github.com/healthgate/healthgate/filter/lean/duration"
	"github.com/healthgate/healthgate/filter/lease"
	"github.com/healthgate/healthgate/filter/succession"
	"github.com/healthgate/healthgate/filter/verdict"
)

// family is what a configuration has to do with the others in its VM. Each VM has all of them, in the same order: the
// one that came last is the newest.
type family struct {
	heir      *plugin // a newer one with the same state: it leads in this VM
	old       bool    // newer ones have all of its endpoints: it has nothing to tell
	behind    bool    // a newer one has some of its endpoints or probes
	asked     bool    // a check came since the last tick
	endpoints []bool  // which of them newer ones have, too
	probes    []bool
}

// kin is another configuration that names some of the same endpoints or probes.
type kin struct {
	*succession.Kin
	of *plugin
}

// askedFor is how long after a check an old configuration still probes: longer than load balancers wait between two.
const askedFor = 60 * duration.Second

// lapsed is the time of a lease that is over.
const lapsed = math.MinInt64

// meetAll finds out anew what the VM's configurations have to do with each other.
func meetAll() {
	for i := range roots {
		if p := roots[i].plugin; p.config != nil {
			p.meet(roots[:i], roots[i+1:])
		}
	}
}

func (p *plugin) meet(older, newer []root) {
	p.behind = false
	p.heir, p.view.kin, p.view.seen, p.view.writes = nil, nil, -1, math.MaxUint64
	p.endpoints, p.probes = make([]bool, len(p.config.Endpoints)), make([]bool, len(p.config.Probes))
	for _, r := range older {
		p.meetOne(r.plugin, false)
	}
	for _, r := range newer {
		p.meetOne(r.plugin, true)
	}
	p.old = true
	for _, has := range p.endpoints {
		p.old = p.old && has
	}
	if p.heir != nil {
		p.bequeath()
	}
}

func (p *plugin) meetOne(other *plugin, newer bool) {
	if other.config == nil {
		return
	}
	k := succession.Meet(p.config, other.config)
	if k == nil {
		return
	}
	if newer {
		p.behind = true
		merge(p.endpoints, k.Endpoints)
		merge(p.probes, k.Probes)
	}
	switch {
	case other.leaseKey != p.leaseKey:
		p.view.kin = append(p.view.kin, kin{k, other})
	case newer:
		p.heir = other
	}
}

func merge(into, from []bool) {
	for i, set := range from {
		into[i] = into[i] || set
	}
}

// bequeath leaves the lease, if this VM has it, to another configuration with the same state; false if there is none.
func (p *plugin) bequeath() bool {
	for i := len(roots) - 1; i >= 0; i-- {
		heir := roots[i].plugin
		if heir == p || heir.config == nil || heir.leaseKey != p.leaseKey {
			continue
		}
		if p.monitor != nil {
			heir.renewed = p.renewed
			p.follow()
		}
		return true
	}
	return false
}

// rests reports whether the configuration needs no leader: a newer one with the same state does the work, or it is an
// old one for which no check comes any more, to any VM.
func (p *plugin) rests(now int64) bool {
	asked := p.asked
	p.asked = false
	if asked && (p.old || p.heir != nil) { // of the same state, the one that leads may be another one than is asked
		_ = host.SetSharedData(p.askedKey, binary.LittleEndian.AppendUint64(nil, uint64(now)), 0)
	}
	if p.heir != nil || !p.old || asked {
		return p.heir != nil
	}
	stored, _, ok := host.SharedData(p.askedKey)
	if !ok || len(stored) != 8 {
		return true
	}
	ago := now - int64(binary.LittleEndian.Uint64(stored))
	return ago < 0 || ago > int64(askedFor)
}

// adopt takes over what other configurations found of what this one would ask.
func (p *plugin) adopt() {
	now := p.clock.Monotonic()
	p.monitor.Yields = p.behind
	for _, k := range p.view.kin {
		if k.of.view.read(); k.of.view.valid && k.of.view.own.Plausible(now) &&
			k.Adopt(p.monitor.Record, k.of.view.own) {
			p.monitor.Adopted()
		}
	}
}

// showMaintenance sets the gauges of the endpoints that no newer configuration has. It is done at each tick, because
// another one may have set them before.
func (p *plugin) showMaintenance() {
	if record := p.view.record; record != nil && (len(p.config.Keys) == 0 || record.Runtime.At != 0) {
		for i := range p.config.Endpoints {
			e := &p.config.Endpoints[i]
			if e.Kind == config.KindHealthCheck && !p.endpoints[i] {
				host.Set(p.metrics.maintenance[i], number(verdict.Key(e, record, p.clock) >= 0))
			}
		}
	}
}

// holds reports whether this VM has had the lease until now.
func (p *plugin) holds(now int64) bool { return lease.Lasts(p.renewed, now) }
