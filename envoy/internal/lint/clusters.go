package lint

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/document"
	"github.com/healthgate/healthgate/envoy/internal/dump"
	"github.com/healthgate/healthgate/filter/config"
	"go.yaml.in/yaml/v3"
)

// ClusterWarning is about the cluster that probes go through.
type ClusterWarning struct {
	Probe int // the first of them
	What  string
}

// Clusters returns what makes probes fail, or harms users, in the clusters that they go through, which are given in the
// order of the probes. The Envoy is what YAML or JSON holds: a bootstrap, manifests for Istio, or Envoy's /config_dump.
func Clusters(probes []string, envoy any) []ClusterWarning {
	known := survey(envoy)
	var out []ClusterWarning
	for i, name := range probes {
		c := known[name]
		if c == nil || slices.Index(probes, name) < i {
			continue
		}
		for _, what := range c.faults() {
			out = append(out, ClusterWarning{i, fmt.Sprintf("the cluster %q %s", name, what)})
		}
	}
	return out
}

// Rendered returns the warnings about listeners and the clusters of probes in what was rendered from a document.
func Rendered(d *document.Document, text string) ([]*document.Problem, error) {
	var rendered []any
	all, err := document.All(d.File, []byte(text))
	if err != nil {
		return nil, err
	}
	for _, n := range all {
		var v any
		if err := n.Decode(&v); err != nil {
			return nil, err
		}
		rendered = append(rendered, v)
		// An EnvoyProxy has it as a text.
		if text := dump.Text(v, "spec", "bootstrap", "value"); text != "" {
			var bootstrap any
			if err := yaml.Unmarshal([]byte(text), &bootstrap); err != nil {
				return nil, err
			}
			rendered = append(rendered, bootstrap)
		}
	}
	return Configuration(d, rendered), nil
}

// Configuration is Rendered for what YAML or JSON holds.
func Configuration(d *document.Document, rendered []any) []*document.Problem {
	var out []*document.Problem
	for _, l := range listeners(rendered) {
		if !runs(l) {
			continue
		}
		for _, w := range Listener(l, d.Config) {
			out = append(out, d.Problem(endpoint(w.Endpoint, "trusted"), w.What))
		}
	}
	probes, known := probed(rendered), survey(rendered)
	for _, w := range Clusters(probes, rendered) {
		out = append(out, d.Problem(fmt.Sprintf("probes[%d].cluster", w.Probe), w.What))
	}
	for i, p := range d.Config.Probes {
		if p.Host == config.DefaultProbeHost && i < len(probes) && known[probes[i]].autoSNI() {
			out = append(out, d.Problem(fmt.Sprintf("probes[%d]", i), fmt.Sprintf("the cluster %q asks for the name in TLS "+
				"that a request's Host has (auto_sni), and this probe's is %s: give it the host that users ask for", probes[i],
				p.Host)))
		}
	}
	if !whole(rendered) {
		return out
	}
	counted := map[string]bool{}
	for name, c := range known {
		counted[config.Membership(cmp.Or(dump.Text(c.settings, "alt_stat_name"), name))+"total"] = true
	}
	for i := range d.Config.Probes {
		if p := &d.Config.Probes[i]; p.Witness != "" && !p.XDS && !counted[p.Stats[0]] {
			out = append(out, d.Problem(fmt.Sprintf("probes[%d].cluster_health.cluster", i),
				"this Envoy has no such cluster, so the probe fails: add the cluster, or name one that is there"))
		}
	}
	return out
}

// whole reports whether all clusters of an Envoy are in what YAML or JSON holds.
func whole(rendered []any) (all bool) {
	for _, v := range rendered {
		if dump.At(v, "dynamic_resources", "cds_config") != nil {
			return false
		}
		all = all || dump.At(v, "static_resources", "listeners") != nil
	}
	return all
}

// runs reports whether a plugin may stand in a listener: one for Prometheus has none.
func runs(listener any) (found bool) {
	dump.Each(listener, func(object map[string]any) bool {
		found = found || object["vm_config"] != nil || object["config_discovery"] != nil
		return !found
	})
	return found
}

// probed returns the clusters of the probes in the plugin's configuration, wherever that stands.
func probed(v any) (out []string) {
	dump.Each(v, func(o map[string]any) bool {
		if out == nil && o["endpoints"] != nil {
			for _, p := range dump.List(o, "probes") {
				out = append(out, dump.Text(p, "cluster"))
			}
		}
		return out == nil
	})
	return out
}

// cluster is what is known of a cluster of Envoy's.
type cluster struct {
	settings map[string]any
	hosts    int
	routed   bool
}

// flips is what several hosts do to a probe.
const flips = "each probe asks another, so one that is bad makes the state flip"

