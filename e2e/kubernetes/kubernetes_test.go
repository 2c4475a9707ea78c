package kubernetes

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/apps"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	appsrules "k8s.io/kubernetes/pkg/apis/apps/validation"
	"k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	corerules "k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/apis/networking"
	_ "k8s.io/kubernetes/pkg/apis/networking/install"
	networkingrules "k8s.io/kubernetes/pkg/apis/networking/validation"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

const examples = "../../envoy/examples/kubernetes/"

var command string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "healthgate")
		if err != nil {
			panic(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		command = filepath.Join(dir, "healthgate")
		build := exec.Command("go", "-C", "../..", "build", "-o", command, "./envoy/cmd/healthgate")
		if out, err := build.CombinedOutput(); err != nil {
			panic(fmt.Sprintf("%v\n%s", err, out))
		}
		return m.Run()
	}())
}

// render returns a folder with what the command writes for manifests.
func render(t *testing.T, settings, manifests string, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "healthgate.yaml"), settings)
	write(t, filepath.Join(dir, "shop.yaml"), manifests)
	cmd := exec.Command(command, append([]string{"render", "kubernetes", "healthgate.yaml", "--into", "shop.yaml",
		"--readiness", "kubelet", "--cluster", "shop=127.0.0.1:7070", "--image", "registry.example/healthgate:v1.2.3",
		"-o", "out"}, flags...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	return filepath.Join(dir, "out")
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// built is what an API server would keep.
type built struct {
	pod    *core.PodTemplateSpec
	maps   map[string]*core.ConfigMap
	policy *networking.NetworkPolicy
}

// build lets kustomize build a folder, and the code of kube-apiserver read, complete and validate each object.
func build(dir string) (*built, error) {
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return nil, err
	}
	strict := serializer.NewCodecFactory(legacyscheme.Scheme, serializer.EnableStrict).UniversalDecoder(
		apps.SchemeGroupVersion, core.SchemeGroupVersion, networking.SchemeGroupVersion)
	out := &built{maps: map[string]*core.ConfigMap{}}
	for _, r := range resources.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			return nil, err
		}
		object, err := runtime.Decode(strict, text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.CurId(), err)
		}
		if o, err := meta.Accessor(object); err == nil && o.GetNamespace() == "" {
			o.SetNamespace("default") // as the server does
		}
		var mistakes field.ErrorList
		switch o := object.(type) {
		case *apps.Deployment:
			out.pod = &o.Spec.Template
			mistakes = appsrules.ValidateDeployment(o, pod.GetValidationOptionsFromPodTemplate(out.pod, nil))
		case *apps.StatefulSet:
			out.pod = &o.Spec.Template
			mistakes = appsrules.ValidateStatefulSet(o, pod.GetValidationOptionsFromPodTemplate(out.pod, nil))
		case *apps.DaemonSet:
			out.pod = &o.Spec.Template
			mistakes = appsrules.ValidateDaemonSet(o, pod.GetValidationOptionsFromPodTemplate(out.pod, nil))
		case *core.ConfigMap:
			out.maps[o.Name] = o
			mistakes = corerules.ValidateConfigMap(o)
		case *networking.NetworkPolicy:
			out.policy = o
			mistakes = networkingrules.ValidateNetworkPolicy(o, networkingrules.NetworkPolicyValidationOptions{})
		case *core.Service: // the operator's own
		default:
			return nil, fmt.Errorf("%s is not expected", r.CurId())
		}
		if len(mistakes) > 0 {
			return nil, fmt.Errorf("%s: %w", r.CurId(), mistakes.ToAggregate())
		}
	}
	path := field.NewPath("template")
	if warnings := pod.GetWarningsForPodTemplate(context.Background(), path, out.pod, nil); len(warnings) > 0 {
		return nil, fmt.Errorf("kube-apiserver warns: %q", warnings)
	}
	return out, nil
}

