package operator

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

const (
	key   = "healthgate.maintenance"
	sorry = "Under maintenance. Remove maintenance file when complete"
)

// rtds is what an RTDS file starts as: Envoy needs one to start.
const rtds = `# kept
resources:
- "@type": type.googleapis.com/envoy.service.runtime.v3.Runtime
  name: healthgate
  layer: {unrelated: 7}
`

// TestMaintenance goes through every way to switch one Envoy, one after the other; each leaves it in rotation.
func TestMaintenance(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "rtds.yaml")
	must.Write(t, file, rtds)
	i := start(t, "--rtds-file", file)
	i.rtdsFile = file
	for _, part := range []struct {
		name string
		run  func(*testing.T, *instance)
	}{
		{"admin", testAdmin},
		{"ends by itself", testFor},
		{"disk", testDisk},
		{"RTDS file", testRTDS},
		{"route", testRoute},
		{"two layers", testTwoLayers},
		{"a key that nothing reads", testUnreadKey},
		{"zone", testZone},
		{"dry run", testDryRun},
		{"an Envoy that is not there", testUnreachable},
		{"a protected admin", testProtected},
		{"interrupted", testInterrupted},
		{"for pipelines", testJSON},
		{"an admin that hides", testHidden},
		{"verified by a check", testVerify},
		{"another folder", testAnotherFolder},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.run(t, i) }) {
			return
		}
		i.eventually(t, 200, "OK")
	}
}

// When the command returns, no worker answers otherwise: it waits for the plugin, not only for runtime. A second is how
// old the shared record may be, and half a second how seldom a VM looks at the clock.
func testAdmin(t *testing.T, i *instance) {
	const reason = "disk swap & more: 100% + 1, rack=4"
	run(t, "maintenance", "on", "--admin", "http://"+i.admin+"/", "--reason", reason).
		is(t, 0, "http://"+i.admin, "on", reason, "admin", "my-service")
	i.is(t, 503, sorry)
	line := `key "` + key + `" = "true", reason "` + reason + `"`
	envoytest.Eventually(t, envoytest.Limit, "the plugin logs it", func() error { return i.envoy.Log.Has(line) })
	run(t, "maintenance", "status", "--admin", i.admin).is(t, 0, "on", reason)
	// A reason does not outlive the maintenance it was given for.
	run(t, "maintenance", "on", "--admin", i.admin).is(t, 0)
	if out := run(t, "maintenance", "status", "--admin", i.admin); strings.Contains(out.stdout, reason) {
		t.Errorf("the reason is still there:\n%s", out.stdout)
	}
	run(t, "maintenance", "off", "--admin", i.admin).is(t, 0, "off")
	i.is(t, 200, "OK")
	run(t, "maintenance", "off", "--admin", i.admin).is(t, 0, "off") // off already
}

func testFor(t *testing.T, i *instance) {
	begin := time.Now()
	out := run(t, "maintenance", "on", "--admin", i.admin, "--for", "10s")
	out.is(t, 0, "on", time.Now().UTC().Format("2006-01-02T"))
	i.is(t, 503, sorry)
	i.eventually(t, 200, "OK")
	if took := time.Since(begin); took < 10*time.Second {
		t.Errorf("it ended after %s", took)
	}
	run(t, "maintenance", "status", "--admin", i.admin).is(t, 0, "off") // its time has passed
	run(t, "maintenance", "off", "--admin", i.admin).is(t, 0)
}

func testDisk(t *testing.T, i *instance) {
	if _, err := os.Lstat(i.runtimeDir); err == nil {
		t.Fatal("there is a disk layer already")
	}
	run(t, "maintenance", "on", "--runtime-dir", i.runtimeDir, "--admin", i.admin, "--reason", "new disk").
		is(t, 0, "on", "new disk", "disk", "my-service")
	i.is(t, 503, sorry)
	left, err := os.ReadDir(filepath.Dir(i.runtimeDir))
	if err != nil || len(left) != 2 {
		t.Errorf("beside the link there is more than its folder: %v, %v", left, err)
	}
	run(t, "maintenance", "off", "--runtime-dir", i.runtimeDir, "--admin", i.admin).is(t, 0, "off")
	i.is(t, 200, "OK")
	run(t, "maintenance", "on", "--runtime-dir", i.runtimeDir).is(t, 0, "written to", "no --admin was given")
	i.eventually(t, 503, sorry)
	run(t, "maintenance", "off", "--runtime-dir", i.runtimeDir).is(t, 0)
}

