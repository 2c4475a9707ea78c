package render

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/healthgate/healthgate/envoy/internal/document"
	"github.com/healthgate/healthgate/envoy/internal/layer"
	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/match"
	"go.yaml.in/yaml/v3"
)

// KubernetesOptions are what a workload of Kubernetes needs besides healthgate.yaml.
type KubernetesOptions struct {
	Common
	File       string // the manifests that hold the workload, for messages
	Manifests  []byte
	Workload   string // KIND/NAME, where the manifests hold several
	Container  string // which gets the hook, where the pod has several
	Listen     string
	Admin      string
	Metrics    string // as of EnvoyOptions
	Clusters   []string
	Gate       string
	Image      string // which holds the command and the plugin
	Bring      string // ByImageVolume or ByInitContainer
	EnvoyImage string
	Readiness  string // the endpoint that the kubelet asks
	WaitChecks uint64
	Quiet      time.Duration
	Timeout    time.Duration
	Zones      []string
}

// How the command and the plugin come into a pod.
const (
	ByImageVolume   = "image-volume"
	ByInitContainer = "init-container"
)

// KubernetesFile is one file of those that are rendered, with its path below their folder.
type KubernetesFile struct{ Path, Text string }

// EnvoyConfiguration is the path of the file that Envoy reads, and Kustomization of the one that says how all are made.
const (
	EnvoyConfiguration = "base/envoy.yaml"
	Kustomization      = "base/kustomization.yaml"
	Workload           = "base/workload.yaml" // the manifests as they were
)

var kubernetesTemplate = load("kubernetes")

// Kubernetes renders a base of kustomize: a workload with an Envoy in front of it; and a ConfigMap for the
// maintenance of each zone. What was rendered last for other zones stays.
func Kubernetes(d *document.Document, o KubernetesOptions) ([]KubernetesFile, error) {
	w, err := o.workload()
	if err != nil {
		return nil, err
	}
	port, adminPort, metricsPort, err := o.addresses()
	if err != nil {
		return nil, err
	}
	if err := o.checkImages(); err != nil {
		return nil, err
	}
	appPort, err := o.applicationPort()
	if err != nil {
		return nil, err
	}
	readiness, err := o.readiness(d)
	if err != nil {
		return nil, err
	}
	hook, err := o.hook(d, readiness)
	if err != nil {
		return nil, err
	}
	headers, err := kubeletHeaders(d, readiness)
	if err != nil {
		return nil, err
	}
	routes, err := maintenanceRoutes(d, o.RouteKey, nil)
	if err != nil {
		return nil, err
	}
	container, err := w.fit(&o, appPort, map[int]string{port: "listen", adminPort: "admin", metricsPort: "metrics-listen"})
	if err != nil {
		return nil, err
	}
	o.Wasm, o.RuntimeDir = "/healthgate/plugin.wasm", "/etc/healthgate/runtime/..data"
	envoy, err := Envoy(d, EnvoyOptions{
		Common: o.Common, Listen: o.Listen, Admin: o.Admin, Metrics: o.Metrics, Clusters: o.Clusters, Gate: o.Gate,
		Node: Node{ID: w.Metadata.Name, Cluster: w.Metadata.Name},
	})
	if err != nil {
		return nil, err
	}
	var selector yaml.Node
	if err := selector.Encode(w.Spec.Selector); err != nil {
		return nil, err
	}
	own := w.Metadata.Name + "-healthgate"
	runtime := own + "-runtime"
	sources := []*yaml.Node{part("runtime_source", values{"name": runtime})}
	for _, zone := range o.Zones {
		sources = append(sources, part("runtime_source", values{"name": runtime + "-" + zone}))
	}
	v := values{
		"source": d.File, "file": o.File, "command": document.Shell(o.Command...),
		"workload": w.Kind + " " + w.Metadata.Name, "api_version": w.APIVersion, "kind": w.Kind, "name": w.Metadata.Name,
		"namespace": w.Metadata.Namespace, "envoy_name": own + "-envoy", "runtime_name": runtime, "runtime": sources,
		"policy_name": own, "selector": &selector, "container": container, "hook": list(hook...),
		"grace": int(o.Timeout.Seconds()) + w.grace(), "image": o.Image, "envoy_image": o.EnvoyImage,
		"copied": o.Bring == ByInitContainer, "mounted": o.Bring == ByImageVolume, "security": part("security", nil),
		"args": list("-c", "/etc/healthgate/envoy/envoy.yaml", "--service-cluster", w.Metadata.Name,
			"--service-node", "$(POD_NAME)", "--service-zone", "$(ZONE)",
			"--drain-time-s", strconv.Itoa(int(o.Timeout.Seconds())), "--disable-hot-restart"),
		"port": port, "metrics_port": metricsPort, "path": d.Config.Endpoints[readiness].Paths[0], "headers": headers,
		"ports":   w.openPorts(appPort, port, metricsPort),
		"kubectl": kubectl(w.Metadata.Namespace, own, keys(d.Config, routes)),
	}
	if len(keys(d.Config, routes)) == 0 {
		v["kubectl"] = []string{"  (there is none without a placeholder)"}
	}
	names := []string{Kustomization, "base/sidecar.yaml", "base/networkpolicy.yaml"}
	out := []KubernetesFile{{EnvoyConfiguration, envoy}, {Workload, string(o.Manifests)}}
	made := documents(kubernetesTemplate, v)
	for i, name := range names {
		text, err := document.Encode(made[i])
		if err != nil {
			return nil, err
		}
		out = append(out, KubernetesFile{name, text})
	}
	for i, zone := range o.Zones {
		if slices.Contains(o.Zones[:i], zone) {
			return nil, wrong("zone", zone, " is given twice")
		}
		keys, err := o.zone(d, zone)
		if err != nil {
			return nil, err
		}
		v["zone"], v["zone_name"], v["keys"] = zone, runtime+"-"+zone, keys
		text, err := document.Encode(documents(kubernetesTemplate, v)[len(names)])
		if err != nil {
			return nil, err
		}
		out = append(out, KubernetesFile{"zones/" + zone + ".yaml", text})
	}
	return out, nil
}

