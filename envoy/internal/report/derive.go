package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/maintenance"
	"github.com/healthgate/healthgate/filter/snapshot"
)

// Names of gauges, and of a counter.
const (
	prefix      = "wasmcustom.healthgate_"
	inMaint     = prefix + "maintenance.endpoint."
	probeUp     = prefix + "probe_up.probe."
	isDraining  = prefix + "draining"
	snapshotAge = prefix + "snapshot_age_seconds"
)

// shownBy is the counter of a status endpoint's answers.
func shownBy(endpoint string) string {
	return prefix + "checks_total.endpoint." + endpoint + ".verdict.shown"
}

// wallClock is the plugin's clock, at a given moment.
type wallClock time.Time

func (c wallClock) Wall() int64 { return time.Time(c).UnixNano() }

// switchedOn returns the first key that has an endpoint under maintenance, as runtime says; nil if none has.
func (s *seen) switchedOn(c *config.Config, e *config.Endpoint) *Maintenance {
	for _, k := range e.Maintenance.Keys {
		value := s.runtime.Entries[c.Keys[k]].Value
		parsed, _ := maintenance.ParseSwitch(value)
		if !parsed.Active(wallClock(s.now)) {
			continue
		}
		m := &Maintenance{Key: c.Keys[k], Value: value, Reason: s.runtime.Entries[c.Keys[k]+".reason"].Value}
		if parsed.Until != 0 {
			until := time.Unix(0, parsed.Until).UTC()
			m.Until = &until
		}
		return m
	}
	return nil
}

// derive says what checks get by the configuration, runtime and gauges, where no status endpoint said it.
func (r *Report) derive(listener string, c *config.Config, s *seen) {
	for i := range c.Endpoints {
		if e := &c.Endpoints[i]; e.Kind == config.KindHealthCheck {
			*r.endpoint(listener, e.Name) = s.verdict(c, e, Endpoint{Listener: listener, Name: e.Name, Source: "gauges"})
		}
	}
	for i := range c.Probes {
		p := r.probe(listener, c.Probes[i].Name)
		if up, is := s.gauges[probeUp+p.Name]; is {
			healthy := up > 0
			p.Healthy = &healthy
		}
	}
}

func (s *seen) verdict(c *config.Config, e *config.Endpoint, out Endpoint) Endpoint {
	is := func(verdict string, reply *config.Reply, why string) Endpoint {
		out.Verdict, out.HTTPStatus, out.Output = verdict, int(reply.Status), why
		return out
	}
	key := s.switchedOn(c, e)
	keys, draining := len(e.Maintenance.Keys) > 0, c.Admin != nil && !c.Admin.IgnoreDraining
	maint, there := s.gauges[inMaint+e.Name]
	switch {
	case (keys || draining) && c.Admin != nil && !s.known.HasCluster(c.Admin.Cluster):
		return is("unknown", &e.Unknown, fmt.Sprintf("admin.cluster is %q, and Envoy has no such cluster", c.Admin.Cluster))
	case s.noGauges != "":
		out.Output, out.Source = s.noGauges, ""
		return out
	case !there:
		out.Output, out.Source = "it has no metric: does the plugin run? See Envoy's log", ""
		return out
	case maint > 0:
		out.Maintenance = key
		return is("maintenance", &e.Maintenance.Reply, "by its gauge")
	}
	if key != nil {
		out.Unsure = append(out.Unsure, fmt.Sprintf("the key %s is set to %s, and the plugin does not have it in maintenance", key.Key, key.Value))
	}
	var down, needed []string // probes; metrics
	if draining {
		needed = append(needed, isDraining)
	}
	if keys || draining || len(e.Probes.Names) > 0 {
		needed = append(needed, snapshotAge)
	}
	for _, i := range e.Probes.Names {
		needed = append(needed, probeUp+c.Probes[i].Name)
		if s.gauges[probeUp+c.Probes[i].Name] == 0 {
			down = append(down, c.Probes[i].Name)
		}
	}
	up := len(e.Probes.Names) - len(down)
	missing := slices.IndexFunc(needed, func(metric string) bool { _, is := s.gauges[metric]; return !is })
	switch {
	case s.gauges[isDraining] > 0:
		return is("draining", &e.Draining, "Envoy is draining")
	case missing >= 0:
		out.Output, out.Source = fmt.Sprintf("it does not show its metric %s: does a stats_matcher leave it out?", needed[missing]), ""
		return out
	case (keys || draining || up+len(down) > 0) && time.Duration(s.gauges[snapshotAge])*time.Second > snapshot.MaxAge:
		return is("unknown", &e.Unknown, fmt.Sprintf("the plugin's record is %ds old", s.gauges[snapshotAge]))
	case len(down) > 0 && up < e.Probes.Need:
		// Which status it gives, and whether a probe was asked at all, is in no gauge.
		out.Verdict, out.Output = "failing", fmt.Sprintf("not up: %s; %d of %d up, %d needed", strings.Join(down, ", "), up, up+len(down), e.Probes.Need)
		return out
	case e.Healthy.Pass:
		return is("passed", &config.Reply{}, "by its gauges")
	}
	return is("healthy", &e.Healthy, "by its gauges")
}

// fromGauges takes what gauges tell without a configuration.
func (r *Report) fromGauges(s *seen, why string) {
	for _, name := range s.named(inMaint) {
		e := r.endpoint("", name)
		switch {
		case s.gauges[inMaint+name] > 0:
			e.Verdict, e.Output, e.Source = "maintenance", "by its gauge", "gauges"
		case s.gauges[isDraining] > 0:
			e.Verdict, e.Output, e.Source = "draining", "Envoy is draining", "gauges"
		default:
			e.Output = "not in maintenance, not draining; what else it rests on " + why
		}
	}
	for _, name := range s.named(probeUp) {
		healthy := s.gauges[probeUp+name] > 0
		r.probe("", name).Healthy = &healthy
	}
}

// named returns what gauges with a prefix are of, in order.
func (s *seen) named(prefix string) (out []string) {
	for full := range s.gauges {
		if name, is := strings.CutPrefix(full, prefix); is {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
