//go:build wasm

package main

import (
	"strconv"

	"github.com/healthgate/healthgate/filter/duration"
	"github.com/healthgate/healthgate/filter/host"
	"github.com/healthgate/healthgate/filter/lease"
	"github.com/healthgate/healthgate/filter/monitor"
)

// OnTick holds the election and, in the VM that leads, does what is due. A VM that follows allocates nothing in it.
func (p *plugin) OnTick() {
	injectTickFault(p)
	p.elect()
	if p.monitor != nil {
		for _, start := range p.monitor.Due() {
			p.send(start)
		}
		p.write()
	}
	p.ticked.at = p.clock.Monotonic()
	p.view.version++
	p.checks.routeMetadata = false
	host.OpenScratch()
	p.view.refresh()
	host.CloseScratch()
	if p.view.record != nil {
		age := p.ticked.at - p.view.record.WrittenAt
		host.Set(p.metrics.snapshotAge, uint64(max(age, 0)/int64(duration.Second)))
	}
}

// elect takes, renews or loses the lease.
func (p *plugin) elect() {
	now := p.clock.Monotonic()
	host.OpenScratch()
	stored, cas, found := host.SharedData(p.leaseKey)
	next := lease.Next(stored, found, p.owner, now)
	host.CloseScratch()
	if !found {
		cas = lease.Absent
	}
	switch next {
	case lease.Lead:
	case lease.Swap:
		if host.SetSharedData(p.leaseKey, lease.Value(p.owner, now), cas) != nil {
			p.follow()
		} else if p.monitor == nil {
			p.lead()
		}
	case lease.Follow:
		p.follow()
	}
}

func (p *plugin) lead() {
	p.view.refresh()
	p.monitor = monitor.New(p.config, p.view.take(), p.clock, p)
	p.tickEvery(monitor.TickPeriod(p.config))
	host.Increment(p.metrics.leaderChanges)
	host.LogInfo(prefix + "leader: this VM probes and polls now")
}

// follow steps down; answers to callouts still under way find no monitor and are dropped.
func (p *plugin) follow() {
	p.monitor = nil
	p.tickEvery(electionPeriod)
}

// write stores the record if it is due. The compare-and-swap keeps a leader that stalled past its lease from
// overwriting its successor's record.
func (p *plugin) write() {
	if !p.monitor.WriteDue() {
		return
	}
	r := p.monitor.Record
	r.WrittenAt = p.clock.Monotonic()
	if !p.view.store(r, p.owner) {
		p.follow()
		return
	}
	host.Increment(p.metrics.snapshotWrites)
	if p.monitor.Written() {
		p.metrics.publish(p.monitor)
	}
}

func (p *plugin) send(start monitor.Start) {
	m := p.monitor
	r := m.Request(start.Callout)
	headers := [][2]string{
		{":method", r.Method}, {":path", r.Path}, {":authority", r.Host}, {"user-agent", "healthgate"},
	}
	call, err := host.DispatchHTTPCall(r.Cluster, headers, uint32(r.Timeout/duration.Millisecond))
	if err != nil {
		m.Failed(start.Callout, start.Number, "could not be sent through cluster "+strconv.Quote(r.Cluster))
		return
	}
	p.calls[call] = callout{m, start}
}

// callout is a request under way, and the term of leadership that it belongs to.
type callout struct {
	monitor *monitor.Monitor
	start   monitor.Start
}

// onHTTPCallResponse is told of a callout's response; of no headers, when there is none.
func (p *plugin) onHTTPCallResponse(call uint32, numHeaders, bodySize int) {
	c := p.calls[call]
	delete(p.calls, call)
	if p.monitor == nil || p.monitor != c.monitor {
		return // no longer leading, or leading anew
	}
	if status := responseStatus(numHeaders); status == 0 {
		p.monitor.Failed(c.start.Callout, c.start.Number, "no response")
	} else {
		p.monitor.Answered(c.start.Callout, c.start.Number, status, func() []byte { return responseBody(bodySize) })
	}
	p.write()
}

// responseStatus returns the status of the response whose callback runs, 0 when there is none.
func responseStatus(numHeaders int) uint32 {
	if numHeaders == 0 {
		return 0
	}
	value, _ := host.HTTPCallResponseHeaders().Get(":status")
	status, _ := strconv.ParseUint(value, 10, 32) // a status that is none counts as no response
	return uint32(status)
}

func responseBody(size int) []byte {
	if size == 0 {
		return nil
	}
	return host.HTTPCallResponseBody() // an unreadable body is refused by its reader, like an empty one
}

// plugin is the monitor's sink.

func (p *plugin) Info(text string)                { host.LogInfo(prefix + text) }
func (p *plugin) Warn(text string)                { host.LogWarn(prefix + text) }
func (p *plugin) CalloutFailed(c monitor.Callout) { host.Increment(p.metrics.calloutFailures[c]) }
func (p *plugin) ValueUnrecognized()              { host.Increment(p.metrics.unrecognized) }
