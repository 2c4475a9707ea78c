package render

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/document"
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

// IstioEnvoyFilter renders an EnvoyFilter, and the ConfigMaps that go with it.
func IstioEnvoyFilter(d *document.Document, o IstioOptions) (string, error) {
	d, v, err := o.values(d)
	if err != nil {
		return "", err
	}
	code, err := o.code()
	if err != nil {
		return "", err
	}
	v["kind"], v["filter"], v["patches"] = "an EnvoyFilter", matcher(d, code), true
	return document.Encode(documents(istioTemplate, v)...)
}

// IstioWasmPlugin renders a WasmPlugin, the ConfigMaps that go with it, and an EnvoyFilter for what a WasmPlugin
// cannot bring.
func IstioWasmPlugin(d *document.Document, o IstioOptions) (string, error) {
	return o.plugin(d, "WasmPlugin")
}

// IstioTrafficExtension renders the same with a TrafficExtension in the place of the WasmPlugin.
func IstioTrafficExtension(d *document.Document, o IstioOptions) (string, error) {
	return o.plugin(d, "TrafficExtension")
}

func (o *IstioOptions) plugin(d *document.Document, kind string) (string, error) {
	d, v, err := o.values(d)
	if err != nil {
		return "", err
	}
	url := o.Wasm
	if o.isFile() {
		url = "file://" + o.Wasm
	}
	plugin := part("istio_plugin", values{"url": url, "sha256": o.WasmSHA256, "configuration": d.Node()})
	v["kind"], v["plugin_kind"] = "a "+kind, kind
	v["patches"] = v.has("peer") || v.has("routes") || v.has("clusters")
	if kind == "TrafficExtension" {
		v["kind"], v["wasm"] = "a TrafficExtension, which Istio 1.30 and later have", plugin
	}
	out := documents(istioTemplate, v)
	if kind == "WasmPlugin" { // its fields are the spec's own
		root := out[0].Content[0].Content
		spec := root[len(root)-1]
		spec.Content = append(spec.Content, plugin.Content...)
	}
	return document.Encode(out...)
}

func (o *IstioOptions) isFile() bool { return !strings.Contains(o.Wasm, "://") }

// code returns where Envoy itself takes the plugin from. Istio's agent fetches for a WasmPlugin only.
func (o *IstioOptions) code() (*yaml.Node, error) {
	if o.isFile() {
		return part("code", values{"file": o.Wasm}), nil
	}
	if !strings.HasPrefix(o.Wasm, "http://") && !strings.HasPrefix(o.Wasm, "https://") {
		return nil, &OptionError{"wasm", fmt.Sprintf("%q: an EnvoyFilter takes a path in the proxy's container, or "+
			"http(s):// with --wasm-cluster and --wasm-sha256; oci:// is for istio-wasmplugin", o.Wasm)}
	}
	if o.WasmCluster == "" || o.WasmSHA256 == "" {
		return nil, &OptionError{"wasm", "Envoy fetches a URL only through a cluster and with its sum: " +
			"give --wasm-cluster and --wasm-sha256"}
	}
	return part("code", values{"url": o.Wasm, "cluster": o.WasmCluster, "sha256": o.WasmSHA256}), nil
}

var sum = regexp.MustCompile(`^[0-9a-f]{64}$`)

