package reach

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/healthgate/healthgate/envoy/internal/dump"
	"github.com/healthgate/healthgate/filter/config"
)

// Gap is a way for an endpoint's checks past the plugin.
type Gap struct {
	Endpoint string
	What     string
	Doubt    bool // it may be one: this command does not know
	// Refusal is a doubt whether checks get an answer that is a success: in maintenance they are to fail all the same.
	Refusal bool
	// Stale is a doubt that a check which is answered now may take away.
	Stale bool
}

func (c *check) gap(format string, args ...any) Gap {
	return Gap{Endpoint: c.endpoint.Name, What: fmt.Sprintf(format, args...)}
}

func (c *check) doubt(format string, args ...any) Gap {
	return Gap{Endpoint: c.endpoint.Name, What: "not for sure: " + fmt.Sprintf(format, args...), Doubt: true}
}

// unless doubts what is not proved, for the reason at the end.
func (c *check) unless(why unproved, format string, args ...any) Gap {
	out := c.doubt(format+"%s", append(args, why.text)...)
	out.Stale = why.stale
	return out
}

// refusal doubts that what is healthy gets a success, whether or not the plugin has counted a check.
func (c *check) refusal(format string, args ...any) Gap {
	out := c.doubt(format, args...)
	out.Refusal = true
	return out
}

// Unrefused leaves out what is no harm where checks are to fail.
func Unrefused(gaps []Gap) []Gap {
	return slices.DeleteFunc(gaps, func(g Gap) bool { return g.Refusal })
}

// Gaps returns the ways past the plugins, and those that may be some. A listener or filter chain without a plugin is
// a gap where it leads to the same application: a listener for something else does not count.
func (e *Envoy) Gaps() (out []Gap) {
	e.eachPath(func(p *Plugin, c *check) { out = append(out, e.past(p, c)...) })
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
	for _, d := range e.doors {
		c, f := d.instances(p, c)
		if len(f) == 0 {
			continue
		}
		out = append(append(out, e.disturbed(d, p, c)...), e.kept(d, p, c)...)
		switch name := text(d.manager, "rds", "route_config_name"); {
		case d.routes != nil, name != "" && e.Begun != "" && !f.byRoute():
		case name != "" && e.Begun != "":
			out = append(out, c.gap("%s: its routes %q have not come by RDS, or were refused, as "+
				"http.….rds.….update_rejected counts: checks of %s get 404", d.where, name, c.path))
			continue
		default:
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
			case ruling.route == nil && f.byRoute():
				missing = append(missing, c.gap("%s: no route takes %s: its checks get 404", d.in(host), c.path))
			case ruled == no, ruled == some:
				out = append(out, c.gap("%s: %s", d.in(host), d.shuts(f, host, ruling.route, c.path)))
			default:
				enabled = true
				front = append(front, e.around(d, c, f.at(d.routes, host, ruling.route), host, ruling.route)...)
			}
		}
		out = append(out, front...)
		out = append(out, e.ported(d, c, func(host, route any) fit { return f.enabled(d.routes, host, route) })...)
	}
	if !enabled {
		return append(out, missing...)
	}
	return slices.CompactFunc(out, func(a, b Gap) bool { return a == b })
}

// has reports whether a plugin stands in a way in.
func (d *door) has(p *Plugin) bool {
	return slices.ContainsFunc(d.filters, func(f *filter) bool { return f.plugin == p })
}

func (p *Plugin) takesPath(path string) bool {
	return slices.ContainsFunc(p.Config.Endpoints, func(o config.Endpoint) bool { return slices.Contains(o.Paths, path) })
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
func (d *door) redirects(f instances, host any) bool {
	tls := text(host, "require_tls")
	return f.byRoute() && !d.tls && tls != "" && tls != "NONE"
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
	case d.routes != nil && foreign(d.routes, "RouteConfiguration") != "":
		return "chosen by their " + foreign(d.routes, "RouteConfiguration")
	case host != nil && foreign(host, "VirtualHost") != "":
		return "chosen by their " + foreign(host, "VirtualHost")
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
func (d *door) shuts(f instances, host, route any, path string) string {
	what := fmt.Sprintf("no route enables the filter for %s: its checks reach the application", path)
	switch {
	case slices.ContainsFunc(d.filters, func(o *filter) bool {
		return o.plugin != f[0].plugin && o.enabled(d.routes, host, route) != no && o.plugin.takesPath(path)
	}):
		what = fmt.Sprintf("no route enables the filter for %s: another healthgate takes its checks", path)
	case route != nil && len(targets(route)) == 0:
		what = fmt.Sprintf("no route enables the filter for %s: another route answers its checks", path)
	}
	for _, v := range []any{route, host, d.routes} {
		for name := range object(v, "typed_per_filter_config") {
			if !slices.Contains(d.names, name) {
				return what + fmt.Sprintf("; the filter's name is %q, and typed_per_filter_config has %q", f[0].name, name)
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
func (e *Envoy) here(address string) string {
	of, err := netip.ParseAddrPort(address)
	ip := of.Addr().Unmap()
	if err == nil && (ip.IsUnspecified() || ip.IsLoopback() || slices.Contains(e.Own, ip)) {
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(int(of.Port())))
	}
	return address
}
