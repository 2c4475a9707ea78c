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
)

// family is what a configuration has to do with the others in its VM that have the plugin's name: a live update leaves
// the old one at work for as long as connections drain.
type family struct {
	id        uint64     // a hash of the configuration
	relatives []relative // others of its name
	check     succession.Check
	asked     bool // a check came that is not noted yet

	resting    bool // and nobody asks it
	replaced   bool // others are asked in its place: it has nothing to tell
	replacedAt int64
	born       int64 // when the first VM had it
	lastAsked  int64
}

// relative is another configuration.
type relative struct {
	*succession.Kin
	of    *plugin
	newer bool
	same  bool // it has the same state: one record and one lease
}

const (
	// askedFor is how long after its last check a configuration still probes that was replaced: longer than load balancers
	// with a connection that they keep wait between two checks.
	askedFor = 60 * duration.Second
	// restPeriod is the tick of a configuration that rests.
	restPeriod = 2 * duration.Second
	// lastRelatives and mostRelatives bound with how many others a configuration deals: a control plane may update faster
	// than connections drain.
	lastRelatives, mostRelatives = 8, 32
	// lapsed is the time of a lease that is over.
	lapsed = math.MinInt64
)

// askedKey is where the configurations note that they are asked.
var askedKey = storePrefix + "asked"

// join makes a new configuration and others of its name known to each other: the last ones, and those that are current.
func (p *plugin) join() {
	p.check.Config = p.id
	for i := len(roots) - 1; i >= 0 && len(p.relatives) < mostRelatives; i-- {
		other := roots[i].plugin
		if other != p && other.config != nil && other.name == p.name &&
			(!other.replaced || len(p.relatives) < lastRelatives) {
			p.meet(other, false)
			other.meet(p, true)
		}
	}
}

func (p *plugin) meet(other *plugin, newer bool) {
	r := relative{succession.Meet(p.config, other.config), other, newer, other.leaseKey == p.leaseKey}
	p.relatives = append(p.relatives, r)
	p.view.forget()
	if !r.same {
		p.view.kin = append(p.view.kin, r)
	} else if newer {
		p.bequeath(other)
	}
}

// leave takes a configuration that ends out of the others' sight.
func (p *plugin) leave() {
	for i := range p.relatives {
		other := p.relatives[i].of
		other.relatives, other.view.kin = without(other.relatives, p), without(other.view.kin, p)
		other.view.forget()
	}
}

func without(relatives []relative, p *plugin) (rest []relative) {
	for _, r := range relatives {
		if r.of != p {
			rest = append(rest, r)
		}
	}
	return rest
}

// bequeath leaves the lease, if this VM has it, to another configuration with the same state.
func (p *plugin) bequeath(to *plugin) {
	if p.monitor != nil {
		to.owner, to.renewed = p.owner, p.renewed
		p.owner = host.Random()
		p.follow()
	}
}

// notes puts down that a check came: the first one between two ticks, and while there are relatives each.
func (p *plugin) notes() {
	if p.asked && len(p.relatives) == 0 {
		return
	}
	p.asked = true
	number, ok := host.Property("connection\x00id")
	if !ok || len(number) != 8 {
		return
	}
	if n := binary.LittleEndian.Uint64([]byte(number)); n > p.check.Connection {
		address, _ := host.Property("destination\x00address")
		p.check.Address, p.check.Connection = config.Hash(address), n
	}
}

// judge finds out whether the configuration is still a current one.
func (p *plugin) judge(now int64) {
	stored, cas, found := host.SharedData(askedKey)
	if !found {
		cas = lease.Absent
	}
	table := succession.Asked(stored)
	first := p.born == 0
	if first {
		p.born = now
	}
	if first || p.asked {
		noted := table.Note(p.check, p.asked, p.born, now)
		switch {
		case noted == nil:
			p.asked = false
		case host.SetSharedData(askedKey, noted, cas) == nil:
			p.asked, table = false, noted
		case first: // the next tick tries again
			p.born = 0
		}
	}
	born, asked := table.Of(p.id)
	if born != 0 { // else there was no room left
		p.born = born
	}
	p.lastAsked = asked
	replaced := table.Replaced(p.id, p.born, p)
	if replaced && !p.replaced {
		p.replacedAt = now
	}
	p.replaced = replaced
}

