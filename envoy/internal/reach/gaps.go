package reach

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/dump"
	"github.com/healthgate/healthgate/filter/config"
)

// Gap is a way for an endpoint's checks past the plugin.
type Gap struct {
	Endpoint string
	What     string
	Doubt    bool // it may be one: this command does not know
}

func (c *check) gap(format string, args ...any) Gap {
	return Gap{c.endpoint.Name, fmt.Sprintf(format, args...), false}
}

func (c *check) doubt(format string, args ...any) Gap {
	return Gap{c.endpoint.Name, "not for sure: " + fmt.Sprintf(format, args...), true}
}

// Gaps returns the ways past the plugins, and those that may be some. A listener or filter chain without a plugin is
// a gap where it leads to the same application: a listener for something else does not count.
func (e *Envoy) Gaps() (out []Gap) {
	e.eachPath(func(p *Plugin, c *check) {
		out = append(out, e.past(p, c)...)
		out = append(out, p.hidden(c)...)
	})
	return out
}

// hidden returns the endpoints of a plugin that take checks of a later one: the first that has path, method, host and
// headers answers.
func (p *Plugin) hidden(c *check) (out []Gap) {
	for i := range p.Config.Endpoints {
		first := &p.Config.Endpoints[i]
		const what = "the endpoint %q comes first, and has %s, too: checks that it takes never come to %q"
		switch {
		case first == c.endpoint:
			return out
		case !slices.Contains(first.Paths, c.path),
			apart(first.Hosts, c.endpoint.Hosts), apart(first.Methods, c.endpoint.Methods):
		case len(first.Headers) > 0:
			out = append(out, c.doubt(what, first.Name, c.path, c.endpoint.Name))
		default:
			out = append(out, c.gap(what, first.Name, c.path, c.endpoint.Name))
		}
	}
	return out
}

func (e *Envoy) eachPath(visit func(p *Plugin, c *check)) {
	for _, p := range e.Plugins {
		for i := range p.Config.Endpoints {
			for _, path := range p.Config.Endpoints[i].Paths {
				visit(p, &check{endpoint: &p.Config.Endpoints[i], path: path})
			}
		}
	}
}

// past returns the ways of checks past a plugin.
func (e *Envoy) past(p *Plugin, c *check) []Gap { return append(e.shut(p, c), e.unguarded(p, c)...) }

// shut returns where a plugin stands and its gate keeps an endpoint's checks out.
func (e *Envoy) shut(p *Plugin, c *check) (out []Gap) {
	enabled := false
	var missing []Gap // nobody answers there
	for i := range e.doors {
		d := &e.doors[i]
		f := d.filter(p)
		if f == nil {
			continue
		}
		out = append(out, e.disturbed(d, p, c)...)
		if d.routes == nil {
			out = append(out,
				c.doubt("%s: its routes are not in the configuration, so whether one enables the filter for %s is not known",
					d.where, c.path))
			continue
		}
		switch admits := f.admits(c); admits.fit {
		case no:
			out = append(out,
				c.gap("%s: the gate's matcher does not have %s: its checks reach the application", d.where, c.path))
			continue
		case some:
			out = append(out, c.gap("%s: the gate's matcher has only a part of the checks of %s", d.where, c.path))
		case unknown:
			out = append(out, d.mayShut(c, admits))
		case yes:
		}
		var front []Gap
		for _, host := range hosts(d.routes, c.endpoint.Hosts) {
			if d.redirects(f, host) {
				out = append(out, c.gap("%s: require_tls is %s: checks of %s without TLS may get a redirect", d.in(host),
					text(host, "require_tls"), c.path))
				continue
			}
			if of := d.unreadable(host); of != "" {
				out = append(out, c.doubt("%s: its routes are %s, so whether one enables the filter for %s is not known",
					d.in(host), of, c.path))
				continue
			}
			ruling := e.rule(host, c, func(route any) fit { return f.enabled(d.routes, host, route) })
			if ruling.doubt != "" {
				out = append(out, c.doubt("%s: %s", d.in(host), ruling.doubt))
			}
			switch ruled := f.enabled(d.routes, host, ruling.route); {
			case ruling.route == nil && f.byRoute:
				missing = append(missing, c.gap("%s: no route takes %s: its checks get 404", d.in(host), c.path))
			case ruled == no, ruled == some:
				out = append(out, c.gap("%s: %s", d.in(host), d.shuts(f, host, ruling.route, c.path)))
			default:
				enabled = true
				front = append(front, d.around(c, f, host, ruling.route)...)
			}
		}
		out = append(out, front...)
		out = append(out, e.ported(d, c, func(host, route any) fit { return f.enabled(d.routes, host, route) })...)
	}
	if !enabled {
		out = append(out, missing...)
	}
	return slices.CompactFunc(out, func(a, b Gap) bool { return a == b })
}

