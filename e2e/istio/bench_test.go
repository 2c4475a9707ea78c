package istio

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/e2e/istio/internal/lab"
	"github.com/healthgate/healthgate/envoy/must"
)

// The endpoints of healthgate.yaml below.
const (
	check = "/my-service/healthcheck" // with probes and maintenance
	empty = "/healthz"                // healthy as soon as Envoy is

	sorry = "Under maintenance"
)

var nodes = []string{"inbound", "outbound", "stats"}

func alive(node string) string { return "/" + node + "/isalive" }

// settings is what an operator writes. The cluster prometheus_stats, Envoy's own admin address, is in every bootstrap
// of Istio. The timeouts are long, so that a loaded machine is not taken for an application that hangs.
const settings = `
endpoints:
- name: my-service
  paths: [/my-service/healthcheck]
  trusted: {cidrs: [127.0.0.1/32]}
  healthy: {status: 200, body: OK, content_type: text/plain}
  unhealthy: {status: probe, body: FAILED, content_type: text/plain}
  maintenance:
    keys: [healthgate.maintenance, "healthgate.maintenance.zone.{zone}"]
    route_metadata: true
    status: 503
    body: Under maintenance
    content_type: text/plain
  probes: {policy: all, names: [inbound, outbound, stats]}
- name: middleware
  paths: [/healthz]
  methods: [GET, HEAD, OPTIONS]
  trusted: {cidrs: [127.0.0.1/32], peer: {filter_state: healthgate.peer}}
probes:
- {name: inbound, cluster: app, path: /inbound/isalive, interval: 500ms, timeout: 5s}
- {name: outbound, cluster: app, path: /outbound/isalive, interval: 500ms, timeout: 5s}
- {name: stats, cluster: app, path: /stats/isalive, interval: 500ms, timeout: 5s}
admin: {cluster: prometheus_stats, interval: 500ms, timeout: 5s}
`

// way is one of the ways to bring the filter to an Envoy.
type way struct {
	form string // as `healthgate render` names it
	kind lab.Kind
}

var ways = []way{
	{"istio-envoyfilter", lab.Sidecar},
	{"istio-envoyfilter", lab.Gateway},
	{"istio-wasmplugin", lab.Sidecar},
	{"istio-wasmplugin", lab.Gateway},
	{"istio-trafficextension", lab.Sidecar},
	{"istio-trafficextension", lab.Gateway},
}

func (w way) String() string { return w.form + " " + workloads[w.kind] }

// workloads are the kinds as `healthgate render --workload` names them.
var workloads = map[lab.Kind]string{lab.Sidecar: "sidecar", lab.Gateway: "gateway"}

// bench is an Envoy under a control plane of its own, with its application, and two clients of it.
type bench struct {
	*lab.Workload
	way      way
	istiod   *lab.Istiod
	app      *app.App
	envoy    *envoytest.Envoy
	balancer *client   // a trusted source
	stranger *client   // an untrusted one
	runtime  string    // the folder where the ConfigMap of runtime keys is mounted
	started  time.Time // when every check was answered by the filter
}

// start renders the manifests, applies them, and starts an Envoy with what they add to its bootstrap.
func start(t testing.TB, w way) *bench {
	t.Helper()
	a := app.Start(t)
	b := &bench{way: w, istiod: lab.StartIstiod(t), app: a, runtime: t.TempDir()}
	b.Workload = b.istiod.Join(t, w.kind, a.Port)
	envoytest.MountConfigMap(t, b.runtime, nil)
	b.Override(b.apply(t, settings))
	b.envoy = envoytest.Start(t, b.Config, 2)
	target := envoytest.Loopback(b.Port)
	b.balancer, b.stranger = newClient(t, trusted, target, false), newClient(t, untrusted, target, false)
	// The control plane may have brought the listener before it has read of the filter.
	b.steadily(t, envoytest.StartLimit, 200, "OK")
	b.started = time.Now()
	return b
}

// apply renders settings and applies the manifests. It returns what they add to Envoy's bootstrap: the content of the
// ConfigMap that the annotation sidecar.istio.io/bootstrapOverride names, which Envoy reads when it starts.
func (b *bench) apply(t testing.TB, settings string) (override string) {
	t.Helper()
	for _, other := range b.istiod.Kube.Apply(b.render(t, settings)) {
		data, _ := other["data"].(map[string]any)
		if text, is := data["custom_bootstrap.json"].(string); is && other["kind"] == "ConfigMap" {
			override = text
		}
	}
	if override == "" {
		t.Fatal("no ConfigMap holds custom_bootstrap.json, the file that Istio's agent reads")
	}
	return override
}

// render runs `healthgate render` on settings, with more flags.
func (b *bench) render(t testing.TB, settings string, flags ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "healthgate.yaml")
	must.Write(t, file, settings)
	args := []string{
		"render", b.way.form, file, "--workload", workloads[b.Kind], "--selector", "app=" +
			b.Label(), "--port", strconv.Itoa(b.Port),
		"--wasm", envoytest.Wasm(t), "--runtime-dir", b.runtime, "--cluster", "app=" + envoytest.Loopback(b.AppPort),
	}
	if b.Kind == lab.Gateway {
		args = append(args, "--route-cluster", "outbound|80||shop.default.svc.cluster.local")
	}
	return envoytest.Healthgate(t, append(args, flags...)...)
}

// becomes waits for the answer of the check.
func (b *bench) becomes(t testing.TB, status int, body string) {
	t.Helper()
	what := fmt.Sprintf("check answered %d %s", status, body)
	took := envoytest.Eventually(t, envoytest.Limit, what, b.balancer.gets(check, status, body))
	t.Logf("%s after %v", what, took.Round(time.Millisecond))
}

// edit returns settings with one text replaced, which has to be there.
func edit(t testing.TB, settings, old, replacement string) string {
	t.Helper()
	if !strings.Contains(settings, old) {
		t.Fatalf("healthgate.yaml has no %q", old)
	}
	return strings.Replace(settings, old, replacement, 1)
}
