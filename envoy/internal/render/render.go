// Package render writes, from one healthgate.yaml, what an operator gives to Envoy or to Istio: the filter with its
// gate, the maintenance routes, the way to admin, the runtime layers and the labels of metrics.
package render

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/document"
	"github.com/healthgate/healthgate/envoy/internal/layer"
	"github.com/healthgate/healthgate/filter/config"
	"go.yaml.in/yaml/v3"
)

// Common are the options of every form.
type Common struct {
	Command    []string // the words of how it was rendered, for the file's head
	Wasm       string   // the plugin: a path, or a URL where the form takes one
	WasmSHA256 string   // of what a URL brings, 64 hexadecimal digits
	RuntimeDir string   // symlink_root of the disk runtime layer; empty: no such layer
	// RouteKey is the runtime key of maintenance by route, a percentage. {endpoint} stands for an endpoint's name.
	RouteKey  string
	RouteKeys map[string]string // by path, of routes that are there already
}

// entry is a key with its value.
type entry struct{ Key, Value string }

// paths returns every path of an endpoint, each once, with the name of the gate's route.
func paths(c *config.Config) []Path {
	var out []Path
	for _, e := range c.Endpoints {
		for i, path := range e.Paths {
			if !slices.ContainsFunc(out, func(p Path) bool { return p.Path == path }) {
				out = append(out, Path{Path: path, Gate: routeName("healthgate", e.Name, i),
					GRPC: path == config.GRPCCheck && answersGRPC(c)})
			}
		}
	}
	return out
}

// wasm returns the typed_config of the Wasm filter.
func wasm(d *document.Document, code *yaml.Node) *yaml.Node {
	return part("wasm", values{"code": code, "configuration": d.Node(), "services": d.Config.NamesServices()})
}

// matcher returns the filter behind a gate of its own.
func matcher(d *document.Document, code *yaml.Node) *yaml.Node {
	input := part("path", nil)
	again := &yaml.Node{Kind: yaml.AliasNode, Value: input.Anchor, Alias: input}
	var predicates []*yaml.Node
	for _, p := range paths(d.Config) {
		predicates = append(predicates, part("predicate", values{"input": input, "exact": p.Path}),
			part("predicate", values{"input": again, "prefix": p.Path + "?"}))
		input = again
	}
	return part("matcher", values{"predicates": predicates, "wasm": wasm(d, code)})
}

// peer returns a filter that stores the connection's peer where endpoints read it, nil if none does.
func peer(c *config.Config) *yaml.Node {
	var known []string
	var objects []*yaml.Node
	for _, e := range c.Endpoints {
		if key := e.Trusted.FilterState; key != "" && !slices.Contains(known, key) {
			known = append(known, key)
			objects = append(objects, part("peer_object", values{"key": key}))
		}
	}
	if len(objects) == 0 {
		return nil
	}
	return part("peer", values{"objects": objects})
}

// route is a route of maintenance.
type route struct{ Name, Path, Key string }

// answersGRPC reports whether an endpoint is the health service of gRPC.
func answersGRPC(c *config.Config) bool {
	return slices.ContainsFunc(c.Endpoints, func(e config.Endpoint) bool { return e.GRPC })
}

// grpcParts returns what answers checks of gRPC, by the names of the parts; none where no endpoint does.
func grpcParts(c *config.Config) values {
	out := values{}
	if answersGRPC(c) {
		for _, name := range []string{"filter", "route", "cluster", "listener", "extension"} {
			out["grpc_"+name] = part("grpc_"+name, nil)
		}
	}
	return out
}

// RefuseGRPC refuses an endpoint of gRPC where what it needs besides the filter cannot be brought.
func RefuseGRPC(d *document.Document, why string) error {
	for i, e := range d.Config.Endpoints {
		if e.GRPC {
			return d.Problem(fmt.Sprintf("endpoints[%d].grpc", i), why)
		}
	}
	return nil
}

