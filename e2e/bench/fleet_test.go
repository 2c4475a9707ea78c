package bench

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// fleet is peers that run, beside an application that they ask for its health.
type fleet struct {
	app   *app.App
	envoy *envoytest.Envoy
	peers []*peer
	stops []func()
}

// start starts peers and waits until they serve: those that are filters in one Envoy, a listener each.
func start(t testing.TB, a *app.App, peers []*peer, workers int) *fleet {
	t.Helper()
	f := &fleet{app: a, peers: peers}
	config := envoytest.Shipped(t, "", a.Port)
	for i, p := range peers {
		if p.listen == nil {
			f.startPython(t, p)
			continue
		}
		l := config.AddListener(fmt.Sprint("peer", i))
		delete(l.HCM(), "access_log")
		p.listen(t, l)
		answerItself(l)
		p.address = l.Address()
	}
	resources := envoytest.At[envoytest.Object](config.Bootstrap, "static_resources")
	listeners := resources["listeners"].([]any)[1:] // the first is the shipped one itself
	if len(listeners) > 0 {
		resources["listeners"] = listeners
		f.envoy = envoytest.Start(t, config, workers)
		f.stops = append(f.stops, f.envoy.Stop)
	}
	for _, p := range peers {
		if p.listen != nil {
			p.pid = f.envoy.PID()
		}
		path, body := trafficPath, application
		if p.base == "" {
			path, body = checkPath, p.answers
		}
		envoytest.Eventually(t, envoytest.Limit, p.name+" serves", p.gets(path, 200, body))
	}
	return f
}

func (f *fleet) stop() {
	for _, stop := range f.stops {
		stop()
	}
}

// startPython starts gunicorn with one worker of its default kind.
func (f *fleet) startPython(t testing.TB, p *peer) {
	t.Helper()
	p.address = envoytest.Loopback(must.Port(t))
	cmd := exec.Command(python(), "-m", "gunicorn", "--workers", "1", "--log-level", "warning",
		"--chdir", filepath.Join(envoytest.Root, "e2e", "bench", "peers", "python"), "--bind", p.address, p.wsgi)
	cmd.Env = append(cmd.Environ(), "APP=http://"+envoytest.Loopback(f.app.Port), "PYTHONDONTWRITEBYTECODE=1")
	process, _ := envoytest.Program(t, cmd)
	p.pid = process.PID()
	f.stops = append(f.stops, func() {
		if err := process.Stop(envoytest.Limit); err != nil {
			t.Error(err)
		}
	})
}

// python is what `make bench` installs peers/python/requirements.txt for.
func python() string { return filepath.Join(envoytest.Root, ".tools", "bench-python", "bin", "python") }

// prove tries what the peers are said to do, each of it with all of them at once.
func (f *fleet) prove(t testing.TB) {
	t.Helper()
	healthy := func(p *peer) func() error { return p.gets(checkPath, 200, p.answers) }
	out := func(body string) func(*peer) func() error {
		return func(p *peer) func() error { return p.gets(checkPath, 503, body) }
	}
	node := func(status int) func() { return func() { f.app.Answer("/outbound/isalive", status) } }
	set := func(key, value string) func() { return func() { f.envoy.SetRuntime(key, value) } }
	checks := func(p *peer) bool { return p.checks }
	asksNodes := func(p *peer) bool { return p.asksNodes }
	runtimeKey := func(p *peer) bool { return p.runtimeKey }
	route := func(p *peer) bool { return p.route }
	for _, step := range []struct {
		what string
		do   func()
		can  func(*peer) bool
		then func(*peer) func() error
	}{
		{"is healthy", func() {}, checks, healthy},
		{"does not answer strangers", func() {}, func(p *peer) bool { return p.knowsSource }, (*peer).refuses},
		{"fails with a node", node(503), asksNodes, out("FAILED")},
		{"recovers with it", node(200), asksNodes, healthy},
		{"is in maintenance by key", set("healthgate.maintenance", "true"), runtimeKey, out(maintenance)},
		{"comes back", set("healthgate.maintenance", ""), runtimeKey, healthy},
		{"is in maintenance by route", set("healthgate.route_maintenance", "100"), route, out(maintenance)},
		{"comes back from it", set("healthgate.route_maintenance", ""), route, healthy},
		{"is healthy in the end", func() {}, checks, healthy},
	} {
		step.do()
		for _, p := range f.peers {
			if step.can(p) {
				envoytest.Eventually(t, envoytest.Limit, p.name+" "+step.what, step.then(p))
			}
		}
	}
}

// gets returns a condition: a trusted address gets this answer.
func (p *peer) gets(path string, status int, body string) func() error {
	return func() error {
		a, err := p.get("127.0.0.1", path)
		if err == nil {
			err = a.Says(status, body)
		}
		return err
	}
}

// refuses returns a condition: an untrusted address does not get the answer of a healthy check.
func (p *peer) refuses() func() error {
	return func() error {
		a, err := p.get("127.0.0.2", checkPath)
		if err == nil && a.Says(200, p.answers) == nil {
			err = fmt.Errorf("a stranger's check was answered %v", a)
		}
		return err
	}
}

func (p *peer) get(source, path string) (envoytest.Answer, error) {
	return envoytest.Read(envoytest.ClientFrom(source, false).Get("http://" + p.address + path))
}

// TestPeers starts the peers that need nothing but Envoy and the plugin, each of which has to do its job.
func TestPeers(t *testing.T) {
	t.Parallel()
	f := start(t, app.Start(t), ofEnvoy(plugin{"healthgate", "healthgate", envoytest.Wasm(t)}), 1)
	f.prove(t)
}