func testRTDS(t *testing.T, i *instance) {
	run(t, "maintenance", "on", "--rtds-file", i.rtdsFile, "--admin", i.admin, "--for", "1h", "--reason", "pushed").
		is(t, 0, "on", "pushed", "rtds")
	i.is(t, 503, sorry)
	run(t, "maintenance", "off", "--rtds-file", i.rtdsFile, "--admin", i.admin).is(t, 0, "off")
	i.is(t, 200, "OK")
	text, err := os.ReadFile(i.rtdsFile)
	if err != nil || !strings.Contains(string(text), "unrelated: 7") || !strings.Contains(string(text), "# kept") ||
		strings.Contains(string(text), key) {
		t.Errorf("what else stood in the file is gone: %v\n%s", err, text)
	}
}

// The route is chosen for each request, so the change holds from the next one on.
func testRoute(t *testing.T, i *instance) {
	run(t, "maintenance", "on", "--route", "--admin", i.admin).is(t, 0, "healthgate.route_maintenance", "on", "my-service")
	i.is(t, 503, sorry)
	run(t, "maintenance", "off", "--admin", i.admin).is(t, 1,
		"still in maintenance: my-service, by healthgate.route_maintenance")
	run(t, "maintenance", "off", "--route", "--admin", i.admin).is(t, 0, "off")
	i.is(t, 200, "OK")
}

func testTwoLayers(t *testing.T, i *instance) {
	run(t, "maintenance", "on", "--runtime-dir", i.runtimeDir, "--admin", i.admin).is(t, 0)
	run(t, "maintenance", "off", "--admin", i.admin, "--wait", "3s").
		is(t, 1, `the layer "disk" says "true": take it back there, or say --override here`)
	i.is(t, 503, sorry)
	run(t, "maintenance", "off", "--override", "--admin", i.admin).is(t, 0, "off", "admin")
	i.is(t, 200, "OK")
	run(t, "maintenance", "off", "--runtime-dir", i.runtimeDir, "--admin", i.admin).is(t, 0)
	run(t, "maintenance", "off", "--admin", i.admin).is(t, 0)
}

func testUnreadKey(t *testing.T, i *instance) {
	run(t, "maintenance", "on", "healthgate.maintenence", "--admin", i.admin, "--wait", "4s").
		is(t, 1,
			"no endpoint has the key healthgate.maintenence; there is "+key+", "+key+".zone.local-a")
	run(t, "maintenance", "status", "healthgate.maintenence", "--admin", i.admin).is(t, 0,
		"note: "+i.admin+": no endpoint has the key healthgate.maintenence")
}

// Another key that stays on is told: the instance is not back.
func testZone(t *testing.T, i *instance) {
	const zone = key + ".zone.local-a"
	run(t, "maintenance", "on", zone, "--admin", i.admin).is(t, 0)
	run(t, "maintenance", "on", "--admin", i.admin).is(t, 0)
	run(t, "maintenance", "off", "--admin", i.admin, "--wait", "4s").is(t, 1,
		"the key is off, and still in maintenance: my-service, by "+zone)
	run(t, "maintenance", "off", zone, "--admin", i.admin).is(t, 0)
}

func testDryRun(t *testing.T, i *instance) {
	before := envoytest.Parse(i.envoy.Get("/runtime?format=json"))
	run(t, "maintenance", "on", "--dry-run", "--admin", i.admin, "--reason", "a b", "--verify", "http://a/b?token=x").
		is(t, 0, "POST /runtime_modify?healthgate.maintenance=true&healthgate.maintenance.reason=a%20b to "+i.admin,
			"send a check to http://a/b?… until")
	folder := filepath.Join(i.folder, "new", "current")
	run(t, "maintenance", "on", "--runtime-dir", folder, "--admin", i.admin).
		is(t, 2, "there is no folder "+filepath.Dir(folder)+"; is this the symlink_root of Envoy's disk_layer?")
	folder = filepath.Join(i.folder, "new")
	run(t, "maintenance", "on", "--dry-run", "--runtime-dir", folder, "--admin", i.admin).is(t, 2,
		"--runtime-dir: "+folder+" is not there")
	layer, _ := os.Readlink(i.runtimeDir)
	run(t, "maintenance", "on", "--dry-run", "--runtime-dir", i.runtimeDir, "--admin", i.admin).
		is(t, 0, "write healthgate.maintenance=true to "+i.runtimeDir, "take healthgate.maintenance.reason out of")
	if _, err := os.Lstat(folder); err == nil {
		t.Error("a layer was made")
	}
	if now, _ := os.Readlink(i.runtimeDir); now != layer {
		t.Error("the layer was changed")
	}
	if after := envoytest.Parse(i.envoy.Get("/runtime?format=json")); !reflect.DeepEqual(after, before) {
		t.Errorf("runtime has changed: %v", after)
	}
}

