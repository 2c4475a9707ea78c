package operator

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
	"go.yaml.in/yaml/v3"
)

// patch is what an operator's pods get.
type patch struct {
	Spec struct {
		Template struct {
			Spec struct {
				InitContainers []struct {
					Args           []string
					ReadinessProbe struct {
						HTTPGet struct{ Path string } `yaml:"httpGet"`
					} `yaml:"readinessProbe"`
				} `yaml:"initContainers"`
				Containers []struct {
					Lifecycle struct {
						PreStop struct{ Exec struct{ Command []string } } `yaml:"preStop"`
					}
				}
			}
		}
	}
}

// TestPod runs the Envoy of a rendered patch as a pod does: with its arguments, the keys of a zone as the kubelet
// brings them, and its hook. Whatever the load balancer's check gets, the pod stays ready.
func TestPod(t *testing.T) {
	t.Parallel()
	a, dir := app.Start(t), t.TempDir()
	listen, admin := envoytest.Loopback(must.Port(t)), envoytest.Loopback(must.Port(t))
	_, port, _ := strings.Cut(listen, ":")
	example := filepath.Join(envoytest.Root, "envoy", "examples", "kubernetes")
	settings := replaced(t, filepath.Join(example, "healthgate.yaml"), "10.0.0.0/8", "127.0.0.1/32")
	settings = replaced(t, settings, "10.128.0.0/16", "10.128.0.0/16, 127.0.0.1/32")
	shop := replaced(t, filepath.Join(example, "shop.yaml"), "containerPort: 7070",
		fmt.Sprintf("containerPort: %d", a.Port))
	run(t, "render", "kubernetes", settings, "--into", shop, "--readiness", "kubelet",
		"--cluster", "shop="+envoytest.Loopback(a.Port), "--image", "registry.example/healthgate:v1.2.3", "--zone", "eu-1a",
		"--listen", "0.0.0.0:"+port, "--admin", admin, "--quiet", "2s", "-o", dir).is(t, 0)
	var pod patch
	decode(t, filepath.Join(dir, "base", "sidecar.yaml"), &pod)
	envoy, container := pod.Spec.Template.Spec.InitContainers[0], pod.Spec.Template.Spec.Containers[0]

	// What is mounted in the pod lies elsewhere here, and only this machine reaches the listener.
	config, runtime := filepath.Join(dir, "base", "envoy.yaml"), filepath.Join(dir, "runtime")
	text := must.Get(os.ReadFile(config))(t)
	must.Do(t, os.WriteFile(config, []byte(strings.NewReplacer("/healthgate/plugin.wasm", envoytest.Wasm(t),
		"/etc/healthgate/runtime", runtime, "0.0.0.0", "127.0.0.1").Replace(string(text))), 0o600))
	must.Do(t, os.Mkdir(runtime, 0o700))
	envoytest.MountConfigMap(t, runtime, nil)
	for i, arg := range envoy.Args {
		envoy.Args[i] = strings.NewReplacer("/etc/healthgate/envoy/envoy.yaml", config, "$(POD_NAME)", "shop-1", "$(ZONE)",
			"eu-1a").Replace(arg)
	}
	if out, err := exec.Command(envoytest.Binary(t),
		append(envoy.Args, "--mode", "validate")...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	envoytest.Program(t, exec.Command(envoytest.Binary(t), append(envoy.Args, "--concurrency", "2")...))

	client := http.Client{Timeout: envoytest.Limit}
	becomes := func(status int, body string) {
		t.Helper()
		envoytest.Eventually(t, envoytest.StartLimit, fmt.Sprint(status), func() error {
			for path, want := range map[string]string{
				"/shop/healthcheck": fmt.Sprint(status, " ", body), envoy.ReadinessProbe.HTTPGet.Path: "200 ",
			} {
				request := must.Get(http.NewRequest(http.MethodGet, "http://"+listen+path, nil))(t)
				request.Header.Set("User-Agent", "kube-probe/1.36")
				a, err := envoytest.Read(client.Do(request))
				if err != nil || a.Said() != want {
					return fmt.Errorf("%s: %v, want %s, %w", path, a, want, err)
				}
			}
			return nil
		})
	}
	const sorry = "Under maintenance. Remove maintenance file when complete"
	becomes(200, "OK")

	var zone struct{ Data map[string]string }
	decode(t, filepath.Join(dir, "zones", "eu-1a.yaml"), &zone)
	envoytest.MountConfigMap(t, runtime, zone.Data)
	becomes(503, sorry)
	envoytest.MountConfigMap(t, runtime, nil)
	becomes(200, "OK")

	hook := container.Lifecycle.PreStop.Exec.Command
	run(t, hook[1:]...).is(t, 0, "closed: by the key healthgate.maintenance", "seen:", "draining:", "idle:")
	becomes(503, sorry)
	if n := a.Count("/shop/healthcheck") + a.Count(envoy.ReadinessProbe.HTTPGet.Path); n > 0 {
		t.Errorf("the application saw %d checks", n)
	}
}

func decode(t *testing.T, file string, into any) {
	t.Helper()
	text := must.Get(os.ReadFile(file))(t)
	must.Do(t, yaml.Unmarshal(text, into))
}