// list returns a list of texts.
func list(texts ...string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode}
	for _, s := range texts {
		n.Content = append(n.Content, document.Text(s))
	}
	return n
}

// addresses returns the ports of the listener, of admin, and for Prometheus, 0 for none.
func (o *KubernetesOptions) addresses() (listen, admin, metrics int, err error) {
	port := func(s string) (netip.AddrPort, int) {
		a, _ := netip.ParseAddrPort(s)
		return a, int(a.Port())
	}
	address, admin := port(o.Admin)
	if !address.Addr().IsLoopback() || admin == 0 {
		return 0, 0, 0, wrong("admin", o.Admin, ": in a pod, admin is on loopback, such as 127.0.0.1:9901: the hook in "+
			"another container reaches it, and nobody outside the pod, whatever the network's policies are")
	}
	for flag, text := range map[string]string{"listen": o.Listen, "metrics-listen": o.Metrics} {
		address, number := port(text)
		switch {
		case flag == "metrics-listen" && text == "":
		case number == 0 || address.Addr().IsLoopback():
			return 0, 0, 0, wrong(flag, text, " is not reached from outside the pod; give 0.0.0.0:PORT or [::]:PORT")
		case flag == "listen":
			listen = number
		default:
			metrics = number
		}
	}
	return listen, admin, metrics, nil
}

// applicationPort returns the port of the first cluster, which is the application's.
func (o *KubernetesOptions) applicationPort() (int, error) {
	if len(o.Clusters) == 0 {
		return 0, nil // Envoy tells
	}
	_, address, _ := strings.Cut(o.Clusters[0], "=")
	host, port, err := net.SplitHostPort(address)
	ip, notIP := netip.ParseAddr(host)
	if err != nil || host != "localhost" && (notIP != nil || !ip.IsLoopback()) {
		return 0, wrong("cluster", o.Clusters[0],
			": the application is in the same pod; give 127.0.0.1 and its container's port")
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return 0, wrong("cluster", o.Clusters[0], ": %q is not a port", port)
	}
	return int(number), nil
}

