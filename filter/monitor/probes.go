package monitor

import (
	"strconv"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/lean/ascii"
	"github.com/healthgate/healthgate/filter/snapshot"
	"github.com/healthgate/healthgate/filter/verdict"
)

func (m *Monitor) probeAnswered(c *Callout, r Response) {
	outcome, what := snapshot.Answered, "status "+strconv.Itoa(int(r.Status))
	if c.Message != nil && r.Status == 200 {
		outcome, r.Status, what = serving(r)
	}
	m.probed(c, outcome, r.Status, what, outcome == snapshot.Answered && m.config.Probes[c.probe].Expects(r.Status))
}

func (m *Monitor) probeFailed(c *Callout, outcome snapshot.Outcome, why string) {
	m.probed(c, outcome, 0, why+", counts as 503", false) // what a load balancer would have been told by Envoy
}

// message is the request of a gRPC probe in its frame, a HealthCheckRequest; nil for an HTTP probe.
func message(p *config.Probe) []byte {
	if !p.GRPC {
		return nil
	}
	if p.Service == "" {
		return make([]byte, grpcFrame)
	}
	n := byte(len(p.Service)) // config.MaxService is the most that takes one byte
	return append([]byte{0, 0, 0, 0, n + 2, 1<<3 | 2, n}, p.Service...)
}

// grpcFrame is how many bytes stand before a message: a flag and the length (gRPC over HTTP2,
// "Length-Prefixed-Message").
const grpcFrame = 5

// serving reads a HealthCheckResponse (grpc.health.v1).
func serving(r Response) (outcome snapshot.Outcome, status uint32, what string) {
	if status, is := ascii.Number(r.GRPC); !is {
		return snapshot.NoState, 0, "no grpc-status"
	} else if status > 0 {
		return snapshot.GRPCError, status, "grpc-status " + r.GRPC
	}
	state := byte(0)
	if b := r.Body(); len(b) == grpcFrame+2 && b[grpcFrame] == 1<<3 {
		state = b[grpcFrame+1]
	}
	switch state {
	case 1:
		return snapshot.Answered, 200, "SERVING"
	case 2:
		return snapshot.NotServing, 0, "NOT_SERVING"
	}
	return snapshot.NoState, 0, "UNKNOWN"
}

func (m *Monitor) probed(callout *Callout, outcome snapshot.Outcome, status uint32, what string, success bool) {
	c, p := &m.config.Probes[callout.probe], &m.Record.Probes[callout.probe]
	now := m.clock.Monotonic()
	decides := p.At == 0 || !callout.onDemand && !verdict.ProbeKnown(c, p, now)
	callout.found(now, callout.elapsed(now))
	before := *p
	p.Add(snapshot.Result{Outcome: outcome, Status: status}, success, decides,
		snapshot.Thresholds{Unhealthy: c.UnhealthyThreshold, Healthy: c.HealthyThreshold, MinUnhealthy: c.MinUnhealthy})
	change := decides || p.Healthy != before.Healthy
	if (change || !success && !p.Healthy) && callout.tell(outcome, status, now, change) {
		m.logProbe(callout.topic, success, !change, what)
	}
	m.changed = m.changed || change || *p != before || callout.onDemand
}

func (m *Monitor) logProbe(topic string, healthy, still bool, what string) {
	line := topic + ": "
	if still {
		line += "still "
	}
	if healthy {
		m.sink.Info(line + "healthy: " + what)
	} else {
		m.sink.Warn(line + "unhealthy: " + what)
	}
}