// guarded is where a plugin takes an endpoint's checks, and what is behind it.
type guarded struct {
	listeners   map[string]bool // that tell HTTP from all else
	addresses   map[string]bool
	application map[string]bool // its clusters, and their hosts
	chosen      bool            // its cluster is chosen for each request
}

func (e *Envoy) guarded(p *Plugin, c *check) guarded {
	g := guarded{map[string]bool{}, map[string]bool{}, map[string]bool{}, false}
	for i := range e.doors {
		d := &e.doors[i]
		f := d.filter(p)
		if f == nil {
			continue
		}
		g.listeners[d.listener] = g.listeners[d.listener] || len(d.protocols) > 0
		g.addresses[here(socketAddress(d.socket))] = true
		for _, host := range hosts(d.routes, c.endpoint.Hosts) {
			behind := []any{e.rule(host, c, func(route any) fit { return f.enabled(d.routes, host, route) }).route}
			if len(targets(behind[0])) == 0 { // the gate's route names none: others of the path may
				behind = slices.DeleteFunc(slices.Clone(list(host, "routes")),
					func(route any) bool { return e.routeFits(route, c).fit == no })
			}
			for _, route := range behind {
				g.chosen = g.chosen || object(route, "route") != nil && len(targets(route)) == 0
				for _, name := range targets(route) {
					for _, of := range e.members(name) {
						g.application[of] = true
					}
				}
			}
		}
	}
	return g
}

// unguarded returns where an endpoint's checks reach the same application without a plugin that takes them.
func (e *Envoy) unguarded(p *Plugin, c *check) (out []Gap) {
	g := e.guarded(p, c)
	for i := range e.doors {
		d := &e.doors[i]
		if d.filter(p) != nil || slices.ContainsFunc(d.filters, func(f filter) bool { return e.takes(f.plugin, c) }) {
			continue
		}
		without := "%s has no healthgate: checks of %s there get the answer of %s"
		if len(d.filters) > 0 {
			without = "%s has a healthgate that has answered no check since Envoy began, and asks for something else: " +
				"those checks of %s that it does not take get the answer of %s"
		}
		add := func(where string, route any, doubt string) {
			to, self := e.answers(route, c.path, g.application), e.loops(g, c, route)
			switch named := targets(route); {
			case self:
				out = append(out, c.doubt("%s leads checks of %s to a listener of this Envoy itself, where they come from Envoy's "+
					"own address, which %q does not trust", where, c.path, c.endpoint.Name))
			case to == "" && g.chosen && len(named) > 0:
				out = append(out, c.doubt(without+", which may be the one that healthgate's route chooses", where, c.path,
					fmt.Sprintf("the cluster %q", named[0])))
			case to == "":
			case doubt != "" || len(d.filters) > 0:
				out = append(out, c.doubt(without+"%s", where, c.path, to, doubt))
			default:
				out = append(out, c.gap(without, where, c.path, to))
			}
		}
		if d.tcp != nil {
			if !g.listeners[d.listener] && len(d.protocols) == 0 {
				add(d.where, d.tcp, "")
			}
			continue
		}
		const unread = "%s: healthgate is not there for all checks of %s, and the routes are %s: whether they lead to the " +
			"application is not known"
		if d.routes == nil && dump.At(d.manager, "scoped_routes") != nil {
			out = append(out, c.doubt(unread, d.where, c.path, "not in the configuration"))
		}
		told, direct := len(out), hosts(d.routes, c.endpoint.Hosts)
		for i, host := range append(direct, d.ported(c.endpoint.Hosts)...) {
			if of := d.unreadable(host); of != "" {
				out = append(out, c.doubt(unread, d.in(host), c.path, of))
				continue
			}
			for _, t := range e.takers(host, c) {
				switch {
				case i >= len(direct):
					add(d.in(host), t.route, ", if they bring a port in their Host")
				case t.fit == unknown:
					add(d.in(host), t.route, ", by a route with "+t.why)
				default:
					add(d.in(host), t.route, "")
				}
			}
		}
		out = append(out, e.inPlace(d, c, len(out) > told)...)
	}
	return out
}

