package board

import (
	"bytes"
	"fmt"
	"strings"
)

// escaped makes text one of a label in Prometheus's exposition format.
var escaped = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

// metrics writes what is known in Prometheus's exposition format. Of an Envoy that does not answer it is only that.
func metrics(lines []line, stale string) []byte {
	var b bytes.Buffer
	family := func(name, help string, each func(l *line, sample func(value float64, labels ...string))) {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %[1]s gauge\n", name, help)
		for i := range lines {
			l := &lines[i]
			each(l, func(value float64, labels ...string) {
				fmt.Fprintf(&b, "%s{", name)
				for i, labels := 0, append([]string{"envoy", l.Envoy}, labels...); i < len(labels); i += 2 {
					fmt.Fprintf(&b, `%s="%s",`, labels[i], escaped.Replace(strings.ToValidUTF8(labels[i+1], "\uFFFD")))
				}
				fmt.Fprintf(&b, "} %v\n", value)
			})
		}
	}
	family("healthgate_fleet_up", "1 if the Envoy answers.",
		func(l *line, sample func(float64, ...string)) {
			if !l.asked.IsZero() {
				sample(truth(l.Error == ""))
			}
		})
	family("healthgate_fleet_asked_timestamp_seconds", "When the Envoy was last asked.",
		func(l *line, sample func(float64, ...string)) {
			if !l.asked.IsZero() {
				sample(float64(l.asked.UnixMilli()) / 1000)
			}
		})
	family("healthgate_fleet_check",
		"1, with what a health check gets as the label verdict, and whether that is sure for each check.",
		func(l *line, sample func(float64, ...string)) {
			for _, e := range l.Endpoints {
				verdict := e.Verdict
				if verdict == "" {
					verdict = "not known"
				}
				sample(1, "node", l.Node, "zone", l.Zone, "listener", e.Listener, "endpoint", e.Name, "verdict", verdict,
					"sure", fmt.Sprint(e.Verdict != "" && e.Mark() == ""))
			}
		})
	family("healthgate_fleet_probe_up", "1 if the probe is healthy.", func(l *line, sample func(float64, ...string)) {
		for _, p := range l.Probes {
			if p.Healthy != nil {
				sample(truth(*p.Healthy), "node", l.Node, "zone", l.Zone, "listener", p.Listener, "probe", p.Name)
			}
		}
	})
	family("healthgate_fleet_draining", "1 if Envoy drains.", func(l *line, sample func(float64, ...string)) {
		if l.Draining != nil {
			sample(truth(*l.Draining), "node", l.Node, "zone", l.Zone)
		}
	})
	family("healthgate_fleet_record_age_seconds", "How old the plugin's shared record was when the Envoy was asked.",
		func(l *line, sample func(float64, ...string)) {
			if l.SnapshotAgeMS != nil {
				sample(float64(*l.SnapshotAgeMS)/1000, "node", l.Node, "zone", l.Zone)
			}
		})
	fmt.Fprintf(&b, "# HELP healthgate_fleet_listed 1 if it could be read again who the Envoys are; "+
		"else those of before are asked.\n# TYPE healthgate_fleet_listed gauge\nhealthgate_fleet_listed %v\n",
		truth(stale == ""))
	return b.Bytes()
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
