//go:build wasm

package main

import (
	"github.com/healthgate/healthgate/filter/host"
	"github.com/healthgate/healthgate/filter/lean/ascii"
	"github.com/healthgate/healthgate/filter/lean/duration"
	"github.com/healthgate/healthgate/filter/lease"
	"github.com/healthgate/healthgate/filter/monitor"
	"github.com/healthgate/healthgate/filter/snapshot"
)

// OnTick holds the election and, in the VM that leads, does what is due. A VM that follows allocates nothing in it.
func (p *plugin) OnTick() {
	injectTickFault(p)
	now := p.clock.Monotonic()
	p.live(now)
	host.OpenScratch()
	p.judge(now)
	host.CloseScratch()
	if host.Starved() { // who else asks is not known: another VM may lead that has memory
		return
	}
	p.resting = p.idle(now)
	if p.rests(now) {
		p.follow()
	} else {
		p.elect()
	}
	if p.monitor != nil {
		p.hear()
		p.adopt(now)
		for _, start := range p.monitor.Due() {
			p.send(start)
		}
		p.write(true, now)
	}
	if p.replaced {
		p.vacate()
		if p.waits > 0 {
			p.look()
		}
		return
	}
	now = p.look()
	if p.view.record != nil {
		age := now - p.view.record.WrittenAt
		host.Set(p.metrics.snapshotAge, uint64(max(age, 0)/int64(duration.Second)))
	}
}

// look reads the clock and then the record, and tells what changed in it.
func (p *plugin) look() (now int64) {
	now = p.clock.Monotonic()
	p.checks.routeMetadata = false
	host.OpenScratch()
	p.view.refresh()
	if p.leads() {
		p.showMaintenance()
	}
	if !p.replaced && p.voice.Look(p.view.record, p.clock) {
		p.tell(now)
	}
	if p.demanded != nil {
		p.attend(now)
		p.tickEvery(p.calm)
	}
	host.CloseScratch()
	return now
}

func (p *plugin) tell(now int64) {
	stored, cas, found := host.SharedData(p.voiceKey)
	if !found {
		cas = lease.Absent
	}
	if claim := p.voice.Claim(stored, now); claim != nil && host.SetSharedData(p.voiceKey, claim, cas) == nil {
		p.voice.Tell(p)
	}
}

// intruded says once that shared data holds what no VM of this plugin can have written by now. Plugins of one vm_id
// share it.
func (p *plugin) intruded() {
	if !p.saidIntruded {
		p.saidIntruded = true
		p.Warn("shared data: another plugin has written to healthgate's keys, or the monotonic clock went back; " +
			"what is there does not count")
	}
}

// elect takes, renews or loses the lease.
func (p *plugin) elect() {
	host.OpenScratch()
	stored, cas, found := host.SharedData(p.leaseKey)
	now := p.clock.Monotonic()
	next := lease.Next(stored, found, p.owner, now)
	host.CloseScratch()
	if !found {
		cas = lease.Absent
	}
	// Who seizes one may have slept through another VM's term, if the clock then went back.
	held := lease.Lasts(p.renewed, now) && next != lease.Seize
	if !held {
		p.monitor = nil // what it had asked, and when, is of another time
	}
	if next == lease.Lead && p.monitor != nil {
		return
	}
	if next == lease.Follow || host.SetSharedData(p.leaseKey, lease.Value(p.owner, now), cas) != nil {
		p.follow() // lost
		return
	}
	p.renewed = now
	if next == lease.Seize {
		p.intruded()
	}
	if p.monitor == nil {
		p.lead(held)
	}
}

// lead begins a term. It is no change of leader if this VM had the lease, for another configuration with the same
// state; if the configuration itself is new; or old.
func (p *plugin) lead(held bool) {
	p.view.refresh()
	p.monitor = monitor.New(p.config, p.view.take(), p.clock, p)
	p.tickEvery(monitor.TickPeriod(p.config))
	if held || !p.tells() || len(p.view.kin) > 0 && !p.view.known() {
		return
	}
	host.Increment(p.metrics.leaderChanges)
	host.LogInfo(prefix + "leader: this VM probes and polls now")
}

// follow steps down; answers to callouts still under way find no monitor and are dropped.
func (p *plugin) follow() {
	p.monitor, p.renewed = nil, lapsed
	if p.resting {
		p.tickEvery(restPeriod)
	} else {
		p.tickEvery(electionPeriod)
	}
}

