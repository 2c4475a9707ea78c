package main

import (
	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/monitor"
	"github.com/healthgate/healthgate/filter/sdk"
	"github.com/healthgate/healthgate/filter/verdict"
)

// metrics are the plugin's handles on Envoy's process-wide statistics. Tags stand in the names as ".tag.value"; the
// bootstrap's stats_tags turn them into labels.
type metrics struct {
	config          *config.Config
	checks          [][verdict.Kinds]sdk.Metric // by endpoint; those of its kind
	maintenance     []sdk.Metric                // by endpoint; only of kind health_check
	probeUp         []sdk.Metric                // by probe
	calloutFailures []sdk.Metric                // by callout
	draining        sdk.Metric
	snapshotAge     sdk.Metric
	snapshotWrites  sdk.Metric
	leaderChanges   sdk.Metric
	unrecognized    sdk.Metric
}

func defineMetrics(c *config.Config) metrics {
	m := metrics{
		config:         c,
		draining:       sdk.DefineGauge("healthgate_draining"),
		snapshotAge:    sdk.DefineGauge("healthgate_snapshot_age_seconds"),
		snapshotWrites: sdk.DefineCounter("healthgate_snapshot_writes_total"),
		leaderChanges:  sdk.DefineCounter("healthgate_leader_changes_total"),
		unrecognized:   sdk.DefineCounter("healthgate_runtime_values_unrecognized_total"),
	}
	for i := range c.Endpoints {
		tag := ".endpoint." + c.Endpoints[i].Name
		var kinds [verdict.Kinds]sdk.Metric
		var maintenance sdk.Metric
		isStatus := c.Endpoints[i].Kind == config.KindStatus
		for k := range kinds {
			if kind := verdict.Kind(k); kind == verdict.Untrusted || (kind == verdict.Shown) == isStatus {
				kinds[k] = sdk.DefineCounter("healthgate_checks_total" + tag + ".verdict." + kind.String())
			}
		}
		if !isStatus {
			maintenance = sdk.DefineGauge("healthgate_maintenance" + tag)
		}
		m.checks = append(m.checks, kinds)
		m.maintenance = append(m.maintenance, maintenance)
	}
	for i := range c.Probes {
		m.probeUp = append(m.probeUp, sdk.DefineGauge("healthgate_probe_up.probe."+c.Probes[i].Name))
	}
	for _, name := range monitor.CalloutNames(c) {
		m.calloutFailures = append(m.calloutFailures, sdk.DefineCounter("healthgate_callout_failures_total.callout."+name))
	}
	return m
}

// publish sets the gauges that mirror the record. Only the leader calls it: gauges belong to the process, and a VM
// that lags behind would set them back.
func (m *metrics) publish(from *monitor.Monitor) {
	for i, gauge := range m.maintenance {
		if m.config.Endpoints[i].Kind == config.KindHealthCheck {
			gauge.Set(number(from.Maintenance(i)))
		}
	}
	for i, gauge := range m.probeUp {
		gauge.Set(number(from.Record.Probes[i].Healthy))
	}
	m.draining.Set(number(from.Record.Draining))
}

func number(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
