package reach

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/dump"
	"github.com/healthgate/healthgate/filter/config"
)

// reader collects what Read returns.
type reader struct {
	*Envoy
	node       config.Node
	discovered map[string]any     // filters from ECDS, by name
	routes     map[string]any     // route configurations, by name
	known      map[string]*Plugin // by their VM and their configuration's text
}

// door is a way into an application: the HTTP connection manager of a filter chain, or its TCP proxy.
type door struct {
	where      string
	listener   string
	socket     map[string]any // the listener
	tls        bool
	mutual     bool   // by TLS with a client's certificate
	secret     string // of its TLS, which has not arrived
	tcp        any    // as the action of a route; nil for HTTP
	elsewhere  bool   // a filter may choose the cluster of its TCP proxy
	unseen     string // why there may be ways in through its listener that are not known; empty otherwise
	manager    any    // the HTTP connection manager
	chain      any    // its filter chain
	before     []any  // the network filters before the connection manager
	filters    []*filter
	neighbours []*neighbour // the other HTTP filters
	names      []string     // of all HTTP filters
	routes     any          // the route configuration; nil when it is not known
	set        string       // see sets
}

// Ways names the ways in by which checks of an endpoint come to its plugin; of those that are alike, the first. No
// metric tells by which a check came.
func (e *Envoy) Ways(endpoint string) (out []string) {
	var met [][]any
	for _, d := range e.doors {
		if d.quic() || !slices.ContainsFunc(e.Namesakes(endpoint), d.has) {
			continue
		}
		manager := maps.Clone(object(d.manager))
		delete(manager, "stat_prefix")
		way := []any{d.socket["listener_filters"], dump.At(d.chain, "filter_chain_match"),
			dump.At(d.chain, "transport_socket"), d.before, manager}
		if !slices.ContainsFunc(met, func(other []any) bool { return reflect.DeepEqual(way, other) }) {
			met, out = append(met, way), append(out, d.where)
		}
	}
	return out
}

// StatPrefixes returns those of the HTTP connection managers that are ways in.
func (e *Envoy) StatPrefixes() (out []string) {
	for _, d := range e.doors {
		if is(d.manager, typeManager) && !slices.Contains(out, text(d.manager, "stat_prefix")) {
			out = append(out, text(d.manager, "stat_prefix"))
		}
	}
	return out
}

// tcpCluster is the filter state that comes before a TCP proxy's own cluster.
const tcpCluster = "envoy.tcp_proxy.cluster"

// listener adds the ways in through a listener. No balancer's check comes through a sidecar's outbound one, unless it
// has a plugin.
func (r *reader) listener(l map[string]any, outbound bool) {
	if text(l, "name") == GRPCListener && l["internal_listener"] != nil {
		return
	}
	chains := list(l, "filter_chains")
	first := len(chains)
	if last := dump.At(l, "default_filter_chain"); last != nil {
		chains = append(slices.Clone(chains), last)
	}
	if l["fcds_config"] != nil && !outbound {
		where := fmt.Sprintf("listener %q", nameOf(l))
		r.undiscovered = append(r.undiscovered, where)
		r.doors = append(r.doors, &door{where: where, listener: nameOf(l), socket: l, unseen: "filter chains by FCDS"})
	}
	for i, chain := range chains {
		begin, elsewhere := len(r.doors), false
		var before []any
		for _, f := range list(chain, "filters") {
			manager := r.found(f)
			if is(manager, ".network.set_filter_state.v3.Config") {
				written, err := json.Marshal(manager)
				elsewhere = err != nil || bytes.Contains(written, []byte(`"`+tcpCluster+`"`)) || elsewhere
			}
			if !is(manager, typeManager) && !is(manager, typeTCP) && !is(manager, typeDirect) {
				before = append(before, map[string]any{"name": text(f, "name"), "typed_config": manager})
				continue
			}
			d := &door{where: fmt.Sprintf("listener %q", nameOf(l)), listener: nameOf(l), socket: l,
				elsewhere: elsewhere, manager: manager, tls: encrypts(chain), chain: chain, before: before}
			dump.Each(dump.At(chain, "transport_socket"), func(o map[string]any) bool {
				d.mutual = d.mutual || o["require_client_certificate"] == true
				if name := text(o, "name"); o["sds_config"] != nil && slices.Contains(r.secrets, name) {
					d.secret = name
				}
				return true
			})
			if len(chains) > 1 {
				switch name := text(chain, "name"); {
				case i == first:
					d.where += ", default filter chain"
				case name == "":
					d.where += fmt.Sprintf(", filter chain %d", i+1)
				default:
					d.where += fmt.Sprintf(", filter chain %q", name)
				}
			}
			if is(manager, typeDirect) { // as a route would
				d.tcp = map[string]any{"direct_response": map[string]any{"status": 200.}}
			}
			if is(manager, typeTCP) {
				d.tcp = map[string]any{"route": manager}
			}
			for _, entry := range list(manager, "http_filters") {
				d.names = append(d.names, text(entry, "name"))
				found := r.filters(entry, l, chain)
				for _, own := range found {
					own.before = len(d.neighbours)
					d.filters = append(d.filters, own)
				}
				if len(found) == 0 {
					d.neighbours = append(d.neighbours, r.neighbour(entry))
				}
			}
			if outbound && len(d.filters) == 0 {
				continue
			}
			if d.routes = dump.At(manager, "route_config"); d.routes == nil {
				d.routes = r.routes[text(manager, "rds", "route_config_name")]
			}
			d.set = d.sets()
			r.doors = append(r.doors, d)
		}
		gated := slices.ContainsFunc(r.doors[begin:], func(d *door) bool { return len(d.filters) > 0 })
		for _, f := range before {
			if kind := typeOf(f); !outbound && !gated && !passing.MatchString(kind) && !closing.MatchString(kind) &&
				!noHTTP.MatchString(kind) {
				r.doors = append(r.doors, &door{where: fmt.Sprintf("listener %q", nameOf(l)), listener: nameOf(l), socket: l,
					chain: chain, unseen: fmt.Sprintf("the filter %q, %s", text(f, "name"), typeName(dump.At(f, "typed_config")))})
			}
		}
	}
}

// sees returns checks as they are for the routes of a way in.
func (d *door) sees(c *check) *check {
	out := *c
	out.set = d.set
	return &out
}

// sets returns the texts of what may set headers before a route is chosen.
func (d *door) sets() string {
	all := []any{list(d.manager, "early_header_mutation_extensions")}
	for i := range d.neighbours {
		all = append(all, d.neighbours[i].config)
	}
	written, _ := json.Marshal(all) // of JSON
	return strings.ReplaceAll(strings.ToLower(string(written)), `\\"`, `"`)
}