// Has implements succession.Family.
func (p *plugin) Has(id uint64) bool {
	for i := range p.relatives {
		if of := p.relatives[i].of; of.id == id && id != p.id {
			return true
		}
	}
	return false
}

// idle reports whether nobody asks the configuration any more.
func (p *plugin) idle(now int64) bool {
	return p.replaced && now-max(p.replacedAt, p.lastAsked) > int64(askedFor)
}

// rests reports whether the configuration needs no leader in this VM: a newer one with the same state leads, or nobody
// asks those that have it.
func (p *plugin) rests(now int64) bool {
	idle := p.idle(now)
	for i := range p.relatives {
		r := &p.relatives[i]
		if r.same && r.newer {
			return true
		}
		idle = idle && !(r.same && !r.of.idle(now))
	}
	return idle
}

// tells reports whether what happens to the configuration's state is worth telling.
func (p *plugin) tells() bool {
	tells := !p.replaced
	for i := range p.relatives {
		tells = tells || p.relatives[i].same && !p.relatives[i].of.replaced
	}
	return tells
}

// adopt takes over what other configurations found of what this one would ask, too.
func (p *plugin) adopt(now int64) {
	callouts := p.monitor.Callouts()
	for _, c := range callouts {
		c.Yields = false
	}
	for i := range p.view.kin {
		r := &p.view.kin[i]
		if r.of.resting {
			continue
		}
		for _, c := range callouts {
			c.Yields = c.Yields || p.yields(r, r.Order[c.Index])
		}
		if v := &r.of.view; v.read() && v.own.Plausible(now) && r.Adopt(p.monitor.Record, v.own) {
			p.monitor.Adopted()
		}
	}
}

// yields reports whether the other configuration comes first: all VMs must agree.
func (p *plugin) yields(to *relative, order succession.Order) bool {
	switch {
	case order == succession.Apart:
		return false
	case p.replaced != to.of.replaced:
		return p.replaced
	}
	return order == succession.Second || order == succession.Equal && to.of.id > p.id
}

// leads reports whether this VM leads for the configuration's state, which others may share.
func (p *plugin) leads() bool {
	leads := p.monitor != nil
	for i := range p.relatives {
		leads = leads || p.relatives[i].same && p.relatives[i].of.monitor != nil
	}
	return leads
}

// owns reports whether the gauge of a name is the configuration's to set: gauges belong to the process, and of the
// current configurations that have the name, the newest one sets it. ofState says that those with the same state
// count as this one.
func (p *plugin) owns(ofState bool, named func(*succession.Kin) bool) bool {
	current := !p.replaced || ofState && p.tells()
	for i := range p.relatives {
		r := &p.relatives[i]
		if !r.of.replaced && !(ofState && r.same) && r.of.born > p.born && named(r.Kin) {
			return false
		}
	}
	return current
}

// vacate sets the gauges of what no other configuration has any more: it is neither in maintenance nor failing.
func (p *plugin) vacate() {
	for i, gauge := range p.metrics.maintenance {
		if p.config.Endpoints[i].Kind == config.KindHealthCheck &&
			p.only(func(k *succession.Kin) bool { return k.Endpoints[i] }) {
			host.Set(gauge, 0)
		}
	}
	for i, gauge := range p.metrics.probeUp {
		if p.only(func(k *succession.Kin) bool { return k.Probes[i] }) {
			host.Set(gauge, 1)
		}
	}
}

func (p *plugin) only(named func(*succession.Kin) bool) bool {
	for i := range p.relatives {
		if named(p.relatives[i].Kin) {
			return false
		}
	}
	return true
}
