package merge

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/document"
	"github.com/healthgate/healthgate/envoy/internal/dump"
	"github.com/healthgate/healthgate/envoy/internal/reach"
)

const (
	typeManager   = ".HttpConnectionManager"
	typeManagerV3 = ".filters.network.http_connection_manager.v3.HttpConnectionManager"
	typeListener  = ".config.listener.v3.Listener"
	typeCluster   = ".config.cluster.v3.Cluster"
	typeScope     = ".config.route.v3.ScopedRouteConfiguration"
	typeRoutes    = ".config.route.v3.RouteConfiguration"
)

// envoy is an Envoy's configuration: all files of it.
type envoy struct {
	files     []*source
	bootstrap *source
	listeners []cursor
	clusters  []cursor
	scopes    []cursor          // of routes, from files
	routes    map[string]cursor // route configurations from files, by name
	resources map[string]bool   // the types of which there are files
}

// manager is an HTTP connection manager.
type manager struct {
	cursor
	listener cursor
	filters  cursor // the network filters of its chain
	where    string
	tls      bool
	chosen   bool
}

// read reads the files, and finds what is in them.
func read(files []File) (*envoy, error) {
	e := &envoy{routes: map[string]cursor{}, resources: map[string]bool{}}
	for _, f := range files {
		s, err := parse(f)
		if err == nil {
			err = s.strange()
		}
		if err != nil {
			return nil, err
		}
		e.files = append(e.files, s)
		root := cursor{source: s, n: s.root}
		if !root.get("resources").is() {
			if err := root.isBootstrap(); err != nil {
				return nil, err
			}
			if e.bootstrap != nil {
				return nil, s.problem(nil, "is a second bootstrap, %s is the first; give those of one Envoy", e.bootstrap.Name)
			}
			e.bootstrap = s
			e.listeners = append(e.listeners, root.list("static_resources", "listeners")...)
			e.clusters = append(e.clusters, root.list("static_resources", "clusters")...)
			continue
		}
		routes := 0
		for _, r := range root.list("resources") {
			if r.isType(".service.discovery.v3.Resource") {
				r = r.get("resource")
			}
			kind := r.text("@type")
			e.resources[kind[strings.LastIndexByte(kind, '.')+1:]] = true
			switch {
			case r.isType(typeListener):
				e.listeners = append(e.listeners, r)
			case r.isType(typeCluster):
				e.clusters = append(e.clusters, r)
			case r.isType(typeScope):
				e.scopes = append(e.scopes, r)
			case r.isType(typeRoutes):
				if routes > 0 {
					return nil, r.problem(r.n, "a second route configuration, and Envoy reads none of a file by RDS that has "+
						"several; give each a file of its own")
				}
				routes++
				e.routes[r.text("name")] = r
			}
		}
	}
	if e.bootstrap == nil {
		return nil, e.files[0].problem(nil,
			"there is no bootstrap among the files: give the one that Envoy starts with, first")
	}
	return e, nil
}

// isBootstrap refuses a file that is something else, to which Envoy's fields would be added in vain.
func (c cursor) isBootstrap() error {
	for _, field := range []string{"static_resources", "dynamic_resources", "admin", "layered_runtime", "node"} {
		if c.get(field).n != nil {
			return nil
		}
	}
	switch kind := c.text("kind"); {
	case c.get("endpoints").is():
		return c.problem(nil, "is a healthgate.yaml, which is given already; give the files of Envoy")
	case c.get("configs").is():
		return c.problem(nil, "is what Envoy's /config_dump says; give the files with which Envoy starts")
	case kind != "":
		return c.problem(nil, "is an object of Kubernetes, a %s; give the file of Envoy's that is in it, alone", kind)
	}
	what := "is neither a bootstrap of Envoy (it has no static_resources, dynamic_resources or admin) " +
		"nor a file of resources that Envoy reads (resources)"
	for name := range document.Fields(c.n) {
		near := document.Nearest(snakeCase(name.Value), []string{"static_resources", "dynamic_resources", "resources",
			"endpoints"})
		if near != "" {
			return c.problem(name, "%s; did you mean %s?", what, near)
		}
	}
	return c.problem(nil, "%s", what)
}

