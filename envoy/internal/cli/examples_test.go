package cli

import (
	"bytes"
	"context"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/envoy/must"
)

var update = flag.Bool("update", false, "write the files that are rendered anew: make generate")

const (
	sidecar = "envoy/examples/istio-sidecar/healthgate.yaml --workload sidecar --namespace shop --selector app=shop " +
		"--port 8080 --cluster shop=127.0.0.1:8080"
	gateway = "envoy/examples/istio-gateway/healthgate.yaml --workload gateway --namespace istio-system " +
		"--selector istio=ingressgateway"
	envoyGateway = "envoy/examples/envoy-gateway/healthgate.yaml --gateway front --namespace shop --backend shop:8080 " +
		"--hostname shop.example --cluster shop=shop.shop.svc.cluster.local:8080"
	image = " --wasm oci://registry.example/healthgate:latest"
)

// examples are the files of the repository that the command renders, with how.
var examples = map[string]string{
	"envoy/bootstrap.yaml": "render envoy envoy/healthgate.yaml",

	"envoy/examples/istio-sidecar/envoyfilter.yaml":      "render istio-envoyfilter " + sidecar,
	"envoy/examples/istio-sidecar/wasmplugin.yaml":       "render istio-wasmplugin " + sidecar + image,
	"envoy/examples/istio-sidecar/trafficextension.yaml": "render istio-trafficextension " + sidecar + image,
	"envoy/examples/istio-gateway/envoyfilter.yaml":      "render istio-envoyfilter " + gateway,
	"envoy/examples/istio-gateway/wasmplugin.yaml":       "render istio-wasmplugin " + gateway + image,
	"envoy/examples/istio-gateway/trafficextension.yaml": "render istio-trafficextension " + gateway + image,
	"envoy/examples/envoy-gateway/gateway.yaml":          "render envoy-gateway " + envoyGateway + image,
}

// call runs the command in this process, in the repository's root.
func call(t testing.TB, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errors bytes.Buffer
	code = run(t.Context(), &out, &errors, args...)
	return out.String(), errors.String(), code
}

// run is call for who reads what is written meanwhile, or ends the command.
func run(ctx context.Context, stdout, stderr io.Writer, args ...string) (code int) {
	root := newRoot(thisBuild("", ""))
	root.SetOut(stdout)
	root.SetErr(stderr)
	return exitCode(root, execute(ctx, root, args))
}

const kubernetes = "render kubernetes envoy/examples/kubernetes/healthgate.yaml " +
	"--into envoy/examples/kubernetes/shop.yaml --readiness kubelet --cluster shop=127.0.0.1:7070 " +
	"--image registry.example/healthgate:v1.2.3 --zone eu-1a -o "

func TestExamples(t *testing.T) {
	t.Chdir(filepath.Join("..", "..", ".."))
	to := "envoy/examples/kubernetes"
	if !*update {
		to = t.TempDir()
	}
	if _, stderr, code := call(t, strings.Fields(kubernetes+to)...); code != 0 {
		t.Errorf("healthgate %s: exit code %d\n%s", kubernetes, code, stderr)
	}
	for _, file := range []string{"base/envoy.yaml", "base/kustomization.yaml",
		"base/networkpolicy.yaml", "base/sidecar.yaml",
		"base/workload.yaml", "zones/eu-1a.yaml"} {
		got, err := os.ReadFile(filepath.Join(to, file))
		if strings.Contains(string(got), "#   healthgate render") &&
			!strings.Contains(string(got), "#   healthgate "+strings.TrimSuffix(kubernetes, " -o ")+"\n") {
			t.Errorf("%s does not say the command that wrote it", file)
		}
		want, notThere := os.ReadFile(filepath.Join("envoy/examples/kubernetes", file))
		if err != nil || notThere != nil || !bytes.Equal(got, want) {
			t.Errorf("envoy/examples/kubernetes/%s is not what is written (%v, %v): make generate", file, err, notThere)
		}
	}
	for file, command := range examples {
		got, stderr, code := call(t, strings.Fields(command)...)
		if code != 0 {
			t.Errorf("healthgate %s: exit code %d\n%s", command, code, stderr)
			continue
		}
		if *update {
			must.Write(t, file, got)
			continue
		}
		if !strings.Contains(got, "#   healthgate "+command+"\n") {
			t.Errorf("%s does not say the command that wrote it", file)
		}
		if want, err := os.ReadFile(file); err != nil || got != string(want) {
			t.Errorf("%s is not what `healthgate %s` writes (%v). Change the healthgate.yaml or the templates of "+
				"envoy/internal/render, never this file, and write it anew: make generate", file, command, err)
		}
	}
}
