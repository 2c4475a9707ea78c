package reach

import (
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/healthgate/healthgate/envoy/internal/dump"
	"github.com/healthgate/healthgate/filter/config"
)

// Gap is a way for an endpoint's checks past the plugin.
type Gap struct {
	Endpoint string
	What     string
}

// Gaps returns the ways past the plugins. A listener or filter chain without one is a gap where it leads to the same
// application: a listener for something else is none.
func (e *Envoy) Gaps() (out []Gap) {
	e.eachPath(func(p *Plugin, endpoint *config.Endpoint, path string) {
		for _, what := range append(e.shut(p, endpoint, path), e.unguarded(p, endpoint, path)...) {
			out = append(out, Gap{endpoint.Name, what})
		}
	})
	return out
}

func (e *Envoy) eachPath(visit func(p *Plugin, endpoint *config.Endpoint, path string)) {
	for _, p := range e.Plugins {
		for i := range p.Config.Endpoints {
			for _, path := range p.Config.Endpoints[i].Paths {
				visit(p, &p.Config.Endpoints[i], path)
			}
		}
	}
}

// shut returns where a plugin stands and its gate keeps an endpoint's checks out.
func (e *Envoy) shut(p *Plugin, endpoint *config.Endpoint, path string) (out []string) {
	enabled := false
	var missing []string // nobody answers there
	for _, d := range e.doors {
		f := d.filter(p)
		switch {
		case f == nil:
			continue
		case d.routes == nil && f.byRoute:
			out = append(out, fmt.Sprintf("%s: its routes are not in the configuration, so whether one enables the filter for %s is not known", d.where, path))
			continue
		case f.preceded(endpoint, path) != "":
			out = append(out, fmt.Sprintf("%s: the filter %q answers checks of %s before healthgate", d.where, f.preceded(endpoint, path), path))
			continue
		case !f.matches(path):
			out = append(out, fmt.Sprintf("%s: the gate's matcher does not have %s: its checks reach the application", d.where, path))
			continue
		}
		for _, host := range hosts(d.routes, endpoint.Hosts) {
			enables := func(route any) bool { return f.enabled(d.routes, host, route) }
			switch route := choose(host, endpoint, path, "", enables); {
			case d.redirects(f, host):
				out = append(out, fmt.Sprintf("%s: require_tls is %s: checks of %s without TLS may get a redirect", d.in(host), text(host, "require_tls"), path))
			case f.byRoute && object(host, "matcher") != nil:
				out = append(out, fmt.Sprintf("%s: its routes are a matcher, so whether one enables the filter for %s is not known", d.in(host), path))
			case route == nil && f.byRoute:
				missing = append(missing, fmt.Sprintf("%s: no route takes %s: its checks get 404", d.in(host), path))
			case enables(route):
				enabled = true
			default:
				out = append(out, d.in(host)+": "+d.shuts(f, host, route, path))
			}
		}
	}
	if !enabled {
		out = append(out, missing...)
	}
	return out
}

// unguarded returns where an endpoint's checks reach the same application without a plugin.
func (e *Envoy) unguarded(p *Plugin, endpoint *config.Endpoint, path string) (out []string) {
	guarded := map[string]bool{}     // listeners: what is no HTTP there is no check
	application := map[string]bool{} // its clusters, and their hosts
	for _, d := range e.doors {
		if f := d.filter(p); f != nil {
			guarded[d.listener] = true
			for _, host := range hosts(d.routes, endpoint.Hosts) {
				for _, name := range targets(choose(host, endpoint, path, "", func(route any) bool { return f.enabled(d.routes, host, route) })) {
					application[name] = true
					for _, address := range e.clusters[name] {
						application[address] = true
					}
				}
			}
		}
	}
	for _, d := range e.doors {
		if slices.ContainsFunc(d.filters, func(f filter) bool { return f.plugin == p || f.plugin.has(path) }) {
			continue
		}
		if d.tcp != nil {
			if to := e.answers(d.tcp, path, application); to != "" && !guarded[d.listener] {
				out = append(out, fmt.Sprintf("%s has no healthgate: checks of %s there get the answer of %s", d.where, path, to))
			}
			continue
		}
		for _, host := range hosts(d.routes, endpoint.Hosts) {
			route := choose(host, endpoint, path, "", func(any) bool { return false })
			if to := e.answers(route, path, application); to != "" {
				out = append(out, fmt.Sprintf("%s has no healthgate: checks of %s there get the answer of %s", d.in(host), path, to))
			}
		}
	}
	return out
}

// answers returns who else answers checks of a path by a route; "" when that is none of the same application.
func (e *Envoy) answers(route any, path string, application map[string]bool) string {
	for _, name := range targets(route) {
		same := slices.ContainsFunc(e.clusters[name], func(address string) bool { return application[address] })
		if same || application[name] || text(route, "match", "path") == path {
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

func (p *Plugin) has(path string) bool {
	return slices.ContainsFunc(p.Config.Endpoints, func(e config.Endpoint) bool { return slices.Contains(e.Paths, path) })
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

// preceded names a health check filter of Envoy's that answers checks before the plugin; "" when none does.
func (f *filter) preceded(endpoint *config.Endpoint, path string) string {
	for _, other := range f.before {
		own := object(other, "typed_config")
		if is(own, typeHealthCheck) && own["pass_through_mode"] != true && dump.At(other, "disabled") != true {
			if _, some := headersTake(list(own, "headers"), endpoint, path); some {
				return text(other, "name")
			}
		}
	}
	return ""
}

// enabled reports whether the filter is made for each request that a route takes: what is nearest to it decides, a weighted
// cluster for its part.
func (f *filter) enabled(routes, host, route any) bool {
	parts := list(route, "route", "weighted_clusters", "clusters")
	if len(parts) == 0 {
		parts = []any{nil}
	}
	return !slices.ContainsFunc(parts, func(part any) bool {
		for _, v := range []any{part, route, host, routes} {
			if own := object(v, "typed_per_filter_config", f.name); own != nil {
				return own["disabled"] == true
			}
		}
		return f.byRoute
	})
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

// matches reports whether a gate by matcher lets a path in. One that asks for more than texts may let in any.
func (f *filter) matches(path string) bool {
	if f.matcher == nil {
		return true
	}
	found, wide, texts := false, false, false
	dump.Each(f.matcher, func(v map[string]any) bool {
		if is(v, typeWasm) {
			return false
		}
		wide = wide || v["not_matcher"] != nil || v["custom_match"] != nil || v["prefix_match_map"] != nil
		if tree := object(v, "exact_match_map", "map"); tree != nil {
			texts, found = true, found || tree[path] != nil
		}
		if match := object(v, "value_match"); match != nil {
			texts, found = true, found || stringFits(match, path)
		}
		return true
	})
	return found || wide || !texts
}

func socketAddress(listener any) string {
	host := text(listener, "address", "socket_address", "address")
	port, _ := dump.At(listener, "address", "socket_address", "port_value").(float64)
	if host == "" || port == 0 {
		return ""
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}
