package merge

import (
	"cmp"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/document"
	"github.com/healthgate/healthgate/envoy/internal/render"
	"go.yaml.in/yaml/v3"
)

// gate puts the routes for checks into each virtual host of a connection manager.
func (m *merger) gate(h *manager) error {
	if !m.needsRoutes() {
		return nil
	}
	configs, unread := m.routeConfigs(h)
	for _, u := range unread {
		if m.pieces.GRPC != nil {
			return u.at.problem(u.at.n, "%s: its routes are %s, and one of them answers checks of gRPC: "+
				"have what writes them write those of --parts, too", h.where, u.why)
		}
		if m.Gate != render.ByMatcher {
			return u.at.problem(u.at.n, "%s: its routes are %s, and the gate by route needs them; --gate matcher does without",
				h.where, u.why)
		}
		m.warn(u.at, u.at.n, "%s: its routes are %s, so there is no maintenance by route (route_metadata)", h.where, u.why)
	}
	for _, routes := range configs {
		m.virtualHosts(h, routes)
	}
	return nil
}

// virtualHosts puts the routes for checks into a route configuration, once.
func (m *merger) virtualHosts(h *manager, routes cursor) {
	if m.done[routes.n] {
		return
	}
	m.done[routes.n] = true
	every := false // Hosts are taken
	all := routes.list("virtual_hosts")
	for i, host := range all {
		if m.isOwn(host) && slices.ContainsFunc(all, func(h cursor) bool { return !m.isOwn(h) && takesAll(h) }) {
			m.changed(host, host.n, "%s: virtual host %q was made for checks that another one takes now, and Envoy refuses two "+
				"with the domain *", h.where, host.text("name"))
			routes.remove(routes.get("virtual_hosts").n, i)
			continue
		}
		every = every || takesAll(host)
		if tls := host.text("require_tls"); tls != "" && tls != "NONE" && !h.tls {
			m.warn(host, host.get("require_tls").n,
				"%s: require_tls is %s: a check without TLS gets a redirect before any filter sees it", h.where, tls)
		}
		m.host(h, routes, host)
	}
	if !every {
		m.addHost(routes)
	}
}

// takesAll reports whether a virtual host takes requests with a Host that no other takes.
func takesAll(host cursor) bool {
	return slices.ContainsFunc(host.list("domains"), func(d cursor) bool { return d.n.Value == "*" })
}

// isOwn reports whether a virtual host is the one of addHost.
func (m *merger) isOwn(host cursor) bool {
	return host.text("name") == filterName && len(host.list("domains")) == 1 && takesAll(host) &&
		!slices.ContainsFunc(host.list("routes"), func(r cursor) bool { return !m.isOurs(r) })
}

// needsRoutes reports whether there is anything for routes to do.
func (m *merger) needsRoutes() bool {
	return slices.ContainsFunc(m.pieces.Paths, func(p render.Path) bool { return p.Gate != "" || p.Maintenance != "" })
}

// addHost adds a virtual host for checks whose Host no virtual host has. They got 404 until now.
func (m *merger) addHost(routes cursor) {
	elements := m.routeOfGRPC(routes.source)
	for _, p := range m.pieces.Paths {
		elements = append(elements, m.missing(routes.source, p)...)
	}
	m.changed(routes, routes.n,
		"no virtual host takes checks with a Host that no other takes: one with the domain * is missing")
	host := mapping("name", text("healthgate"), "domains", listOf(text("*")), "routes", listOf(elements...))
	routes.add("virtual_hosts", host)
}

// routeOfGRPC returns the route that answers checks of gRPC, where there are such.
func (m *merger) routeOfGRPC(s *source) []*yaml.Node {
	if m.pieces.GRPC == nil {
		return nil
	}
	return []*yaml.Node{s.spelt(m.pieces.GRPC.Route)}
}

