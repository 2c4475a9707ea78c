package render

import (
	"cmp"
	"fmt"

	"github.com/healthgate/healthgate/envoy/internal/document"
	"go.yaml.in/yaml/v3"
)

// Pieces are what healthgate needs in a configuration that is there, as nodes in snake case.
type Pieces struct {
	Filter   *yaml.Node // of http_filters
	Peer     *yaml.Node // of the network filters; nil when no endpoint asks for it
	Paths    []Path
	Defaults *yaml.Node // of a static runtime layer: what switches maintenance off; nil when nothing switches it on
	Tags     *yaml.Node // the list stats_tags
	GRPC     *GRPC      // nil when no endpoint is the health service of gRPC
}

// GRPC is what answers checks of gRPC: a filter behind the plugin's, its route in front of those of the path, where
// that leads to, and the extension that this needs.
type GRPC struct{ Filter, Route, Cluster, Listener, Extension *yaml.Node }

// Path is a path of an endpoint.
type Path struct {
	Path string
	Gate string // the name of the route that enables the filter; empty: the gate needs no route
	// Maintenance is the name of the route that puts checks into maintenance when its key says so; empty when the
	// endpoint has none.
	Maintenance, Key string
	GRPC             bool // checks of gRPC may come
}

// NewPieces returns the pieces of a document.
func NewPieces(d *document.Document, o Common, gate string, on Node) (*Pieces, error) {
	routes, err := maintenanceRoutes(d, o.RouteKey, o.RouteKeys)
	if err != nil {
		return nil, err
	}
	if err := cmp.Or(checkFile("wasm", o.Wasm), checkKeys(d, on)); err != nil {
		return nil, err
	}
	code := part("code", values{"file": o.Wasm})
	element := func(n *yaml.Node) *yaml.Node {
		return values{"n": n}.elements(&yaml.Node{Kind: yaml.ScalarNode, Value: "$n"})[0]
	}
	out := &Pieces{Peer: peer(d.Config), Defaults: defaults(keys(d.Config, routes)), Tags: part("tags", nil)}
	for _, p := range paths(d.Config) {
		for _, m := range routes {
			if m.Path == p.Path {
				p.Maintenance, p.Key = m.Name, m.Key
			}
		}
		if gate == ByMatcher {
			p.Gate = ""
		}
		out.Paths = append(out.Paths, p)
	}
	if g := grpcParts(d.Config); len(g) > 0 {
		node := func(name string) *yaml.Node { return element(g.node(name)) }
		out.GRPC = &GRPC{node("grpc_filter"), node("grpc_route"), node("grpc_cluster"), node("grpc_listener"),
			node("grpc_extension")}
	}
	switch gate {
	case "", ByRoute:
		out.Filter = element(part("disabled", values{"wasm": wasm(d, code)}))
	case ByMatcher:
		if err := RefuseGRPC(d, matcherLacksRoutes); err != nil {
			return nil, err
		}
		out.Filter = element(matcher(d, code))
	default:
		return nil, &OptionError{"gate", fmt.Sprintf("%q is neither %s nor %s", gate, ByRoute, ByMatcher)}
	}
	return out, nil
}

// Route returns a route for checks of a path without its action. With a key it is one of maintenance.
func (p Path) Route(name, key string) *yaml.Node { return p.route(name, key, "") }

func (p Path) route(name, key, cluster string) *yaml.Node {
	return part("route", values{"name": name, "path": p.Path, "key": key, "enables": p.Gate != "", "grpc": p.GRPC,
		"cluster": cluster})
}

// Routes returns the routes for checks of a path without their actions, that of maintenance first.
func (p Path) Routes() (out []*yaml.Node) {
	if p.Maintenance != "" {
		out = append(out, p.Route(p.Maintenance, p.Key))
	}
	if p.Gate != "" {
		out = append(out, p.Route(p.Gate, ""))
	}
	return out
}

