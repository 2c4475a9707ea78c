package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/healthgate/healthgate/envoy/operator/document"
	"go.yaml.in/yaml/v3"
)

// IstioOptions are what Istio needs besides healthgate.yaml.
type IstioOptions struct {
	Common
	Gateway         bool // a gateway instead of a sidecar
	Name, Namespace string
	Selector        []string // KEY=VALUE labels of the workload's pods
	Port            int      // the container's port; 0: every port
	RouteCluster    string   // where a gateway's maintenance route sends what is not a health check
	WasmCluster     string   // the cluster through which Envoy fetches the plugin itself, for an EnvoyFilter
	AdminPort       int      // the proxy's admin port, 15000
	Clusters        []string // NAME=HOST:PORT of clusters that probes ask and Istio does not have
}

// istioAdmin is the cluster of Istio's bootstrap that reaches the proxy's admin port.
const istioAdmin = "prometheus_stats"

// istio is what istio.tmpl and hints.tmpl take.
type istio struct {
	Source, Command, What    string
	Context, Name, Namespace string
	Selector                 []entry
	Port                     int
	Gate                     *filter // nil for a WasmPlugin
	Config                   string
	URL, SHA256              string // of a WasmPlugin
	Peers                    []string
	Routes                   []route
	RouteMatch               string
	Clusters                 []cluster
	Bootstrap, Hints         string
	RuntimeDir               string
	Keys                     []entry
	File, FileDir, FileName  string // of a plugin that is a file
}

// IstioEnvoyFilter renders an EnvoyFilter, and the ConfigMaps that go with it.
func IstioEnvoyFilter(d *document.Document, o IstioOptions) (string, error) {
	i, err := o.common(d)
	if err != nil {
		return "", err
	}
	code, err := o.code()
	if err != nil {
		return "", err
	}
	i.Gate = &filter{Paths: paths(d.Config), Code: code, Config: i.Config}
	return i.render()
}

// IstioWasmPlugin renders a WasmPlugin, the ConfigMaps that go with it, and an EnvoyFilter for what a WasmPlugin
// cannot bring.
func IstioWasmPlugin(d *document.Document, o IstioOptions) (string, error) {
	i, err := o.common(d)
	if err != nil {
		return "", err
	}
	i.URL, i.SHA256 = o.Wasm, o.WasmSHA256
	if i.File != "" {
		i.URL = "file://" + i.File
	}
	return i.render()
}

func (i *istio) render() (string, error) {
	var err error
	if i.Hints, err = execute(templates, "hints.tmpl", i); err != nil {
		return "", err
	}
	return render("istio.tmpl", i)
}

// code returns where Envoy itself takes the plugin from. Istio's agent fetches for a WasmPlugin only.
func (o *IstioOptions) code() (string, error) {
	if !strings.Contains(o.Wasm, "://") {
		return localCode(o.Wasm), nil
	}
	if !strings.HasPrefix(o.Wasm, "http://") && !strings.HasPrefix(o.Wasm, "https://") {
		return "", &OptionError{"wasm", fmt.Sprintf("%q: an EnvoyFilter takes a path in the proxy's container, or http(s):// "+
			"with --wasm-cluster and --wasm-sha256; oci:// is for istio-wasmplugin", o.Wasm)}
	}
	if o.WasmCluster == "" || o.WasmSHA256 == "" {
		return "", &OptionError{"wasm", "Envoy fetches a URL only through a cluster and with its sum: give --wasm-cluster and --wasm-sha256"}
	}
	return fmt.Sprintf("{remote: {http_uri: {uri: %s, cluster: %s, timeout: 30s}, sha256: %s}}",
		document.Quote(o.Wasm), document.Quote(o.WasmCluster), document.Quote(o.WasmSHA256)), nil
}

