package istio

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/e2e/istio/internal/lab"
	"github.com/healthgate/healthgate/envoy/must"
)

// TestManifests lets istioctl judge what is rendered, as an operator's pipeline would settings it applies it.
func TestManifests(t *testing.T) {
	t.Parallel()
	for _, w := range ways {
		t.Run(w.String(), func(t *testing.T) {
			t.Parallel()
			b := &bench{way: w, Workload: &lab.Workload{Kind: w.kind, Port: 8080, AppPort: 8081},
				runtime: "/etc/healthgate/runtime"}
			manifests := b.render(t, settings)
			for _, c := range judge(t, manifests) {
				t.Error(c)
			}

			// The judge does find a mistake when there is one: a field of Istio's that does not exist, and one of
			// Envoy's inside a patch.
			mistakes := []string{"configPatches:", "runtime_fraction:"}
			if w.form == "istio-envoyfilter" {
				mistakes = append(mistakes, "xds_matcher:", "failure_policy:")
			} else {
				mistakes = append(mistakes, "failStrategy:")
			}
			for _, field := range mistakes {
				wrong := "no_such_" + field
				found := false
				for _, c := range judge(t, edit(t, manifests, field, wrong)) {
					found = found || strings.Contains(c, strings.TrimSuffix(wrong, ":"))
				}
				if !found {
					t.Errorf("istioctl has nothing against %s", wrong)
				}
			}
		})
	}
}

// TestExamples lets istioctl judge the manifests in the repository that operators copy.
func TestExamples(t *testing.T) {
	t.Parallel()
	files := must.Get(filepath.Glob(filepath.Join(envoytest.Root, "envoy", "examples", "istio-*", "*.yaml")))(t)
	judged := 0
	for _, file := range files {
		if filepath.Base(file) == "healthgate.yaml" { // what they are made from
			continue
		}
		text := must.Read(t, file)
		for _, c := range judge(t, text) {
			t.Errorf("%s: %s", file, c)
		}
		judged++
	}
	if judged == 0 {
		t.Errorf("there are no examples among %q", files)
	}
}

// judge returns what istioctl has against manifests. It calls a field inside an EnvoyFilter's patch that Envoy does not
// know a warning only; but the control plane drops that field, or all of the patch. So every warning counts, but for
// the one that each EnvoyFilter gets.
func judge(t testing.TB, manifests string) (complaints []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "manifests.yaml")
	must.Write(t, file, manifests)
	for _, args := range [][]string{
		{"validate", "-f", file},
		{"analyze", "--use-kube=false", file},
	} {
		out, err := exec.CommandContext(t.Context(), lab.File(t, "istioctl"), args...).CombinedOutput()
		if err != nil {
			complaints = append(complaints, "istioctl "+args[0]+": "+err.Error())
		}
		for line := range strings.Lines(string(out)) {
			line = strings.TrimSpace(line)
			complaint := strings.HasPrefix(line, "* ") || strings.HasPrefix(line, "Warning ") ||
				strings.HasPrefix(line, "Error ")
			if complaint && !strings.Contains(line, "EnvoyFilter exposes internal implementation details") {
				complaints = append(complaints, "istioctl "+args[0]+": "+line)
			}
		}
	}
	return complaints
}
