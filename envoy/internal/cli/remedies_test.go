package cli

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/envoy/internal/admintest"
	"github.com/healthgate/healthgate/envoy/must"
)

// typed runs a command line that was printed, as a shell takes it, and returns what it says.
func typed(t *testing.T, line string) string {
	t.Helper()
	words, err := exec.Command("sh", "-c", "printf '%s\\n' "+line).Output()
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	_, stderr, code := call(t, strings.Split(strings.TrimSpace(string(words)), "\n")[1:]...)
	if code != 0 {
		t.Errorf("%s: exit code %d\n%s", line, code, stderr)
	}
	return stderr
}

// deeper is a disk layer whose keys lie below its link.
const deeper = `{"name": "disk", "disk_layer": {"symlink_root": "/there/current", "subdirectory": "a b"}}`

// awkward starts an Envoy's admin on a socket whose path a shell would split, with a layer more.
func awkward(t *testing.T, layer string) (a *admintest.Admin, address string) {
	t.Helper()
	a = admintest.Start(t)
	socket := filepath.Join(must.Get(os.MkdirTemp("", "it's a "))(t), "s")
	t.Cleanup(func() { must.Do(t, os.RemoveAll(filepath.Dir(socket))) })
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		said := httptest.NewRecorder()
		a.ServeHTTP(said, r)
		w.WriteHeader(said.Code)
		must.Get(strings.NewReplacer(`{"layers": [
`, `{"layers": [`+layer+`,
`).WriteString(w, said.Body.String()))(t)
	}))
	server.Listener.Close()
	server.Listener = must.Get(net.Listen("unix", socket))(t)
	server.Start()
	t.Cleanup(server.Close)
	return a, "unix://" + socket
}

var remedy = regexp.MustCompile(`: (healthgate .*?)(; it may open yet)?\n`)

// A command line in an error does what it says, as it stands.
func TestRemedies(t *testing.T) {
	t.Parallel()
	for name, commands := range map[string][]string{
		"shutdown is taken back": {"shutdown " + admintest.Key + " --timeout 6s"},
		"another key is on":      {"maintenance on", "release --timeout 6s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, address := awkward(t, deeper)
			stderr, code := "", 0
			for _, command := range commands {
				_, stderr, code = call(t, append(strings.Fields(command), "--admin", address)...)
			}
			m := remedy.FindStringSubmatch(stderr)
			if code != 1 || m == nil || !a.Out() {
				t.Fatalf("exit code %d:\n%s", code, stderr)
			}
			if typed(t, m[1]); a.Out() {
				t.Errorf("%s: its checks still fail", m[1])
			}
		})
	}
	t.Run("a layer by another name", func(t *testing.T) {
		t.Parallel()
		_, address := awkward(t, deeper)
		root := filepath.Join(t.TempDir(), "current")
		_, stderr, code := call(t, "maintenance", "on", "--runtime-dir", root, "--admin", address)
		_, flags, found := strings.Cut(strings.TrimSpace(stderr), "write to it once without --admin, and with ")
		if code != 2 || !found {
			t.Fatalf("exit code %d:\n%s", code, stderr)
		}
		typed(t, "healthgate maintenance on --runtime-dir "+root+" "+flags)
		if _, err := os.Stat(filepath.Join(root, "a b", admintest.Key)); err != nil {
			t.Error(err)
		}
	})
}

// What would be written where Envoy does not read it is refused, and what is made is told.
func TestLayersThatEnvoyReads(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root, file := filepath.Join(dir, "current"), filepath.Join(dir, "rtds.yaml")
	_, rtds := awkward(t, `{"name": "rtds", "rtds_layer": {"name": "shop", "rtds_config": {"path_config_source": `+
		`{"path": "`+file+`"}}}}`)
	layer := strings.Replace(deeper, "/there/current", root, 1)
	_, disk := awkward(t, layer)
	_, both := awkward(t, layer+","+strings.NewReplacer(`"disk"`, `"own"`, "a b", "c").Replace(layer))
	to := "--runtime-dir " + root + " --subdirectory "
	for _, step := range []struct {
		args, admin string
		code        int
		want        string
	}{
		{"on " + to + "envoi", disk, 2, "--runtime-dir: Envoy has its keys in " + root + "/a b, and not in " + root +
			"/envoi: leave out --subdirectory"},
		{"on " + to + "envoi", both, 2, "Envoy has its keys in " + root + "/a b and " + root + "/c, and not in " + root +
			"/envoi: say which with --subdirectory"},
		{"on --rtds-file " + file, rtds, 2, "is not there, and would be made with the resource healthgate, while " +
			"Envoy's layer reads the resource shop of it: make it with that first"},
		{"on --rtds-file " + file + " --dry-run", "", 0, "to " + file + ", which is not there and would be made\n"},
		{"on " + to + "envoi --dry-run", "", 0, "to " + root + "/envoi, which is not there and would be made\n"},
		{"on " + to + "envoy", "", 0, "written to " + root + "/envoy, which was not there and was made; no --admin"},
		{"on " + to + "envoy", "", 0, "written to " + root + "/envoy; no --admin"},
		{"on " + to + "envoi/", "", 0, "written to " + root + "/envoi, which was not there and was made; no --admin"},
		{"off " + to + "envio", "", 2, root + "/envio does not exist, so no key can be taken out of it"},
		{"off " + to + "envoy k", "", 0, "note: " + root + "/envoy has no key k to take out"},
	} {
		args := append([]string{"maintenance"}, strings.Fields(step.args)...)
		if step.admin != "" {
			args = append(args, "--admin", step.admin)
		}
		out, stderr, code := call(t, args...)
		if said := out + stderr; code != step.code || !strings.Contains(said, step.want) {
			t.Errorf("%s: exit code %d, %s\nwant %s", step.args, code, said, step.want)
		}
	}
}

// A layer that was written, and that the asked Envoy does not read, is named with the way back; --dry-run tells before.
func TestLayerOfAnother(t *testing.T) {
	t.Parallel()
	for flag, layer := range map[string]string{"--runtime-dir": deeper, "--rtds-file": `{"name": "rtds", "rtds_layer":
		{"name": "healthgate", "rtds_config": {"path_config_source": {"path": "/there/current"}}}}`} {
		_, address := awkward(t, layer)
		path := filepath.Join(t.TempDir(), "it's another.yaml")
		args := []string{"maintenance", "on", flag, path, "--admin", address, "--wait", "5s"}
		if _, stderr, code := call(t, args[:4]...); code != 0 {
			t.Fatal(stderr)
		}
		_, stderr, code := call(t, append(args, "--dry-run")...)
		if want := "/there/current"; code != 0 || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d, %s, want %s", flag, code, stderr, want)
		}
		_, stderr, code = call(t, args...)
		m := regexp.MustCompile("; " + regexp.QuoteMeta(path) + "(/a b)? was written, and stays so; to take it back: (.*)").
			FindStringSubmatch(stderr)
		if code != 1 || m == nil {
			t.Fatalf("%s: exit code %d, %s", flag, code, stderr)
		}
		if said := typed(t, m[2]); strings.Contains(said, "has no key") {
			t.Errorf("%s took nothing back", m[2])
		}
		_, stderr, _ = call(t, "maintenance", "off", flag, path, "--admin", address, "--wait", "5s")
		if !strings.Contains(stderr, "has no key") || strings.Contains(stderr, "stays so") {
			t.Error(stderr)
		}
	}
}
