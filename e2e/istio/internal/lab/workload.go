package lab

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"text/template"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// Kind is what an Envoy is to Istio.
type Kind string

// The kinds, with the names they have in the ids of nodes.
const (
	Sidecar Kind = "sidecar"
	Gateway Kind = "router"
)

// Workload is an Envoy of the mesh that serves the service "shop", or in other words: one application on AppPort,
// with this Envoy in front of it.
type Workload struct {
	Kind    Kind
	Port    int // where the Envoy takes the application's requests
	AppPort int
	Config  *envoytest.Config // the bootstrap, before envoytest.Start

	istiod *Istiod
}

// What the workloads are called in the mesh.
const (
	Namespace    = "default"
	SidecarLabel = "shop"
	GatewayLabel = "front"
	Zone         = "local-a"
)

// The service "shop", with its one instance behind the sidecar. A vanilla Envoy has no captured traffic, so the sidecar
// listens on a port that the Sidecar resource names, and binds nothing for outgoing traffic. The gateway's own service
// has another port than its container, as Istio's has.
const resources = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shop}
spec:
  hosts: [shop.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints:
  - {address: 127.0.0.1, labels: {app: shop}, ports: {http: {{.AppPort}}}}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: shop}
spec:
  workloadSelector: {labels: {app: shop}}
  ingress:
  - port: {number: {{.Port}}, protocol: HTTP, name: http}
    bind: 127.0.0.1
    captureMode: NONE
    defaultEndpoint: 127.0.0.1:{{.AppPort}}
  egress:
  - hosts: ["~/*"]
    captureMode: NONE
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: front}
spec:
  hosts: [front.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints:
  - {address: 127.0.0.2, labels: {app: front}, ports: {http: {{.Port}}}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: front}
spec:
  selector: {app: front}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, bind: 127.0.0.1, hosts: ["*"]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: ["*"]
  gateways: [front]
  http:
  - route: [{destination: {host: shop.default.svc.cluster.local, port: {number: 80}}}]
`

// Join puts a workload into the mesh: its service, its routes, and the bootstrap of its Envoy, made from the template
// that Istio's agent uses.
func (i *Istiod) Join(t testing.TB, kind Kind, appPort int) *Workload {
	t.Helper()
	w := &Workload{Kind: kind, Port: must.Port(t), AppPort: appPort, istiod: i}
	var manifests bytes.Buffer
	must.Do(t, template.Must(template.New("mesh").Parse(resources)).Execute(&manifests, w))
	i.Kube.Apply(manifests.String())
	w.Config = w.bootstrap(t)
	return w
}

// Label returns the value of the workload's label "app".
func (w *Workload) Label() string {
	if w.Kind == Gateway {
		return GatewayLabel
	}
	return SidecarLabel
}

// bootstrap fills in Istio's template as its agent does. Two things differ: the control plane is at a TCP address,
// since there is no agent to relay it on a Unix socket, and every port is one that no one else has.
func (w *Workload) bootstrap(t testing.TB) *envoytest.Config {
	t.Helper()
	text := must.Read(t, File(t, "envoy_bootstrap.json"))
	// The control plane finds out by its address of which service a workload is an instance.
	ip := map[Kind]string{Sidecar: "127.0.0.1", Gateway: "127.0.0.2"}[w.Kind]
	adminPort := must.Port(t)
	fields := map[string]any{
		"nodeID":  fmt.Sprintf("%s~%s~%s-1.%s~%s.svc.cluster.local", w.Kind, ip, w.Label(), Namespace, Namespace),
		"cluster": w.Label() + "." + Namespace, "region": "local", "zone": Zone,
		"meta_json_str": toJSON(map[string]any{
			"NAME": w.Label() + "-1", "NAMESPACE": Namespace, "CLUSTER_ID": "Kubernetes", "ISTIO_VERSION": "1.31.0",
			"LABELS": map[string]string{"app": w.Label()}, "INSTANCE_IPS": ip, "INTERCEPTION_MODE": "NONE",
		}),
		// The defaults of Istio's pkg/bootstrap/config.go.
		"runtime_flags": toJSON(map[string]any{
			"re2.max_program_size.error_level":                               "32768",
			"envoy.reloadable_features.http_reject_path_with_fragment":       false,
			"envoy.reloadable_features.fixed_heap_use_allocated":             true,
			"envoy.reloadable_features.coalesce_lb_rebuilds_on_batch_update": false,
		}),
		"inclusionPrefix": []string{"cluster_manager", "listener_manager", "server",
			"cluster.xds-grpc", "wasm"},
		"inclusionSuffix":                   []string{"rbac.allowed", "rbac.denied", "shadow_allowed", "shadow_denied"},
		"inclusionRegexps":                  []string{`vhost\..*\.route\..*`},
		"global_downstream_max_connections": "2147483647",
		"localhost":                         "127.0.0.1", "wildcard": "127.0.0.1", "xds_type": "GRPC",
		"envoy_prometheus_port": must.Port(t), "envoy_status_port": must.Port(t),
		"workload_identity_socket_file": "socket",
		"config": map[string]any{
			"ProxyAdminPort": adminPort, "StatusPort": must.Port(t), "ConfigPath": "./etc/istio/proxy",
		},
	}
	var out bytes.Buffer
	functions := template.FuncMap{"toJson": toJSON, "toJSON": toJSON}
	bootstrap, err := template.New("bootstrap").Funcs(functions).Option("missingkey=zero").Parse(text)
	if err == nil {
		err = bootstrap.Execute(&out, fields)
	}
	if err != nil {
		t.Fatalf("Istio's template of a bootstrap: %v", err)
	}
	config := &envoytest.Config{
		Bootstrap: envoytest.Parse(out.String()), AdminPort: adminPort,
		// As the agent starts Envoy, with the default drainDuration: so long may a request take that runs when the
		// control plane replaces the listener.
		Args: []string{"--drain-time-s", "45", "--drain-strategy", "immediate"},
	}
	delete(config.Bootstrap["admin"].(envoytest.Object), "profile_path") // in a folder of Istio's image
	for _, c := range envoytest.At[[]any](config.Bootstrap, "static_resources", "clusters") {
		if c := c.(envoytest.Object); c["name"] == "xds-grpc" {
			endpoint := envoytest.At[envoytest.Object](c, "load_assignment", "endpoints", 0, "lb_endpoints", 0, "endpoint")
			endpoint["address"] = envoytest.Object{
				"socket_address": envoytest.Object{"address": "127.0.0.1", "port_value": w.istiod.xdsPort},
			}
		}
	}
	return config
}

// Override gives the Envoy what a ConfigMap named by the annotation sidecar.istio.io/bootstrapOverride gives it: the
// agent hands the content to Envoy, which merges it with its bootstrap.
func (w *Workload) Override(bootstrap string) {
	w.Config.Args = append(w.Config.Args, "--config-yaml", bootstrap)
}

func toJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // what is marshalled here is written above
	}
	return string(b)
}