func mustBuild(t *testing.T, dir string) *built {
	t.Helper()
	b, err := build(dir)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// volume returns the names of the ConfigMaps that the pod mounts as a volume, and what it sees of those that are there.
func (b *built) volume(name string) (mounted []string, files map[string]string) {
	files = map[string]string{}
	for _, v := range b.pod.Spec.Volumes {
		switch {
		case v.Name != name:
		case v.ConfigMap != nil:
			mounted = append(mounted, v.ConfigMap.Name)
		case v.Projected != nil:
			for _, s := range v.Projected.Sources {
				mounted = append(mounted, s.ConfigMap.Name)
			}
		}
	}
	for _, m := range mounted {
		if b.maps[m] != nil {
			maps.Copy(files, b.maps[m].Data)
		}
	}
	return mounted, files
}

func containers(list []core.Container) (names []string) {
	for _, c := range list {
		names = append(names, c.Name)
	}
	return names
}

// Whatever kind the workload is, and however the plugin comes, kube-apiserver takes it.
func TestWorkloads(t *testing.T) {
	t.Parallel()
	settings, manifests := read(t, examples+"healthgate.yaml"), read(t, examples+"shop.yaml")
	kind := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(manifests) }
	for _, test := range []struct {
		name, manifests string
		flags           []string
		first           []string // of the pod's init containers
	}{
		{"Deployment", manifests, nil, []string{"envoy"}},
		{"by an init container", manifests, []string{"--bring", "init-container"}, []string{"healthgate", "envoy"}},
		{"StatefulSet", kind("kind: Deployment", "kind: StatefulSet", "  replicas: 3", "  serviceName: shop"), nil,
			[]string{"envoy"}},
		{"DaemonSet", kind("kind: Deployment", "kind: DaemonSet", "  replicas: 3\n", ""), nil, []string{"envoy"}},
		{"without a namespace", kind(", namespace: shop", ""), nil, []string{"envoy"}},
		{"with anchors", kind("metadata: {name: shop, ", "metadata: {labels: &labels {app: shop}, name: shop, ",
			"matchLabels: {app: shop}", "matchLabels: *labels"), nil, []string{"envoy"}},
		{"by a matcher", manifests, []string{"--gate", "matcher", "--listen", "[::]:8443"}, []string{"envoy"}},
		{"as a List", "apiVersion: v1\nkind: List\nitems:\n- " + strings.NewReplacer("\n---\n", "\n- ", "\n", "\n  ").
			Replace(manifests), nil, []string{"envoy"}},
		{"for Prometheus", manifests, []string{"--metrics-listen", "0.0.0.0:9902"}, []string{"envoy"}},
		{"with an init container of its own", kind("      containers:\n",
			"      initContainers: [{name: setup, image: 'registry.example/setup:1'}]\n      containers:\n"),
			[]string{"--bring", "init-container"}, []string{"healthgate", "envoy", "setup"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := mustBuild(t, filepath.Join(render(t, settings, test.manifests, test.flags...), "base"))
			if names := containers(b.pod.Spec.InitContainers); !slices.Equal(names, test.first) {
				t.Errorf("init containers %q, want %q", names, test.first)
			}
			if names := containers(b.pod.Spec.Containers); !slices.Equal(names, []string{"shop"}) {
				t.Errorf("containers %q", names)
			}
			envoy := b.pod.Spec.InitContainers[len(test.first)-1]
			if i := slices.Index(test.first, "envoy"); i >= 0 {
				envoy = b.pod.Spec.InitContainers[i]
			}
			if envoy.RestartPolicy == nil || *envoy.RestartPolicy != core.ContainerRestartPolicyAlways {
				t.Error("Envoy is no native sidecar")
			}
			shop := b.pod.Spec.Containers[0]
			if shop.Image != "registry.example/shop:7" || len(shop.Ports) != 2 {
				t.Errorf("of the application was lost: %+v", shop)
			}
			if hook := shop.Lifecycle.PreStop.Exec.Command; !slices.Equal(hook[:3],
				[]string{"/healthgate/healthgate", "shutdown", "healthgate.maintenance"}) {
				t.Errorf("preStop %q", hook)
			}
			if grace := *b.pod.Spec.TerminationGracePeriodSeconds; grace != 60+20 {
				t.Errorf("terminationGracePeriodSeconds %d", grace)
			}
			var ports []string
			for _, p := range b.policy.Spec.Ingress[0].Ports {
				ports = append(ports, p.Port.String())
			}
			var want []string
			for _, p := range envoy.Ports {
				want = append(want, fmt.Sprint(p.ContainerPort))
			}
			want = append(want, "9100")
			if !slices.Equal(ports, want) || len(b.policy.Spec.Ingress) != 1 {
				t.Errorf("the network's policy opens %q, want %q", ports, want)
			}
			if _, files := b.volume("healthgate-envoy"); !strings.Contains(files["envoy.yaml"], "/shop/healthcheck") {
				t.Error("Envoy does not get its configuration")
			}
		})
	}
}

