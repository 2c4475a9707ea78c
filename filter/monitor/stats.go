package monitor

import (
	"strconv"
	"strings"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/lean/ascii"
	"github.com/healthgate/healthgate/filter/snapshot"
)

// statsAnswered takes the text of Envoy's admin handler StatsHandler::handlerStats. What it does not say is no result:
// the finding grows old.
func (m *Monitor) statsAnswered(c *Callout, r Response) {
	p := &m.config.Probes[c.probe]
	what, value, ok := "status "+strconv.Itoa(int(r.Status)), int64(0), false
	if r.Status == 200 {
		what, value, ok = measure(p, string(r.Body()))
	}
	if !ok {
		m.unreadable(c, r, what)
	} else {
		if c.last.Unread() {
			m.sink.Info(c.topic + ": read again")
			c.last.Outcome, c.last.Status = snapshot.Answered, noResponse
		}
		if p.XDS && what != c.said { // what is missing now is worth another line
			c.said, c.logged.Status = what, 0
		}
		success := p.Expects(uint32(value))
		status := uint32(noResponse)
		if success {
			status = 200
		}
		m.probed(c, snapshot.Answered, status, what, success)
	}
	m.spare(c)
}

func (m *Monitor) statsUnread(c *Callout, outcome snapshot.Outcome, why string) {
	m.unread(c, outcome, why)
	m.spare(c)
}

// spare lets Envoy's main thread rest, though not for so long that the finding grows old.
func (m *Monitor) spare(c *Callout) {
	now := m.clock.Monotonic()
	c.rest(now, min(config.Pause(c.elapsed(now)), c.maxAge/5))
}

// measure returns what a probe asks of statistics: a gauge's value, or how many percent of a cluster's hosts are
// healthy, as Envoy's filter health_check counts them (cluster_min_healthy_percentages); -1 where there is no such
// cluster, or what comes by xDS is not complete. ok is false if they do not say.
func measure(p *config.Probe, stats string) (what string, value int64, ok bool) {
	var n [3]int64 // of a cluster: all its hosts, the healthy ones, the degraded ones if they count
	for i, name := range p.Stats {
		v := gauge(stats, name)
		if v < 0 {
			return "Envoy shows no gauge " + name, -1, (i == 0 || p.XDS) && p.Witness != "" && gauge(stats, p.Witness) >= 0
		}
		is := name + " is " + strconv.FormatInt(v, 10)
		if !p.XDS {
			n[i] = v
		} else if strings.HasSuffix(name, config.Updated) != (v > 0) {
			return is, -1, true
		}
		if i > 0 {
			what += ", "
		}
		what += is
	}
	if p.XDS {
		return "complete", 0, true
	}
	if value = n[0]; p.Witness != "" {
		value = 100 * (n[1] + n[2]) / max(value, 1)
	}
	return what, value, true
}

// gauge finds a gauge in the text of Envoy's statistics, which has a line "NAME: VALUE" for each; -1 if there is none.
func gauge(stats, name string) int64 {
	_, value, ok := ascii.Cut("\n"+stats, "\n"+name+": ")
	value, _, _ = ascii.Cut(value, "\n")
	n, isNumber := ascii.Number(value)
	if !ok || !isNumber {
		return -1
	}
	return int64(n)
}
