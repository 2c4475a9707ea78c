package render

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/document"
	"go.yaml.in/yaml/v3"
)

// GatewayOptions are what Envoy Gateway needs besides healthgate.yaml.
type GatewayOptions struct {
	Common
	Name, Namespace string
	Gateway         string   // the Gateway that answers
	Listeners       []string // of the Gateway
	Hostnames       []string // that other routes of the Gateway name
	Backend         string   // the application: SERVICE:PORT, or the name of a Backend
	ProxyNamespace  string   // where the proxies run
	AdminPort       int      // the proxies' admin port, 19000
	Clusters        []string // NAME=HOST:PORT of clusters that probes ask
}

// gatewayClusters are those of Envoy Gateway's bootstrap. The first one reaches the proxy's admin port.
var gatewayClusters = []string{"prometheus_stats", "xds_cluster", "wasm_cluster"}

// ahead are the filters that look at users and come before a Wasm filter by themselves, from the last to the first.
var ahead = []string{"ext_proc", "lua", "jwt_authn", "oauth2", "basic_auth", "api_key_auth",
	"ext_authz", "csrf", "cors",
	"fault"}

// EnvoyGateway renders what a Gateway of Envoy Gateway needs.
func EnvoyGateway(d *document.Document, o GatewayOptions) (string, error) {
	backend, err := o.backend()
	if err == nil {
		err = o.check(d)
	}
	if err != nil {
		return "", err
	}
	if len(d.Config.Keys) == 0 {
		o.RuntimeDir = "" // there is nothing to read
	}
	bootstrap, err := o.bootstrap(d)
	if err != nil {
		return "", err
	}
	v := values{
		"source": d.File, "command": document.Shell(o.Command...), "hints": o.hints(), "name": o.Name,
		"namespace":  o.Namespace,
		"hosts_name": o.Name + "-hosts", "gateway": o.Gateway, "backend": backend, "configuration": d.Node(),
		"bootstrap": bootstrap, "runtime_dir": o.RuntimeDir, "runtime_name": o.Name + "-runtime",
		"proxy_namespace": o.ProxyNamespace, "sha256": o.WasmSHA256,
		"kubectl": kubectl(o.ProxyNamespace, o.Name, keys(d.Config, nil)),
	}
	if image, is := strings.CutPrefix(o.Wasm, "oci://"); is {
		v["code_type"], v["image"] = "Image", image
	} else {
		v["code_type"], v["http"] = "HTTP", o.Wasm
	}
	// The name has the policy's kind before its namespace, but not where the policy came from a file.
	filter := fmt.Sprintf("^envoy.filters.http.wasm/(envoyextensionpolicy)?/%s/%s/wasm/0$", o.Namespace, o.Name)
	place := fmt.Sprintf(`$..http_filters[?(@.name=~%q)].typed_config.config`, filter)
	var parents, hostnames, matches, order, reloads, peers []*yaml.Node
	for _, l := range o.Listeners {
		parents = append(parents, part("gateway_parent", values{"gateway": o.Gateway, "listener": l}))
		patch := values{"listener": o.Namespace + "/" + o.Gateway + "/" + l, "place": place, "peer": peer(d.Config)}
		reloads = append(reloads, part("gateway_reload", patch))
		if patch.has("peer") {
			peers = append(peers, part("gateway_peer", patch))
		}
	}
	for _, h := range o.Hostnames {
		hostnames = append(hostnames, document.Text(h))
	}
	for _, p := range paths(d.Config) {
		matches = append(matches, part("gateway_match", values{"path": p.Path}))
	}
	for _, name := range ahead {
		order = append(order, part("gateway_order", values{"before": "envoy.filters.http." + name}))
	}
	v["parents"], v["hostnames"], v["matches"], v["order"] = parents, hostnames, matches, order
	v["reloads"], v["peers"] = reloads, peers
	return document.Encode(documents(gatewayTemplate, v)...)
}

// hints returns what is needed besides the documents.
func (o *GatewayOptions) hints() []string {
	return []string{
		"In the configuration of Envoy Gateway itself, or no patch has an effect:", "",
		"  extensionApis: {enableEnvoyPatchPolicy: true}", "",
		"In the Gateway " + o.Gateway + ":", "",
		"  spec:", "    infrastructure:",
		"      parametersRef: {group: gateway.envoyproxy.io, kind: EnvoyProxy, name: " + o.Name + "}",
	}
}

