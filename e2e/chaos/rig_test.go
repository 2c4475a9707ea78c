package chaos

import (
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

type object = envoytest.Object

const (
	check  = "/my-service/healthcheck" // of envoy/bootstrap.yaml
	passed = "/healthz"                // here an endpoint that passes a healthy check on to the application
	users  = "/shop"
	sorry  = "Under maintenance. Remove maintenance file when complete"
)

var (
	probes = []string{"inbound", "outbound", "stats"} // of envoy/bootstrap.yaml, and all must be healthy
	layers = []string{"admin", "disk", "rtds"}        // each has a maintenance key of its own
)

// rig is a real Envoy with all that a plan disturbs.
type rig struct {
	t       *testing.T
	judge   *judge
	config  *envoytest.Config
	ingress *envoytest.Listener
	envoy   *envoytest.Envoy
	address string
	workers int
	file    string // of listeners
	rtds    string
	admin   *gate            // between the plugin and admin
	apps    map[string]*gate // what the probes ask
	updates int
	memory  [2]int64 // of the process after it was started first, and at the end
}

// newRig starts an Envoy. Its configuration is the shipped one, which change may make wrong.
func newRig(t *testing.T, workers int, change func(settings object)) *rig {
	t.Helper()
	r := &rig{t: t, workers: workers, judge: newJudge(time.Now()), apps: map[string]*gate{}}
	shop := app.Serve(t, http.HandlerFunc(r.shop))
	folder := t.TempDir()
	r.config = envoytest.Shipped(t, envoytest.FaultyWasm(t), shop.Port)
	r.config.Args = []string{"--drain-time-s", "20"}
	r.ingress = r.config.Listener("ingress")
	r.address = r.ingress.Address()
	mux := http.NewServeMux()
	for _, name := range probes {
		r.apps[name] = &gate{ok: http.HandlerFunc(r.alive)}
		mux.Handle("/"+name+"/isalive", r.apps[name])
	}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: envoytest.Loopback(r.config.AdminPort)})
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	r.admin = &gate{ok: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		begin, seen := time.Now(), &statusOf{ResponseWriter: w}
		proxy.ServeHTTP(seen, q)
		if now := time.Now(); seen.status == http.StatusOK || seen.status == http.StatusServiceUnavailable {
			r.judge.read(now, q.URL.Path, now.Sub(begin))
		}
	})}
	r.cluster("healthgate_app", app.Serve(t, mux).Port)
	r.cluster("envoy_admin", app.Serve(t, r.admin).Port)
	t.Cleanup(func() { r.answerAll("ok") })

	r.ingress.Change(func(s object) {
		s["admin"] = object{"cluster": "envoy_admin", "interval": interval.String(), "timeout": timeout.String(),
			"max_age": maxAge.String(), "on_stale": "fail"}
		keys := []any{}
		for _, layer := range layers {
			keys = append(keys, key(layer))
		}
		endpoints := envoytest.At[[]any](s, "endpoints")
		first := endpoints[0].(object)
		first["maintenance"].(object)["keys"] = keys
		second := envoytest.Clone(first)
		second["name"], second["paths"], second["healthy"] = "passed", []any{passed}, object{"action": "pass"}
		s["endpoints"] = []any{first, second}
		for _, p := range envoytest.At[[]any](s, "probes") {
			p.(object)["timeout"] = timeout.String()
		}
		change(s)
	})
	r.rtds = filepath.Join(folder, "rtds.json")
	r.pushed("")
	layered := envoytest.At[object](r.config.Bootstrap, "layered_runtime")
	all := layered["layers"].([]any)
	layered["layers"] = append(append([]any{}, all[:len(all)-1]...), object{"name": "rtds", "rtds_layer": object{
		"name": "rtds", "rtds_config": object{"resource_api_version": "V3", "path_config_source": object{"path": r.rtds}},
	}}, all[len(all)-1])
	r.config.SetMaintenance(true, "healthgate.unused") // the layer is there from the start
	r.file = filepath.Join(folder, "listeners.json")
	envoytest.PublishListener(r.t, r.file, r.ingress)
	r.config.ListenersFrom(r.file)
	r.envoy = envoytest.Start(t, r.config, workers)
	return r
}