func (o *KubernetesOptions) checkImages() error {
	if err := errors.Join(checkImage("image", "", o.Image), checkImage("envoy-image", "", o.EnvoyImage)); err != nil {
		return err
	}
	if o.Bring != ByImageVolume && o.Bring != ByInitContainer {
		return wrong("bring", o.Bring, " is neither %s nor %s", ByImageVolume, ByInitContainer)
	}
	if o.Timeout%time.Second != 0 || o.Timeout <= 0 || o.Quiet <= 0 {
		return &OptionError{"timeout, --quiet", "are times to wait, --timeout in whole seconds"}
	}
	if o.WaitChecks > 0 && o.Quiet >= o.Timeout {
		return wrong("quiet", o.Quiet.String(), " is not less than --timeout: the hook would fail where nobody asks")
	}
	return nil
}

// checkImage checks the name of an image, which stands behind a scheme in a flag's value.
func checkImage(flag, scheme, image string) error {
	if image == "" {
		return &OptionError{flag, "is needed: " + scheme + "REGISTRY/IMAGE:TAG"}
	}
	reference, err := name.ParseReference(image)
	if err != nil {
		return wrong(flag, scheme+image, " is not %sREGISTRY/IMAGE:TAG: %v", scheme, err)
	}
	if tag, is := reference.(name.Tag); is && !strings.HasSuffix(image, ":"+tag.TagStr()) {
		return wrong(flag, scheme+image, " has no tag; add one, or a digest, so that all proxies run the same")
	}
	return nil
}

// readiness returns the index of the endpoint that the kubelet asks.
func (o *KubernetesOptions) readiness(d *document.Document) (int, error) {
	var names []string
	found := -1
	for i, e := range d.Config.Endpoints {
		if e.Kind != config.KindHealthCheck || e.GRPC { // the kubelet asks by GET
			continue
		}
		names = append(names, e.Name)
		if e.Name == o.Readiness {
			found = i
		}
	}
	if found < 0 {
		what := "is needed: "
		if o.Readiness != "" {
			what = fmt.Sprintf("%.200q is no health check of %s: ", o.Readiness, d.File)
		}
		return 0, &OptionError{"readiness", what + "the endpoint that the kubelet asks, one of " + strings.Join(names, ", ") +
			". Let it be another than the load balancer's, so that the pod stays ready while its checks fail"}
	}
	if r := d.Config.Endpoints[found].Healthy; r.Pass || r.Status < 200 || r.Status >= 400 {
		return 0, d.Problem(fmt.Sprintf("endpoints[%d].healthy", found), "the kubelet takes 200 to 399 for ready")
	}
	if d.Config.Endpoints[found].Trusted.Peer != config.PeerFilterState && loopbackAlone(d, found) {
		return 0, d.Problem(fmt.Sprintf("endpoints[%d].trusted", found), "the kubelet asks from an address of the pod's "+
			"node: trust those of the nodes")
	}
	return found, nil
}

// Unreached returns a warning for each other endpoint that a load balancer cannot ask.
func (o *KubernetesOptions) Unreached(d *document.Document) (out []*document.Problem) {
	for i, e := range d.Config.Endpoints {
		if e.Kind == config.KindHealthCheck && e.Trusted.Peer != config.PeerFilterState && loopbackAlone(d, i) {
			out = append(out, d.Problem(fmt.Sprintf("endpoints[%d].trusted", i),
				"is loopback alone: what asks from outside the pod, as load balancers do, gets the application's answer"))
		}
	}
	return out
}

// loopbackAlone reports whether nobody outside the pod is trusted.
func loopbackAlone(d *document.Document, endpoint int) bool {
	trusted := fmt.Sprintf("endpoints[%d].trusted.", endpoint)
	others := func(cidr string) bool {
		address, _, _ := strings.Cut(cidr, "/")
		ip, err := netip.ParseAddr(address)
		return err != nil || !ip.IsLoopback()
	}
	return len(d.Strings(trusted+"providers")) == 0 && !slices.ContainsFunc(d.Strings(trusted+"cidrs"), others)
}

// probeRequest is what the kubelet sends.
type probeRequest map[string]string

// Header returns a header or pseudo-header.
func (r probeRequest) Header(name string) (value string, ok bool) {
	value, ok = r[name]
	return value, ok
}

