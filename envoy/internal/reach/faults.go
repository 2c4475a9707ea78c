package reach

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/dump"
	"github.com/healthgate/healthgate/filter/config"
)

// HasCluster reports whether Envoy has a cluster of this name.
func (e *Envoy) HasCluster(name string) bool {
	_, is := e.clusters[name]
	return is
}

// Limited says that a plugin's listener takes no connection, by a limit in runtime or for want of a
// certificate; "" when it does.
func (e *Envoy) Limited() string {
	for _, d := range e.doors {
		if len(d.filters) > 0 && d.secret != "" {
			return fmt.Sprintf("%s: its TLS secret %q has not come by SDS: it resets each connection", d.where, d.secret)
		}
		if len(d.filters) > 0 && e.Runtime != nil {
			for _, key := range []string{"envoy.resource_limits.listener." + d.listener + ".connection_limit",
				"overload.global_downstream_max_connections"} {
				if n, err := strconv.ParseUint(e.Runtime.Entries[key].Value, 10, 64); err == nil && n == 0 {
					return fmt.Sprintf("%s: the runtime key %s is 0: it closes each connection", d.where, key)
				}
			}
		}
	}
	return ""
}

// AdminFaults returns what keeps the plugins from reading maintenance keys.
func (e *Envoy) AdminFaults() (out []string) {
	for _, p := range e.Plugins {
		if a := p.Config.Admin; a != nil && !e.HasCluster(a.Cluster) {
			out = append(out,
				fmt.Sprintf("admin.cluster is %q, and Envoy has no such cluster: "+
					"the plugin can read neither maintenance keys nor draining",
					a.Cluster))
		}
	}
	return out
}

// Failing says that a plugin with an admin can't ask it.
func (p *Plugin) Failing() string {
	return fmt.Sprintf("its requests for runtime, through the cluster %q, fail", p.Config.Admin.Cluster)
}

// OtherAdmins says where a plugin may read another Envoy's keys: its admin.cluster leads elsewhere than to this one's
// admin, perhaps by way of a proxy.
func (e *Envoy) OtherAdmins() (out []string) {
	for _, p := range e.Plugins {
		if p.Config.Admin == nil || e.admin == "" {
			continue
		}
		hosts := slices.DeleteFunc(e.members(p.Config.Admin.Cluster), func(of string) bool {
			_, err := netip.ParseAddrPort(of)
			return err != nil
		})
		if len(hosts) > 0 && !slices.Contains(hosts, e.here(e.admin)) {
			out = append(out, fmt.Sprintf("admin.cluster %q leads to %s, and this Envoy's own admin is at %s: if another Envoy "+
				"answers there, the plugin reads the keys and the draining of that one", p.Config.Admin.Cluster,
				strings.Join(hosts, " and "), e.admin))
		}
	}
	return out
}

// Unreloaded says of a plugin what becomes of checks once it has crashed; "" where Envoy loads it again. A crash of
// one worker's VM shows in nothing that Envoy's admin has.
func (e *Envoy) Unreloaded(p *Plugin) string {
	for _, d := range e.doors {
		for _, f := range d.filters {
			if f.plugin == p && text(f.wasm, "config", "failure_policy") != "FAIL_RELOAD" && !f.failsOpen() {
				return d.where + ": its failure_policy is not FAIL_RELOAD: once the plugin has crashed, " +
					"checks get 503 until Envoy is restarted, and nobody can tell from here"
			}
		}
	}
	return ""
}

// bodiless returns where a plugin waits for bodies of requests that Envoy keeps from it.
func (e *Envoy) bodiless(p *Plugin) (out []string) {
	if !p.Config.NamesServices() {
		return nil
	}
	for _, d := range e.doors {
		for _, f := range d.filters {
			if f.plugin == p && dump.At(f.wasm, "config", "allow_on_headers_stop_iteration") != true {
				out = append(out, d.where+": its allow_on_headers_stop_iteration is not true: checks of an endpoint "+
					"with grpc.services get no answer; `healthgate render envoy` writes it")
			}
		}
	}
	return out
}

// refuses notes that the last update of a listener or a filter was refused.
func (e *Envoy) refuses(kind, name string, update any) {
	before := ", and what was there before goes on"
	if kind == "listener" && object(update, "active_state") == nil {
		before = ""
	}
	if why := text(update, "error_state", "details"); why != "" {
		e.refused = append(e.refused, fmt.Sprintf("the last update of the %s %q was refused%s: %s", kind, name, before, why))
	}
}

