package gateway

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
	"go.yaml.in/yaml/v3"
)

type object = map[string]any

// controlPlane is Envoy Gateway's own configuration: its objects are files of a folder, its proxies are processes.
const controlPlane = `
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyGateway
gateway: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
provider:
  type: Custom
  custom:
    resource: {type: File, file: {paths: [DIR/objects]}}
    infrastructure:
      type: Host
      host: {configHome: DIR/config, dataHome: DIR/data, stateHome: DIR/state, runtimeDir: DIR/run}
telemetry: {metrics: {prometheus: {disable: true}}}
extensionApis: {enableBackend: true, enableEnvoyPatchPolicy: true}
`

// site is what is there before healthgate: a Gateway, and an application on a host and on any.
const site = `
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: eg}
spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: front, namespace: default}
spec:
  gatewayClassName: eg
  infrastructure: {parametersRef: {group: gateway.envoyproxy.io, kind: EnvoyProxy, name: PROXY}}
  listeners: [{name: http, protocol: HTTP, port: PORT}]
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyProxy
metadata: {name: own, namespace: default}
spec: {provider: {type: Host, host: {envoyVersion: VERSION}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: app, namespace: default}
spec:
  parentRefs: [{name: front}]
  rules: [{backendRefs: [{group: gateway.envoyproxy.io, kind: Backend, name: app}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop, namespace: default}
spec:
  parentRefs: [{name: front}]
  hostnames: [shop.example]
  rules: [{backendRefs: [{group: gateway.envoyproxy.io, kind: Backend, name: app}]}]
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {name: app, namespace: default}
spec: {endpoints: [{ip: {address: 127.0.0.1, port: APP}}]}
`

// fetch mends what Envoy Gateway 1.9 gets wrong without a cluster: its proxies look for it, to fetch the plugin, by the
// name of a service, with certificates of a pod.
const fetch = `
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyPatchPolicy
metadata: {name: fetch, namespace: default}
spec:
  targetRef: {group: gateway.networking.k8s.io, kind: Gateway, name: front}
  type: JSONPatch
  jsonPatches:
  - type: type.googleapis.com/envoy.config.cluster.v3.Cluster
    name: wasm_cluster
    operation:
      op: replace
      path: /load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address/address
      value: 127.0.0.1
  - type: type.googleapis.com/envoy.config.cluster.v3.Cluster
    name: wasm_cluster
    operation:
      op: replace
      path: /transport_socket/typed_config/common_tls_context
      value:
        tls_params: {tls_maximum_protocol_version: TLSv1_3}
        tls_certificates:
        - certificate_chain: {filename: DIR/config/certs/envoy/tls.crt}
          private_key: {filename: DIR/config/certs/envoy/tls.key}
        validation_context: {trusted_ca: {filename: DIR/config/certs/envoy/ca.crt}}
`

// version is what Envoy Gateway takes the Envoy under test for. It looks for this one before it downloads any.
const version = "1.40.0"

// lab is a running Envoy Gateway with the Envoy that it started.
type lab struct {
	t       *testing.T
	dir     string
	app     *app.App
	port    int // the Gateway's
	admin   int // the Envoy's
	plugin  string
	proxy   string // the EnvoyProxy that the Gateway names
	runtime string // where the ConfigMap of runtime keys is mounted
}

func start(t *testing.T, settings string) *lab {
	t.Helper()
	l := &lab{t: t, dir: t.TempDir(), app: app.Start(t), port: must.Port(t), admin: must.Port(t)}
	l.proxy, l.runtime = "healthgate", filepath.Join(l.dir, "runtime")
	files := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(envoytest.FaultyWasm(t)))))
	t.Cleanup(files.Close)
	l.plugin = files.URL + "/" + filepath.Base(envoytest.FaultyWasm(t))
	bin := filepath.Join(l.dir, "data", "envoy-versions", version, "bin")
	for _, folder := range []string{bin, filepath.Join(l.dir, "objects")} {
		must.Do(t, os.MkdirAll(folder, 0o700))
	}
	must.Do(t, os.Symlink(envoytest.Binary(t), filepath.Join(bin, "envoy")))
	l.mount(nil)
	l.apply("site.yaml", l.fill(site))
	l.apply("fetch.yaml", l.fill(fetch))
	l.render(settings)
	l.write("envoy-gateway.yaml", l.fill(controlPlane))

	out, err := exec.Command(filepath.Join(envoytest.Root, "scripts", "get-envoy-gateway")).Output()
	if err != nil {
		t.Fatalf("there is no Envoy Gateway to test with, see make test-gateway: %v", err)
	}
	program := strings.TrimSpace(string(out))
	certificates := exec.Command(program, "certgen", "--local", "--config-home", filepath.Join(l.dir, "config"))
	server := exec.Command(program, "server", "--config-path", filepath.Join(l.dir, "envoy-gateway.yaml"))
	certificates.Env = append(os.Environ(), "HOME="+l.dir)
	server.Env = certificates.Env
	if out, err := certificates.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	envoytest.Program(t, server)
	return l
}

