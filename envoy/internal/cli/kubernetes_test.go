package cli

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/healthgate/healthgate/envoy/must"
)

// What cannot be expressed, or would be lost, is refused with the reason, and nothing is written; what may be meant is
// written, with a warning at most. A line of a case is flags, or a change of the files of the example, OLD => NEW.
func TestKubernetes(t *testing.T) {
	scenarios := must.Get(filepath.Abs("testdata/kubernetes.txt"))(t)
	t.Chdir(filepath.Join("..", "..", "examples", "kubernetes"))
	files := map[string]string{}
	for _, name := range []string{"healthgate.yaml", "shop.yaml"} {
		text := must.Get(os.ReadFile(name))(t)
		files[name] = string(text)
	}
	t.Chdir(t.TempDir())
	datadriven.RunTest(t, scenarios, func(t *testing.T, d *datadriven.TestData) string {
		args := strings.Fields("render kubernetes healthgate.yaml --into shop.yaml")
		changed := maps.Clone(files)
		for line := range strings.Lines(d.Input) {
			line = strings.TrimSuffix(line, "\n")
			from, to, is := strings.Cut(strings.ReplaceAll(line, `\n`, "\n"), " => ")
			if !is {
				args = append(args, strings.Fields(line)...)
				continue
			}
			found := false
			for name, text := range changed {
				found = found || strings.Contains(text, from)
				changed[name] = strings.Replace(text, from, to, 1)
			}
			if !found {
				d.Fatalf(t, "no file has %q", from)
			}
		}
		args = withDefaults(args, "--readiness", "kubelet", "-o", "out", "--image", "registry.example/healthgate:v1.2.3",
			"--cluster", "shop=127.0.0.1:7070")
		for name, text := range changed {
			must.Write(t, name, text)
		}
		stdout, stderr, code := call(t, args...)
		want := map[string]int{"refuses": 2, "writes": 0}[d.Cmd]
		_, err := os.Stat("out")
		if stdout != "" || code != want || (err == nil) != (code == 0) || os.RemoveAll("out") != nil {
			d.Fatalf(t, "exit code %d, %s%v\n%s", code, stdout, err, stderr)
		}
		return stderr
	})
}

// What is read is not replaced, and where it would be nothing is written.
func TestKubernetesIntoItself(t *testing.T) {
	examples := must.Get(filepath.Abs(filepath.Join("..", "..", "examples", "kubernetes")))(t)
	t.Chdir(t.TempDir())
	must.Do(t, os.MkdirAll("out/base", 0o755))
	for _, names := range [][2]string{
		{"out/base/envoy.yaml", "shop.yaml"},
		{"healthgate.yaml", "out/base/workload.yaml"},
	} {
		document := must.Read(t, filepath.Join(examples, "healthgate.yaml"))
		manifests := must.Read(t, filepath.Join(examples, "shop.yaml"))
		must.Write(t, names[0], document)
		must.Write(t, names[1], manifests)
		_, stderr, code := call(t, "render", "kubernetes", names[0], "--into", names[1], "--readiness", "kubelet",
			"--image", "registry.example/healthgate:v1.2.3", "--cluster", "shop=127.0.0.1:7070", "-o", "out")
		left := must.Get(os.ReadDir("out/base"))(t)
		if code != 2 || !strings.Contains(stderr, "itself, which would be lost; write to another") || len(left) != 1 ||
			must.Read(t, names[0]) != document || must.Read(t, names[1]) != manifests {
			t.Errorf("%v: exit code %d, %s%v", names, code, stderr, left)
		}
		must.Do(t, os.Remove(filepath.Join("out/base", left[0].Name())))
	}
}

// What others wrote is not replaced; what the command wrote is. The folder is where the system finds it, by .. behind a
// link too.
func TestKubernetesFolder(t *testing.T) {
	examples := must.Get(filepath.Abs(filepath.Join("..", "..", "examples", "kubernetes")))(t)
	t.Chdir(t.TempDir())
	must.Do(t, os.MkdirAll("real/deep", 0o755))
	must.Do(t, os.Symlink("real/deep", "link"))
	render := func(folder string, zones ...string) (stderr string, code int) {
		_, stderr, code = call(t, append([]string{"render", "kubernetes", filepath.Join(examples, "healthgate.yaml"),
			"--into", filepath.Join(examples, "shop.yaml"), "--readiness", "kubelet",
			"--image", "registry.example/healthgate:v1.2.3", "--cluster", "shop=127.0.0.1:7070", "-o", folder}, zones...)...)
		return stderr, code
	}
	for _, own := range []string{"kustomization.yaml", "networkpolicy.yaml"} {
		must.Do(t, os.MkdirAll(own+"/base", 0o755))
		must.Write(t, own+"/base/"+own, "resources: [shop.yaml]")
		stderr, code := render(own)
		left := must.Get(os.ReadDir(own + "/base"))(t)
		if code != 2 || !strings.Contains(stderr, own+" would be lost, and nothing says") || len(left) != 1 ||
			must.Read(t, own+"/base/"+own) != "resources: [shop.yaml]" {
			t.Errorf("exit code %d, %s%v", code, stderr, left)
		}
	}
	for range 2 {
		if stderr, code := render("link/../made/"); code != 0 || must.Read(t, "real/made/base/workload.yaml") == "" {
			t.Errorf("exit code %d, %s", code, stderr)
		}
		must.Write(t, "real/made/base/workload.yaml", "")
	}
	const zone = "real/made/zones/eu-1a.yaml"
	must.Do(t, os.MkdirAll("real/made/zones", 0o755))
	must.Write(t, zone, "mine")
	if stderr, code := render("real/made", "--zone", "eu-1a"); code != 2 || must.Read(t, zone) != "mine" ||
		!strings.Contains(stderr, zone+" would be lost, and nothing says that this command made it") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	must.Do(t, os.Remove(zone))
	must.Write(t, "real/made/zones/mine.yaml", "mine")
	for _, zones := range []string{"eu-1a,eu-1b", "eu-1a,eu-1b", "eu-1a"} {
		stderr, code := render("real/made", "--zone", zones)
		if code != 0 || must.Read(t, "real/made/zones/eu-1b.yaml") == "" || strings.Contains(stderr, "mine") ||
			strings.Contains(stderr, "note: real/made/zones/eu-1b.yaml: is of an earlier run") != (zones == "eu-1a") {
			t.Errorf("exit code %d, %s", code, stderr)
		}
	}
	if stderr, code := render("real/made"); code != 0 || strings.Count(stderr, "give --zone eu-1") != 2 {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}