// Faults returns what keeps the plugins from knowing what they need.
func (e *Envoy) Faults() []string {
	out := slices.Concat(e.Unreadable, e.refused, e.AdminFaults(), e.OtherAdmins())
	out = append(out, e.Replaced(func(string) bool { return true })...)
	for _, p := range e.Plugins {
		if why := e.Unreloaded(p); why != "" {
			out = append(out, why)
		}
		out = append(out, e.bodiless(p)...)
		for i := range p.Config.Probes {
			probe := &p.Config.Probes[i]
			if !probe.OfEnvoy() && !e.HasCluster(probe.Cluster) {
				out = append(out, fmt.Sprintf("probe %q: its cluster is %q, and Envoy has no such cluster: each probe fails",
					probe.Name, probe.Cluster))
			}
			hidden := slices.DeleteFunc(slices.Clone(probe.Stats), func(name string) bool { return !e.Hides(name) })
			if len(hidden) > 0 {
				out = append(out, fmt.Sprintf("probe %q: the stats_matcher leaves out what it reads, so it has no result: "+
					"let %s pass", probe.Name, strings.Join(hidden, " and ")))
			}
		}
	}
	return out
}

// Undiscovered reports whether a plugin may be in filter chains that are not seen.
func (e *Envoy) Undiscovered() bool { return len(e.undiscovered) > 0 }

// Absent says that there is no plugin.
func (e *Envoy) Absent() string {
	const absent = "its configuration has no healthgate"
	switch {
	case e.Undiscovered():
		return fmt.Sprintf("%s that is seen: the filter chains of %s come by FCDS, which this command does not know", absent,
			strings.Join(e.undiscovered, ", "))
	case len(e.awaited) == 0:
		return strings.Join(append([]string{absent}, e.refused...), "; ")
	}
	return fmt.Sprintf("%s; the configuration of the filter %s, by ECDS, has not arrived: requests get 500 until then",
		absent, strings.Join(e.awaited, ", "))
}

// NoMetrics returns why an Envoy shows no metric of the plugin.
func (e *Envoy) NoMetrics() string {
	switch {
	case len(e.Plugins) == 0:
		return e.Absent()
	case e.leftOut(), slices.ContainsFunc(e.Plugins, func(p *Plugin) bool {
		return slices.ContainsFunc(p.Config.Endpoints, func(o config.Endpoint) bool { return e.hidesChecks(o.Name) })
	}):
		return "its stats_matcher leaves out the plugin's metrics: let those that start with wasmcustom.healthgate_ pass"
	case e.Restricted() != "":
		return "no metric of the plugin is there: " + e.Restricted()
	}
	return "its configuration has healthgate, and no metric of the plugin is there: did it start? See Envoy's log"
}

// hidesChecks reports whether the stats_matcher leaves out what the plugin counts of an endpoint's checks.
func (e *Envoy) hidesChecks(endpoint string) bool {
	return e.Hides("wasmcustom.healthgate_checks_total.endpoint." + endpoint + ".verdict.healthy")
}

// Silent reports whether waiting brings no metric of the plugin.
func (e *Envoy) Silent() bool { return len(e.Plugins) == 0 || e.leftOut() }

// leftOut reports whether the stats_matcher leaves out metrics of the plugin's.
func (e *Envoy) leftOut() bool {
	for _, p := range e.Plugins {
		for i := range p.Config.Endpoints {
			if e.Hides("wasmcustom.healthgate_maintenance.endpoint." + p.Config.Endpoints[i].Name) {
				return true
			}
		}
	}
	return dump.At(e.statsMatcher, "reject_all") == true
}

// Hides reports whether the stats_matcher leaves out a metric.
func (e *Envoy) Hides(metric string) bool { return Hides(e.statsMatcher, metric) }

// Hides reports whether a StatsMatcher leaves out a metric.
func Hides(matcher any, metric string) bool {
	matches := func(pattern any) bool { return textFits(pattern, metric).fit == yes }
	return dump.At(matcher, "reject_all") == true ||
		slices.ContainsFunc(list(matcher, "exclusion_list", "patterns"), matches) ||
		object(matcher, "inclusion_list") != nil &&
			!slices.ContainsFunc(list(matcher, "inclusion_list", "patterns"), matches)
}
