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

// family is what a configuration has to do with others that have the plugin's name: a live update leaves the old one at
// work for as long as connections drain. They know of each other by shared data, whichever VMs have them.
type family struct {
	id    succession.Identity
	same  []*plugin // of this VM, with the same state: one record and one lease; the newest last
	names []uint64  // of its endpoints, then of its probes, as hashes
	joins int       // when the VM got it, among its configurations
	check succession.Check
	asked bool // a check came that is not noted yet

	resting    bool // and nobody asks it
	replaced   bool // others are asked in its place: it has nothing to tell
	silent     bool // and in that of all that have the same state
	replacedAt int64
	born       int64 // when the first VM had it
	lastAsked  int64
}

const (
	// askedFor is how long after its last check a configuration still probes that was replaced: longer than load balancers
	// with a connection that they keep wait between two checks.
	askedFor = 60 * duration.Second
	// restPeriod is the tick of a configuration that rests.
	restPeriod = 2 * duration.Second
	// mostSame bounds with how many of the same state a configuration deals: a control plane may update faster than
	// connections drain.
	mostSame = 32
	// lapsed is the time of a lease that is over.
	lapsed = math.MinInt64
)

// space is where directories are written.
var space succession.Directory

// joins counts the configurations that this VM got.
var joins int

// directoryKey is where the configurations note that they are there, and asked.
var directoryKey = storePrefix + "directory"

// join makes a new configuration known to those of this VM that have the same state, and looks for the others. It
// writes nothing.
func (p *plugin) join() {
	joins++
	p.joins = joins
	for i := range p.config.Endpoints {
		p.names = append(p.names, config.Hash("endpoint "+p.config.Endpoints[i].Name))
	}
	for i := range p.config.Probes {
		p.names = append(p.names, config.Hash("probe "+p.config.Probes[i].Name))
	}
	for i := len(roots) - 1; i >= 0 && len(p.same) < mostSame; i-- {
		other := roots[i].plugin
		if !roots[i].stream && other != p && other.joins != 0 && other.id.Name == p.id.Name && other.id.State == p.id.State {
			p.same = append(p.same, other)
			other.same = append(other.same, p)
			other.bequeath(p)
			other.describe()
		}
	}
	p.describe()
	stored, _, _ := host.SharedData(directoryKey)
	p.view.meet(p.id, stored, p.clock.Monotonic())
}

func (p *plugin) endpointName(i int) uint64 { return p.names[i] }
func (p *plugin) probeName(i int) uint64    { return p.names[len(p.config.Endpoints)+i] }

// describe has the record name what any configuration with its state has gauges of.
func (p *plugin) describe() {
	names := p.names
	for _, s := range p.same {
		names = append(names[:len(names):len(names)], s.names...)
	}
	p.view.terms = succession.Terms(p.config, names)
}

// leave takes a configuration that ends out of the others' sight.
func (p *plugin) leave() {
	for _, s := range p.same {
		var rest []*plugin
		for _, other := range s.same {
			if other != p {
				rest = append(rest, other)
			}
		}
		s.same = rest
		s.describe()
		p.bequeath(s)
	}
}

// bequeath leaves the lease, if this VM has it, to another configuration with the same state. The tick stays as it is:
// the current root context is the other one's.
func (p *plugin) bequeath(to *plugin) {
	if p.monitor != nil {
		to.owner, to.renewed = p.owner, p.renewed
		p.owner = host.Random()
		p.monitor, p.renewed = nil, lapsed
	}
}

// notes puts down that a check came: the first one between two ticks, and while there are others of the family each.
func (p *plugin) notes() {
	if p.asked && len(p.same)+len(p.view.kin) == 0 {
		return
	}
	p.asked = true
	number, ok := host.Property("connection\x00id")
	if !ok || len(number) != 8 {
		return
	}
	if n := binary.LittleEndian.Uint64([]byte(number)); n > p.check.Connection {
		address, _ := host.Property("destination\x00address")
		p.check = succession.Check{Address: config.Hash(address), Connection: n}
	}
}