// inPlace returns which filters answer checks where no plugin does, or may: those that name their path.
func (e *Envoy) inPlace(d *door, c *check, told bool) (out []Gap) {
	for i := range d.neighbours {
		n := &d.neighbours[i]
		made := !n.disabled
		for _, host := range hosts(d.routes, c.endpoint.Hosts) {
			for _, t := range e.takers(host, c) {
				made = made || enabled(n.name, false, d.routes, host, t.route) != no
			}
		}
		text, _ := json.Marshal(n.config) // it was JSON
		switch answers := n.mayAnswer(c); {
		case !made || answers.fit == no:
		case answers.fit != unknown:
			out = append(out, c.gap("%s: the filter %q answers checks of %s, and not healthgate", d.where, n.name, c.path))
		case told: // of the routes behind it
		case strings.HasSuffix(n.kind(), typeHealthCheck) || strings.Contains(string(text), c.path):
			out = append(out, c.doubt("%s: whether the filter %q answers checks of %s, and not healthgate, is not known: %s",
				d.where, n.name, c.path, answers.why))
		}
	}
	return out
}

// loops reports whether a route leads to a listener that healthgate guards, where Envoy's own address is not trusted.
func (e *Envoy) loops(g guarded, c *check, route any) bool {
	t := &c.endpoint.Trusted
	return t.Peer == config.PeerConnection && t.Set != nil && !t.Set.ContainsPeer("127.0.0.1:1", true) &&
		slices.ContainsFunc(targets(route), func(name string) bool {
			return slices.ContainsFunc(e.members(name), func(of string) bool { return of != "" && g.addresses[of] })
		})
}

// answers says who answers checks of a path by a route; "" if it is not the same application.
func (e *Envoy) answers(route any, path string, application map[string]bool) string {
	for _, name := range targets(route) {
		same := slices.ContainsFunc(e.members(name), func(of string) bool { return application[of] })
		if same || text(route, "match", "path") == path {
			return fmt.Sprintf("the cluster %q", name)
		}
	}
	if action := object(route, "route"); action != nil && len(targets(route)) == 0 {
		return "a cluster that its route chooses"
	}
	if status, is := dump.At(route, "direct_response", "status").(float64); is && status < 400 {
		return fmt.Sprintf("a route, %g", status)
	}
	return ""
}

// takes reports whether an endpoint of a plugin takes all checks: it asks for nothing more than theirs does, or it has
// answered those that are meant for it.
func (e *Envoy) takes(p *Plugin, c *check) bool {
	within := func(all, part []string) bool {
		return len(all) == 0 || len(part) > 0 &&
			!slices.ContainsFunc(part, func(s string) bool { return !slices.Contains(all, s) })
	}
	return slices.ContainsFunc(p.Config.Endpoints, func(o config.Endpoint) bool {
		return slices.Contains(o.Paths, c.path) && (e.Answered[o.Name] || within(o.Hosts, c.endpoint.Hosts) &&
			within(o.Methods, c.endpoint.Methods) && reflect.DeepEqual(o.Trusted, c.endpoint.Trusted) &&
			!slices.ContainsFunc(o.Headers, func(h config.HeaderMatcher) bool {
				return !slices.Contains(c.endpoint.Headers, h)
			}))
	})
}

