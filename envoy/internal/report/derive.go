package report

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/healthgate/healthgate/envoy/admin"
	"github.com/healthgate/healthgate/envoy/internal/reach"
	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/maintenance"
	"github.com/healthgate/healthgate/filter/snapshot"
	"github.com/healthgate/healthgate/filter/verdict"
)

// Names of metrics, before that of an endpoint or a probe where there is one.
const (
	InMaintenance = prefix + "maintenance.endpoint."
	Checks        = prefix + "checks_total.endpoint."
	Writes        = prefix + "snapshot_writes_total" // counts all the time while a plugin runs
	Unread        = prefix + "callout_failures_total.callout.admin_runtime"

	prefix      = "wasmcustom.healthgate_"
	probeUp     = prefix + "probe_up.probe."
	IsDraining  = prefix + "draining"
	snapshotAge = prefix + "snapshot_age_seconds"

	drainingListeners = "listener_manager.total_listeners_draining"
	drainingChains    = "listener_manager.total_filter_chains_draining"
	stoppedListeners  = "listener_manager.listener_stopped"
	modifiedListeners = "listener_manager.listener_modified"
	removedListeners  = "listener_manager.listener_removed"
	parentConnections = "server.parent_connections"
)

// Metrics is a regular expression for what is derived from.
const Metrics = `^(wasmcustom\.healthgate_(maintenance\.|probe_up\.|draining$|snapshot_(age_seconds|writes_total)$|` +
	`checks_total\.endpoint\.|callout_failures_total\.callout\.admin_runtime$)|` +
	`server\.parent_connections$|listener_manager\.(total_(listeners|filter_chains)_draining$|` +
	`listener_(stopped|modified|removed)$)|(http\..+\.rds\..+|extension_config_discovery\..+)\.config_reload$|` +
	`wasm\.(.+\.)?healthgate(~.+)?\.vm_reload_(success|failure)$|` +
	`overload\..*(stop_accepting|reject_incoming|load_shed_points).*\.(active|scale_percent)$)`

// Drains says that connections, and gauges, may be those of a plugin that goes; "" when none does, or that is not
// known. Of filter chains that an update took out Envoy tells nothing but their number.
func Drains(stats map[string]uint64, known *reach.Envoy) string {
	listeners := stats[drainingListeners]
	if known != nil {
		listeners -= min(listeners, uint64(known.Drain))
	}
	if listeners+stats[drainingChains] == 0 {
		return ""
	}
	return "an earlier configuration of Envoy still drains: a connection that it has keeps getting its answers, " +
		"and a plugin in it sets the same metrics"
}

// DrainsUnseen says that Drains does not know; "" when it does, or no listener can have been replaced.
func DrainsUnseen(stats map[string]uint64, known *reach.Envoy) string {
	if known == nil || !known.Dynamic {
		return ""
	}
	return unseen(stats, "an earlier configuration of Envoy still answers checks", drainingListeners, drainingChains)
}

// Unseen says that Stopped or Overload does not know; "" when both do.
func Unseen(stats map[string]uint64, known *reach.Envoy) string {
	return cmp.Or(unseen(stats, "Envoy takes connections", stoppedListeners),
		unseen(stats, "Envoy is overloaded, and refuses checks,", cmp.Or(known, &reach.Envoy{}).Overloads...))
}

// NotShown says that a metric is not there, which is not that it is 0.
func NotShown(metric string) string {
	return "it does not show its metric " + metric + ": does a stats_matcher leave it out?"
}

// unseen says what is not known without metrics that Envoy does not show; "" when it shows them.
func unseen(stats map[string]uint64, what string, metrics ...string) string {
	for _, metric := range metrics {
		if _, is := stats[metric]; !is && stats != nil {
			return fmt.Sprintf("whether %s is not known: %s", what, NotShown(metric))
		}
	}
	return ""
}