// judge finds out whether the configuration is still a current one, and what others there are.
func (p *plugin) judge(now int64) {
	stored, cas, found := host.SharedData(directoryKey)
	if !found {
		cas = lease.Absent
	}
	directory := succession.Directory(stored)
	first := p.born == 0
	if first {
		p.born = now
	}
	if first || p.asked || !p.replaced {
		noted := directory.Note(space, p.id, p.check, p.asked, p.born, now)
		if noted != nil {
			space = noted
		}
		switch {
		case noted == nil:
			p.asked = false
		case host.SetSharedData(directoryKey, space, cas) == nil:
			p.asked, directory = false, space
		case first: // the next tick tries again
			p.born = 0
		}
	}
	born, asked := directory.Of(p.id.Config)
	if born != 0 { // else there was no room left
		p.born = born
	}
	p.lastAsked = asked
	replaced := directory.Replaced(p.id, p.born)
	if replaced && !p.replaced {
		p.replacedAt = now
	}
	p.replaced = replaced
	p.silent = replaced && !directory.Tells(p.id, now)
	p.view.meet(p.id, directory, now)
}

// idle reports whether nobody asks the configuration any more.
func (p *plugin) idle(now int64) bool {
	return p.replaced && now-max(p.replacedAt, p.lastAsked) > int64(askedFor)
}

// rests reports whether the configuration needs no leader in this VM: a newer one with the same state leads, or nobody
// asks those that have it.
func (p *plugin) rests(now int64) bool {
	idle := p.idle(now)
	newest := true
	for _, s := range p.same {
		idle = idle && s.idle(now)
		newest = newest && s.joins < p.joins
	}
	return idle || !newest
}

// tells reports whether what happens to the configuration's state is worth telling.
func (p *plugin) tells() bool { return !p.silent }

// adopt takes over what other configurations found of what this one would ask, too.
func (p *plugin) adopt(now int64) {
	host.OpenScratch()
	for _, k := range p.view.kin {
		k.read(p.view.terms)
		if k.whole && p.monitor.Record.Outlived(k.record, now) {
			p.lead(true) // anew: since this leader wrote, the clock went back
			break
		}
	}
	callouts := p.monitor.Callouts()
	for _, c := range callouts {
		c.Yields = false
	}
	for _, k := range p.view.kin {
		if !k.valid || !k.record.Plausible(now) {
			continue
		}
		for _, c := range callouts {
			c.Yields = c.Yields || !k.record.Stale(now) && p.yields(k, k.Order[c.Index])
		}
		if k.record.Number > p.monitor.Record.Number && k.Adopt(p.monitor.Record, k.record) {
			p.monitor.Adopted()
		}
	}
	host.CloseScratch()
}

// yields reports whether the other configuration comes first: all VMs must agree.
func (p *plugin) yields(to *kin, order succession.Order) bool {
	switch {
	case order == succession.Apart:
		return false
	case p.replaced != to.replaced:
		return p.replaced
	}
	return order == succession.Second || order == succession.Equal && to.state > p.id.State
}

// leads reports whether this VM leads for the configuration's state, which others may share.
func (p *plugin) leads() bool {
	leads := p.monitor != nil
	for _, s := range p.same {
		leads = leads || s.monitor != nil
	}
	return leads
}

// owns reports whether the gauge of a name is the configuration's to set: gauges belong to the process, and of the
// current configurations that have the name, the newest one sets it. ofState says that those with the same state
// count as this one.
func (p *plugin) owns(name uint64, ofState bool) bool {
	for _, s := range p.same {
		if !ofState && !s.replaced && s.born > p.born && s.has(name) {
			return false
		}
	}
	for _, k := range p.view.kin {
		if k.current && k.born > p.born && k.terms.Names(name) {
			return false
		}
	}
	return !p.replaced || ofState && p.tells()
}

func (p *plugin) has(name uint64) bool {
	for _, n := range p.names {
		if n == name {
			return true
		}
	}
	return false
}

// vacate sets the gauges of what no current configuration has any more: it is neither in maintenance nor failing.
func (p *plugin) vacate() {
	for i, gauge := range p.metrics.maintenance {
		if p.config.Endpoints[i].Kind == config.KindHealthCheck && p.vacant(p.endpointName(i)) {
			host.Set(gauge, 0)
		}
	}
	for i, gauge := range p.metrics.probeUp {
		if p.vacant(p.probeName(i)) {
			host.Set(gauge, 1)
		}
	}
}

func (p *plugin) vacant(name uint64) bool {
	elsewhere := !p.silent // that another VM has a current one with the same state
	for _, s := range p.same {
		if !s.replaced {
			if s.has(name) {
				return false
			}
			elsewhere = false
		}
	}
	if own := &p.view.own; elsewhere && (!own.valid || own.record.Terms.Names(name)) {
		return false
	}
	for _, k := range p.view.kin {
		if k.current && (k.terms == "" || k.terms.Names(name)) { // what it names may not be known yet
			return false
		}
	}
	return true
}
