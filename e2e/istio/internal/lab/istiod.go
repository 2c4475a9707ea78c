// Package lab runs Istio without Kubernetes' machinery: a control plane, built from Istio's module, that takes its
// configuration from an API server of package kube and serves Envoys on loopback.
package lab

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/e2e/istio/internal/kube"
	"github.com/healthgate/healthgate/envoy/must"
	"github.com/healthgate/healthgate/envoy/run"
)

// Istiod is a running control plane.
type Istiod struct {
	Kube *kube.Server
	Log  *envoytest.Log

	xdsPort int
}

var home = sync.OnceValues(func() (string, error) {
	cmd := exec.Command(filepath.Join(envoytest.Root, "scripts", "get-istio"))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("there is no Istio to test with: %s: %w; see its output above", cmd, err)
	}
	return strings.TrimSpace(string(out)), nil
})

// File returns the path of one of the files that scripts/get-istio provides.
func File(t testing.TB, name string) string {
	t.Helper()
	dir := must.Get(home())(t)
	return filepath.Join(dir, name)
}

// mesh turns off what a vanilla Envoy can't do (Istio's own extensions) and what needs a certificate authority.
const mesh = `
rootNamespace: istio-system
configSources: [{address: "k8s://"}]
ingressControllerMode: "OFF"
enableAutoMtls: false
enablePrometheusMerge: false
enableTracing: false
defaultProviders: {}
extensionProviders: []
`

const withoutTLS = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: DISABLE}}
`

var environment = []string{
	"POD_NAMESPACE=istio-system", "POD_NAME=istiod", "CLUSTER_ID=Kubernetes",
	"PILOT_ENABLE_METADATA_EXCHANGE=false", "PILOT_ENABLE_ALPN_FILTER=false", // filters that only Istio's Envoy has
	"ENABLE_CA_SERVER=false", "PILOT_CERT_PROVIDER=none", "INJECT_ENABLED=false",
	"ENABLE_LEADER_ELECTION=false", "PILOT_ENABLE_GATEWAY_API=false", "PILOT_ENABLE_IP_AUTOALLOCATE=false",
	"KUBERNETES_ENABLE_WATCHLIST=false", "KUBE_FEATURE_WatchListClient=false", // package kube lists, then watches
	"PILOT_DEBOUNCE_AFTER=10ms",
}

// StartIstiod starts a control plane whose mesh holds nothing yet, and waits until it is ready. It ends with the test.
func StartIstiod(t testing.TB) *Istiod {
	t.Helper()
	i := &Istiod{
		Kube:    kube.Start(t, File(t, "crds.yaml"), "default", "istio-system", "kube-system"),
		xdsPort: must.Port(t),
	}
	i.Kube.Apply(withoutTLS)
	httpPort := must.Port(t)
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		must.Write(t, file, text)
		return file
	}
	cmd := exec.Command(File(t, "pilot-discovery"), "discovery",
		"--registries=Kubernetes", "--kubeconfig="+i.Kube.Kubeconfig(),
		"--meshConfig="+write("mesh.yaml", mesh), "--networksConfig="+write("networks.yaml", "networks: {}\n"),
		"--grpcAddr="+envoytest.Loopback(i.xdsPort), "--secureGRPCAddr=", "--httpsAddr=",
		"--httpAddr="+envoytest.Loopback(httpPort), "--monitoringAddr="+envoytest.Loopback(must.Port(t)),
		"--ctrlz_port=0")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), environment...)
	var istiod *run.Process
	istiod, i.Log = envoytest.Program(t, cmd)
	client := &http.Client{Timeout: envoytest.Limit}
	envoytest.Eventually(t, envoytest.Limit, "istiod ready", func() error {
		select {
		case <-istiod.Done():
			t.Fatalf("istiod ended instead of starting: %v\n%s", istiod.State(), i.Log.Tail(20))
		default:
		}
		response, err := client.Get("http://" + envoytest.Loopback(httpPort) + "/ready")
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			return errors.New(response.Status)
		}
		return nil
	})
	return i
}