func (e *envoy) root() cursor { return cursor{source: e.bootstrap, n: e.bootstrap.root} }

// Sources returns the files that a configuration reads its listeners, clusters and routes from, each with the places
// where it may lie: beside the file itself, or where it says.
func Sources(f File) (out [][]string) {
	s, err := parse(f)
	if err != nil {
		return nil
	}
	folder, _ := filepath.Split(f.Name) // filepath.Join takes .. behind a link for the folder that the link lies in
	for n := range each(s.root) {
		for _, field := range [][]string{{"lds_config"}, {"cds_config"}, {"rds", "config_source"}, {"rds_config_source"},
			{"scoped_rds_config_source"}} { // no other's: secrets and runtime keys are not for a merge to read or to copy
			c := cursor{source: s, n: n}.get(field...)
			path := cmp.Or(c.text("path_config_source", "path"), c.text("path"))
			switch {
			case filepath.IsAbs(path):
				out = append(out, []string{folder + filepath.Base(path), path})
			case path != "":
				out = append(out, []string{folder + strings.TrimPrefix(path, "./"), folder + filepath.Base(path), path})
			}
		}
	}
	return out
}

// name says which listener it is.
func (e *envoy) name(l cursor) string {
	return cmp.Or(l.text("name"), l.text("address", "pipe", "path"), bound(l.get("address")))
}