var (
	// dnsName is how Kubernetes names objects (RFC 1123).
	dnsName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`)
	label   = regexp.MustCompile(`^([-A-Za-z0-9_./]+)=([-A-Za-z0-9_.]*)$`)
	sum     = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

func (o *IstioOptions) common(d *document.Document) (*istio, error) {
	d, busy, err := ownClusters(d, func(name string) bool { return istioCluster.MatchString(name) })
	if err != nil {
		return nil, err
	}
	text, err := d.YAML()
	if err != nil {
		return nil, err
	}
	i := &istio{
		Source: d.File, Command: o.Command, What: "a sidecar's inbound ports", Context: "SIDECAR_INBOUND",
		Name: o.Name, Namespace: o.Namespace, Port: o.Port, Config: text, Peers: peers(d.Config), RuntimeDir: o.RuntimeDir,
	}
	if o.Gateway {
		i.What, i.Context = "a gateway", "GATEWAY"
	}
	for _, f := range []struct{ flag, value string }{{"name", o.Name}, {"namespace", o.Namespace}} {
		if !dnsName.MatchString(f.value) {
			return nil, &OptionError{f.flag, fmt.Sprintf("%q is no name in Kubernetes: lower-case letters, digits, '-' and '.'", f.value)}
		}
	}
	if len(o.Selector) == 0 {
		return nil, &OptionError{"selector", "is needed: the labels of the workload's pods, KEY=VALUE"}
	}
	for _, s := range o.Selector {
		m := label.FindStringSubmatch(s)
		if m == nil {
			return nil, &OptionError{"selector", fmt.Sprintf("%q is not KEY=VALUE", s)}
		}
		i.Selector = append(i.Selector, entry{m[1], m[2]})
	}
	if o.Port < 0 || o.Port > 65535 {
		return nil, &OptionError{"port", fmt.Sprintf("%d is not a port", o.Port)}
	}
	if o.WasmSHA256 != "" && !sum.MatchString(o.WasmSHA256) {
		return nil, &OptionError{"wasm-sha256", "is not 64 lower-case hexadecimal digits, as sha256sum prints"}
	}
	if !strings.Contains(o.Wasm, "://") {
		if !path.IsAbs(o.Wasm) {
			return nil, &OptionError{"wasm", fmt.Sprintf("%q: a path in the proxy's container starts with a slash", o.Wasm)}
		}
		i.File, i.FileDir, i.FileName = o.Wasm, path.Dir(o.Wasm), path.Base(o.Wasm)
	}
	if !path.IsAbs(o.RuntimeDir) {
		return nil, &OptionError{"runtime-dir", fmt.Sprintf("%q: a path in the proxy's container starts with a slash", o.RuntimeDir)}
	}
	if err := o.routes(d, i); err != nil {
		return nil, err
	}
	i.Keys = keys(d.Config, i.Routes)
	if i.Clusters, err = o.clusters(d, busy); err != nil {
		return nil, err
	}
	i.Bootstrap, err = istioBootstrap(o.RuntimeDir + "/..data")
	return i, err
}

// istioCluster matches the names of clusters that Istio makes of ports and of services.
var istioCluster = regexp.MustCompile(`^(inbound|outbound)\|(\d+)\|([^|]*)\|([^|]*)$`)

// ownCluster returns the cluster that probes have in the place of one of Istio's.
func ownCluster(name string) (cluster, error) {
	m := istioCluster.FindStringSubmatch(name)
	if m[1] == "inbound" {
		// Istio's own sends to where the connection that came in wanted to go. A probe has no such connection.
		c, err := newCluster("cluster", name, "127.0.0.1:"+m[2])
		return c.own(), err
	}
	c := cluster{Name: name, Type: "EDS", Service: name, SNI: fmt.Sprintf("outbound_.%s_.%s_.%s", m[2], m[3], m[4])}
	return c.own(), nil
}

// clusters returns those that are added to Istio's: in the place of busy ones, for probes, and for admin unless Istio's
// own serves.
func (o *IstioOptions) clusters(d *document.Document, busy []string) ([]cluster, error) {
	var out []cluster
	known := map[string]bool{istioAdmin: true, "agent": true}
	add := func(c cluster) error {
		if known[c.Name] {
			return &OptionError{"cluster", fmt.Sprintf("%q is there already", c.Name)}
		}
		known[c.Name] = true
		if c.Type == "" {
			c.Type = "STATIC"
		}
		out = append(out, c)
		return nil
	}
	for _, name := range busy {
		c, err := ownCluster(name)
		if err == nil {
			err = add(c)
		}
		if err != nil {
			return nil, err
		}
	}
	for _, s := range o.Clusters {
		c, err := parseCluster(s)
		if err == nil {
			err = add(c)
		}
		if err != nil {
			return nil, err
		}
	}
	for i, p := range d.Config.Probes {
		if !known[p.Cluster] {
			return nil, d.Problem(fmt.Sprintf("probes[%d].cluster", i),
				fmt.Sprintf("Istio has no cluster %q: give --cluster %s=HOST:PORT, for a sidecar 127.0.0.1 and the container's "+
					"port, or name one that Istio has, as in `istioctl proxy-config clusters`", p.Cluster, p.Cluster))
		}
	}
	if a := d.Config.Admin; a != nil && a.Cluster != istioAdmin {
		c, err := newCluster("admin-port", a.Cluster, fmt.Sprintf("127.0.0.1:%d", o.AdminPort))
		if err != nil {
			return nil, err
		}
		c.Comment = "The proxy's own admin address, for the filter. Istio's bootstrap has such a cluster already, " + istioAdmin + "."
		if err := add(c); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// routes fills in the maintenance routes, which are inserted before Istio's.
func (o *IstioOptions) routes(d *document.Document, i *istio) error {
	cluster := o.RouteCluster
	if cluster == "" && !o.Gateway && o.Port > 0 {
		cluster = fmt.Sprintf("inbound|%d||", o.Port)
	}
	var err error
	if i.Routes, err = routes(d, o.RouteKey, "{cluster: "+document.Quote(cluster)+", timeout: 0s}"); err != nil || len(i.Routes) == 0 {
		return err
	}
	if cluster == "" {
		for n, e := range d.Config.Endpoints {
			if e.Maintenance.RouteMetadata {
				flag := "--port PORT, the container's"
				if o.Gateway {
					flag = "--route-cluster CLUSTER, such as 'outbound|80||app.default.svc.cluster.local'"
				}
				return d.Problem(fmt.Sprintf("endpoints[%d].maintenance.route_metadata", n),
					"a maintenance route must know where to send what is not a health check: give "+flag)
			}
		}
	}
	// A gateway's routes are found by the port of its service, its listeners by the container's, which this is. So
	// there the route is in each of the gateway's ports; it does nothing where no request has its path.
	if o.Port > 0 && !o.Gateway {
		i.RouteMatch = fmt.Sprintf("{portNumber: %d}", o.Port)
	}
	return nil
}

// istioBootstrap returns what sidecar.istio.io/bootstrapOverride adds to Istio's bootstrap. Envoy appends the lists.
func istioBootstrap(symlinkRoot string) (string, error) {
	text, err := execute(templates, "tags.tmpl", nil)
	if err != nil {
		return "", err
	}
	var tags []struct {
		Name  string `yaml:"tag_name" json:"tag_name"`
		Regex string `yaml:"regex" json:"regex"`
	}
	if err := yaml.Unmarshal([]byte(text), &tags); err != nil {
		return "", err
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err = encoder.Encode(map[string]any{
		"layered_runtime": map[string]any{"layers": []any{map[string]any{
			"name": "healthgate", "disk_layer": map[string]any{"symlink_root": symlinkRoot},
		}}},
		"stats_config": map[string]any{"stats_tags": tags},
	})
	return out.String(), err
}
