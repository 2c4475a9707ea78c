package operator

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
	"github.com/healthgate/healthgate/envoy/rendertest"
)

// edited writes a healthgate.yaml that differs from the shipped one.
func edited(t testing.TB, old, text string) string {
	t.Helper()
	return replaced(t, filepath.Join(envoytest.Root, shipped), old, text)
}

// TestEnvoyTakesWhatIsRendered validates every kind of configuration with Envoy itself.
func TestEnvoyTakesWhatIsRendered(t *testing.T) {
	t.Parallel()
	rtdsFile := filepath.Join(t.TempDir(), "rtds.json")
	run(t, "maintenance", "on", "--rtds-file", rtdsFile).is(t, 0)
	oddPaths := edited(t, "paths: [/healthz]", `paths: [/~, "/a'b\"c", '/x{y}&*[z]', "/-:", '/%20!$;=@', "/<>|^"]`)
	for _, test := range []struct {
		name, file string
		flags      []string
	}{
		{"RTDS file, made by the command", shipped, []string{"--rtds-file", rtdsFile}},
		{"RTDS server, IPv6, host names, no disk", edited(t, "envoy_admin", `"my admin: '1'"`),
			[]string{"--rtds-server", "rtds.example:18000", "--listen", "[::1]:10000", "--cluster",
				"other=app.example:80", "--runtime-dir", ""}},
		{"Unix sockets, peers, several routes",
			edited(t, "trusted: {", "trusted: {peer: {filter_state: \"a peer's: key\"}, "),
			[]string{"--admin", "unix:///tmp/an admin.sock", "--cluster", "other=unix:///tmp/app.sock", "--route-key",
				"route-of.{endpoint}"}},
		{"the highest gauge", edited(t, "stats, cluster: app, path: /stats/isalive",
			"stats, gauge: {stat: server.memory_allocated, above: 2147483647}"), nil},
		{"odd paths, gate by route", oddPaths, nil},
		{"odd paths, gate by matcher", oddPaths, []string{"--gate", "matcher"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			i := render(t, test.file, test.flags...)
			cmd := exec.Command(envoytest.Binary(t), "-c", i.config, "--mode", "validate",
				"--disable-hot-restart", "--concurrency", "1")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// random renders a file as it is, for an Envoy that reads it itself, and returns where it is and the address to ask.
func random(t *testing.T, text string, flags ...string) (config, listen string) {
	t.Helper()
	folder := t.TempDir()
	file, config := filepath.Join(folder, "healthgate.yaml"), filepath.Join(folder, "envoy.yaml")
	must.Write(t, file, text)
	listen = envoytest.Loopback(must.Port(t))
	run(t, append([]string{"render", "envoy", file, "-o", config, "--listen", listen, "--admin",
		envoytest.Loopback(must.Port(t)),
		"--wasm", envoytest.Wasm(t), "--runtime-dir", "", "--cluster", "app=127.0.0.1:1"}, flags...)...).is(t, 0)
	return config, listen
}

// TestEnvoyTakesRandomFiles: whatever the operator wrote, the plugin that Envoy loads takes what was rendered of it.
func TestEnvoyTakesRandomFiles(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		text, _ := rendertest.Random(rand.New(rand.NewPCG(seed, 1)))
		config, _ := random(t, text, "--cluster", "c0=127.0.0.1:1", "--cluster", "c1=127.0.0.1:1",
			"--route-key", "route.{endpoint}", "--gate", []string{"route", "matcher"}[seed%2])
		cmd := exec.Command(envoytest.Binary(t), "-c", config, "--mode", "validate",
			"--disable-hot-restart", "--concurrency", "1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("seed %d: %v\n%s\n%s", seed, err, out, text)
		}
	}
}

// TestEnvoyAnswersAsWritten: a check gets each body and each header as the operator wrote it.
func TestEnvoyAnswersAsWritten(t *testing.T) {
	t.Parallel()
	headers := map[string]any{}
	for _, name := range rendertest.Headers {
		headers[name] = "v" + name
	}
	for texts := range slices.Chunk(rendertest.Texts, 64) {
		var endpoints []any
		for i, body := range texts {
			endpoints = append(endpoints, map[string]any{
				"name": fmt.Sprint("e", i), "paths": []any{fmt.Sprint("/",
					i)}, "trusted": map[string]any{"cidrs": []any{"127.0.0.0/8"}},
				"healthy": map[string]any{"body": body, "headers": headers},
			})
		}
		config, listen := random(t, rendertest.Write(rand.New(rand.NewPCG(2, 3)), map[string]any{"endpoints": endpoints}))
		cmd := exec.Command(envoytest.Binary(t), "-c", config, "--disable-hot-restart", "--concurrency", "1", "-l", "warning")
		envoytest.Program(t, cmd)
		client := http.Client{Timeout: envoytest.Limit}
		envoytest.Eventually(t, envoytest.StartLimit, "an answer", func() error {
			_, err := envoytest.Read(client.Get("http://" + listen + "/0"))
			return err
		})
		for i, want := range texts {
			a := must.Get(envoytest.Read(client.Get(fmt.Sprint("http://", listen, "/", i))))(t)
			if err := a.Says(200, want); err != nil {
				t.Error(err)
			}
			for name, value := range headers {
				if got := a.Header.Get(name); got != value {
					t.Errorf("the header %s is %q", name, got)
				}
			}
		}
	}
}

// TestPeerOfTheConnection: with {filter_state: KEY} the rendered listener stores the connection's address, so a check
// with X-Forwarded-For is answered, and one that forges a trusted address is not.
func TestPeerOfTheConnection(t *testing.T) {
	t.Parallel()
	i := startFile(t, edited(t, "trusted: {", "trusted: {peer: {filter_state: healthgate.peer}, "))
	for _, test := range []struct {
		source, forwarded string
		status            int
		body              string
	}{
		{"127.0.0.1", "203.0.113.9", 200, "OK"},
		{"127.0.0.2", "127.0.0.1", 200, "app " + check}, // untrusted: on to the application
	} {
		a := must.Get(ask(t, test.source, i.listen, "a", "GET "+check+" x-forwarded-for="+test.forwarded))(t)
		if err := a.Says(test.status, test.body); err != nil {
			t.Errorf("from %s, X-Forwarded-For %s: %v", test.source, test.forwarded, err)
		}
	}
}
