package reach

import (
	"cmp"
	"fmt"
	"net"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/dump"
)

// taker is a route that takes checks, or may take some.
type taker struct {
	route any
	judged
}

// takers returns the routes of a virtual host that take checks, up to the first one that takes all.
func (e *Envoy) takers(host any, c *check) (out []taker) {
	if domains := exact(host); len(c.endpoint.Hosts) == 0 && len(domains) > 0 {
		within := *c.endpoint
		within.Hosts = domains
		c = &check{&within, c.path, c.on, true, c.set}
	}
	for _, route := range list(host, "routes") {
		switch fits := e.routeFits(route, c); fits.fit {
		case yes:
			return append(out, taker{route, fits})
		case some, unknown:
			out = append(out, taker{route, fits})
		case no:
		}
	}
	return out
}

// exact returns the domains of a virtual host; none where one has a wildcard.
func exact(host any) (out []string) {
	for _, d := range list(host, "domains") {
		domain, _ := d.(string)
		if strings.Contains(domain, "*") {
			return nil
		}
		out = append(out, strings.ToLower(domain))
	}
	return out
}

// ruling is which route decides what becomes of checks.
type ruling struct {
	route any    // nil when none takes them
	doubt string // why that is not for sure
}

// rule finds the route that decides what becomes of checks, where pleases says how many of the requests that a route
// takes get what they should. It is the first one that does not please, of those that take a part of the checks for
// certain, or else the one that takes all.
func (e *Envoy) rule(host any, c *check, pleases func(route any) fit) (out ruling) {
	var maybe *taker // pleases, and may take all
	for _, t := range e.takers(host, c) {
		pleased := pleases(t.route)
		if pleased == unknown && t.fit != unknown {
			out.doubt = cmp.Or(out.doubt, fmt.Sprintf("a route of %s has a matcher of its own for the filter", c.path))
			pleased = yes
		}
		switch {
		case t.fit == unknown && pleased == yes:
			maybe = &t
		case t.fit == unknown:
			out.doubt = cmp.Or(out.doubt,
				fmt.Sprintf("whether an earlier route takes checks of %s is not known: %s", c.path, t.why))
		case t.fit == yes && pleased != yes && maybe != nil:
			return ruling{maybe.route,
				fmt.Sprintf("whether the route that enables the filter takes the checks of %s is not known: %s",
					c.path, maybe.why)}
		case t.fit == yes, pleased != yes:
			out.route = t.route
			return out
		}
	}
	if maybe != nil { // what it does not take gets 404
		out.route = maybe.route
	}
	return out
}

// hosts returns the virtual hosts that a request for one of these hosts reaches. Without hosts it may come for any. A
// nil among them says that it may reach none.
func hosts(routes any, wanted []string) (out []any) {
	if all := list(routes, "virtual_hosts"); len(wanted) == 0 {
		if hostOf(routes, "") == nil {
			return append([]any{nil}, all...)
		}
		return all
	}
	taken := map[string]bool{}
	for _, host := range wanted {
		h := hostOf(routes, host)
		if name := text(h, "name"); !taken[name] {
			taken[name] = true
			out = append(out, h)
		}
	}
	return out
}

// hostOf returns the virtual host that a request for a host reaches; nil for none.
func hostOf(routes any, host string) (best any) {
	length := -1
	for _, h := range list(routes, "virtual_hosts") {
		for _, d := range list(h, "domains") {
			domain, _ := d.(string)
			if n := domainFits(strings.ToLower(domain), host); n > length {
				best, length = h, n
			}
		}
	}
	return best
}

// hasPort reports whether a Host has a port, which may be a wildcard in a domain.
func hasPort(host string) bool {
	return strings.LastIndexByte(host, ':') > strings.LastIndexByte(host, ']')
}

// ported returns the other virtual hosts that a request for one of these hosts reaches when it brings a port, as many
// clients do: the listener's, or one that a domain has. A host without a port is any for the plugin.
func (d *door) ported(wanted []string) (out []any) {
	if dump.At(d.routes, "ignore_port_in_host_matching") == true || dump.At(d.manager, "strip_any_host_port") == true {
		return nil
	}
	_, own, _ := net.SplitHostPort(socketAddress(d.socket))
	ports := []string{own}
	if dump.At(d.manager, "strip_matching_host_port") == true || own == map[bool]string{false: "80", true: "443"}[d.tls] {
		ports = nil // clients leave out the port that their scheme has
	}
	for _, h := range list(d.routes, "virtual_hosts") {
		for _, domain := range list(h, "domains") {
			name, _ := domain.(string)
			if port := name[strings.LastIndexByte(name, ':')+1:]; hasPort(name) && port != "*" &&
				(port != own || dump.At(d.manager, "strip_matching_host_port") != true) {
				ports = append(ports, port)
			}
		}
	}
	seen := map[string]bool{"": true} // a Host that no virtual host has gets 404
	for _, h := range hosts(d.routes, wanted) {
		seen[text(h, "name")] = true
	}
	for _, host := range wanted {
		for _, port := range ports {
			h := hostOf(d.routes, host+":"+port)
			if name := text(h, "name"); !hasPort(host) && !seen[name] {
				seen[name] = true
				out = append(out, h)
			}
		}
	}
	return out
}

// ported says where checks do not get what pleases when they bring a port in their Host.
func (e *Envoy) ported(d *door, c *check, pleases func(host, route any) fit) (out []Gap) {
	for _, host := range d.ported(c.endpoint.Hosts) {
		ruling := e.rule(host, c, func(route any) fit { return pleases(host, route) })
		if ruling.route != nil && (ruling.doubt != "" || pleases(host, ruling.route) != yes) {
			out = append(out, c.doubt("%s takes checks of %s that bring a port in their Host, and leads them past healthgate; "+
				"with ignore_port_in_host_matching a port does not count", d.in(host), c.path))
		}
	}
	return out
}

// domainFits returns how well a virtual host's domain fits a host, in Envoy's order: the whole name, the longest
// suffix, the longest prefix, any; -1 when it does not.
func domainFits(domain, host string) int {
	const exact, suffix, prefix = 1 << 20, 1 << 18, 1 << 16
	switch {
	case domain == "*", strings.HasPrefix(domain, "*:") && !hasPort(host):
		return 0
	case strings.HasPrefix(domain, "*"):
		if len(host) >= len(domain) && strings.HasSuffix(host, domain[1:]) {
			return suffix + len(domain)
		}
	case strings.HasSuffix(domain, "*"):
		if start := strings.TrimSuffix(domain, "*"); len(host) > len(start) && strings.HasPrefix(host, start) {
			return prefix + len(domain)
		}
	default:
		if name, _, _ := strings.Cut(domain, ":"); domain == host || name == host && !hasPort(host) {
			return exact
		}
	}
	return -1
}