// Parent says that an earlier process of Envoy, before a hot restart, still answers; "" when it does not, or that is
// not known: Envoy learns it from that process, every stats_flush_interval (5s).
func Parent(stats map[string]uint64) string {
	n := stats[parentConnections]
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("an earlier process of Envoy still has connections (%s is %d): it answers checks on them, what is "+
		"set through admin now does not reach it, and nobody can ask it", parentConnections, n)
}

// crashes says what Envoy has counted of the plugin's crashes since it started.
func crashes(stats map[string]uint64) (out []string) {
	for _, name := range slices.Sorted(maps.Keys(stats)) {
		switch n := stats[name]; {
		case n == 0:
		case strings.HasSuffix(name, ".vm_reload_failure"):
			out = append(out, fmt.Sprintf("a VM of the plugin crashed and could not be loaded again, and checks that come to "+
				"its worker get 503: %s is %d; Envoy's log says why", name, n))
		case strings.HasSuffix(name, ".vm_reload_success"):
			out = append(out, fmt.Sprintf("the plugin has crashed, and was loaded again: %s is %d since Envoy started; "+
				"its log says why", name, n))
		}
	}
	return out
}

// Clock is the plugin's clock, at a given moment.
type Clock time.Time

// Wall is the time in Unix nanoseconds.
func (c Clock) Wall() int64 { return time.Time(c).UnixNano() }

// Monotonic is the same: what is derived has no other clock.
func (c Clock) Monotonic() int64 { return c.Wall() }