// managers finds all HTTP connection managers that take connections.
func (m *merger) managers() error {
	for _, l := range m.listeners {
		if l.get("api_listener").is() {
			m.warn(l, l.n, "the listener %q is for the program around Envoy (api_listener), which no load balancer reaches: "+
				"it stays as it is", m.name(l))
			continue
		}
		chains := l.list("filter_chains")
		if last := l.get("default_filter_chain"); last.is() {
			chains = append(chains, last)
		}
		for _, chain := range chains {
			for _, f := range chain.list("filters") {
				if err := m.manager(l, chain, f); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (m *merger) manager(l, chain, f cursor) error {
	config := f.get("typed_config")
	kind := config.text("@type")
	inner := config.text("type_url")
	switch {
	case strings.HasSuffix(inner, typeManager):
		if m.wants(l) {
			return config.problem(config.n, "the HTTP connection manager stands inside of a TypedStruct, which is not merged "+
				"into; write it as typed_config with its own @type")
		}
	case strings.HasSuffix(kind, typeManagerV3):
		m.all = append(m.all, &manager{cursor: config, listener: l, filters: chain.get("filters"),
			tls:   chain.get("transport_socket").is(),
			where: fmt.Sprintf("listener %q", m.name(l))})
	case strings.HasSuffix(kind, typeManager), f.get("config").is() &&
		strings.Contains(f.text("name"), "http_connection_manager"):
		return f.problem(f.n, "this HTTP connection manager is written for API v2, which Envoy no longer reads; "+
			"its type is now type.googleapis.com/envoy.extensions%s", typeManagerV3)
	case f.get("config_discovery").is() && m.wants(l):
		m.warn(f, f.n, "the network filter %q is discovered (config_discovery), and stays as it is: a check that it serves "+
			"does not meet healthgate", f.text("name"))
	}
	return nil
}

func (h *manager) hasPlugin() bool { return slices.ContainsFunc(h.list("http_filters"), isPlugin) }

// wants reports whether the options choose or add a listener; without either all of them.
func (m *merger) wants(l cursor) bool {
	name := m.name(l)
	return slices.Contains(m.Listeners, name) || m.Listen != "" && name == "healthgate" ||
		len(m.Listeners) == 0 && m.Listen == ""
}

// choose decides which connection managers get the filter.
func (m *merger) choose() error {
	for _, name := range m.Listeners {
		if !slices.ContainsFunc(m.all, func(h *manager) bool { return m.name(h.listener) == name }) {
			return optionError("listener", "%q has no HTTP connection manager, or is not there", name)
		}
	}
	lds := m.root().get("dynamic_resources", "lds_config")
	discovered := lds.is() && !m.resources["Listener"]
	some := false
	var left []string
	for _, h := range m.all {
		why := ""
		switch l := h.listener; {
		case !m.wants(l), m.name(l) == reach.GRPCListener && l.get("internal_listener").is():
			continue
		case l.get("internal_listener").is(), l.get("address", "envoy_internal_address").is():
			why = "is internal, where no peer has an address that could be trusted"
		case len(m.Listeners) == 0 && m.leadsToAdmin(h):
			why = "leads to admin alone"
		}
		if why != "" {
			left = append(left, fmt.Sprintf("%s %s", h.where, why))
			m.warn(h.listener, h.listener.n, "the listener %q %s: it stays as it is", m.name(h.listener), why)
			continue
		}
		h.chosen, some = true, true
	}
	if !some {
		what := "no listener has an HTTP connection manager that checks could come to"
		if len(left) > 0 {
			what += ": " + strings.Join(left, "; ")
		}
		if discovered {
			return lds.problem(lds.n, "%s; listeners come by lds_config: give its file with another --into, or, where a "+
				"control plane sends them, have it send the pieces (--parts)", what)
		}
		return m.bootstrap.problem(nil, "%s; render envoy --into with --listen HOST:PORT adds one for checks alone", what)
	}
	has := func(h *manager) bool { return h.chosen && h.hasPlugin() }
	if len(m.Listeners) == 0 && !m.judging && slices.ContainsFunc(m.all, has) {
		for _, h := range m.all {
			if h.chosen && !has(h) {
				m.warn(h.listener, h.listener.n, "%s gets healthgate now, as another has it: --listener NAME chooses", h.where)
			}
		}
	}
	if discovered && len(m.Listeners) == 0 && m.Listen == "" {
		m.warn(lds, lds.n,
			"listeners that come by lds_config stay as they are: give their file with another --into, or, where a "+
				"control plane sends them, have it send the pieces (--parts)")
	}
	return nil
}

// leadsToAdmin reports whether a connection manager has routes to clusters, and all these are, or may be, of admin.
func (m *merger) leadsToAdmin(h *manager) bool {
	some, all := false, true
	for _, host := range m.hosts(h) {
		for _, r := range host.list("routes") {
			names := targets(r)
			for _, name := range names {
				some = true
				all = all && m.ofAdmin(name, true)
			}
			all = all && !r.get("redirect").is() && (len(names) > 0 || !r.get("route").is()) // to one named in a header
		}
	}
	return some && all
}

// targets returns the clusters that a route leads to.
func targets(r cursor) []string { return dump.Targets(asLists(plain(r.n))) }

// unread is a place with routes that can't be read, and why.
type unread struct {
	at  cursor
	why string
}

// routeConfigs returns the route configurations of a connection manager that can be read, and those that can't.
func (m *merger) routeConfigs(h *manager) (out []cursor, not []unread) {
	add := func(at, routes cursor) {
		why := ""
		switch {
		case !routes.is():
			why = "sent by a control plane, or in a file that is not given (--into FILE)"
		case routes.get("vhds").is():
			why = "discovered when they are needed (vhds)"
		}
		for _, host := range routes.list("virtual_hosts") {
			if host.get("matcher").is() {
				why, at = "a matcher", host.get("matcher")
			}
		}
		if why != "" {
			not = append(not, unread{at, why})
		} else {
			out = append(out, routes)
		}
	}
	scoped := h.get("scoped_routes")
	if !scoped.is() {
		if routes := h.get("route_config"); routes.is() {
			add(routes, routes)
		} else {
			add(h.get("rds"), m.routes[h.text("rds", "route_config_name")])
		}
		return out, not
	}
	scopes := scoped.list("scoped_route_configurations_list", "scoped_route_configurations")
	if scoped.get("scoped_rds").is() {
		scopes = m.scopes
	}
	for _, scope := range scopes {
		if routes := scope.get("route_configuration"); routes.is() {
			add(scope, routes)
		} else {
			add(scope, m.routes[scope.text("route_configuration_name")])
		}
	}
	if len(scopes) == 0 {
		not = append(not, unread{scoped, "chosen by scopes that are not given (scoped_routes)"})
	}
	return out, not
}

// hosts returns the virtual hosts of a connection manager, as far as they can be read.
func (m *merger) hosts(h *manager) (out []cursor) {
	configs, _ := m.routeConfigs(h)
	for _, routes := range configs {
		out = append(out, routes.list("virtual_hosts")...)
	}
	return out
}
