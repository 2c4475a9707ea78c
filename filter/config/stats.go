package config

import "strconv"

// stats reads what a probe asks of Envoy's own statistics.
func (d *decoder) stats(o *object, p *Probe, a *Admin) {
	kind, good := "cluster_health", StatusRange{0, MaxGauge + 1}
	if o.has("gauge") {
		kind = "gauge"
	}
	s := o.sub(kind)
	if s == nil {
		return
	}
	if a == nil {
		o.relates(kind, "needs the admin section, through which Envoy's statistics are read")
		a = &Admin{}
	}
	if kind == "gauge" {
		p.Stats = []string{s.needStr("stat")}
		s.needs("above")
		good.End = s.integer("above", 0, MaxGauge, 0) + 1
	} else {
		members := membership(s.needStr("cluster"))
		p.Witness = membership(a.Cluster) + "total"
		p.Stats = []string{members + "total", members + "healthy"}
		if !s.has("degraded") || s.boolean("degraded") {
			p.Stats = append(p.Stats, members+"degraded")
		}
		s.needs("min_healthy_percent")
		good.Start = s.integer("min_healthy_percent", 0, 100, 0)
	}
	s.done()
	o.refuse("cluster path host method expected_statuses grpc cluster_health",
		"is not for a probe of Envoy's own statistics")
	p.ExpectedStatuses = []StatusRange{good}
	// To go over the gauges alone costs Envoy's main thread a third of what all statistics do: 10 ms with 107,000 of them.
	p.Path, p.Timeout = "/stats?type=Gauges&filter=^("+quoted(p.Witness), DefaultAdminTimeout
	for _, name := range p.Stats {
		p.Path += "|" + quoted(name)
	}
	p.Path += ")$"
}

// membership begins the names of the gauges that count a cluster's hosts. What Envoy makes of the cluster's name is
// Stats::Utility::sanitizeStatsName.
func membership(cluster string) string {
	name := "cluster."
	for ; cluster != ""; cluster = cluster[1:] {
		if cluster[0] != ':' {
			name += cluster[:1]
			continue
		}
		name += "_"
		for n := 0; n < 2 && len(cluster) > 1 && cluster[1] == '/'; n++ {
			cluster = cluster[1:]
		}
	}
	return name + ".membership_"
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