// switchedOn returns the first key that has an endpoint under maintenance, as runtime says; nil if none has.
func (s *asked) switchedOn(c *config.Config, e *config.Endpoint) *Maintenance {
	for _, k := range e.Maintenance.Keys {
		value := s.runtime.Entries[c.Keys[k]].Value
		parsed, _ := maintenance.ParseSwitch(value)
		if !parsed.Active(Clock(s.now)) {
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
func (r *Report) derive(listener string, p *reach.Plugin, s *asked) {
	c := p.Config
	for i := range c.Endpoints {
		if e := &c.Endpoints[i]; e.Kind == config.KindHealthCheck {
			*r.endpoint(listener, e.Name) = s.verdict(c, e, Endpoint{Listener: listener, Name: e.Name, Source: "gauges"})
		}
	}
	for i := range c.Probes {
		p := r.probe(listener, c.Probes[i].Name)
		if up, is := s.gauges[probeUp+p.Name]; is && c.Probes[i].OnDemand == 0 {
			healthy := up > 0
			p.Healthy = &healthy
		}
	}
}

// patience is how long a plugin that runs may take to write its record again.
const patience = 3 * time.Second

// Ticks reports whether a plugin that runs writes its record again and again: a plugin without probes and admin has
// no record.
func Ticks(p *reach.Plugin) bool { return p.Config.Admin != nil || len(p.Config.Probes) > 0 }

// stands reports whether a plugin's record is written no more: gauges stay as they were when all VMs have crashed.
func (s *asked) stands(ctx context.Context, envoy *admin.Client, p *reach.Plugin) bool {
	writes, counts := s.gauges[Writes]
	counts = counts && Ticks(p)
	for start := time.Now(); counts && time.Since(start) < patience &&
		ctx.Err() == nil; time.Sleep(pause) {
		if _ = s.stats(ctx, envoy); s.gauges[Writes] != writes {
			return false
		}
	}
	return counts
}

// doubts says why gauges do not tell for sure what checks get of a plugin.
func (s *asked) doubts(ctx context.Context, envoy *admin.Client, p *reach.Plugin, r *Report) (out []string) {
	if s.stands(ctx, envoy, p) {
		out = append(out, "the plugin has stopped to write its record: does it still run? See Envoy's log")
		r.SnapshotAgeMS = nil // as the gauge had it
	}
	if len(s.known.Unreadable) > 0 || slices.ContainsFunc(s.known.Plugins, p.Mixes) {
		out = append(out, "several plugins set the same metrics, so what they say may be of another one")
	}
	if why := cmp.Or(Stopped(s.gauges), s.known.Limited(), Unseen(s.gauges, s.known)); why != "" {
		out = append(out, why)
	}
	if r.State != "" && r.State != "LIVE" && r.State != "DRAINING" {
		out = append(out, "Envoy is "+r.State+": it does not take connections yet")
	}
	return out
}

// unnoticed says that a plugin does not know yet that Envoy drains; "" when it does, or need not.
func (s *asked) unnoticed(p *reach.Plugin, state string) string {
	if a := p.Config.Admin; state != "DRAINING" || a == nil || a.IgnoreDraining || s.gauges[IsDraining] > 0 {
		return ""
	}
	return "Envoy is DRAINING, and the plugin has not noticed it"
}

// Tell has a configuration know what metrics tell of checks and updates: those that were read first, and last.
func Tell(known *reach.Envoy, first, last map[string]uint64) {
	known.Answered, known.Fresh = Answered(last), Fresh(first, last)
	known.Reloaded = reloaded(last, known.Discovered())
}

// reloaded reports whether a listener, routes or a filter came by xDS more than once, or may have, for Envoy does not
// show it.
func reloaded(stats map[string]uint64, discovered int) bool {
	for name, n := range stats {
		if n > 1 && strings.HasSuffix(name, ".config_reload") {
			return true
		} else if strings.HasSuffix(name, ".config_reload") {
			discovered--
		}
	}
	_, is := stats[modifiedListeners]
	return !is || discovered > 0 || stats[modifiedListeners]+stats[removedListeners] > 0
}

// Answered returns of endpoints to which a check has come since Envoy began whether they have answered one, from an
// address that they trust.
func Answered(stats map[string]uint64) map[string]bool {
	out := map[string]bool{}
	for name, n := range stats {
		of, is := strings.CutPrefix(name, Checks)
		if i := strings.LastIndex(of, ".verdict."); is && i >= 0 && n > 0 {
			out[of[:i]] = out[of[:i]] || of[i+9:] != verdict.Untrusted.String()
		}
	}
	return out
}

// Fresh returns which endpoints have answered a check between two readings.
func Fresh(before, after map[string]uint64) map[string]bool {
	rose := maps.Clone(after)
	maps.DeleteFunc(rose, func(name string, n uint64) bool { return n <= before[name] })
	return Answered(rose)
}

// Stopped says that Envoy takes no connections; "" when it does, or that is not known.
func Stopped(stats map[string]uint64) string {
	if stats[stoppedListeners] == 0 {
		return ""
	}
	return "Envoy has stopped listeners (drain_listeners, or a restart): who connects to one is refused, " +
		"and only a restart takes that back"
}

// Overload says that Envoy may refuse checks, whatever the plugin would answer; "" when it does not.
func Overload(stats map[string]uint64) string {
	var by []string
	for _, name := range slices.Sorted(maps.Keys(stats)) {
		if strings.HasPrefix(name, "overload.") && stats[name] > 0 {
			by = append(by, name[:strings.LastIndexByte(name, '.')]) // active and scale_percent are of one cause
		}
	}
	if len(by) == 0 {
		return ""
	}
	return "Envoy is overloaded, and may refuse a check before any filter: " + strings.Join(slices.Compact(by), ", ")
}

// record is the plugin's shared record, as far as gauges tell what is in it.
func (s *asked) record(c *config.Config) *snapshot.Record {
	now := Clock(s.now).Monotonic()
	r := snapshot.New(len(c.Keys), len(c.Probes))
	r.WrittenAt = now - int64(time.Duration(s.gauges[snapshotAge])*time.Second)
	if c.Admin != nil && s.known.HasCluster(c.Admin.Cluster) {
		r.Runtime.At, r.Ready.At = now, now
	}
	r.Draining = c.Admin != nil && !c.Admin.IgnoreDraining && s.gauges[IsDraining] > 0
	for i := range c.Probes {
		r.Probes[i].At, r.Probes[i].Healthy = now, s.gauges[probeUp+c.Probes[i].Name] > 0
	}
	return r
}

func (s *asked) verdict(c *config.Config, e *config.Endpoint, out Endpoint) Endpoint {
	notKnown := func(why string) Endpoint {
		out.Output, out.Source = why, ""
		return out
	}
	keys, draining := len(e.Maintenance.Keys) > 0, c.Admin != nil && !c.Admin.IgnoreDraining
	var needed, down []string // metrics; probes
	if draining {
		needed = append(needed, IsDraining)
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
	for _, i := range e.Degraded.Probes {
		needed = append(needed, probeUp+c.Probes[i].Name)
	}
	missing := slices.IndexFunc(needed, func(metric string) bool { _, is := s.gauges[metric]; return !is })
	key, gone := s.switchedOn(c, e), (keys || draining) && !s.known.HasCluster(c.Admin.Cluster)
	maint, there := s.gauges[InMaintenance+e.Name]
	record := s.record(c)
	got := verdict.Decide(c, e, record, maint > 0, Clock(s.now))
	switch is := got.Kind; {
	case gone && is == verdict.Unknown:
		out.Output = fmt.Sprintf("admin.cluster is %q, and Envoy has no such cluster", c.Admin.Cluster)
	case s.noGauges != "":
		return notKnown(s.noGauges)
	case !there:
		return notKnown("it has no metric: does the plugin run? See Envoy's log")
	case is == verdict.Maintenance:
		out.Maintenance, out.Output = key, "by its gauge"
	case is == verdict.Draining:
		out.Output = "Envoy is draining"
	case missing >= 0:
		return notKnown(NotShown(needed[missing]))
	case is == verdict.Unknown:
		out.Output = fmt.Sprintf("the plugin's record is %ds old", s.gauges[snapshotAge])
	case is == verdict.Unhealthy:
		all := len(e.Probes.Names)
		out.Output = fmt.Sprintf("not up: %s; %d of %d up, %d needed", strings.Join(down, ", "),
			all-len(down), all, e.Probes.Need)
	default:
		out.Output = "by its gauges"
	}
	out.Verdict, out.HTTPStatus = got.Kind.String(), int(got.Status)
	if got.Kind == verdict.Unhealthy {
		// Which status it gives, and whether a probe was asked at all, is in no gauge.
		out.Verdict, out.HTTPStatus = "failing", 0
	}
	if key != nil && got.Kind != verdict.Maintenance {
		out.Unsure = append(out.Unsure,
			fmt.Sprintf("the key %s is set to %s, and the plugin does not have it in maintenance", key.Key, key.Value))
	}
	for _, up := range []bool{true, false} {
		for i := range c.Probes {
			if c.Probes[i].OnDemand > 0 {
				record.Probes[i].Healthy = up
			}
		}
		if verdict.Decide(c, e, record, maint > 0, Clock(s.now)).Kind != got.Kind {
			out.Unsure = append(out.Unsure, "gauges of probes on demand are of their last results: a check asks anew, "+
				"and so does a status endpoint")
			break
		}
	}
	return out
}

// fromGauges takes what gauges tell without a configuration.
func (r *Report) fromGauges(s *asked, why string) {
	for _, name := range s.named(InMaintenance) {
		e := r.endpoint("", name)
		e.Unsure = []string{"its configuration can't be read, so whether all checks come to the plugin is not known"}
		switch {
		case s.gauges[InMaintenance+name] > 0:
			e.Verdict, e.Output, e.Source = "maintenance", "by its gauge", "gauges"
		case s.gauges[IsDraining] > 0:
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
func (s *asked) named(prefix string) (out []string) {
	for full := range s.gauges {
		if name, is := strings.CutPrefix(full, prefix); is {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
