package render

import (
	"fmt"
	"slices"

	"github.com/healthgate/healthgate/envoy/operator/document"
)

// EnvoyOptions are what a whole Envoy needs besides healthgate.yaml.
type EnvoyOptions struct {
	Common
	Listen     string   // HOST:PORT
	Admin      string   // HOST:PORT or unix:///PATH
	Clusters   []string // NAME=HOST:PORT or NAME=unix:///PATH; the first is the application's
	RTDSFile   string   // a file of runtime keys; at most one of this and RTDSServer
	RTDSServer string   // HOST:PORT of a gRPC server of runtime keys
	Gate       string   // ByRoute, also when empty, or ByMatcher
	Node       Node
}

// The gates: how requests that are not for an endpoint's path are kept out of the VM.
const (
	// ByRoute disables the filter, and enables it on a route for each path.
	ByRoute = "route"
	// ByMatcher makes the filter when the path of a request matches. It needs no route.
	ByMatcher = "matcher"
)

// Node is the identity of an Envoy.
type Node struct{ ID, Cluster, Region, Zone string }

// Envoy renders a whole Envoy configuration.
func Envoy(d *document.Document, o EnvoyOptions) (string, error) {
	listen, static, err := Address(o.Listen)
	if err != nil {
		return "", &OptionError{"listen", err.Error()}
	}
	if !static {
		return "", &OptionError{"listen", fmt.Sprintf("%q: Envoy listens on an IP address; for all of them: 0.0.0.0", o.Listen)}
	}
	admin, static, err := Address(o.Admin)
	if err == nil && !static {
		err = fmt.Errorf("%q: Envoy listens on an IP address or a Unix socket", o.Admin)
	}
	if err != nil {
		return "", &OptionError{"admin", err.Error()}
	}
	clusters, err := o.clusters(d, admin)
	if err != nil {
		return "", err
	}
	app := clusters[0]
	d, busy, err := ownClusters(d, func(name string) bool { return name == app.Name })
	if err != nil {
		return "", err
	}
	if len(busy) > 0 {
		own := app.own()
		if slices.ContainsFunc(clusters, func(c cluster) bool { return c.Name == own.Name }) {
			return "", &OptionError{"cluster", fmt.Sprintf("%q is the name of the cluster of the probes of %q", own.Name, app.Name)}
		}
		clusters = slices.Insert(clusters, 1, own)
	}
	text, err := d.YAML()
	if err != nil {
		return "", err
	}
	action := "{cluster: " + document.Quote(app.Name) + "}"
	routes, err := routes(d, o.RouteKey, action)
	if err != nil {
		return "", err
	}
	var gated []route
	switch o.Gate {
	case "", ByRoute:
		for i := range routes {
			routes[i].Enables = true
		}
		gated = gateRoutes(d.Config, action)
	case ByMatcher:
	default:
		return "", &OptionError{"gate", fmt.Sprintf("%q is neither %s nor %s", o.Gate, ByRoute, ByMatcher)}
	}
	var rtds any
	if o.RTDSFile != "" || o.RTDSServer != "" {
		rtds = struct{ File string }{o.RTDSFile}
	}
	defaults := keys(d.Config, routes)
	for i := range defaults {
		defaults[i].Value = map[string]string{"true": "false", "100": "0"}[defaults[i].Value]
	}
	return render("envoy.tmpl", map[string]any{
		"Source": d.File, "Command": o.Command,
		"Node": o.Node, "Admin": admin, "Listen": listen, "Clusters": clusters,
		"Defaults": defaults, "RuntimeDir": o.RuntimeDir, "RTDS": rtds,
		"Peers": peers(d.Config), "Routes": routes, "Gated": gated, "AppRoute": action,
		"Filter": filter{Paths: paths(d.Config), Code: localCode(o.Wasm), Config: text},
	})
}

func localCode(path string) string {
	return "{local: {filename: " + document.Quote(path) + "}}"
}

func render(name string, data any) (string, error) {
	text, err := execute(templates, name, data)
	return text + "\n", err
}

// clusters returns the application's cluster, the others that are given, admin's, and that of an RTDS server.
func (o *EnvoyOptions) clusters(d *document.Document, admin string) ([]cluster, error) {
	var out []cluster
	known := map[string]bool{}
	for _, s := range o.Clusters {
		c, err := parseCluster(s)
		if err != nil {
			return nil, err
		}
		if known[c.Name] {
			return nil, &OptionError{"cluster", fmt.Sprintf("%q is given twice", c.Name)}
		}
		known[c.Name] = true
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, &OptionError{"cluster", "is needed once at least: the application's, NAME=HOST:PORT"}
	}
	out[0].Comment = "The application."
	for i, p := range d.Config.Probes {
		if !known[p.Cluster] {
			return nil, d.Problem(fmt.Sprintf("probes[%d].cluster", i),
				fmt.Sprintf("there is no address for %q: give --cluster %s=HOST:PORT", p.Cluster, p.Cluster))
		}
	}
	if a := d.Config.Admin; a != nil {
		if known[a.Cluster] {
			return nil, d.Problem("admin.cluster",
				fmt.Sprintf("%q is Envoy's own admin here; its address comes from --admin, not --cluster", a.Cluster))
		}
		known[a.Cluster] = true
		out = append(out, cluster{Name: a.Cluster, Address: admin, Comment: "Envoy's own admin address, for the filter."})
	}
	if o.RTDSServer != "" {
		if o.RTDSFile != "" {
			return nil, &OptionError{"rtds-server", "cannot go with --rtds-file; choose one"}
		}
		c, err := newCluster("rtds-server", rtdsCluster, o.RTDSServer)
		if err != nil {
			return nil, err
		}
		if known[c.Name] {
			return nil, &OptionError{"cluster", fmt.Sprintf("%q is the name of the cluster of --rtds-server", c.Name)}
		}
		c.Comment, c.HTTP2 = "The server of runtime keys.", true
		out = append(out, c)
	}
	return out, nil
}

const rtdsCluster = "healthgate_rtds"
