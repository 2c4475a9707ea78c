package config

import "strconv"

// stats reads what a probe asks of Envoy's own statistics.
func (d *decoder) stats(o *object, p *Probe, a *Admin) {
	kind, good := "xds", StatusRange{0, MaxGauge + 1}
	for _, other := range [...]string{"gauge", "cluster_health"} {
		if o.has(other) {
			kind = other
		}
	}
	s := o.sub(kind)
	if s == nil {
		return
	}
	if a == nil {
		o.relates(kind, "needs the admin section, through which Envoy's statistics are read")
		a = &Admin{}
	}
	switch kind {
	case "gauge":
		p.Stats = []string{s.needStr("stat")}
		s.needs("above")
		good.End = s.integer("above", 0, MaxGauge, 0) + 1
	case "cluster_health":
		members := Membership(s.needStr("cluster"))
		p.Witness = Membership(a.Cluster) + "total"
		p.Stats = []string{members + "total", members + "healthy"}
		if !s.has("degraded") || s.boolean("degraded") {
			p.Stats = append(p.Stats, members+"degraded")
		}
		s.needs("min_healthy_percent")
		good.Start = s.integer("min_healthy_percent", 0, 100, 0)
	default:
		p.XDS, p.Witness = true, "cluster_manager.warming_clusters"
		if !s.has("clusters") || s.boolean("clusters") {
			p.Stats = append(p.Stats, "cluster_manager.cds"+Updated, p.Witness)
		}
		if !s.has("listeners") || s.boolean("listeners") {
			p.Stats = append(p.Stats, "listener_manager.lds"+Updated, "listener_manager.total_listeners_warming")
		}
		for _, name := range s.strings("secrets", noCheck) {
			p.Stats = append(p.Stats, "sds."+statName(name)+Updated)
		}
		if p.Stats == nil {
			o.relates(kind, "asks for nothing")
		}
	}
	s.done()
	o.refuse("cluster path host method expected_statuses grpc gauge xds on_demand",
		"is not for a probe of Envoy's own statistics")
	p.ExpectedStatuses = []StatusRange{good}
	// To go over the gauges alone costs Envoy's main thread a third of what all statistics do: 10 ms with 107,000 of them.
	p.Path, p.Timeout = "/stats?type=Gauges&filter=^("+quoted(p.Witness), DefaultAdminTimeout
	for _, name := range p.Stats {
		p.Path += "|" + quoted(name)
	}
	p.Path += ")$"
}

// Updated ends the names of gauges that are more than 0 once Envoy has got something by xDS.
const Updated = ".update_time"

// Membership begins the names of the gauges that count a cluster's hosts.
func Membership(cluster string) string { return "cluster." + statName(cluster) + ".membership_" }

// statName returns what Envoy makes of a name in those of statistics (Stats::Utility::sanitizeStatsName).
func statName(s string) (name string) {
	for ; s != ""; s = s[1:] {
		if s[0] != ':' {
			name += s[:1]
			continue
		}
		name += "_"
		for n := 0; n < 2 && len(s) > 1 && s[1] == '/'; n++ {
			s = s[1:]
		}
	}
	return name
}

// quoted returns a text as a regular expression, in percent-encoding.
func quoted(s string) (out string) {
	for ; s != ""; s = s[1:] {
		switch {
		case consistsOf(s[:1], "_"):
			out += s[:1]
		case s[0] < 0x80:
			out += "%5C"
			fallthrough
		default:
			out += "%" + strconv.FormatUint(uint64(s[0])+0x100, 16)[1:]
		}
	}
	return out
}
