package istio

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/e2e/istio/internal/kube"
	"github.com/healthgate/healthgate/e2e/istio/internal/lab"
	"github.com/healthgate/healthgate/envoy/must"
	"go.yaml.in/yaml/v3"
)

// TestInjection gives the annotations that the manifests ask for to Istio's own injector: the sidecar gets the
// ConfigMaps of the same manifests, where the bootstrap and the filter look for them.
func TestInjection(t *testing.T) {
	t.Parallel()
	manifests := must.Get(os.ReadFile(filepath.Join(envoytest.Root, "envoy", "examples", "istio-sidecar",
		"envoyfilter.yaml")))(t)
	var bootstrap, runtime string // names of ConfigMaps
	for _, o := range kube.Decode(t, manifests) {
		if o["kind"] != "ConfigMap" {
			continue
		}
		name := envoytest.At[string](o, "metadata", "name")
		if _, is := o["data"]; is {
			bootstrap = name
		} else {
			runtime = name
		}
	}

	proxy, volumes := inject(t, annotations(t, string(manifests)))
	for path, configMap := range map[string]string{
		"/etc/istio/custom-bootstrap": bootstrap,
		"/etc/healthgate/runtime":     runtime,
		"/etc/healthgate/wasm":        "healthgate-wasm", // made by a command that the manifests name
	} {
		if got := mounted(proxy, volumes, path); got == "" || got != configMap {
			t.Errorf("the sidecar has the ConfigMap %q at %s, want %q", got, path, configMap)
		}
	}
	for _, file := range []string{`"symlink_root": "/etc/healthgate/runtime/..data"`, "filename: /etc/healthgate/wasm/"} {
		if !strings.Contains(string(manifests), file) {
			t.Errorf("the manifests have no %s", file)
		}
	}
	override := ""
	for _, v := range envoytest.At[[]any](proxy, "env") {
		if v := v.(kube.Object); v["name"] == "ISTIO_BOOTSTRAP_OVERRIDE" {
			override = v["value"].(string)
		}
	}
	if want := "/etc/istio/custom-bootstrap/custom_bootstrap.json"; override != want {
		t.Errorf("the agent reads %q, want %q", override, want)
	}
}

// annotations returns those that the head of the manifests asks for.
func annotations(t testing.TB, manifests string) kube.Object {
	t.Helper()
	out := kube.Object{}
	for line := range strings.Lines(manifests) {
		text := strings.TrimSpace(strings.TrimPrefix(line, "#"))
		if !strings.HasPrefix(line, "#") || !strings.HasPrefix(text, "sidecar.istio.io/") {
			continue
		}
		if err := yaml.Unmarshal([]byte(text), &out); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	return out
}

// inject runs Istio's injector, as its default installation has it, on a Deployment with the annotations. It returns
// the sidecar's container, and the pod's volumes.
func inject(t testing.TB, annotations kube.Object) (proxy kube.Object, volumes []any) {
	t.Helper()
	istioctl := lab.File(t, "istioctl")
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		must.Write(t, file, text)
		return file
	}
	args := []string{"kube-inject", "--kubeconfig", kube.Start(t, lab.File(t, "crds.yaml"), "shop").Kubeconfig()}
	for _, o := range kube.Decode(t, run(t, istioctl, "manifest", "generate")) {
		if o["kind"] != "ConfigMap" {
			continue
		}
		switch envoytest.At[string](o, "metadata", "name") {
		case "istio":
			args = append(args, "--meshConfigFile", write("mesh.yaml", envoytest.At[string](o, "data", "mesh")))
		case "istio-sidecar-injector":
			args = append(args, "--injectConfigFile", write("config.yaml", envoytest.At[string](o, "data", "config")),
				"--valuesFile", write("values.json", envoytest.At[string](o, "data", "values")))
		}
	}
	deployment, err := yaml.Marshal(kube.Object{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": kube.Object{"name": "shop", "namespace": "shop"},
		"spec": kube.Object{
			"selector": kube.Object{"matchLabels": kube.Object{"app": "shop"}},
			"template": kube.Object{
				"metadata": kube.Object{"labels": kube.Object{"app": "shop"}, "annotations": annotations},
				"spec":     kube.Object{"containers": []any{kube.Object{"name": "shop", "image": "shop"}}},
			},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	out := run(t, istioctl, append(args, "-f", write("deployment.yaml", string(deployment)))...)
	pod := envoytest.At[kube.Object](kube.Decode(t, bytes.TrimSpace(out))[0], "spec", "template", "spec")
	for _, list := range []string{"containers", "initContainers"} {
		for _, c := range envoytest.At[[]any](pod, list) {
			if c := c.(kube.Object); c["name"] == "istio-proxy" {
				return c, envoytest.At[[]any](pod, "volumes")
			}
		}
	}
	t.Fatalf("no sidecar was injected:\n%s", out)
	return nil, nil
}

// mounted returns the name of the ConfigMap that a container has at a path.
func mounted(container kube.Object, volumes []any, path string) string {
	for _, m := range envoytest.At[[]any](container, "volumeMounts") {
		m := m.(kube.Object)
		if m["mountPath"] != path {
			continue
		}
		for _, v := range volumes {
			if v := v.(kube.Object); v["name"] == m["name"] {
				configMap, _ := v["configMap"].(kube.Object)
				name, _ := configMap["name"].(string)
				return name
			}
		}
	}
	return ""
}

// run runs istioctl, which must succeed, and returns what it writes to its standard output.
func run(t testing.TB, istioctl string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), envoytest.StartLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, istioctl, args...)
	cmd.Env = append(os.Environ(), "KUBE_FEATURE_WatchListClient=false") // package kube lists, then watches
	var trouble bytes.Buffer
	cmd.Stderr = &trouble
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", cmd, err, out, &trouble)
	}
	return out
}