func key(layer string) string { return "healthgate.chaos." + layer }

// cluster leads a cluster to a port of its own.
func (r *rig) cluster(name string, port int) {
	for _, c := range envoytest.At[[]any](r.config.Bootstrap, "static_resources", "clusters") {
		if c := c.(object); c["name"] == name {
			envoytest.At[object](c, "load_assignment", "endpoints", 0, "lb_endpoints", 0, "endpoint", "address",
				"socket_address")["port_value"] = port
		}
	}
}

// shop is the application that users and strangers reach. Nothing disturbs it.
func (r *rig) shop(w http.ResponseWriter, q *http.Request) {
	r.judge.reached(time.Now(), q.Header.Get("X-Client"), q.URL.Path)
	w.Header().Set("X-App", "yes")
	_, _ = fmt.Fprint(w, "app") // the client may be gone
}

// alive answers a probe.
func (r *rig) alive(http.ResponseWriter, *http.Request) {}

// statusOf notes the status that a handler answers with.
type statusOf struct {
	http.ResponseWriter
	status int
}

func (s *statusOf) WriteHeader(status int) { s.status = status; s.ResponseWriter.WriteHeader(status) }

// gate is a server that fails, hangs and comes back.
type gate struct {
	ok   http.Handler
	mu   sync.Mutex
	mode string        // empty: ok
	over chan struct{} // closed when the mode ends
	seen func(ok bool)
}

func (g *gate) become(mode string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over != nil {
		close(g.over)
	}
	g.mode, g.over = mode, make(chan struct{})
}

func (g *gate) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	g.mu.Lock()
	mode, over, seen := g.mode, g.over, g.seen
	g.mu.Unlock()
	healthy := mode == "" || mode == "ok" || mode == "200"
	if seen != nil {
		seen(healthy)
	}
	switch {
	case healthy:
		g.ok.ServeHTTP(w, q)
	case mode == "login":
		_, _ = fmt.Fprint(w, "<html>Who are you?</html>")
	case mode == "error":
		w.WriteHeader(http.StatusInternalServerError)
	case mode == "hang":
		select {
		case <-over:
		case <-q.Context().Done():
		}
		panic(http.ErrAbortHandler)
	case mode == "closed":
		panic(http.ErrAbortHandler)
	default:
		var status int
		_, _ = fmt.Sscan(mode, &status)
		w.WriteHeader(status)
	}
}

func (r *rig) answerAll(mode string) {
	r.admin.become(mode)
	for _, g := range r.apps {
		g.become(mode)
	}
}

func (r *rig) pushed(value string) {
	values := object{}
	if value != "" {
		values[key("rtds")] = value
	}
	envoytest.Publish(r.t, r.rtds, object{"resources": []any{
		envoytest.Any("envoy.service.runtime.v3.Runtime", object{"name": "rtds", "layer": values}),
	}})
}

// play does what the plan says, each operation at its time or after the one before it. The plan's clock stands still
// while a killed Envoy starts again.
func (r *rig) play(p plan) {
	r.t.Helper()
	for _, name := range probes {
		g := r.apps[name]
		g.mu.Lock()
		g.seen = func(ok bool) { r.judge.probe(time.Now(), name, ok) }
		g.mu.Unlock()
	}
	r.await("healthy before the plan begins", "healthy")
	r.memory[0] = r.envoy.Resident()
	begin := time.Now()
	r.judge.begin(begin)
	stopTraffic := r.traffic()
	for _, o := range p {
		<-time.After(time.Until(begin.Add(o.at)))
		r.judge.happens(time.Now(), o.String()[len(o.at.Round(time.Millisecond).String())+1:])
		r.judge.counted(o)
		now := time.Now()
		if r.do(o); o.name == "kill" {
			begin = begin.Add(time.Since(now))
		}
	}
	stopTraffic()
	r.memory[1] = r.envoy.Resident()
	r.ended()
}

