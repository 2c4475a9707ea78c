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
			c.last.Outcome, c.last.Status = snapshot.Answered, 0
		}
		if p.XDS && what != c.said { // what is missing now is worth another line
			c.said, c.logged.Outcome = what, snapshot.NoOutcome
		}
		m.probed(c, snapshot.Answered, 0, what, p.Expects(uint32(value)))
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
		v, text := gauge(stats, name)
		if v < 0 {
			witness, _ := gauge(stats, p.Witness)
			return "Envoy shows no gauge " + name, -1, (i == 0 || p.XDS) && p.Witness != "" && witness >= 0
		}
		is := name + " is " + text
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
// One above 32 bits counts as the most that they hold.
func gauge(stats, name string) (n int64, text string) {
	_, text, ok := ascii.Cut("\n"+stats, "\n"+name+": ")
	text, _, _ = ascii.Cut(text, "\n")
	value, isNumber := ascii.Number(text)
	if !ok || !isNumber {
		return -1, ""
	}
	return int64(value), text
}