// The others are switched all the same, and the exit code says that one was not.
func testUnreachable(t *testing.T, i *instance) {
	gone := envoytest.Loopback(must.Port(t))
	run(t, "maintenance", "on", "--admin", gone, "--admin", i.admin, "--wait", "30s").
		is(t, 1, "error: "+gone+": ", "connection refused", "my-service")
	i.is(t, 503, sorry)
	run(t, "maintenance", "status", "--admin", gone).is(t, 1, "error: "+gone)
	run(t, "maintenance", "off", "--admin", i.admin).is(t, 0)
	run(t, "maintenance", "on", "--admin", i.listen, "--wait", "1s").is(t, 1, "error: "+i.listen) // not an admin address
}

// testProtected reaches admin through a proxy that asks for a login and a client's certificate, below a path.
func testProtected(t *testing.T, i *instance) {
	const prefix = "/api/v1/namespaces/shop/pods/shop-0:15000/proxy"
	forward := http.StripPrefix(prefix, httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: i.admin}))
	proxy := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "ops" || password != "s3cret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		forward.ServeHTTP(w, r)
	}))
	proxy.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	proxy.Config.ErrorLog = log.New(io.Discard, "", 0)
	proxy.StartTLS()
	defer proxy.Close()
	own := proxy.TLS.Certificates[0]
	key := must.Get(x509.MarshalPKCS8PrivateKey(own.PrivateKey))(t)
	files := map[string][]byte{
		"cert":  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: own.Certificate[0]}),
		"key":   pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		"login": []byte("ops:s3cret\n"), "wrong": []byte("ops:other\n"),
	}
	for name, text := range files {
		must.Do(t, os.WriteFile(filepath.Join(i.folder, name), text, 0o600))
	}
	ask := func(login string, words ...string) result {
		path := func(name string) string { return filepath.Join(i.folder, name) }
		return run(t, append(words, "--admin", proxy.URL+prefix, "--admin-auth-file", path(login),
			"--admin-ca-file", path("cert"), "--admin-cert-file", path("cert"), "--admin-key-file", path("key"))...)
	}
	ask("login", "maintenance", "on").is(t, 0, proxy.URL+prefix, "my-service")
	i.is(t, 503, sorry)
	ask("login", "status").is(t, 0, proxy.URL+prefix, "maintenance")
	ask("login", "maintenance", "off").is(t, 0, "off")
	for _, words := range [][]string{{"maintenance", "status"}, {"status"}} {
		if r := ask("wrong", words...); strings.Contains(r.stdout+r.stderr, "other") {
			t.Errorf("the login is shown:\n%s%s", r.stdout, r.stderr)
		} else {
			r.is(t, 1, "the login that was sent is refused")
		}
	}
}

// Ctrl-C while it waits ends it at once, with nothing left behind.
func testInterrupted(t *testing.T, i *instance) {
	folder := filepath.Join(i.folder, "other", "current")
	const before = ".healthgate-0123456789abcdef" // as an earlier change made it
	must.Do(t, os.MkdirAll(folder+before, 0o755))
	must.Do(t, os.Symlink("current"+before, folder))
	cmd := command(t, "maintenance", "on", "--runtime-dir", folder, "--admin", i.admin, "--wait", "10m", "-o", "json")
	var document, out strings.Builder
	cmd.Stdout, cmd.Stderr = &document, &out
	must.Do(t, cmd.Start())
	envoytest.Eventually(t, envoytest.Limit, "the key is written", func() error {
		_, err := os.Stat(filepath.Join(folder, key))
		return err
	})
	must.Do(t, cmd.Process.Signal(syscall.SIGINT))
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != 1 ||
		!strings.Contains(out.String(), "interrupted: what was written stays") {
		t.Errorf("%v\n%s", err, out.String())
	}
	if !strings.Contains(document.String(), `"error": "interrupted: what was written stays`) {
		t.Errorf("for pipelines it says %q", document.String())
	}
	if left, err := os.ReadDir(filepath.Dir(folder)); err != nil || len(left) != 2 {
		t.Errorf("%v, %v", left, err)
	}
}

