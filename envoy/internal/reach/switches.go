package reach

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/healthgate/healthgate/envoy/internal/dump"
	"github.com/healthgate/healthgate/filter/config"
	"go.yaml.in/yaml/v3"
)

// Readers returns the endpoints that a maintenance key switches.
func (e *Envoy) Readers(key string) (out []string) {
	for _, p := range e.Plugins {
		for i := range p.Config.Endpoints {
			if endpoint := &p.Config.Endpoints[i]; p.Reads(endpoint, key) && !slices.Contains(out, endpoint.Name) {
				out = append(out, endpoint.Name)
			}
		}
	}
	return out
}

// Reads reports whether a key switches an endpoint of the plugin.
func (p *Plugin) Reads(endpoint *config.Endpoint, key string) bool {
	return slices.ContainsFunc(endpoint.Maintenance.Keys, func(k int) bool { return p.Config.Keys[k] == key })
}

// KeyGaps returns the ways of checks past the maintenance that a key switches, and those that may be some: past the
// plugin, and an endpoint that has the same path and not the key.
func (e *Envoy) KeyGaps(key string) (out []Gap) {
	switches := func(p *Plugin, c *check) bool { return p.Reads(c.endpoint, key) }
	e.eachPath(func(p *Plugin, c *check) {
		if switches(p, c) {
			out = append(out, e.past(p, c)...)
		}
	})
	return append(Unrefused(out), e.beside(switches, "the key "+key)...)
}

// beside returns the endpoints that may take checks of one that is switched, and are not switched themselves.
func (e *Envoy) beside(switches func(p *Plugin, c *check) bool, what string) (out []Gap) {
	e.eachPath(func(p *Plugin, c *check) {
		takes := false
		e.eachPath(func(of *Plugin, o *check) {
			takes = takes || o.path == c.path && !apart(c.endpoint.Hosts, o.endpoint.Hosts) &&
				!apart(c.endpoint.Methods, o.endpoint.Methods) && switches(of, o)
		})
		if takes && !switches(p, c) {
			out = append(out, c.gap("%sendpoint %q has %s, and not %s", p.where(), c.endpoint.Name, c.path, what))
		}
	})
	return out
}