// kubeletHeaders returns what the probe sends besides the kubelet's own headers, for the endpoint to know it by.
func kubeletHeaders(d *document.Document, endpoint int) (*yaml.Node, error) {
	e := &d.Config.Endpoints[endpoint]
	request := probeRequest{":method": "GET", ":authority": "192.0.2.1:8080", "accept": "*/*",
		"user-agent": "kube-probe/1.36"}
	var headers []*yaml.Node
	set := func(name, value string) {
		headers = append(headers, mapping(entry{"name", name}, entry{"value", value}))
		if name == "host" {
			name = ":authority"
		}
		request[name] = value
	}
	if len(e.Hosts) > 0 {
		set("host", e.Hosts[0])
	}
	for _, h := range e.Headers {
		_, sent := request[h.Name]
		switch {
		case h.Kind == config.Absent, h.Kind == config.Present && sent:
		case h.Kind == config.Present:
			set(h.Name, "healthgate")
		case h.Name != "user-agent" || !strings.Contains("kube-probe/", h.Value):
			set(h.Name, h.Value)
		}
	}
	if match.NewTable(d.Config.Endpoints).Find(e.Paths[0], request) != endpoint {
		return nil, d.Problem(fmt.Sprintf("endpoints[%d]", endpoint),
			"is not what the kubelet's probe would come to: it sends "+
				"GET with accept and user-agent, and what httpHeaders can say. Look at methods, headers, and endpoints before it")
	}
	if len(headers) == 0 {
		return nil, nil
	}
	return &yaml.Node{Kind: yaml.SequenceNode, Content: headers}, nil
}

// hook returns the words of the preStop hook. It closes the load balancer's endpoints by a key that the kubelet's does
// not have. Where the kubelet alone asks, Envoy's own health check fails.
func (o *KubernetesOptions) hook(d *document.Document, readiness int) ([]string, error) {
	words := []string{"/healthgate/healthgate", "shutdown"}
	var others []int
	for i, e := range d.Config.Endpoints {
		if e.Kind == config.KindHealthCheck && i != readiness {
			others = append(others, i)
		}
	}
	switch a := d.Config.Admin; {
	case len(others) == 0 && (a == nil || a.IgnoreDraining):
		return nil, d.Problem(fmt.Sprintf("endpoints[%d]", readiness),
			"nothing closes it when the pod ends: it does not see "+
				"that Envoy drains, as admin is missing, or has draining: ignore")
	case len(others) > 0:
		key := slices.IndexFunc(d.Config.Keys, func(key string) bool {
			i := slices.Index(d.Config.Keys, key)
			return !strings.Contains(key, "{") && !slices.Contains(d.Config.Endpoints[readiness].Maintenance.Keys, i) &&
				!slices.ContainsFunc(others, func(other int) bool {
					return !slices.Contains(d.Config.Endpoints[other].Maintenance.Keys, i)
				})
		})
		if key < 0 {
			return nil, d.Problem(fmt.Sprintf("endpoints[%d]", others[0]), fmt.Sprintf("the preStop hook takes a key that each "+
				"endpoint of a load balancer has under maintenance.keys, without placeholders, and %q, which the kubelet asks, "+
				"has not: only so checks of the load balancer fail while the pod stays ready", o.Readiness))
		}
		words = append(words, d.Config.Keys[key], "--keep-open", o.Readiness)
	}
	return append(words, "--admin", "http://"+o.Admin, "--wait-checks", strconv.FormatUint(o.WaitChecks, 10),
		"--quiet", o.Quiet.String(), "--timeout", o.Timeout.String()), nil
}

// zone returns the keys that put a zone into maintenance, with their value.
func (o *KubernetesOptions) zone(d *document.Document, zone string) (*yaml.Node, error) {
	if !labelText.MatchString(zone) || len(zone) > maxLabel {
		return nil, wrong("zone", zone, " is no value of the label topology.kubernetes.io/zone")
	}
	if !dnsName.MatchString(zone) {
		return nil, wrong("zone", zone, " cannot be in the name of a ConfigMap: lower-case letters, digits, '-' and dots")
	}
	var out []entry
	for _, key := range d.Config.Keys {
		filled := strings.ReplaceAll(key, "{zone}", zone)
		if filled != key && !strings.Contains(filled, "{") {
			if err := layer.CheckKey(filled); err != nil {
				return nil, wrong("zone", zone, ": %v", err)
			}
			out = append(out, entry{filled, "true"})
		}
	}
	if len(out) == 0 {
		return nil, wrong("zone", zone, ": no maintenance key of %s has {zone}, and no other placeholder, in its name; add "+
			"one, such as healthgate.maintenance.zone.{zone}", d.File)
	}
	return mapping(out...), nil
}