// A change of Envoy's configuration replaces the pods; keys of zones do not, and reach them.
func TestChanges(t *testing.T) {
	t.Parallel()
	settings, manifests := read(t, examples+"healthgate.yaml"), read(t, examples+"shop.yaml")
	first := mustBuild(t, filepath.Join(render(t, settings, manifests), "base"))
	dir := render(t, strings.Replace(settings, "body: OK", "body: FINE", 1), manifests, "--zone", "eu-1a,eu-1b")
	second := mustBuild(t, filepath.Join(dir, "base"))
	write(t, filepath.Join(dir, "kustomization.yaml"), "resources: [base, zones/eu-1a.yaml, zones/eu-1b.yaml]")
	zones := mustBuild(t, dir)
	before, _ := first.volume("healthgate-envoy")
	if after, _ := second.volume("healthgate-envoy"); slices.Equal(before, after) {
		t.Error("another configuration has the same name")
	}
	if !reflect.DeepEqual(second.pod, zones.pod) {
		t.Error("maintenance of zones changes the pods, and so replaces them")
	}
	for b, want := range map[*built]map[string]string{second: {}, zones: {
		"healthgate.maintenance.zone.eu-1a": "true", "healthgate.maintenance.zone.eu-1b": "true"}} {
		if _, keys := b.volume("healthgate-runtime"); !maps.Equal(keys, want) {
			t.Errorf("keys %v, want %v", keys, want)
		}
	}
}

// An overlay of the operator's may rename all of it: the pods keep their ConfigMaps, and the policy its pods.
func TestOverlay(t *testing.T) {
	t.Parallel()
	dir := render(t, read(t, examples+"healthgate.yaml"), read(t, examples+"shop.yaml"), "--zone", "eu-1a")
	write(t, filepath.Join(dir, "kustomization.yaml"), `resources: [base]
namespace: production
namePrefix: eu-
nameSuffix: -b
labels: [{pairs: {tier: web}, includeSelectors: true}]
images: [{name: registry.example/healthgate, newTag: v2.0.0}]
replicas: [{name: shop, count: 5}]
`)
	b := mustBuild(t, dir)
	if !maps.Equal(b.policy.Spec.PodSelector.MatchLabels, map[string]string{"app": "shop", "tier": "web"}) ||
		b.pod.Labels["tier"] != "web" || b.policy.Namespace != "production" {
		t.Errorf("the policy is for %v in %s, and the pods have %v", b.policy.Spec.PodSelector.MatchLabels,
			b.policy.Namespace, b.pod.Labels)
	}
	for _, volume := range []string{"healthgate-envoy", "healthgate-runtime"} {
		mounted, _ := b.volume(volume)
		if b.maps[mounted[0]] == nil {
			t.Errorf("the pods mount %q, and there are %v", mounted, slices.Collect(maps.Keys(b.maps)))
		}
	}
	for _, v := range b.pod.Spec.Volumes {
		if v.Image != nil && v.Image.Reference != "registry.example/healthgate:v2.0.0" {
			t.Errorf("the image of the volume is %s", v.Image.Reference)
		}
	}
}

// What is committed for operators to copy.
func TestExamples(t *testing.T) {
	t.Parallel()
	mustBuild(t, examples+"base")
}

// The judges find mistakes: a field that does not exist, one without effect, and a value that cannot be.
func TestJudges(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ file, from, to, want string }{
		{"sidecar.yaml", "readinessProbe:", "readinesProbe:", "unknown field"},
		{"sidecar.yaml", "containerPort: 8080", "containerPort: 80800", "must be between 1 and 65535"},
		{"sidecar.yaml", "restartPolicy: Always", "restartPolicy: Sometimes", "Unsupported value"},
		{"networkpolicy.yaml", "policyTypes:", "policyType:", "unknown field"},
		{"sidecar.yaml", "kind: Deployment", "kind: StatefulSet", "no matches for Id"},
		{"kustomization.yaml", "patches:", "patch:", "unknown field"},
	} {
		t.Run(test.to, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(render(t, read(t, examples+"healthgate.yaml"), read(t, examples+"shop.yaml")), "base")
			file := filepath.Join(dir, test.file)
			text := read(t, file)
			if !strings.Contains(text, test.from) {
				t.Fatalf("%s has no %s", test.file, test.from)
			}
			write(t, file, strings.Replace(text, test.from, test.to, 1))
			if _, err := build(dir); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %s", err, test.want)
			}
		})
	}
}