// NewCluster returns a cluster of an option, NAME=ADDRESS, and its name.
func NewCluster(d *document.Document, option string) (*yaml.Node, string, error) {
	c, err := parseCluster(option)
	if err != nil {
		return nil, "", err
	}
	c.Comment = "For the probes of healthgate."
	return c.node(d), c.Name, nil
}

// AdminCluster returns a cluster that leads to admin.
func AdminCluster(name string, address *yaml.Node) *yaml.Node {
	c := cluster{Name: name, Address: address, Comment: "Envoy's own admin address, for healthgate."}
	return c.node(nil)
}

// Address returns Envoy's Address for HOST:PORT or unix:///PATH.
func Address(flag, text string) (*yaml.Node, error) {
	n, static, err := address(text)
	if err == nil && !static {
		err = fmt.Errorf("%q: Envoy listens on an IP address or a Unix socket", text)
	}
	if err != nil {
		return nil, &OptionError{flag, err.Error()}
	}
	return n, nil
}

// Layer returns a layer of runtime: of keys, or a disk layer, or the one that admin writes.
func Layer(name string, keys *yaml.Node, folder string) *yaml.Node {
	return part("layer", values{"name": name, "keys": keys, "folder": folder, "admin": keys == nil && folder == ""})
}

// Listener returns a listener for checks alone: what is no check gets 404.
func Listener(address *yaml.Node) *yaml.Node { return part("listener", values{"address": address}) }

// Metrics returns a listener at an address, for Prometheus; nil without one.
func Metrics(d *document.Document, at string) (*yaml.Node, error) {
	if at == "" {
		return nil, nil
	}
	address, err := Address("metrics-listen", at)
	if err == nil && d.Config.Admin == nil {
		err = &OptionError{"metrics-listen", "leads to admin.cluster, and " + d.File + " has no admin"}
	}
	if err != nil {
		return nil, err
	}
	return part("metrics", values{"address": address, "cluster": d.Config.Admin.Cluster}), nil
}

// Parts renders the pieces alone, each under the name of the list that it belongs to.
func Parts(d *document.Document, o EnvoyOptions) (string, error) {
	address, err := Address("admin", o.Admin)
	if err != nil {
		return "", err
	}
	if o.RuntimeDir, err = RuntimeDir(o.RuntimeDir); err != nil {
		return "", err
	}
	all, err := o.clusters(d, address)
	if err != nil {
		return "", err
	}
	d, busy, err := ownClusters(d, func(name string) bool { return name == all[0].Name })
	if err != nil {
		return "", err
	}
	p, err := NewPieces(d, o.Common, o.Gate, o.Node)
	if err != nil {
		return "", err
	}
	metrics, err := Metrics(d, o.Metrics)
	if err != nil {
		return "", err
	}
	var routes, clusters, listeners []*yaml.Node
	if len(busy) > 0 {
		all[0] = all[0].own()
	} else {
		all = all[1:]
	}
	for _, c := range all {
		clusters = append(clusters, c.node(d))
	}
	v := values{"peer": p.Peer, "filter": p.Filter, "tags": p.Tags}
	if g := p.GRPC; g != nil {
		v["grpc_filter"], v["grpc_extension"] = g.Filter, g.Extension
		routes, clusters, listeners = append(routes, g.Route), append(clusters, g.Cluster), append(listeners, g.Listener)
	}
	if metrics != nil {
		listeners = append(listeners, metrics)
	}
	for _, path := range p.Paths {
		routes = append(routes, path.Routes()...)
	}
	layers := []*yaml.Node{Layer("admin", nil, "")}
	if o.RuntimeDir != "" {
		layers = append([]*yaml.Node{Layer("disk", nil, o.RuntimeDir)}, layers...)
	}
	if p.Defaults != nil {
		layers = append([]*yaml.Node{Layer("defaults", p.Defaults, "")}, layers...)
	}
	v["routes"], v["clusters"], v["listeners"], v["layers"] = routes, clusters, listeners, layers
	return document.Encode(documents(partsTemplate, v)...)
}