// apart reports whether nothing is in both of two lists, of which an empty one means anything.
func apart(a, b []string) bool {
	return len(a) > 0 && len(b) > 0 && !slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

// where names the listeners of a plugin.
func (p *Plugin) where() (out string) {
	for _, place := range p.Places {
		out += fmt.Sprintf("listener %q, ", nameOf(place.Listener))
	}
	return out
}

// Keys returns the maintenance keys that endpoints have.
func (e *Envoy) Keys() (out []string) {
	for _, p := range e.Plugins {
		for _, key := range p.Config.Keys {
			if !slices.Contains(out, key) {
				out = append(out, key)
			}
		}
	}
	return out
}

// Route is a maintenance route: it puts the health checks of a path under maintenance while its runtime_fraction
// selects it.
type Route struct {
	Key       string
	Path      string  // empty for a route that takes more than one path
	Otherwise float64 // which part it takes without a runtime value, from 0 to 1
}

// switchOf returns what a maintenance route is; false for another route.
func switchOf(route any) (Route, bool) {
	on, _ := dump.At(route, "metadata", "filter_metadata", "healthgate", "maintenance").(bool)
	fraction := object(route, "match", "runtime_fraction")
	key := text(fraction, "runtime_key")
	numerator, _ := dump.At(fraction, "default_value", "numerator").(float64)
	otherwise := share(numerator, text(fraction, "default_value", "denominator"))
	return Route{key, text(route, "match", "path"), otherwise}, on && key != ""
}

// Routes returns the maintenance routes in the ways into the application that have a plugin.
func (e *Envoy) Routes() (out []Route) {
	for _, d := range e.doors {
		if len(d.filters) == 0 {
			continue
		}
		for _, host := range list(d.routes, "virtual_hosts") {
			for _, route := range list(host, "routes") {
				if r, is := switchOf(route); is && !slices.Contains(out, r) {
					out = append(out, r)
				}
			}
		}
	}
	return out
}

// Share returns which part of the requests a route takes when its key has a value, from 0 to 1. A number is a
// percentage, whatever denominator the route's default_value has; a FractionalPercent brings its own; all else is
// ignored.
func (r *Route) Share(value string) float64 {
	if n, err := strconv.ParseFloat(value, 64); err == nil && n >= 0 {
		return share(math.Floor(n), "")
	}
	var percent *struct {
		Numerator   float64
		Denominator string
	}
	if err := yaml.Unmarshal([]byte(value), &percent); err != nil || percent == nil {
		return r.Otherwise
	}
	return share(percent.Numerator, percent.Denominator)
}

// share is what a FractionalPercent of Envoy's is, from 0 to 1.
func share(numerator float64, denominator string) float64 {
	return min(numerator/max(map[string]float64{"TEN_THOUSAND": 1e4, "MILLION": 1e6}[denominator], 100), 1)
}

// RouteKeys returns the keys of maintenance routes.
func (e *Envoy) RouteKeys() (out []string) {
	for _, r := range e.Routes() {
		if !slices.Contains(out, r.Key) {
			out = append(out, r.Key)
		}
	}
	return out
}

// RouteTouched returns the endpoints of which a route's key puts some checks at least under maintenance.
func (e *Envoy) RouteTouched(key, value string) []string {
	return e.routed(key, func(r *Route) bool { return r.Share(value) > 0 })
}

// RouteReaders returns the endpoints that a route's key puts under maintenance, wherever it does, when it has a value.
func (e *Envoy) RouteReaders(key, value string) []string {
	return e.routed(key, func(r *Route) bool { return r.Share(value) == 1 })
}

func (e *Envoy) routed(key string, takes func(*Route) bool) (out []string) {
	e.switched(key, func(_ *Plugin, c *check, route *Route, _ string) {
		if route != nil && takes(route) && !slices.Contains(out, c.endpoint.Name) {
			out = append(out, c.endpoint.Name)
		}
	})
	return out
}

// RouteGaps returns the ways of checks past the maintenance that a route's key switches, when it has a value, and
// those that may be some: past the plugin, a virtual host without the route, a route that comes too late or takes
// only a part.
func (e *Envoy) RouteGaps(key, value string) (out []Gap) {
	doubts := e.switched(key, func(_ *Plugin, c *check, route *Route, where string) {
		switch {
		case !e.meant(c):
		case route == nil:
			out = append(out, c.gap("%s: no maintenance route of %s takes the checks of %s", where, key, c.path))
		case route.Share(value) < 1:
			out = append(out,
				c.gap("%s: %s = %s puts only %g%% of the checks of %s under maintenance; 100 is all", where, key, value,
					100*route.Share(value), c.path))
		}
	})
	out = append(out, doubts...)
	e.eachPath(func(p *Plugin, c *check) {
		if c.on = key; c.endpoint.Maintenance.RouteMetadata && e.meant(c) {
			out = append(out, e.unguarded(p, c)...)
		}
	})
	return Unrefused(out)
}

// RouteBeside returns the endpoints that may take checks of one that a route's key switches, and do not see the route.
func (e *Envoy) RouteBeside(key string) []Gap {
	return e.beside(func(_ *Plugin, c *check) bool {
		c.on = key
		return c.endpoint.Maintenance.RouteMetadata && e.meant(c)
	}, "route_metadata: true")
}

// meant reports whether a maintenance route of the key that is on is there for a check, wherever it stands.
func (e *Envoy) meant(c *check) bool {
	for _, d := range e.doors {
		for _, host := range list(d.routes, "virtual_hosts") {
			for _, route := range list(host, "routes") {
				if r, is := switchOf(route); is && r.Key == c.on && e.routeFits(route, c).fit != no {
					return true
				}
			}
		}
	}
	return false
}

// switched visits each way into the application by which a plugin's endpoint can be put under maintenance by route,
// with the route that does when the key is on; nil where none does. It returns what is not for sure of it.
func (e *Envoy) switched(key string, visit func(p *Plugin, c *check, route *Route, where string)) (doubts []Gap) {
	e.eachPath(func(p *Plugin, c *check) {
		if c.on = key; !c.endpoint.Maintenance.RouteMetadata {
			return
		}
		var found []Gap
		for _, d := range e.doors {
			c, f := d.instances(p, c)
			if len(f) == 0 {
				continue
			}
			found = append(append(found, e.disturbed(d, p, c)...), e.kept(d, p, c)...)
			admits := f.admits(c)
			if admits.fit == unknown {
				found = append(found, d.mayShut(c, admits))
			}
			by := func(host, route any) fit {
				if r, is := switchOf(route); !is || r.Key != key || d.redirects(f, host) ||
					admits.fit == no || admits.fit == some {
					return no
				}
				return f.enabled(d.routes, host, route)
			}
			found = append(found, e.ported(d, c, by)...)
			for _, host := range hosts(d.routes, c.endpoint.Hosts) {
				if of := d.unreadable(host); of != "" {
					found = append(found, c.doubt("%s: its routes are %s, so whether one is a maintenance route of %s is not known",
						d.in(host), of, c.path))
				}
				on := func(route any) fit { return by(host, route) }
				ruling := e.rule(host, c, on)
				if ruling.doubt != "" {
					found = append(found, c.doubt("%s: %s", d.in(host), ruling.doubt))
				}
				switch r, _ := switchOf(ruling.route); {
				case on(ruling.route) != no:
					visit(p, c, &r, d.in(host))
					found = append(found, e.around(d, c, f.at(d.routes, host, ruling.route), host, ruling.route)...)
				case ruling.route != nil || f.enabled(d.routes, nil, nil) != no: // else it gets 404
					visit(p, c, nil, d.in(host))
				}
			}
		}
		if len(found) > 0 && e.meant(c) {
			doubts = append(doubts, found...)
		}
	})
	return doubts
}