// routeName returns the name of the route for an endpoint's path of this index.
func routeName(kind, endpoint string, i int) string {
	if i == 0 {
		return kind + "-" + endpoint
	}
	return kind + "-" + endpoint + "-" + strconv.Itoa(i+1)
}

// maintenanceRoutes returns a route for each path of an endpoint that asks for one.
func maintenanceRoutes(d *document.Document, key string, there map[string]string) ([]route, error) {
	var out []route
	for n, e := range d.Config.Endpoints {
		if !e.Maintenance.RouteMetadata {
			continue
		}
		for i, path := range e.Paths {
			key := cmp.Or(there[path], strings.ReplaceAll(key, "{endpoint}", e.Name))
			if err := checkRouteKey(d, key); err != nil {
				return nil, err
			}
			r := route{routeName("maintenance", e.Name, i), path, key}
			other := slices.IndexFunc(out, func(r route) bool { return r.Path == path })
			if other < 0 {
				out = append(out, r)
			} else if out[other].Key != key {
				return nil, d.Problem(fmt.Sprintf("endpoints[%d].paths[%d]", n, i), fmt.Sprintf("%s is a path of another endpoint "+
					"with route_metadata, too. A route knows the path alone, so the key of one would put both into maintenance: "+
					"give them other paths, or --route-key without {endpoint}", path))
			}
		}
	}
	return out, nil
}

// checkRouteKey refuses what can't be the key of a route, or is that of something else.
func checkRouteKey(d *document.Document, key string) error {
	if key == "" {
		return &OptionError{"route-key", "must not be empty"}
	}
	if strings.ContainsAny(key, "{}") {
		return wrong("route-key", key,
			" has a placeholder, and Envoy fills in none for a route; only {endpoint} is filled in, by render")
	}
	if err := layer.CheckKey(key); err != nil {
		return &OptionError{"route-key", err.Error()}
	}
	if slices.Contains(d.Config.Keys, key) {
		return &OptionError{"route-key", fmt.Sprintf("%q is one of the maintenance keys of %s, too. "+
			"A route's key is a percentage and theirs a truth value, so choose another", key, d.File)}
	}
	return nil
}

// keys returns the runtime keys that an operator may set, with what switches them on. Those with placeholders are left
// out: their names are known on each Envoy only.
func keys(c *config.Config, routes []route) []entry {
	var out []entry
	for _, key := range c.Keys {
		if !strings.Contains(key, "{") {
			out = append(out, entry{key, "true"})
		}
	}
	for _, r := range routes {
		if e := (entry{r.Key, "100"}); !slices.Contains(out, e) {
			out = append(out, e)
		}
	}
	return out
}

// cluster is a cluster with one address, or with the hosts that a control plane knows for Service.
type cluster struct {
	Comment, Name, Type string
	Address             *yaml.Node
	Service, SNI        string // of Istio's
	HTTP2               bool
	Follows             bool // HTTP/2 for requests that came so
}

// node returns the cluster; it speaks HTTP/2 if a probe of the document asks it by gRPC.
func (c *cluster) node(d *document.Document) *yaml.Node {
	explicit := c.HTTP2 || asksGRPC(d, c.Name)
	n := part("cluster", values{
		"name": c.Name, "type": c.Type, "address": c.Address, "service": c.Service, "sni": c.SNI,
		"http2": explicit || c.Follows, "explicit": explicit, "follows": c.Follows && !explicit,
	})
	if c.Comment != "" {
		n.HeadComment = commented(strings.Split(c.Comment, "\n"))
	}
	return n
}

func asksGRPC(d *document.Document, cluster string) bool {
	return d != nil && slices.ContainsFunc(d.Config.Probes,
		func(p config.Probe) bool { return p.GRPC && p.Cluster == cluster })
}