// host puts the routes for checks before all others of a virtual host.
func (m *merger) host(h *manager, routes, host cursor) {
	list := host.get("routes")
	if m.done[host.n] || m.done[list.n] {
		return
	}
	m.done[host.n] = true
	if list.is() {
		m.done[list.n] = true
	}
	all := host.list("routes")
	ours := map[int]bool{}
	for i, r := range all {
		ours[i] = m.isOurs(r)
	}
	wanted := m.routeOfGRPC(host.source)
	var there []*yaml.Node
	for i, r := range all {
		if ours[i] {
			there = append(there, r.n)
		}
	}
	for _, p := range m.pieces.Paths {
		taken := false
		for i, r := range all {
			if ours[i] || taken || !takes(r, p.Path) {
				continue
			}
			made, all := m.routesFor(h, r, p, there)
			wanted, taken = append(wanted, made...), all
		}
		if !taken {
			for _, adds := range []cursor{host, routes} {
				if adds.get("response_headers_to_add").is() {
					m.warn(adds, adds.get("response_headers_to_add").n,
						"%s: what is no check got 404 for %s from Envoy itself, and now "+
							"gets it with these headers", h.where, p.Path)
				}
			}
			wanted = append(wanted, m.missing(host.source, p)...)
		}
	}
	if slices.EqualFunc(byPath(there), byPath(wanted), same) {
		return
	}
	what := "are missing"
	if len(there) > 0 {
		what = "are not those that its other routes ask for"
	}
	m.changed(host, host.n, "%s: virtual host %q: the routes for checks %s", h.where, host.text("name"), what)
	if !list.is() {
		host.put("routes", listOf(wanted...))
		return
	}
	for i := range all {
		if ours[i] {
			host.remove(list.n, i)
		}
	}
	host.insert(list.n, 0, wanted...)
}

// byPath sorts routes of which each takes one path: only for those of the same path their order counts.
func byPath(routes []*yaml.Node) []*yaml.Node {
	path := func(n *yaml.Node) string { return cursor{n: n}.text("match", "path") }
	if slices.ContainsFunc(routes, func(n *yaml.Node) bool { return path(n) == "" }) {
		return routes
	}
	return slices.SortedStableFunc(slices.Values(routes), func(a, b *yaml.Node) int {
		return cmp.Compare(path(a), path(b))
	})
}

// same reports whether two routes are, but for their names.
func same(a, b *yaml.Node) bool {
	x, _ := plain(a).(map[string]any)
	y, _ := plain(b).(map[string]any)
	delete(x, "name")
	delete(y, "name")
	return reflect.DeepEqual(x, y)
}

// isOurs reports whether a route was made for checks: of maintenance for one path by a key, or the gate by its name.
func (m *merger) isOurs(r cursor) bool {
	match := r.get("match")
	if r.text("metadata", "filter_metadata", "healthgate", "maintenance") == "true" &&
		match.text("runtime_fraction", "runtime_key") != "" && (match.get("path").is() ||
		slices.ContainsFunc(match.list("headers"), func(h cursor) bool { return h.text("name") == ":path" })) {
		return true
	}
	return namedOurs(r) && r.get("typed_per_filter_config", filterName).is()
}

func namedOurs(r cursor) bool { return strings.HasPrefix(r.text("name"), "healthgate-") }

// conditions are the parts of a match that a request for the path may fail.
var conditions = []string{"headers", "query_parameters", "cookies", "grpc", "tls_context", "dynamic_metadata",
	"filter_state", "runtime_fraction"}

// takes reports whether a route may take requests for a path.
func takes(r cursor, path string) bool {
	match := r.get("match")
	fold := match.text("case_sensitive") == "false"
	same := func(a, b string) bool { return a == b || fold && strings.EqualFold(a, b) }
	begins := func(prefix string) bool { return len(path) >= len(prefix) && same(path[:len(prefix)], prefix) }
	switch {
	case match.get("path").is():
		return same(path, match.text("path"))
	case match.get("path_separated_prefix").is():
		prefix := match.text("path_separated_prefix")
		return same(path, prefix) || begins(prefix+"/")
	case match.get("safe_regex").is():
		re, err := regexp.Compile("^(?:" + match.text("safe_regex", "regex") + ")$")
		return err != nil || re.MatchString(path) // Envoy knows: the header of the copy keeps other paths out
	case match.get("prefix").is():
		return begins(match.text("prefix"))
	}
	return match.get("path_match_policy").is()
}

// conditional reports whether a route takes only a part of the requests for a path that it may take.
func conditional(r cursor) bool {
	match := r.get("match")
	return unclear(match) || slices.ContainsFunc(conditions, func(name string) bool { return match.get(name).is() })
}

// unclear reports whether only Envoy can tell which paths a match takes.
func unclear(match cursor) bool {
	_, err := regexp.Compile(match.text("safe_regex", "regex"))
	return err != nil || match.get("path_match_policy").is()
}

// routesFor returns the routes for a path in front of one that takes it, and whether none behind it takes any. Some may
// be there.
func (m *merger) routesFor(h *manager, r cursor, p render.Path, there []*yaml.Node) (out []*yaml.Node, all bool) {
	all = !conditional(r)
	if p.Maintenance != "" {
		if fraction := r.get("match", "runtime_fraction"); fraction.is() {
			m.warn(r, fraction.n,
				"%s: this route has a runtime_fraction, so checks of %s that it takes are not in maintenance by route",
				h.where, p.Path)
		} else {
			out = append(out, copied(r, p.Maintenance, p, p.Key))
		}
	}
	if p.Gate == "" {
		return out, all
	}
	gate := copied(r, p.Gate, p, "")
	copied := slices.ContainsFunc(there, func(n *yaml.Node) bool { return same(n, gate) })
	exact := all && r.text("match", "path") == p.Path && r.text("match", "case_sensitive") != "false" && !p.GRPC &&
		!namedOurs(r) // which it would be, once it enables the filter
	if copied || !exact || !enables(r) && (r.alias != nil || r.n.Anchor != "" || !m.enable(r, p)) {
		out = append(out, gate)
	}
	return out, all
}

