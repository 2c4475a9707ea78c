package render

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/document"
	"github.com/healthgate/healthgate/filter/config"
	"go.yaml.in/yaml/v3"
)

// What an Envoy is called and where its admin is, unless an operator says it.
const (
	DefaultNodeID = "healthgate-1"
	DefaultAdmin  = "127.0.0.1:9901"
)

// EnvoyOptions are what a whole Envoy needs besides healthgate.yaml.
type EnvoyOptions struct {
	Common
	Listen     string   // HOST:PORT
	Metrics    string   // HOST:PORT or unix:///PATH of a listener for Prometheus; empty: none
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
	listen, static, err := address(o.Listen)
	if err != nil {
		return "", &OptionError{"listen", err.Error()}
	}
	if !static {
		return "", wrong("listen", o.Listen, ": Envoy listens on an IP address; for all of them: 0.0.0.0")
	}
	admin, err := Address("admin", o.Admin)
	if err != nil {
		return "", err
	}
	if Overlap(o.Admin, o.Listen) {
		return "", wrong("admin", o.Admin, " is --listen, too: users would reach admin; give each its own")
	}
	for flag, other := range map[string]string{"listen": o.Listen, "admin": o.Admin} {
		if Overlap(o.Metrics, other) {
			return "", wrong("metrics-listen", o.Metrics, " is --%s, too; give each its own", flag)
		}
	}
	if o.RuntimeDir, err = RuntimeDir(o.RuntimeDir); err != nil {
		return "", err
	}
	if extension := filepath.Ext(o.RTDSFile); o.RTDSFile != "" &&
		!slices.Contains([]string{".yaml", ".yml", ".json"}, extension) {
		return "", wrong("rtds-file", o.RTDSFile,
			": Envoy tells the format by the name, so it must end in .yaml, .yml or .json")
	}
	clusters, err := o.clusters(d, admin)
	if err != nil {
		return "", err
	}
	clusters[0].Follows = answersGRPC(d.Config)
	app := clusters[0]
	d, busy, err := ownClusters(d, func(name string) bool { return name == app.Name })
	if err != nil {
		return "", err
	}
	if len(busy) > 0 {
		own := app.own()
		if slices.ContainsFunc(clusters, func(c cluster) bool { return c.Name == own.Name }) {
			return "", wrong("cluster", own.Name, " is the name of the cluster of the probes of %q", app.Name)
		}
		clusters = slices.Insert(clusters, 1, own)
	}
	p, err := NewPieces(d, o.Common, o.Gate, o.Node)
	if err != nil {
		return "", err
	}
	var gate, maintenance []*yaml.Node
	for _, path := range p.Paths {
		if path.Gate != "" {
			gate = append(gate, path.route(path.Gate, "", app.Name))
		}
		if path.Maintenance != "" {
			maintenance = append(maintenance, path.route(path.Maintenance, path.Key, app.Name))
		}
	}
	metrics, err := Metrics(d, o.Metrics)
	if err != nil {
		return "", err
	}
	v := values{
		"source": d.File, "command": document.Shell(o.Command...), "curl": o.curl(d.Config),
		"file":    o.RuntimeDir + "/" + someKey(d.Config),
		"node_id": o.Node.ID, "node_cluster": o.Node.Cluster, "region": o.Node.Region, "zone": o.Node.Zone,
		"admin": admin, "listen": listen, "metrics": metrics,
		"app": app.Name, "peer": p.Peer, "tags": p.Tags, "filter": p.Filter, "defaults": p.Defaults,
		"gate_routes": gate, "routes": maintenance,
		"runtime_dir": o.RuntimeDir,
		"rtds":        o.RTDSFile != "" || o.RTDSServer != "", "rtds_file": watched(o.RTDSFile),
		"rtds_server": o.RTDSServer != "",
	}
	maps.Copy(v, grpcParts(d.Config))
	v["logged"] = &yaml.Node{Kind: yaml.ScalarNode, Style: yaml.DoubleQuotedStyle, Value: logged}
	if answersGRPC(d.Config) {
		v["logged"].(*yaml.Node).Value += " && !('" + config.GRPCAnswer + "' in request.headers)"
	}
	var made []*yaml.Node
	for _, c := range clusters {
		made = append(made, c.node(d))
	}
	if internal, is := v["grpc_cluster"].(*yaml.Node); is {
		made = append(made, internal)
	}
	v["clusters"] = made
	out := documents(envoyTemplate, v)
	for i, n := range out[0].Content[0].Content {
		if i%2 == 0 && i > 0 {
			n.HeadComment = "\n" + n.HeadComment
		}
	}
	return document.Encode(out...)
}

// logged says of which requests there is a line in the access log.
const logged = "!(has(response.code_details) && response.code_details.startsWith('healthgate_'))"

const matcherLacksRoutes = "a route answers checks of gRPC, and this gate does without: use --gate route"

// defaults returns what switches keys off.
func defaults(keys []entry) *yaml.Node {
	if len(keys) == 0 {
		return nil
	}
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, k := range keys {
		off := map[string]string{"true": "false", "100": "0"}[k.Value]
		n.Content = append(n.Content, document.Text(k.Key), &yaml.Node{Kind: yaml.ScalarNode, Value: off})
	}
	return n
}

func someKey(c *config.Config) string {
	if known := keys(c, nil); len(known) > 0 {
		return known[0].Key
	}
	return "KEY"
}

// curl returns how maintenance is switched on without this command.
func (o *EnvoyOptions) curl(c *config.Config) string {
	words, host := []string{"curl"}, o.Admin
	if path, is := strings.CutPrefix(o.Admin, "unix://"); is {
		words, host = append(words, "--unix-socket", path), "admin"
	}
	return document.Shell(append(words, "-X", "POST", "http://"+host+"/runtime_modify?"+someKey(c)+"=true")...)
}

// clusters returns the application's cluster, the others that are given, admin's, and that of an RTDS server.
func (o *EnvoyOptions) clusters(d *document.Document, admin *yaml.Node) ([]cluster, error) {
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
		_, at, _ := strings.Cut(s, "=")
		switch first := len(out) == 0; {
		case first && Overlap(at, o.Listen):
			return nil, wrong("cluster", s, " is --listen: requests would go round in circles; give the application's address")
		case first && Overlap(at, o.Admin):
			return nil, wrong("cluster", s, " is --admin: users would reach admin; give the application's address")
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, &OptionError{"cluster", "is needed once at least: the application's, NAME=HOST:PORT"}
	}
	out[0].Comment = "The application."
	for i, p := range d.Config.Probes {
		if !p.OfEnvoy() && !known[p.Cluster] {
			return nil, d.Problem(fmt.Sprintf("probes[%d].cluster", i),
				fmt.Sprintf("there is no address for %q: give --cluster %s", p.Cluster, document.Shell(p.Cluster+"=HOST:PORT")))
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