func (r *rig) do(o op) {
	r.t.Helper()
	switch value := o.arg(1); o.name {
	case "runtime":
		r.runtime(o.arg(0), value)
	case "draining":
		if o.arg(0) == "off" {
			r.judge.cause(time.Now(), "draining", "")
			r.envoy.Post("/healthcheck/ok")
		} else {
			r.envoy.Post("/healthcheck/fail")
			r.judge.cause(time.Now(), "draining", "on")
		}
	case "app":
		for _, name := range probes {
			if o.arg(0) == name || o.arg(0) == "all" {
				r.apps[name].become(value)
				r.judge.application(time.Now(), name, value)
			}
		}
	case "admin":
		r.admin.become(o.arg(0))
		r.judge.fault(time.Now(), "admin", o.arg(0) != "ok")
	case "crash":
		r.crash(o.arg(0))
	case "update":
		r.updates++
		r.ingress.Change(func(s object) {
			endpoint := envoytest.At[object](s, "endpoints", 0)
			endpoint["healthy"].(object)["headers"] = object{"x-version": fmt.Sprint(r.updates)}
			envoytest.At[object](s, "probes", 0)["timeout"] = fmt.Sprintf("%dms", 500-r.updates%9)
		})
		envoytest.PublishListener(r.t, r.file, r.ingress)
	case "sleep":
		d := must.Get(time.ParseDuration(o.arg(0)))(r.t)
		r.sleep(d)
	case "kill":
		now := time.Now()
		r.judge.down(now, false)
		r.judge.cause(now, "runtime admin", "")
		r.judge.cause(now, "draining", "")
		r.envoy.Kill()
		r.ended()
		r.envoy = envoytest.Start(r.t, r.config, r.workers)
		r.judge.up(time.Now())
	case "calm", "end":
	default:
		r.t.Fatalf("unknown operation: %v", o)
	}
}

// runtime sets a maintenance key in one layer, or takes it out.
func (r *rig) runtime(layer, value string) {
	r.t.Helper()
	if value == "" {
		r.judge.cause(time.Now(), "runtime "+layer, "")
	}
	switch layer {
	case "admin":
		r.envoy.SetRuntime(key(layer), value)
	case "disk":
		r.config.SetMaintenance(value != "", key(layer))
	case "rtds":
		r.pushed(value)
	}
	if value != "" {
		r.judge.cause(time.Now(), "runtime "+layer, value)
	}
}

// crash makes VMs crash. The leader may be the VM of Envoy's main thread, which has no traffic.
func (r *rig) crash(which string) {
	r.t.Helper()
	fault, times := "crash", 1
	switch which {
	case "leader":
		fault = "crash-leader"
	case "all":
		times = 8 * r.workers // connections are spread by chance
	}
	for range times {
		_, _ = get(envoytest.ClientFrom("127.0.0.1", false), "http://"+r.address+check, "balancer", fault)
	}
}

// sleep stops the process, as a machine does that sleeps.
func (r *rig) sleep(d time.Duration) {
	r.t.Helper()
	defer r.envoy.Pause()()
	r.judge.down(time.Now(), true)
	<-time.After(d)
	r.judge.up(time.Now())
}

// ended looks at the log of an Envoy that has ended or soon will: each VM that crashed was told to.
func (r *rig) ended() {
	r.t.Helper()
	crashes := len(r.envoy.Log.Lines(envoytest.Crashed))
	if told := len(r.envoy.Log.Lines("asked for by x-healthgate-fault")); crashes != told {
		r.t.Errorf("%d VMs crashed, %d were told to", crashes, told)
	}
	r.judge.crashed(crashes)
}
