//go:build wasm

package main

import (
	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/host"
	"github.com/healthgate/healthgate/filter/lean/duration"
	"github.com/healthgate/healthgate/filter/verdict"
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"
)

// Checks that want a probe on demand wait for it. The leader alone asks: a queue tells it of them, and the record says
// what it found.

// waiter is a check that waits.
type waiter struct {
	plugin   *plugin
	stream   uint32
	endpoint int
	until    int64
}

// waiting are all checks of this VM that wait.
var waiting []waiter

const (
	// mostWaiting bounds the memory for checks that wait.
	mostWaiting = 512
	// mostAtOnce bounds how many are answered in a callback: Envoy sends each reply from within the one before, and V8's
	// stack is full after some 300.
	mostAtOnce = 32
	// waitPeriod is the tick while checks wait.
	waitPeriod = 10 * duration.Millisecond
	// waitGrace is how much longer than a probe's timeout a check waits: by then it is known that the probe timed out.
	waitGrace = 100 * duration.Millisecond
	// demandAgain is after how long a VM tells the leader once more: another one may lead by then.
	demandAgain = int64(100 * duration.Millisecond)
)

// demand has the leader ask what an endpoint's answer lacks, and returns how long a check waits for that; 0 if it lacks
// nothing.
func (p *plugin) demand(endpoint int, now int64) (wait duration.Duration) {
	e := &p.config.Endpoints[endpoint]
	if e.Kind == config.KindStatus { // it shows what the others would answer
		for i := range p.config.Endpoints {
			if p.config.Endpoints[i].Kind != config.KindStatus {
				wait = max(wait, p.demand(i, now))
			}
		}
	} else if k := p.checks.known(endpoint).Kind; k == verdict.Unknown || k == verdict.Degraded {
		wait = max(p.ask(e.Probes.Names, now), p.ask(e.Degraded.Probes, now))
	}
	return wait
}

// ask is demand for some probes.
func (p *plugin) ask(probes []int, now int64) (wait duration.Duration) {
	for _, i := range probes {
		c := &p.config.Probes[i]
		if c.OnDemand == 0 || p.view.record != nil && verdict.ProbeKnown(c, &p.view.record.Probes[i], now) {
			continue
		}
		wait = max(wait, c.Timeout+waitGrace)
		if since := now - p.demanded[i]; since < 0 || since >= demandAgain {
			p.demanded[i] = now
			host.Enqueue(p.leaseKey, byte(i))
		}
	}
	return wait
}

// wait makes the current check wait, if it lacks what the leader can ask.
func (p *plugin) wait(endpoint int) bool {
	now := p.clock.Monotonic()
	wait := p.demand(endpoint, now)
	if wait == 0 || len(waiting) == mostWaiting {
		return false
	}
	waiting = append(waiting, waiter{p, stream, endpoint, now + int64(wait)})
	p.waits++
	p.tickEvery(p.calm)
	return true
}

// waited takes a check from those that wait.
func waited(i int) {
	all := waiting
	last := len(all) - 1
	w := &all[i]
	w.plugin.waits--
	*w = all[last]
	waiting = all[:last]
}

// attend answers the checks that need not wait any longer. Those with another reply than the first have the next tick.
func (p *plugin) attend(now int64) {
	n := 0
	var reply *config.Reply
	c := &p.checks
	c.late = true
	for i := 0; i < len(waiting) && n < mostAtOnce; {
		w := &waiting[i]
		if w.plugin != p || n > 0 && c.known(w.endpoint).Reply != reply || now < w.until && p.demand(w.endpoint, now) > 0 {
			i++
			continue
		}
		n++
		reply, current = c.known(w.endpoint).Reply, p
		host.SetStream(w.stream)
		waited(i)
		if c.OnHttpRequestHeaders(0, false) == types.ActionContinue {
			host.ContinueRequest()
		}
	}
	c.late = false
}

// hear takes what checks want out of the queue. While no VM leads it waits there.
func (p *plugin) hear() {
	if p.demanded == nil {
		return
	}
	queue := host.RegisterQueue(p.leaseKey)
	for probe, ok := host.Dequeue(queue); ok; probe, ok = host.Dequeue(queue) {
		p.monitor.Want(int(probe))
	}
}