// values checks the options and returns what is the same in both forms, with the document that has clusters for probes.
func (o *IstioOptions) values(d *document.Document) (*document.Document, values, error) {
	if err := RefuseGRPC(d, "Istio's routes are not ours, and one answers checks of gRPC: give the workload an Envoy of "+
		"its own (render envoy, render kubernetes), or let the kubelet and Istio ask by HTTP"); err != nil {
		return nil, nil, err
	}
	d, busy, err := ownClusters(d, func(name string) bool { return istioCluster.MatchString(name) })
	if err != nil {
		return nil, nil, err
	}
	if err := cmp.Or(errors.Join(checkName("name", o.Name, "-runtime"), checkName("namespace", o.Namespace, "")),
		o.checkWasm(), checkKeys(d, Node{ID: "TYPE~IP~POD~DOMAIN"})); err != nil {
		return nil, nil, err
	}
	if len(o.Selector) == 0 {
		return nil, nil, &OptionError{"selector", "is needed: the labels of the workload's pods, KEY=VALUE"}
	}
	selector, err := labels("selector", o.Selector)
	if err != nil {
		return nil, nil, err
	}
	if o.Port < 0 || o.Port > 65535 {
		return nil, nil, &OptionError{"port", fmt.Sprintf("%d is not a port", o.Port)}
	}
	v := values{
		"source": d.File, "command": document.Shell(o.Command...), "what": "a sidecar's inbound ports",
		"name": o.Name, "namespace": o.Namespace, "selector": mapping(selector...), "peer": peer(d.Config),
		"runtime_name": o.Name + "-runtime", "bootstrap_name": o.Name + "-bootstrap",
		"context": "SIDECAR_INBOUND", "mode": "SERVER", "port": o.Port,
	}
	if o.Gateway {
		v["what"], v["context"], v["mode"] = "a gateway", "GATEWAY", "CLIENT_AND_SERVER"
	}
	routes, err := maintenanceRoutes(d, o.RouteKey, nil)
	if err != nil {
		return nil, nil, err
	}
	if v["routes"], err = o.routePatches(d, routes, v); err != nil {
		return nil, nil, err
	}
	if v["clusters"], err = o.clusterPatches(d, busy, v); err != nil {
		return nil, nil, err
	}
	if v["bootstrap"], err = istioBootstrap(o.RuntimeDir + "/..data"); err != nil {
		return nil, nil, err
	}
	v["kubectl"] = kubectl(o.Namespace, o.Name, keys(d.Config, routes))
	v["hints"], err = o.hints()
	return d, v, err
}

// kubectl returns the commands that switch the keys of NAME-runtime on and off.
func kubectl(namespace, name string, keys []entry) []string {
	if len(keys) == 0 {
		keys = []entry{{"KEY", "true"}}
	}
	var out []string
	for _, k := range keys {
		for _, value := range []string{`"` + k.Value + `"`, "null"} {
			words := []string{"kubectl", "-n", namespace, "patch", "configmap", name + "-runtime", "--type", "merge",
				"-p", fmt.Sprintf(`{"data": {"%s": %s}}`, k.Key, value)}
			if namespace == "" {
				words = slices.Delete(words, 1, 3)
			}
			out = append(out, "  "+document.Shell(words...))
		}
	}
	return out
}