// One form tells pipelines of all three commands, also what went wrong.
func testJSON(t *testing.T, i *instance) {
	type state struct {
		Envoy, Key, Value, Reason, Layer, Error string
		On                                      *bool
		Until                                   *time.Time
		Endpoints, Notes                        []string
	}
	say := func(code int, args ...string) []state {
		t.Helper()
		out := run(t, append([]string{"maintenance"}, args...)...)
		out.is(t, code)
		var states []state
		if err := json.Unmarshal([]byte(out.stdout), &states); err != nil {
			t.Fatalf("%v in %s", err, out.stdout)
		}
		return states
	}
	gone := envoytest.Loopback(must.Port(t))
	for _, args := range [][]string{{"on", "--for", "1h", "--reason", "a \"b\""}, {"status"}} {
		code, want := 0, 1
		if args[0] == "status" {
			args, code, want = append(args, "--admin", gone), 1, 2
		}
		states := say(code, append(args, "-o", "json", "--admin", i.admin)...)
		s := states[len(states)-1]
		if len(states) != want || s.Envoy != i.admin || s.Key != key || s.On == nil || !*s.On || s.Until == nil ||
			s.Value != s.Until.Format(time.RFC3339) ||
			s.Reason != `a "b"` || s.Layer != "admin" || !slices.Equal(s.Endpoints, []string{"my-service"}) ||
			s.Error != "" || len(s.Notes) > 0 {
			t.Errorf("%q: %+v", args, states)
		}
		if want == 2 && (states[0].On != nil || states[0].Endpoints != nil ||
			!strings.Contains(states[0].Error, "connection refused")) {
			t.Errorf("one that is gone: %+v", states[0])
		}
	}
	if states := say(0, "off", "--output", "json", "--admin", i.admin); *states[0].On || states[0].Endpoints == nil ||
		len(states[0].Endpoints) > 0 {
		t.Errorf("off: %+v", states)
	}
	if states := say(0, "on", "--rtds-file", filepath.Join(t.TempDir(), "rtds.yaml"), "-o",
		"json"); states == nil || len(states) > 0 {
		t.Errorf("without an Envoy: %+v", states)
	}
}

// What an admin does not show is not known, and no reason to write nothing. A check settles it.
func testHidden(t *testing.T, i *instance) {
	for _, test := range []struct{ hidden, want string }{
		{"/config_dump",
			"whether all checks come to the plugin is not known: GET /config_dump was answered 403"},
		{"/server_info", "whether all checks come to the plugin is not known: GET /server_info was answered 403"},
		{"/stats", "what the plugin does is not known: GET /stats was answered 403"},
	} {
		behind := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: i.admin})
		admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == test.hidden {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			behind.ServeHTTP(w, r)
		}))
		run(t, "maintenance", "on", "--admin", admin.URL, "--wait", "4s").is(t, 1, test.want)
		i.is(t, 503, sorry)
		check := "http://" + i.listen + check
		verified, says := 0, ""
		if test.hidden == "/stats" { // which count the checks
			verified, says = 1, "whether this Envoy's plugin answers it is not known: GET /stats was answered 403"
		}
		run(t, "maintenance", "on", "--admin", admin.URL, "--verify", check, "--wait", "4s").is(t, verified, "on", says)
		run(t, "maintenance", "off", "--admin", admin.URL, "--verify", check, "--wait", "4s").is(t, verified, "off", says)
		i.eventually(t, 200, "OK")
		admin.Close()
	}
}

// A check counts when this Envoy's plugin answers it: not what another service says, be it word for word the same.
func testVerify(t *testing.T, i *instance) {
	var status atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(int(status.Load()))
		_, _ = io.WriteString(w, map[int32]string{200: "OK", 503: sorry}[status.Load()])
	}))
	defer other.Close()
	own, foreign := "http://"+i.listen+check, other.URL+check
	const stranger = "not from this Envoy's plugin, which has not counted it"
	verify := func(word, url string) result {
		return run(t, "maintenance", word, "--admin", i.admin, "--wait", "3s", "--verify", url)
	}
	verify("on", own).is(t, 0, "on")
	status.Store(503)
	verify("on", foreign).is(t, 1, stranger)
	for code, says := range map[int32]string{404: "gets 404 Not Found",
		500: "gets 500 Internal Server Error", 503: "gets 503"} {
		status.Store(code)
		verify("off", foreign).is(t, 1, says)
	}
	i.app.Answer("/outbound/isalive", 500)
	i.eventually(t, 500, "FAILED")
	verify("off", own).is(t, 1, "gets 500 Internal Server Error FAILED, and when all is well it is 200 OK")
	i.app.Answer("/outbound/isalive", 200)
	i.eventually(t, 200, "OK")
	verify("off", own).is(t, 0, "off")
}

