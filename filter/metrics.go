//go:build wasm

package main

import (
	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/host"
	"github.com/healthgate/healthgate/filter/lean/duration"
	"github.com/healthgate/healthgate/filter/monitor"
	"github.com/healthgate/healthgate/filter/snapshot"
	"github.com/healthgate/healthgate/filter/verdict"
)

// metrics are the plugin's handles on Envoy's process-wide statistics. Tags stand in the names as ".tag.value"; the
// bootstrap's stats_tags turn them into labels.
type metrics struct {
	config          *config.Config
	checks          [][verdict.Kinds]host.Metric // by endpoint; those of its kind
	maintenance     []host.Metric                // by endpoint; only of kind health_check
	probeUp         []host.Metric                // by probe
	calloutFailures []host.Metric                // by callout
	draining        host.Metric
	runtimePoll     host.Metric
	snapshotAge     host.Metric
	snapshotWrites  host.Metric
	leaderChanges   host.Metric
	unrecognized    host.Metric
	vmSeconds       host.Metric
}

func defineMetrics(c *config.Config) metrics {
	m := metrics{
		config:         c,
		draining:       host.DefineGauge("healthgate_draining"),
		snapshotAge:    host.DefineGauge("healthgate_snapshot_age_seconds"),
		snapshotWrites: host.DefineCounter("healthgate_snapshot_writes_total"),
		leaderChanges:  host.DefineCounter("healthgate_leader_changes_total"),
		unrecognized:   host.DefineCounter("healthgate_runtime_values_unrecognized_total"),
		vmSeconds:      host.DefineCounter("healthgate_vm_seconds_total"),
	}
	host.Set(host.DefineGauge(buildInfo()), 1)
	for i := range c.Endpoints {
		tag := ".endpoint." + c.Endpoints[i].Name
		var kinds [verdict.Kinds]host.Metric
		var maintenance host.Metric
		isStatus := c.Endpoints[i].Kind == config.KindStatus
		for k := range kinds {
			if kind := verdict.Kind(k); kind == verdict.Untrusted || (kind == verdict.Shown) == isStatus {
				kinds[k] = host.DefineCounter("healthgate_checks_total" + tag + ".verdict." + kind.String())
			}
		}
		if !isStatus {
			maintenance = host.DefineGauge("healthgate_maintenance" + tag)
		}
		m.checks = append(m.checks, kinds)
		m.maintenance = append(m.maintenance, maintenance)
	}
	for i := range c.Probes {
		m.probeUp = append(m.probeUp, host.DefineGauge("healthgate_probe_up.probe."+c.Probes[i].Name))
	}
	if c.Admin != nil {
		m.runtimePoll = host.DefineGauge("healthgate_runtime_poll_milliseconds")
	}
	for _, name := range monitor.Names(c) {
		m.calloutFailures = append(m.calloutFailures, host.DefineCounter("healthgate_callout_failures_total.callout."+name))
	}
	return m
}

// lived is until when the VM's life is counted.
var lived int64

// live counts the seconds that the VM lives: the counter's rate is how many VMs do. Envoy counts crashed ones as well.
func (p *plugin) live(now int64) {
	const second = int64(duration.Second)
	if now < lived || now-lived > 5*second { // it begins, stood still, or the clock went back
		lived = now
	}
	for ; now-lived >= second; lived += second {
		host.Increment(p.metrics.vmSeconds)
	}
}

// publish sets the gauges that mirror the record. Only the leader calls it: a VM that lags behind would set them back.
func (p *plugin) publish(record *snapshot.Record, now int64) {
	for i, gauge := range p.metrics.probeUp {
		if p.owns(p.probeName(i), true) {
			c, probe := &p.config.Probes[i], &record.Probes[i]
			up := probe.Healthy && verdict.ProbeKnown(c, probe, now)
			if c.OnDemand > 0 { // nothing is wrong with one that nobody wants
				up = probe.Healthy || probe.At == 0
			}
			host.Set(gauge, number(up))
		}
	}
	if p.tells() {
		host.Set(p.metrics.draining, number(record.Draining))
	}
}

// showMaintenance does the same for the endpoints. The VM that tells of a change sets the gauge, too: it may be of
// another configuration than leads for both, and this one makes good what another one set that was replaced.
func (p *plugin) showMaintenance() {
	record := p.view.record
	if record == nil || !record.Read() {
		return
	}
	for i, gauge := range p.metrics.maintenance {
		e := &p.config.Endpoints[i]
		if e.Kind == config.KindHealthCheck && p.owns(p.endpointName(i), false) {
			host.Set(gauge, number(verdict.Key(e, record, p.clock) >= 0))
		}
	}
}

func number(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
