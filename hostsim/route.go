package hostsim

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
)

// Route is a route of the connection manager: what it matches, and what becomes of a request then.
type Route struct {
	Name string // read as xds.route_name
	// Prefix is what :path begins with, and Header the fields that the request has, with these values; pseudo-headers such
	// as :authority count. Empty ones match every request.
	Prefix string
	Header Header
	// Cluster is the Upstream to which the request goes; the Application if empty.
	Cluster string
	// Metadata is the route's filter_metadata by namespace, as in Request.RouteMetadata.
	Metadata map[string]map[string]any
}

// Routes are the routes of the connection manager. As in Envoy, the first that matches is chosen when a request
// arrives, which is what a plugin reads of it, and anew when the request leaves the chain, if a plugin has changed its
// headers or called the foreign function clear_route_cache. If none matches then, the answer is 404. Without Routes,
// all requests go to the Application, and each has the RouteName and RouteMetadata of its own.
func Routes(routes ...Route) Option {
	return optionFunc(func(c *config) { c.routes = routes })
}

// chooseRoute is ActiveStream::refreshCachedRoute. To choose again where nothing has changed makes no difference.
func (s *Stream) chooseRoute() {
	if s.host.cfg.routes == nil {
		s.route = Route{Name: s.req.RouteName, Metadata: s.req.RouteMetadata, Cluster: s.host.app.name}
		return
	}
	at := slices.IndexFunc(s.host.cfg.routes, s.matches)
	if at < 0 {
		s.route = Route{}
		return
	}
	s.route = s.host.cfg.routes[at]
	s.route.Cluster = cmp.Or(s.route.Cluster, s.host.app.name)
}

func (s *Stream) matches(r Route) bool {
	m := s.request.headers
	return strings.HasPrefix(m.Value(":path"), r.Prefix) && !slices.ContainsFunc(r.Header, func(want [2]string) bool {
		values := m.Values(want[0])
		if s.host.cfg.profile == Envoy136 { // which looks at the values of a header as one
			return len(values) == 0 || strings.Join(values, ",") != want[1]
		}
		return !slices.Contains(values, want[1])
	})
}

// noRoute is the router's answer if no route matches.
func (s *Stream) noRoute() {
	s.sendLocalReply(localReply{status: http.StatusNotFound, details: "route_not_found", flags: flagNoRoute})
}

// envoyRoutes are the routes in Envoy's configuration.
func (c *config) envoyRoutes() []any {
	routes := c.routes
	if routes == nil {
		routes = []Route{{}}
	}
	all := []any{}
	for _, r := range routes {
		matched := []any{}
		for _, f := range r.Header {
			matched = append(matched, object{"name": f[0], "string_match": object{"exact": f[1]}})
		}
		all = append(all, object{
			"name": r.Name, "match": object{"prefix": cmp.Or(r.Prefix, "/"), "headers": matched},
			"route":    object{"cluster": cmp.Or(r.Cluster, c.app.name)},
			"metadata": object{"filter_metadata": r.Metadata},
		})
	}
	return all
}