// write stores the record if it is due. elected says that the lease was looked at just now: only then may what another
// VM has written be replaced. Else a leader that stalled past its lease would overwrite its successor's record. The
// time is from before the others' records were read, so that of two records the later one has the later time.
func (p *plugin) write(elected bool, now int64) {
	if !p.monitor.WriteDue() {
		return
	}
	r := p.monitor.Record
	host.OpenScratch()
	from := p.view.origin(r)
	host.CloseScratch()
	if !from.same {
		if !elected {
			return
		}
		p.intruded()
	}
	r.WrittenAt = now
	if !p.view.store(r, p.owner, from.cas) {
		return
	}
	host.Increment(p.metrics.snapshotWrites)
	p.monitor.Written()
	p.publish(r, r.WrittenAt)
}

func (p *plugin) send(start monitor.Start) {
	m, c := p.monitor, start.Callout
	headers := [][2]string{
		{":method", c.Method}, {":path", c.Path}, {":authority", c.Host}, {"user-agent", "healthgate"},
	}
	if c.Message != nil {
		headers = append(headers, [2]string{"content-type", "application/grpc"}, [2]string{"te", "trailers"})
	}
	call, status := host.DispatchHTTPCall(c.Cluster, headers, c.Message, uint32(c.Timeout/duration.Millisecond))
	switch status {
	case host.StatusOK:
		p.calls = append(p.calls, callout{call, m, start})
	case host.StatusBadArgument: // of what Envoy takes for one, all but the cluster is right
		m.Failed(c, start.Number, snapshot.NoCluster)
	case host.StatusInternalFailure: // Envoy has answered the request itself, within the call
		m.Failed(c, start.Number, snapshot.NoHost)
	default:
		m.Failed(c, start.Number, snapshot.Refused)
	}
}

// callout is a request under way, and the term of leadership that it belongs to.
type callout struct {
	call    uint32
	monitor *monitor.Monitor
	start   monitor.Start
}

// onHTTPCallResponse gets a callout's response; without headers, there was no response.
func (p *plugin) onHTTPCallResponse(call uint32, numHeaders, bodySize, numTrailers int) {
	var c callout
	for i := range p.calls {
		if p.calls[i].call == call {
			c = p.calls[i]
			p.calls = append(p.calls[:i], p.calls[i+1:]...)
			break
		}
	}
	now := p.clock.Monotonic()
	if p.monitor == nil || p.monitor != c.monitor || !lease.Lasts(p.renewed, now) {
		return // no longer leading, or leading anew
	}
	if r := response(numHeaders, bodySize, numTrailers); r.Status == 0 {
		p.monitor.Failed(c.start.Callout, c.start.Number, snapshot.CutOff)
	} else {
		p.monitor.Answered(c.start.Callout, c.start.Number, r)
	}
	p.adopt(now) // the record's number says that it holds what was written before
	p.write(false, now)
	p.look()
}

// response reads the response whose callback runs. Its status is 0 when there is none.
func response(numHeaders, bodySize, numTrailers int) (r monitor.Response) {
	if numHeaders == 0 {
		return r
	}
	headers := host.HTTPCallResponseHeaders()
	value, _ := headers.Get(":status")
	status, _ := ascii.Number(value) // a malformed status counts as no response
	_, upstream := headers.Get("x-envoy-upstream-service-time")
	r = monitor.Response{Status: status, Local: !upstream, Body: func() []byte { return responseBody(bodySize) }}
	var there bool
	if r.GRPC, there = headers.Get("grpc-status"); !there && numTrailers > 0 {
		r.GRPC, _ = host.HTTPCallResponseTrailers().Get("grpc-status")
	}
	if r.Local && there { // in the form of gRPC, as the request: with status 200
		message, _ := headers.Get("grpc-message")
		if r.Status = 503; message == "upstream request timeout" {
			r.Status = 504
		}
		r.Body = func() []byte { return []byte(message) }
	}
	return r
}

func responseBody(size int) []byte {
	if size == 0 {
		return nil
	}
	return host.HTTPCallResponseBody() // an unreadable body is refused by its reader, like an empty one
}

// plugin is the monitor's and the voice's sink.

func (p *plugin) Info(text string) {
	if p.tells() {
		host.LogInfo(prefix + text)
	}
}

func (p *plugin) Warn(text string) {
	if p.tells() {
		host.LogWarn(prefix + text)
	}
}

func (p *plugin) CalloutFailed(c *monitor.Callout) {
	host.Increment(p.metrics.calloutFailures[c.Index])
}
func (p *plugin) ValueUnrecognized() { host.Increment(p.metrics.unrecognized) }

func (p *plugin) RuntimePolled(took duration.Duration) {
	if !p.tells() {
		return
	}
	host.Set(p.metrics.runtimePoll, uint64(took/duration.Millisecond))
}

func (p *plugin) Maintenance(endpoint int, on bool) {
	if p.owns(p.endpointName(endpoint), false) {
		host.Set(p.metrics.maintenance[endpoint], number(on))
	}
}
