package conformance

import "github.com/healthgate/healthgate/hostsim"

// routes are those of a case with several.
func (c *Case) routes() []hostsim.Route {
	metadata := map[string]map[string]any{"hostsim": {"route": "path"}}
	return []hostsim.Route{
		{Name: "header", Prefix: "/", Header: hostsim.Header{{"x-to", "backend"}}, Cluster: c.backend()},
		{Name: "path", Prefix: "/fields", Cluster: c.backend(), Metadata: metadata},
		{Name: "echo", Prefix: "/echo"},
	}
}

// routeConfig is the case's routes on Envoy.
func routeConfig(c *Case) []any {
	routes := []hostsim.Route{{Prefix: "/", Metadata: c.RouteMetadata}}
	if c.Routes {
		routes = c.routes()
	}
	all := []any{}
	for _, r := range routes {
		match := object{"prefix": r.Prefix}
		for _, f := range r.Header {
			match["headers"] = []any{object{"name": f[0], "string_match": object{"exact": f[1]}}}
		}
		all = append(all, object{
			"name": r.Name, "match": match, "metadata": object{"filter_metadata": r.Metadata},
			"route": object{"cluster": or(r.Cluster, or(c.App, "application-"+c.slug()))},
		})
	}
	return all
}
