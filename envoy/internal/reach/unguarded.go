package reach

import (
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/dump"
	"github.com/healthgate/healthgate/filter/config"
)

// guarded is where a plugin takes an endpoint's checks, and what is behind it.
type guarded struct {
	sniffed     map[string]bool // listeners that know plain HTTP/1.1 by its first bytes, and have the plugin for it
	addresses   map[string]bool
	application map[string]bool // its clusters, and their hosts
	chosen      bool            // its cluster is chosen for each request
}

func (e *Envoy) guarded(p *Plugin, c *check) guarded {
	g := guarded{map[string]bool{}, map[string]bool{}, map[string]bool{}, false}
	for _, d := range e.doors {
		c, f := d.instances(p, c)
		if len(f) == 0 {
			continue
		}
		g.sniffed[d.listener] = g.sniffed[d.listener] || !d.tls && slices.Contains(d.protocols(), any("http/1.1"))
		g.addresses[e.here(socketAddress(d.socket))] = true
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
	for _, d := range e.doors {
		c := d.sees(c)
		if d.has(p) || e.takenAt(d, c) {
			continue
		}
		if d.unseen != "" {
			out = append(out, c.doubt("%s has %s, which this command does not know: where checks of %s are led there is not "+
				"known", d.where, d.unseen, c.path))
			continue
		}
		if d.tcp != nil {
			out = append(out, e.byTCP(d, c, g)...)
			continue
		}
		told := e.byRoutes(d, c, g)
		out = append(append(out, told...), e.inPlace(d, c, len(told) > 0)...)
	}
	return out
}

// protocols returns the ALPN protocols that the filter chain is for.
func (d *door) protocols() []any { return list(d.chain, "filter_chain_match", "application_protocols") }

// byTCP returns whether a TCP proxy leads checks past the plugin. Where a listener tells HTTP from all else, its TCP
// proxies get no check, but for one by TLS that names no protocol, as few load balancers do. A mesh's certificate no
// load balancer has.
func (e *Envoy) byTCP(d *door, c *check, g guarded) []Gap {
	switch {
	case len(d.protocols()) > 0 || g.sniffed[d.listener] && (!d.tls || d.mutual):
		return nil
	case d.elsewhere:
		return []Gap{c.doubt("%s has no healthgate, and its cluster is chosen for each connection, by the filter state %s: "+
			"whether that is where checks of %s go is not known", d.where, tcpCluster, c.path)}
	}
	return e.leads(d, c, g, d.where, d.tcp, "")
}

// byRoutes returns which routes lead checks past the plugin.
func (e *Envoy) byRoutes(d *door, c *check, g guarded) (out []Gap) {
	const unread = "%s: healthgate is not there for all checks of %s, and the routes are %s: whether they lead to the " +
		"application is not known"
	if d.routes == nil && dump.At(d.manager, "scoped_routes") != nil {
		out = append(out, c.doubt(unread, d.where, c.path, "not in the configuration"))
	}
	direct := hosts(d.routes, c.endpoint.Hosts)
	for i, host := range append(direct, d.ported(c.endpoint.Hosts)...) {
		if of := d.unreadable(host); of != "" {
			out = append(out, c.doubt(unread, d.in(host), c.path, of))
			continue
		}
		if redirects := text(host, "require_tls"); !d.tls && redirects != "" && redirects != "NONE" {
			if out = append(out, e.redirected(c, d.in(host))...); redirects == "ALL" {
				continue
			}
		}
		for _, t := range e.takers(host, c) {
			doubt := ""
			switch {
			case i >= len(direct):
				doubt = ", if they bring a port in their Host"
			case t.fit == unknown:
				doubt = ", by a route with " + t.why
			}
			out = append(out, e.leads(d, c, g, d.in(host), t.route, doubt)...)
		}
	}
	return out
}

// leads says where a route, or a TCP proxy, leads checks that pass by the plugin; nothing where that is not the same
// application. A doubt says what is not known of it.
func (e *Envoy) leads(d *door, c *check, g guarded, where string, route any, doubt string) []Gap {
	without := "%s has no healthgate: checks of %s there get the answer of %s"
	if len(d.filters) > 0 {
		without = "%s has a healthgate that asks for something else, and is not known to have answered a check: " +
			"those checks of %s that it does not take get the answer of %s"
	}
	to, named := e.answers(route, c.path, g.application), targets(route)
	switch {
	case e.loops(g, c, route):
		return []Gap{c.doubt("%s leads checks of %s to a listener of this Envoy itself, where they come from Envoy's "+
			"own address, which %q does not trust", where, c.path, c.endpoint.Name)}
	case to == "" && len(named) > 0 && (g.chosen || e.choosesHost(route)):
		which := "which may be the one that healthgate's route chooses"
		if !g.chosen {
			which = "whose host is chosen for each request and may be the application's"
		}
		return []Gap{c.doubt(without+", "+which, where, c.path, fmt.Sprintf("the cluster %q", named[0]))}
	case to == "" && dump.At(route, "route", "internal_redirect_policy") != nil:
		return []Gap{c.doubt(without+", unless it redirects them, which internal_redirect_policy follows", where, c.path,
			fmt.Sprintf("the cluster %q", named[0]))}
	case to == "" && object(route, "redirect") != nil:
		return e.redirected(c, where)
	case to == "":
		return nil
	case doubt != "" || len(d.filters) > 0:
		return []Gap{c.doubt(without+"%s", where, c.path, to, doubt)}
	}
	return []Gap{c.gap(without, where, c.path, to)}
}

// redirected doubts that checks come to a plugin, where there is a redirect: some load balancers take one for healthy.
func (e *Envoy) redirected(c *check, where string) []Gap {
	no := e.unanswered(c.endpoint.Name)
	if no.text == "" {
		return nil
	}
	return []Gap{c.unless(unproved{stale: no.stale}, "%s has no healthgate, and redirects checks of %s, which some load "+
		"balancers take for healthy; endpoint %q is not known to have answered one", where, c.path, c.endpoint.Name)}
}

// inPlace returns which filters answer checks where no plugin does, or may. Those that only refuse, or lead to a login,
// don't count: what they let pass is told by the routes.
func (e *Envoy) inPlace(d *door, c *check, told bool) (out []Gap) {
	for _, n := range d.neighbours {
		made := !n.disabled
		for _, host := range hosts(d.routes, c.endpoint.Hosts) {
			for _, t := range e.takers(host, c) {
				made = made || enabled(n.name, false, d.routes, host, t.route) != no
			}
		}
		switch answers := n.mayAnswer(c); {
		case !made || answers.fit == no:
		case answers.fit != unknown:
			out = append(out, c.gap("%s: the filter %q answers checks of %s, and not healthgate", d.where, n.name, c.path))
		case told: // of the routes behind it
		case !n.onlyRequests() || n.short() == "health_check":
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
		if same || isFor(route, path) {
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

// isFor reports whether a route that takes a path is for that path, and not for all that lies beside it, too.
func isFor(route any, of string) bool {
	beside := path.Dir(of) + "/zzz"
	if strings.HasPrefix(path.Base(of), "z") {
		beside = path.Dir(of) + "/xxx"
	}
	beside = strings.Replace(beside, "//", "/", 1)
	match := object(route, "match")
	for kind := range match {
		switch kind {
		case "path", "prefix", "path_separated_prefix", "safe_regex", "path_match_policy":
			return pathFits(match, kind, of).fit != no && pathFits(match, kind, beside).fit == no
		}
	}
	return false
}

// takenAt reports whether a plugin takes all checks at a way in.
func (e *Envoy) takenAt(d *door, c *check) bool {
	return slices.ContainsFunc(d.filters, func(f *filter) bool { return e.takes(f.plugin, c) })
}

// takes reports whether an endpoint of a plugin takes all checks: it asks for nothing more than theirs does, or it has
// answered those that are meant for it.
func (e *Envoy) takes(p *Plugin, c *check) bool {
	within := func(all, part []string) bool {
		return len(all) == 0 || len(part) > 0 &&
			!slices.ContainsFunc(part, func(s string) bool { return !slices.Contains(all, s) })
	}
	return slices.ContainsFunc(p.Config.Endpoints, func(o config.Endpoint) bool {
		return slices.Contains(o.Paths, c.path) && (e.answered(o.Name) || within(o.Hosts, c.endpoint.Hosts) &&
			within(o.Methods, c.endpoint.Methods) && reflect.DeepEqual(o.Trusted, c.endpoint.Trusted) &&
			!slices.ContainsFunc(o.Headers, func(h config.HeaderMatcher) bool {
				return !slices.Contains(c.endpoint.Headers, h)
			}))
	})
}

// answered reports whether an endpoint, as it is now, has answered a check for sure.
func (e *Envoy) answered(endpoint string) bool { return e.unanswered(endpoint).text == "" }