func (c *cluster) faults() []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if c.routed {
		say("has users' requests, too, and probes count as such: give them a cluster of their own, as `healthgate " +
			"render` does")
	}
	detects, checks := c.settings["outlier_detection"] != nil, c.settings["health_checks"] != nil
	if detects {
		say("has outlier detection: probes that fail eject hosts, for users as well, and a host that is out can't be probed")
	}
	if checks {
		say("has health checks: a host that they take out can't be probed")
	}
	switch threshold := c.panicThreshold(); {
	case !detects && !checks: // no host is ever out
	case threshold == 0:
		say("has a panic threshold of 0: when all hosts are out, every probe fails")
	default:
		say("has a panic threshold of %g%%: when fewer hosts are left, those that are out are probed, too", threshold)
	}
	for _, v := range dump.List(c.settings, "circuit_breakers", "thresholds") {
		for _, limit := range []string{"max_requests", "max_pending_requests"} {
			if n, is := number(dump.At(v, limit)); is && n < math.MaxUint32 { // Istio writes this for none
				say("has a circuit breaker, %s %.f: what is above it fails, and so may probes", limit, n)
			}
		}
	}
	if subsets := dump.At(c.settings, "lb_subset_config"); len(dump.List(subsets, "subset_selectors")) > 0 &&
		strings.TrimPrefix(dump.Text(subsets, "fallback_policy"), "NO_FALLBACK") == "" {
		say("chooses hosts by the metadata of a route (lb_subset_config) and has no fallback_policy: a probe, which has no " +
			"route, finds none, and fails")
	}
	switch kind := dump.Text(c.settings, "type"); {
	case kind == "ORIGINAL_DST" && dump.At(c.settings, "original_dst_lb_config", "use_http_header") != true:
		say("has the hosts that users' connections were meant for (ORIGINAL_DST): a probe, which has no such connection, " +
			"fails")
	case c.hosts > 1:
		say("has %d hosts: %s", c.hosts, flips)
	case c.hosts == 0 && kind == "EDS":
		say("has the hosts of a service: if they are several %s", flips)
	case (kind == "STRICT_DNS" || kind == "LOGICAL_DNS") && c.named():
		say("has the hosts that a name stands for: if they are several %s", flips)
	}
	return out
}

// autoSNI reports whether the name in TLS is that of a request's Host.
func (c *cluster) autoSNI() (found bool) {
	if c == nil || c.settings["transport_socket"] == nil {
		return false
	}
	dump.Each(c.settings, func(o map[string]any) bool {
		found = found || o["auto_sni"] == true
		return !found
	})
	return found
}

// named reports whether its host is given by a name: an address stands for one host, also where Envoy resolves it.
func (c *cluster) named() bool {
	named := true
	dump.Each(c.settings["load_assignment"], func(o map[string]any) bool {
		if address := dump.Text(o, "socket_address", "address"); address != "" {
			_, err := netip.ParseAddr(address)
			named = err != nil
		}
		return true
	})
	return named
}

// panicThreshold returns a percentage. A dump leaves a 0 out of its message.
func (c *cluster) panicThreshold() float64 {
	threshold := dump.At(c.settings, "common_lb_config", "healthy_panic_threshold")
	if threshold == nil {
		return 50
	}
	percent, _ := number(dump.At(threshold, "value"))
	return percent
}

// survey finds the clusters of a configuration, by name, with their hosts and whether a route leads to them.
func survey(envoy any) map[string]*cluster {
	found, hosts, routed := map[string]*cluster{}, map[string]int{}, map[string]bool{}
	dump.Each(envoy, func(v map[string]any) bool {
		if name := dump.Text(v, "name"); name != "" && isCluster(v) {
			found[name] = &cluster{settings: v}
		}
		if name := dump.Text(v, "cluster_name"); name != "" {
			n := 0
			for _, place := range dump.List(v, "endpoints") {
				n += len(dump.List(place, "lb_endpoints"))
			}
			hosts[name] = max(hosts[name], n) // a dump tells it again, with what names stand for
		}
		for _, name := range dump.Targets(v) {
			routed[name] = true
		}
		return true
	})
	for name, c := range found {
		service := cmp.Or(dump.Text(c.settings, "eds_cluster_config", "service_name"), name)
		c.hosts, c.routed = hosts[service], routed[name]
	}
	return found
}

// isCluster reports whether a message of Envoy's is a Cluster. A dump tells the type, a bootstrap does not.
func isCluster(v map[string]any) bool {
	return strings.HasSuffix(dump.Text(v, "@type"), ".config.cluster.v3.Cluster") ||
		v["load_assignment"] != nil || v["eds_cluster_config"] != nil || v["connect_timeout"] != nil
}

// number returns what JSON or YAML holds as a number.
func number(v any) (float64, bool) {
	if n, is := v.(int); is {
		return float64(n), true
	}
	n, is := v.(float64)
	return n, is
}