func (d *door) filter(p *Plugin) *filter {
	i := slices.IndexFunc(d.filters, func(f filter) bool { return f.plugin == p })
	if i < 0 {
		return nil
	}
	return &d.filters[i]
}

// in says where a virtual host is.
func (d *door) in(host any) string {
	switch {
	case host == nil:
		return d.where + ", for a Host that no virtual host has"
	case len(list(d.routes, "virtual_hosts")) < 2:
		return d.where
	}
	return fmt.Sprintf("%s, virtual host %q", d.where, text(host, "name"))
}

// redirects reports whether a virtual host sends a check elsewhere before a route enables the filter.
func (d *door) redirects(f *filter, host any) bool {
	tls := text(host, "require_tls")
	return f.byRoute && !d.tls && tls != "" && tls != "NONE"
}

// unreadable says what the routes of a virtual host are, where this command can't tell which one takes a check.
func (d *door) unreadable(host any) string {
	switch {
	case object(host, "matcher") != nil:
		return "a matcher"
	case dump.At(d.routes, twice) == true:
		return "there twice, by one name from two sources"
	case text(d.routes, "vhost_header") != "":
		return "chosen by a header of their own (vhost_header)"
	case object(d.routes, "vhds") != nil:
		return "discovered when they are needed (vhds)"
	}
	return ""
}

// enabled says for how many of the requests that a route takes the filter is made.
func (f *filter) enabled(routes, host, route any) fit {
	return enabled(f.name, !f.byRoute, routes, host, route)
}

// enabled says for how many of the requests that a route takes a filter is made: what is nearest to it decides, a
// weighted cluster for its part; otherwise whether it is made where nothing says so.
func enabled(name string, otherwise bool, routes, host, route any) fit {
	parts := list(route, "route", "weighted_clusters", "clusters")
	if len(parts) == 0 {
		parts = []any{nil}
	}
	var kinds []judged
	for _, part := range parts {
		kind := fitIf(otherwise)
		for _, v := range []any{part, route, host, routes} {
			if own := object(v, "typed_per_filter_config", name); own != nil {
				kind = fitIf(own["disabled"] != true)
				if is(own, typePerRoute) {
					kind = notKnown("a matcher of its own")
				}
				break
			}
		}
		kinds = append(kinds, kind)
	}
	return alike(kinds).fit
}

// shuts says that nothing enables a filter for a path, and which name may stand in the place of the filter's.
func (d *door) shuts(f *filter, host, route any, path string) string {
	what := fmt.Sprintf("no route enables the filter for %s: its checks reach the application", path)
	if route != nil && len(targets(route)) == 0 {
		what = fmt.Sprintf("no route enables the filter for %s: another route answers its checks", path)
	}
	for _, v := range []any{route, host, d.routes} {
		for name := range object(v, "typed_per_filter_config") {
			if !slices.Contains(d.names, name) {
				return what + fmt.Sprintf("; the filter's name is %q, and typed_per_filter_config has %q", f.name, name)
			}
		}
	}
	return what
}

func socketAddress(listener any) string {
	host := text(listener, "address", "socket_address", "address")
	port, _ := dump.At(listener, "address", "socket_address", "port_value").(float64)
	if host == "" || port == 0 {
		return ""
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// here returns an address on which a machine reaches itself in one form: any of them leads to a listener on all.
func here(address string) string {
	of, err := netip.ParseAddrPort(address)
	if ip := of.Addr().Unmap(); err == nil && (ip.IsUnspecified() || ip.IsLoopback()) {
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(int(of.Port())))
	}
	return address
}