// fill puts what is this lab's into a text.
func (l *lab) fill(text string) string {
	return strings.NewReplacer("DIR", l.dir, "PORT", strconv.Itoa(l.port), "APP", strconv.Itoa(l.app.Port),
		"PROXY", l.proxy, "VERSION", version).Replace(text)
}

func (l *lab) write(name, text string) {
	l.t.Helper()
	// In one step, so that Envoy Gateway, which watches the folder, reads all of it.
	file := filepath.Join(l.dir, name)
	must.Do(l.t, errors.Join(os.WriteFile(file+"~", []byte(text), 0o600), os.Rename(file+"~", file)))
}

// apply is `kubectl apply -f`.
func (l *lab) apply(name, text string) {
	l.t.Helper()
	l.write(filepath.Join("objects", name), text)
}

// remove is `kubectl delete -f`.
func (l *lab) remove(name string) {
	l.t.Helper()
	must.Do(l.t, os.Remove(filepath.Join(l.dir, "objects", name)))
}

// render applies what the command writes. Without a cluster the Envoy is a process, whose admin has no port of its own.
func (l *lab) render(settings string) {
	l.t.Helper()
	l.write("healthgate.yaml", settings)
	module := must.Get(os.ReadFile(envoytest.FaultyWasm(l.t)))(l.t)
	sum := sha256.Sum256(module)
	text := envoytest.Healthgate(l.t, "render", "envoy-gateway",
		filepath.Join(l.dir, "healthgate.yaml"), "--gateway", "front",
		"--backend", "app", "--hostname", "shop.example", "--cluster", "app="+envoytest.Loopback(l.app.Port),
		"--wasm", l.plugin, "--wasm-sha256", hex.EncodeToString(sum[:]),
		"--admin-port", strconv.Itoa(l.admin), "--runtime-dir", l.runtime)
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	for reader := yaml.NewDecoder(strings.NewReader(text)); ; {
		var o object
		if err := reader.Decode(&o); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			l.t.Fatal(err)
		}
		if o["kind"] == "EnvoyProxy" {
			spec := o["spec"].(object)
			spec["provider"] = object{"type": "Host", "host": object{"envoyVersion": version}}
			spec["extraArgs"] = []string{"--disable-hot-restart"}
			spec["concurrency"] = 1 // or another worker, whose VM is well, would answer for one that crashed
			bootstrap := spec["bootstrap"].(object)
			bootstrap["value"] = bootstrap["value"].(string) + fmt.Sprintf(
				"admin: {address: {socket_address: {address: 127.0.0.1, port_value: %d}}}\n", l.admin)
		}
		must.Do(l.t, encoder.Encode(o))
	}
	l.apply("healthgate.yaml", out.String())
}

// mount brings the data of the ConfigMap.
func (l *lab) mount(data map[string]string) {
	l.t.Helper()
	must.Do(l.t, os.MkdirAll(l.runtime, 0o700))
	envoytest.MountConfigMap(l.t, l.runtime, data)
}

// post does what an operator's curl -X POST to the Envoy's admin does.
func (l *lab) post(path string) {
	l.t.Helper()
	l.page(http.Post("http://"+envoytest.Loopback(l.admin)+path, "", nil))
}

// metrics are what Prometheus reads.
func (l *lab) metrics() string {
	l.t.Helper()
	return l.page(http.Get("http://" + envoytest.Loopback(l.admin) + "/stats/prometheus"))
}

func (l *lab) page(response *http.Response, err error) string {
	l.t.Helper()
	a, err := envoytest.Read(response, err)
	if err != nil || a.Status != http.StatusOK {
		l.t.Fatalf("admin answers %v, %v", a, err)
	}
	return a.Body
}

// The source addresses of clients: healthgate.yaml trusts the first.
const (
	trusted   = "127.0.0.1"
	untrusted = "127.0.0.3"
)

// becomes waits until a request from an address is answered so. Headers are name, value, name, value.
func (l *lab) becomes(source, host, path string, status int, body string, headers ...string) {
	l.t.Helper()
	what := fmt.Sprintf("%s %s%s answered %d %q", source, host, path, status, body)
	took := envoytest.Eventually(l.t, envoytest.Limit, what, func() error {
		a, err := l.get(source, host, path, headers...)
		if err == nil {
			err = a.Says(status, body)
		}
		return err
	})
	l.t.Logf("%s after %v", what, took)
}

func (l *lab) get(source, host, path string, headers ...string) (envoytest.Answer, error) {
	r, err := http.NewRequest(http.MethodGet, "http://"+envoytest.Loopback(l.port)+path, nil)
	if err != nil {
		return envoytest.Answer{}, err
	}
	r.Host = host
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return envoytest.Read(envoytest.ClientFrom(source, false).Do(r))
}