// What Gateway API takes as an exact path, and as a hostname.
var (
	gatewayPath = regexp.MustCompile(`^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+$`)
	gatewayHost = regexp.MustCompile(`^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
)

const (
	maxPath    = 1024 // characters of a path
	maxMatches = 64   // of a route's rule

	maxHostnames, maxParents = 16, 32 // of a route
)

func (o *GatewayOptions) check(d *document.Document) error {
	if err := errors.Join(RefuseGRPC(d, "a filter and a route answer checks of gRPC, and Envoy Gateway has no "+
		"place for them: use render envoy, or HTTP"),
		checkName("name", o.Name, "-runtime"), checkName("namespace", o.Namespace, ""),
		checkName("proxy-namespace", o.ProxyNamespace, ""), checkKeys(d, Node{})); err != nil {
		return err
	}
	if o.RuntimeDir != "" {
		if err := checkMount("runtime-dir", o.RuntimeDir, o.RuntimeDir); err != nil {
			return err
		}
	}
	if o.Gateway == "" {
		return &OptionError{"gateway", "is needed: the name of the Gateway that answers"}
	}
	if err := errors.Join(checkName("gateway", o.Gateway, ""), o.checkWasm()); err != nil {
		return err
	}
	if len(o.Listeners) == 0 {
		return &OptionError{"listener", "is needed: the name of a listener of the Gateway"}
	}
	for flag, given := range map[string][2]int{"listener": {len(o.Listeners), maxParents},
		"hostname": {len(o.Hostnames), maxHostnames}} {
		if given[0] > given[1] {
			return &OptionError{flag, fmt.Sprintf("there are %d, and an HTTPRoute takes %d", given[0], given[1])}
		}
	}
	for i, l := range o.Listeners {
		if err := checkName("listener", l, ""); err != nil {
			return err
		}
		if slices.Contains(o.Listeners[:i], l) {
			return wrong("listener", l, " is given twice")
		}
	}
	for i, h := range o.Hostnames {
		if _, err := netip.ParseAddr(h); err == nil || !gatewayHost.MatchString(h) || len(h) > maxDNSName {
			return wrong("hostname", h, " is no hostname of a route: lower-case letters, digits, '-' and dots, first perhaps *.")
		}
		if slices.Contains(o.Hostnames[:i], h) {
			return wrong("hostname", h, " is given twice")
		}
	}
	return checkGatewayAPI(d)
}

// checkGatewayAPI refuses what an HTTPRoute has no word for.
func checkGatewayAPI(d *document.Document) error {
	if n := len(paths(d.Config)); n > maxMatches {
		return d.Problem("endpoints", fmt.Sprintf("there are %d paths, and a rule of an HTTPRoute takes %d", n, maxMatches))
	}
	for n, e := range d.Config.Endpoints {
		if e.Maintenance.RouteMetadata {
			return d.Problem(fmt.Sprintf("endpoints[%d].maintenance.route_metadata", n),
				"an HTTPRoute can't depend on a runtime key, so there is no maintenance by route: use maintenance.keys")
		}
		for i, p := range e.Paths {
			var why string
			switch escaped := strings.ToLower(p); {
			case len(p) > maxPath:
				why = fmt.Sprintf("it has %d characters, and may have %d", len(p), maxPath)
			case !gatewayPath.MatchString(p):
				why = "it takes letters, digits, %XX and -/._~!$&'()*+,;=:@"
			case strings.Contains(escaped, "%2f"), strings.Contains(p,
				"//"), path.Clean(p) != strings.TrimSuffix(p, "/") && p != "/":
				why = "it takes no //, /./, /../ and %2F"
			default:
				continue
			}
			return d.Problem(fmt.Sprintf("endpoints[%d].paths[%d]", n, i),
				fmt.Sprintf("%.200q is no path of an HTTPRoute: %s", p, why))
		}
	}
	return nil
}

func (o *GatewayOptions) checkWasm() error {
	switch {
	case o.Wasm == "":
		return &OptionError{"wasm", "is needed: where Envoy Gateway gets the plugin, oci://…"}
	case !strings.Contains(o.Wasm, "://"):
		return wrong("wasm", o.Wasm, ": Envoy Gateway fetches the plugin itself and takes no file; give oci:// or http(s)://")
	}
	return o.checkURL()
}

// backend returns the reference to the application.
func (o *GatewayOptions) backend() (*yaml.Node, error) {
	name, port, isService := strings.Cut(o.Backend, ":")
	v := values{"name": name}
	switch number, err := strconv.ParseUint(port, 10, 16); {
	case o.Backend == "":
		return nil, &OptionError{"backend", "is needed: the application, SERVICE:PORT, or the name of a Backend"}
	case !isService:
		v["kind"] = "Backend"
	case err != nil || number == 0:
		return nil, wrong("backend", o.Backend, " is neither SERVICE:PORT nor the name of a Backend")
	default:
		v["port"] = int(number)
	}
	return part("gateway_backend", v), checkName("backend", name, "")
}

// bootstrap returns what is merged into the bootstrap of the proxies, as text.
func (o *GatewayOptions) bootstrap(d *document.Document) (*yaml.Node, error) {
	if err := CheckProtocols(d); err != nil {
		return nil, err
	}
	all, err := added(d, gatewayClusters, nil, o.Clusters, o.AdminPort, "there is no address for %q, and the clusters "+
		"that Envoy Gateway makes of routes carry requests, whose limits would fail probes: give --cluster %s")
	if err != nil {
		return nil, err
	}
	var clusters []*yaml.Node
	for _, c := range all {
		clusters = append(clusters, c.node(d))
	}
	layers := []*yaml.Node{Layer("healthgate_admin", nil, "")}
	if o.RuntimeDir != "" {
		layers = slices.Insert(layers, 0, Layer("healthgate", nil, o.RuntimeDir+"/..data"))
	}
	text, err := document.Encode(part("gateway_bootstrap",
		values{"layers": layers, "clusters": clusters, "tags": part("tags", nil)}))
	return document.Text(text), err
}
