package monitor

import (
	"strconv"

	"github.com/healthgate/healthgate/filter/snapshot"
	"github.com/healthgate/healthgate/filter/verdict"
)

// noResponse is the status of a probe without a response: what a load balancer would have been told by Envoy.
const noResponse = 503

func (m *Monitor) probeAnswered(c *Callout, r Response) {
	m.probed(c, snapshot.Answered, r.Status, "status "+strconv.Itoa(int(r.Status)))
}

func (m *Monitor) probeFailed(c *Callout, outcome snapshot.Outcome, why string) {
	m.probed(c, outcome, noResponse, why+", counts as "+strconv.Itoa(noResponse))
}

func (m *Monitor) probed(callout *Callout, outcome snapshot.Outcome, status uint32, what string) {
	c, p := &m.config.Probes[callout.probe], &m.Record.Probes[callout.probe]
	success := outcome == snapshot.Answered && c.Expects(status)
	now := m.clock.Monotonic()
	decides := !verdict.ProbeKnown(c, p, now)
	callout.found(now, callout.elapsed(now))
	before := *p
	p.Add(snapshot.Result{Outcome: outcome, Status: status}, success, decides,
		snapshot.Thresholds{Unhealthy: c.UnhealthyThreshold, Healthy: c.HealthyThreshold, MinUnhealthy: c.MinUnhealthy})
	change := decides || p.Healthy != before.Healthy
	if (change || !success && !p.Healthy) && callout.tell(outcome, status, now, change) {
		m.logProbe(c.Name, success, !change, what)
	}
	m.changed = m.changed || change || *p != before
}

func (m *Monitor) logProbe(name string, healthy, still bool, what string) {
	line := "probe " + strconv.Quote(name) + ": "
	if still {
		line += "still "
	}
	if healthy {
		m.sink.Info(line + "healthy: " + what)
	} else {
		m.sink.Warn(line + "unhealthy: " + what)
	}
}
