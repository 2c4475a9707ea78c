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

// KeyGaps returns the ways of checks past the maintenance that a key switches: those past the plugin, and an endpoint of
// another plugin that has the same path and not the key.
func (e *Envoy) KeyGaps(key string) (out []Gap) {
	switched := map[string][]*config.Endpoint{} // by path
	e.eachPath(func(p *Plugin, endpoint *config.Endpoint, path string) {
		if p.Reads(endpoint, key) {
			switched[path] = append(switched[path], endpoint)
			for _, what := range append(e.shut(p, endpoint, path), e.unguarded(p, endpoint, path)...) {
				out = append(out, Gap{endpoint.Name, what})
			}
		}
	})
	e.eachPath(func(p *Plugin, endpoint *config.Endpoint, path string) {
		shares := func(other *config.Endpoint) bool {
			return !apart(endpoint.Hosts, other.Hosts) && !apart(endpoint.Methods, other.Methods)
		}
		if slices.ContainsFunc(switched[path], shares) && endpoint.Kind == config.KindHealthCheck && !p.Reads(endpoint, key) {
			out = append(out, Gap{endpoint.Name, fmt.Sprintf("%sendpoint %q has %s, and not the key %s", p.where(), endpoint.Name, path, key)})
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
		out += fmt.Sprintf("listener %q, ", text(place.Listener, "name"))
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
	Path      string  // empty for one that takes more than one path
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

// Share returns which part of the requests a route takes when its key has a value, from 0 to 1. A number is a percentage,
// whatever denominator the route's default_value has; a FractionalPercent brings its own; all else is ignored.
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

// RouteReaders returns the endpoints that a route's key puts under maintenance, wherever it does, when it has a value.
func (e *Envoy) RouteReaders(key, value string) (out []string) {
	e.switched(key, func(_ *Plugin, endpoint *config.Endpoint, _ string, route *Route, _ string) {
		if route != nil && route.Share(value) == 1 && !slices.Contains(out, endpoint.Name) {
			out = append(out, endpoint.Name)
		}
	})
	return out
}

// RouteGaps returns the ways of checks past the maintenance that a route's key switches, when it has a value: past the
// plugin, a virtual host without the route, a route that comes too late or takes only a part.
func (e *Envoy) RouteGaps(key, value string) (out []Gap) {
	e.switched(key, func(_ *Plugin, endpoint *config.Endpoint, path string, route *Route, where string) {
		switch {
		case !e.meant(key, path):
		case route == nil:
			out = append(out, Gap{endpoint.Name, fmt.Sprintf("%s: no maintenance route of %s takes the checks of %s", where, key, path)})
		case route.Share(value) < 1:
			out = append(out, Gap{endpoint.Name, fmt.Sprintf("%s: %s = %s puts only %g%% of the checks of %s under maintenance; 100 is all",
				where, key, value, 100*route.Share(value), path)})
		}
	})
	e.eachPath(func(p *Plugin, endpoint *config.Endpoint, path string) {
		if endpoint.Maintenance.RouteMetadata && e.meant(key, path) {
			for _, what := range e.unguarded(p, endpoint, path) {
				out = append(out, Gap{endpoint.Name, what})
			}
		}
	})
	return out
}

// meant reports whether a maintenance route of a key is there for a path, wherever it stands.
func (e *Envoy) meant(key, path string) bool {
	for _, d := range e.doors {
		for _, host := range list(d.routes, "virtual_hosts") {
			for _, route := range list(host, "routes") {
				if r, is := switchOf(route); is && r.Key == key && fits(route, path, key) != no {
					return true
				}
			}
		}
	}
	return false
}

// switched visits each way into the application by which a plugin's endpoint can be put under maintenance by route, with the
// route that does when the key is on; nil where none does.
func (e *Envoy) switched(key string, visit func(p *Plugin, endpoint *config.Endpoint, path string, route *Route, where string)) {
	e.eachPath(func(p *Plugin, endpoint *config.Endpoint, path string) {
		if !endpoint.Maintenance.RouteMetadata {
			return
		}
		for _, d := range e.doors {
			f := d.filter(p)
			if f == nil {
				continue
			}
			for _, host := range hosts(d.routes, endpoint.Hosts) {
				on := func(route any) bool {
					r, is := switchOf(route)
					return is && r.Key == key && !d.redirects(f, host) && f.matches(path) && f.enabled(d.routes, host, route)
				}
				route := choose(host, endpoint, path, key, on)
				switch r, _ := switchOf(route); {
				case on(route):
					visit(p, endpoint, path, &r, d.in(host))
				case route != nil || f.enabled(d.routes, nil, nil): // else it gets 404
					visit(p, endpoint, path, nil, d.in(host))
				}
			}
		}
	})
}
