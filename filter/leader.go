package main

import (
	"strconv"

	"github.com/healthgate/healthgate/filter/duration"
	"github.com/healthgate/healthgate/filter/host"
	"github.com/healthgate/healthgate/filter/lease"
	"github.com/healthgate/healthgate/filter/monitor"
	"github.com/healthgate/healthgate/filter/sdk"
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
		if sdk.SetSharedData(p.leaseKey, lease.Value(p.owner, now), cas) != nil {
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
	sdk.LogInfo(prefix + "leader: this VM probes and polls now")
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
	err := sdk.DispatchHttpCall(r.Cluster, headers, uint32(r.Timeout/duration.Millisecond), func(headers, body int) {
		if p.monitor != m {
			return // no longer leading, or leading anew: the result belongs to a term that has ended
		}
		if status := responseStatus(headers); status == 0 {
			m.Failed(start.Callout, start.Number, "no response")
		} else {
			m.Answered(start.Callout, start.Number, status, func() []byte { return responseBody(body) })
		}
		p.write()
	})
	if err != nil {
		m.Failed(start.Callout, start.Number, "could not be sent through cluster "+strconv.Quote(r.Cluster))
	}
}

// responseStatus returns the status of the response whose callback runs, 0 when there is none.
func responseStatus(headers int) uint32 {
	if headers == 0 {
		return 0
	}
	pairs, err := sdk.GetHttpCallResponseHeaders()
	if err != nil {
		return 0
	}
	for _, h := range pairs {
		if h[0] == ":status" {
			status, _ := strconv.ParseUint(h[1], 10, 32) // a status that is none counts as no response
			return uint32(status)
		}
	}
	return 0
}

func responseBody(size int) []byte {
	if size == 0 {
		return nil
	}
	body, _ := sdk.GetHttpCallResponseBody(size) // an unreadable body is refused by its reader, like an empty one
	return body
}

// plugin is the monitor's sink.

func (p *plugin) Info(text string)                { sdk.LogInfo(prefix + text) }
func (p *plugin) Warn(text string)                { sdk.LogWarn(prefix + text) }
func (p *plugin) CalloutFailed(c monitor.Callout) { host.Increment(p.metrics.calloutFailures[c]) }
func (p *plugin) ValueUnrecognized()              { host.Increment(p.metrics.unrecognized) }