// hints returns what the workload's pods need besides the documents.
func (o *IstioOptions) hints() ([]string, error) {
	bootstrap := entry{"sidecar.istio.io/bootstrapOverride", o.Name + "-bootstrap"}
	var out []string
	if o.Gateway {
		out = append(out, "In the gateway's Deployment, the pod template's annotation", "",
			"  "+bootstrap.Key+": "+bootstrap.Value, "")
		mounts := "and, for the container istio-proxy, the ConfigMap " + o.Name + "-runtime mounted at " + o.RuntimeDir
		if o.isFile() {
			out = append(out, mounts+",")
			mounts = "the ConfigMap " + o.Name + "-wasm at " + path.Dir(o.Wasm)
		}
		out = append(out, mounts+".")
	} else {
		type object = map[string]any
		volumes := object{o.Name + "-runtime": object{"configMap": object{"name": o.Name + "-runtime", "optional": true}}}
		mounts := object{o.Name + "-runtime": object{"mountPath": o.RuntimeDir, "readOnly": true}}
		if o.isFile() {
			volumes[o.Name+"-wasm"] = object{"configMap": object{"name": o.Name + "-wasm"}}
			mounts[o.Name+"-wasm"] = object{"mountPath": path.Dir(o.Wasm), "readOnly": true}
		}
		text, err := document.Encode(mapping(bootstrap, entry{"sidecar.istio.io/userVolume", document.JSON(volumes, "")},
			entry{"sidecar.istio.io/userVolumeMount", document.JSON(mounts, "")}))
		if err != nil {
			return nil, err
		}
		out = append(out, "Annotations of the workload's pod template:", "")
		for line := range strings.Lines(text) {
			out = append(out, "  "+strings.TrimSuffix(line, "\n"))
		}
	}
	if o.isFile() {
		create := document.Shell("kubectl", "-n", o.Namespace, "create", "configmap", o.Name+"-wasm",
			"--from-file="+path.Base(o.Wasm)+"=build/healthgate-tinygo.wasm")
		out = append(out, "", "The plugin, small enough for a ConfigMap when built by `make filter-tinygo`:", "", "  "+create)
	}
	return out, nil
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

// clusterPatches returns what adds clusters to Istio's: in the place of busy ones, for probes, and for admin unless
// Istio's own serves.
func (o *IstioOptions) clusterPatches(d *document.Document, busy []string, v values) ([]*yaml.Node, error) {
	var own []cluster
	for _, name := range busy {
		c, err := ownCluster(name)
		if err != nil {
			return nil, err
		}
		own = append(own, c)
	}
	all, err := added(d, []string{istioAdmin, "agent"}, own, o.Clusters, o.AdminPort,
		"Istio has no cluster %q: give --cluster %s, for a sidecar 127.0.0.1 and the container's "+
			"port, or name one that Istio has, as in `istioctl proxy-config clusters`")
	var out []*yaml.Node
	for _, c := range all {
		c.Type = cmp.Or(c.Type, "STATIC")
		n := c.node(d)
		patch := part("cluster_patch", values{"context": v["context"], "cluster": n})
		patch.HeadComment, n.HeadComment = n.HeadComment, ""
		out = append(out, patch)
	}
	return out, err
}

// routePatches returns what inserts maintenance routes before Istio's.
func (o *IstioOptions) routePatches(d *document.Document, routes []route, v values) ([]*yaml.Node, error) {
	cluster := o.RouteCluster
	if cluster == "" && !o.Gateway && o.Port > 0 {
		cluster = fmt.Sprintf("inbound|%d||", o.Port)
	}
	if cluster == "" {
		for n, e := range d.Config.Endpoints {
			if e.Maintenance.RouteMetadata {
				flag := "--port PORT, the container's"
				if o.Gateway {
					flag = "--route-cluster CLUSTER, such as 'outbound|80||app.default.svc.cluster.local'"
				}
				return nil, d.Problem(fmt.Sprintf("endpoints[%d].maintenance.route_metadata", n),
					"a maintenance route must know where to send what is not a health check: give "+flag)
			}
		}
	}
	var out []*yaml.Node
	for _, r := range routes {
		patch := values{"context": v["context"], "route": part("route", values{
			"name": r.Name, "path": r.Path, "key": r.Key, "cluster": cluster, "timeout": "0s",
		})}
		// A gateway's routes are found by the port of its service, its listeners by the container's, which this is. So
		// there the route is in each of the gateway's ports; it does nothing where no request has its path.
		if !o.Gateway {
			patch["port"] = o.Port
		}
		out = append(out, part("route_patch", patch))
	}
	return out, nil
}

// istioBootstrap returns what sidecar.istio.io/bootstrapOverride adds to Istio's bootstrap. Envoy appends the lists.
func istioBootstrap(symlinkRoot string) (string, error) {
	var tags []struct {
		Name  string `yaml:"tag_name" json:"tag_name"`
		Regex string `yaml:"regex" json:"regex"`
	}
	if err := part("tags", nil).Decode(&tags); err != nil {
		return "", err
	}
	return document.JSON(map[string]any{
		"layered_runtime": map[string]any{"layers": []any{map[string]any{
			"name": "healthgate", "disk_layer": map[string]any{"symlink_root": symlinkRoot},
		}}},
		"stats_config": map[string]any{"stats_tags": tags},
	}, "  ") + "\n", nil
}
