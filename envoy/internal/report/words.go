package report

import (
	"strconv"
	"time"
)

// Named is the name of what stands in a listener, where there are several.
func Named(name, listener string) string {
	if listener == "" {
		return name
	}
	return name + " (" + listener + ")"
}

// Gets says what checks get.
func (e *Endpoint) Gets() string {
	text := e.Verdict
	switch {
	case e.Verdict == "":
		text = "not known"
	case e.HTTPStatus != 0:
		text = strconv.Itoa(e.HTTPStatus) + " " + text
	}
	return text + e.Mark()
}

// Why says why checks get it; "" when there is nothing to say.
func (e *Endpoint) Why(now time.Time) string {
	m := e.Maintenance
	if m == nil {
		return e.Output
	}
	why := m.Key + " = " + m.Value
	if m.Until != nil {
		why = m.Key + " until " + Moment(m.Until, now)
	}
	if m.Reason != "" {
		why += ": " + m.Reason
	}
	return why
}

// State says how the probe is.
func (p *Probe) State() string {
	switch {
	case p.Healthy == nil:
		return "not known"
	case *p.Healthy:
		return "healthy"
	case p.LastAsked == nil: // which gauges do not tell from one that was not asked yet
		return "not up"
	}
	return "unhealthy"
}

// Last says what the probe's last result was; "" when that is not known.
func (p *Probe) Last() string {
	if p.Status != 0 {
		return strconv.Itoa(p.Status)
	}
	return p.Outcome
}

// Moment writes a time, what the clock of now's zone shows then where it is to come, and how far it is from now.
func Moment(t *time.Time, now time.Time) string {
	if t == nil {
		return "-"
	}
	text := t.UTC().Format(time.RFC3339)
	if d := t.Sub(now).Round(time.Second); d > 0 {
		if here := t.In(now.Location()); here.Format("Z07") != "Z" {
			text += here.Format(" = 2006-01-02 15:04 MST")
		}
		return text + " (in " + d.String() + ")"
	} else if d < 0 {
		return text + " (" + (-d).String() + " ago)"
	}
	return text + " (now)"
}