// CheckProtocols refuses a cluster that probes ask by HTTP/1 and by gRPC, which needs HTTP/2.
func CheckProtocols(d *document.Document) error {
	for i, p := range d.Config.Probes {
		if !p.GRPC && asksGRPC(d, p.Cluster) {
			return d.Problem(fmt.Sprintf("probes[%d].cluster", i),
				fmt.Sprintf("%q is asked by gRPC, too, which needs HTTP/2: give the gRPC probe a cluster of its own", p.Cluster))
		}
	}
	return nil
}

// OwnPrefix begins the names of clusters that are made for probes alone.
const OwnPrefix = "healthgate_"

// ownClusters returns the document with probes that go through clusters of their own in the place of those that carry
// requests, and the names of these. As requests of the application, failed probes would eject it by outlier detection,
// and its circuit breaker, full of requests, would fail them.
func ownClusters(d *document.Document, carries func(cluster string) bool) (*document.Document, []string, error) {
	if err := CheckProtocols(d); err != nil {
		return nil, nil, err
	}
	var busy []string
	values := map[string]string{}
	for i, p := range d.Config.Probes {
		if p.OfEnvoy() || !carries(p.Cluster) {
			continue
		}
		values[fmt.Sprintf("probes[%d].cluster", i)] = OwnPrefix + p.Cluster
		if !slices.Contains(busy, p.Cluster) {
			busy = append(busy, p.Cluster)
		}
	}
	if len(busy) == 0 {
		return d, nil, nil
	}
	d, err := d.With(values)
	return d, busy, err
}

// own returns the cluster that probes have in the place of this one.
func (c cluster) own() cluster {
	c.Comment = "The application, for the probes alone, which are none of its traffic: no outlier detection ejects it " +
		"for them, and\nno circuit breaker that is full of requests fails them."
	c.Name = OwnPrefix + c.Name
	return c
}

// added returns the clusters that come to those that a proxy has: its own, the given ones, and one that leads to its
// admin as the first of those does. Missing says that there is none for a probe.
func added(d *document.Document, has []string, own []cluster, given []string, adminPort int, missing string) ([]cluster,
	error) {
	known := func(name string) bool {
		return slices.Contains(has, name) || slices.ContainsFunc(own, func(c cluster) bool { return c.Name == name })
	}
	add := func(c cluster, err error) error {
		if err == nil && known(c.Name) {
			err = &OptionError{"cluster", fmt.Sprintf("%q is there already", c.Name)}
		}
		own = append(own, c)
		return err
	}
	for _, s := range given {
		if err := add(parseCluster(s)); err != nil {
			return nil, err
		}
	}
	for i, p := range d.Config.Probes {
		if !p.OfEnvoy() && !known(p.Cluster) {
			return nil, d.Problem(fmt.Sprintf("probes[%d].cluster", i),
				fmt.Sprintf(missing, p.Cluster, document.Shell(p.Cluster+"=HOST:PORT")))
		}
	}
	a := d.Config.Admin
	if a == nil || a.Cluster == has[0] {
		return own, nil
	}
	c, err := newCluster("admin-port", a.Cluster, fmt.Sprintf("127.0.0.1:%d", adminPort))
	c.Comment = "The proxy's own admin address, for the filter. Its bootstrap has such a cluster already, " + has[0] + "."
	return own, add(c, err)
}

// parseCluster reads NAME=HOST:PORT or NAME=unix:///PATH.
func parseCluster(s string) (cluster, error) {
	name, address, ok := strings.Cut(s, "=")
	if !ok && strings.Contains(s, "@") {
		return cluster{}, &OptionError{"cluster", errLogin.Error()}
	}
	if !ok || name == "" {
		return cluster{}, &OptionError{"cluster", fmt.Sprintf("%q is not NAME=HOST:PORT", s)}
	}
	return newCluster("cluster", name, address)
}

func newCluster(flag, name, text string) (cluster, error) {
	node, static, err := address(text)
	if err != nil {
		return cluster{}, &OptionError{flag, err.Error()}
	}
	c := cluster{Name: name, Address: node}
	if !static {
		c.Type = "STRICT_DNS"
	}
	return c, nil
}
