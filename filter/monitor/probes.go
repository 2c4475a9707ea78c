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

// probed applies one result to a probe's state. As in Envoy's active health checking the first result decides at
// once, and so does the first after none for too long; then, only as many contradicting results in a row as the
// threshold says.
func (m *Monitor) probed(callout *Callout, outcome snapshot.Outcome, status uint32, what string) {
	c, p := &m.config.Probes[callout.probe], &m.Record.Probes[callout.probe]
	success := outcome == snapshot.Answered && c.Expects(status)
	streak := p.Streak
	now := m.clock.Monotonic()
	flip := !verdict.ProbeKnown(c, p, now)
	callout.found(now, callout.elapsed(now))
	if !flip && success != p.Healthy {
		p.Streak++
		threshold := c.UnhealthyThreshold
		if success {
			threshold = c.HealthyThreshold
		}
		flip = p.Streak >= threshold
	} else {
		p.Streak = 0
	}
	if flip {
		p.Healthy, p.Streak, p.ChangedAt = success, 0, p.At
	}
	if success == p.Healthy && (p.Outcome != outcome || p.Status != status) {
		// A success on the way up must not replace the status of the failure.
		p.Outcome, p.Status, m.changed = outcome, status, true
	}
	if (flip || !success && !p.Healthy) && callout.tell(outcome, status, now, flip) {
		m.logProbe(c.Name, success, !flip, what)
	}
	if flip || p.Streak != streak {
		m.changed = true
	}
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