// A layer that no Envoy reads is not made, and where nobody can say so, that it was made is told.
func testAnotherFolder(t *testing.T, i *instance) {
	for flag, path := range map[string]string{"--runtime-dir": filepath.Join(t.TempDir(), "other"),
		"--rtds-file": filepath.Join(t.TempDir(), "other.yaml")} {
		theirs := map[string]string{"--runtime-dir": i.runtimeDir, "--rtds-file": i.rtdsFile}[flag]
		run(t, "maintenance", "on", flag, path, "--admin", i.admin).is(t, 2,
			flag+": "+path+" is not there, and what the Envoys read is "+theirs)
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%s was made", path)
		}
		run(t, "maintenance", "on", flag, path).is(t, 0,
			"written to "+path+", which was not there and was made; no --admin was given")
		run(t, "maintenance", "on", flag, path).is(t, 0, "written to "+path+"; no --admin was given")
	}
	byLink := filepath.Join(t.TempDir(), "link")
	must.Do(t, os.Symlink(filepath.Dir(i.runtimeDir), byLink))
	must.Do(t, os.Remove(i.runtimeDir))
	run(t, "maintenance", "on", "--runtime-dir", filepath.Join(byLink, filepath.Base(i.runtimeDir)),
		"--admin", i.admin).is(t, 0, "on")
	run(t, "maintenance", "off", "--runtime-dir", i.runtimeDir, "--admin", i.admin).is(t, 0, "off")
}

// TestUnixSocket reaches admin through a Unix socket, as the filter does.
func TestUnixSocket(t *testing.T) {
	t.Parallel()
	dir := must.Get(os.MkdirTemp("", "hg"))(t) // a socket's path has at most 107 bytes
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := "unix://" + filepath.Join(dir, "admin")
	i := render(t, shipped, "--admin", socket)
	text := must.Read(t, i.config)
	i.envoy = envoytest.Launch(t, envoytest.FromYAML(t, text, 0), 2)
	envoytest.Eventually(t, envoytest.StartLimit, "healthy", i.answers(200, "OK"))
	run(t, "maintenance", "on", "--admin", socket).is(t, 0, "on", "my-service")
	i.is(t, 503, sorry)
	run(t, "maintenance", "off", "--admin", socket).is(t, 0, "off")
	i.is(t, 200, "OK")
	run(t, "maintenance", "status", "--admin", socket+".gone").is(t, 1, "there is no such Unix socket: is Envoy running")
}

// TestSubdirectory has Envoy read its disk layer as its documentation shows: below the link, in a folder for each
// cluster.
func TestSubdirectory(t *testing.T) {
	t.Parallel()
	admin := envoytest.Loopback(must.Port(t))
	i := render(t, shipped, "--admin", admin)
	i.admin = admin
	text := must.Read(t, i.config)
	inFolder := strings.Replace(text, "      symlink_root:",
		"      subdirectory: /envoy/\n      append_service_cluster: true\n      symlink_root:", 1)
	if inFolder == text {
		t.Fatal("the rendered configuration has no disk layer")
	}
	i.envoy = envoytest.Launch(t, envoytest.FromYAML(t, inFolder, 0), 2)
	envoytest.Eventually(t, envoytest.StartLimit, "healthy", i.answers(200, "OK"))
	run(t, "maintenance", "on", "--runtime-dir", i.runtimeDir, "--admin", i.admin).is(t, 0, "on", "disk", "my-service")
	i.is(t, 503, sorry)
	for _, dry := range []string{"--dry-run", "--dry-run=false"} {
		run(t, "maintenance", "off", "--runtime-dir", i.runtimeDir, dry).
			is(t, 2, "--subdirectory: "+i.runtimeDir+` holds the folder "envoy"`)
	}
	run(t, "maintenance", "off", "--runtime-dir", i.runtimeDir, "--admin", i.admin, "--dry-run").is(t, 0,
		"take healthgate.maintenance out of")
	i.is(t, 503, sorry)
	folders, err := filepath.Glob(filepath.Join(i.runtimeDir, "envoy", "*"))
	if err != nil || len(folders) != 1 {
		t.Fatalf("the keys lie in %q, %v", folders, err)
	}
	run(t, "maintenance", "off", "--runtime-dir", i.runtimeDir, "--subdirectory",
		"envoy/"+filepath.Base(folders[0])).is(t, 0, "written to")
	i.eventually(t, 200, "OK")
}