// enables reports whether a route enables the filter.
func enables(r cursor) bool {
	own := r.get("typed_per_filter_config", filterName)
	return own.is() && own.text("disabled") != "true"
}

// enable makes a route enable the filter, and reports whether it could.
func (m *merger) enable(r cursor, p render.Path) bool {
	own := r.get("typed_per_filter_config")
	if own.alias == r.alias && (own.n == nil || !own.get(filterName).is()) {
		m.changed(r, r.n, "the route %q does not enable the filter", r.text("match", "path"))
	}
	if find(r.n, "typed_per_filter_config") == nil {
		r.put("typed_per_filter_config", find(r.spelt(p.Route("", "")), "typed_per_filter_config"))
		return true
	}
	if own.alias != nil || own.n.Anchor != "" || own.n.Kind != yaml.MappingNode || len(own.n.Content) == 0 ||
		own.get(filterName).is() {
		return false
	}
	own.set(own.n, filterName, find(find(own.spelt(p.Route("", "")), "typed_per_filter_config"), filterName))
	return true
}

// copied returns a route for checks that does what this one does, for the path alone.
func copied(r cursor, name string, p render.Path, key string) *yaml.Node {
	made := r.spelt(p.Route(name, key))
	match := find(made, "match")
	old := r.get("match")
	if unclear(old) || rewrites(r) {
		// What is rewritten is what the match took, so it stays, and a header says which path.
		match.Content = append(clone(old.n).Content, match.Content[2:]...)
		only := r.spelt(mapping("name", text(":path"), "string_match", mapping("safe_regex", mapping("regex",
			text(regexp.QuoteMeta(p.Path)+`(\?.*)?`)))))
		if headers := find(match, "headers"); headers != nil {
			if headers.Kind == yaml.MappingNode { // one element without a list
				one := *headers
				*headers = yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{&one}}
			}
			headers.Content = append(headers.Content, only)
		} else {
			match.Content = append(match.Content, text("headers"), listOf(only))
		}
	} else {
		for field, value := range document.Fields(old.n) {
			if slices.Contains(conditions, snakeCase(field.Value)) {
				match.Content = append(match.Content, clone(field), clone(value))
			}
		}
	}
	for field, value := range document.Fields(clone(r.n)) {
		switch snakeCase(field.Value) {
		case "name", "match":
		case "metadata":
			r.combine(made, value, "metadata", "filter_metadata", "healthgate")
		case "typed_per_filter_config":
			r.combine(made, value, "typed_per_filter_config", filterName)
		default:
			made.Content = append(made.Content, field, value)
		}
	}
	return made
}

// rewrites reports whether a route's action rewrites what the match took of the path.
func rewrites(r cursor) bool {
	if r.get("match", "path").is() {
		return false
	}
	return r.get("route", "prefix_rewrite").is() || r.get("redirect", "prefix_rewrite").is() ||
		r.get("route", "path_rewrite_policy").is() || r.get("route", "path_rewrite").is()
}

// missing returns the routes for a path that no route takes: what is no check gets 404, as before.
func (m *merger) missing(s *source, p render.Path) (out []*yaml.Node) {
	for _, r := range p.Routes() {
		r.Content = append(r.Content, text("direct_response"),
			mapping("status", &yaml.Node{Kind: yaml.ScalarNode, Value: "404"}))
		out = append(out, s.spelt(r))
	}
	return out
}

// combine adds what an object has under the first of these names to what the other has there, and so on inwards; what
// is there stays.
func (s *source) combine(made, value *yaml.Node, names ...string) {
	old := find(made, names[0])
	if old == nil {
		made.Content = append(made.Content, text(s.spell(names[0])), value)
		return
	}
	if value.Kind != yaml.MappingNode { // for Envoy no configuration
		return
	}
	old.Style &= value.Style // braces where both have them
	for name, inner := range document.Fields(value) {
		field := snakeCase(name.Value)
		if find(old, field) == nil {
			old.Content = append(old.Content, name, inner)
		} else if len(names) > 1 && field == names[1] {
			s.combine(old, inner, names[1:]...)
		}
	}
}
