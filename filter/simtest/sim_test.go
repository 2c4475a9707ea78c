package simtest

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/healthgate/healthgate/hostsim"
)

// module is the compiled filter.
var module = sync.OnceValues(func() ([]byte, error) { return build("healthgate.wasm", "HEALTHGATE_WASM", "filter") })

// build reads a build of the filter: the one that the environment names, or what a make target made.
func build(file, variable, target string) ([]byte, error) {
	path := os.Getenv(variable)
	if path == "" {
		path = "../../build/" + file
	}
	wasm, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: run `make %s` first, or set %s", err, target, variable)
	}
	return wasm, nil
}

// watchdog is the configuration of a service with three nodes, as the shipped bootstrap has it.
const watchdog = `{
	"endpoints": [{
		"name": "my-service", "paths": ["/my-service/healthcheck"],
		"trusted": {"cidrs": ["10.0.0.0/8", "fd00::/8"]},
		"healthy": {"body": "OK", "content_type": "text/plain"},
		"maintenance": {"keys": ["maintenance", "maintenance.zone.{zone}"], "route_metadata": true},
		"probes": {"policy": "all", "names": ["inbound", "outbound", "stats"]}
	}, {
		"name": "middleware", "paths": ["/healthz"], "trusted": {"cidrs": ["10.0.0.0/8"]}
	}],
	"probes": [
		{"name": "inbound", "cluster": "app", "path": "/inbound/isalive"},
		{"name": "outbound", "cluster": "app", "path": "/outbound/isalive"},
		{"name": "stats", "cluster": "app", "path": "/stats/isalive"}
	],
	"admin": {"cluster": "envoy_admin"}
}`

const (
	check       = "/my-service/healthcheck"
	balancer    = "10.1.2.3:40000"
	maintenance = "Under maintenance. Remove maintenance file when complete"
)

// sim is a host with the filter and an application whose nodes do as they are told.
type sim struct {
	*hostsim.Host
	t      *testing.T
	mu     sync.Mutex
	status map[string]int // by path; 200 if not there
}

func (s *sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if status := s.status[r.URL.Path]; status != 0 {
		w.WriteHeader(status)
	}
}

// set makes a path of the application answer with a status.
func (s *sim) set(path string, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status[path] = status
}

// newSim starts a host; later options win.
func newSim(t *testing.T, config string, opts ...hostsim.Option) *sim {
	t.Helper()
	wasm, err := module()
	if err != nil {
		t.Fatal(err)
	}
	return newSimOf(t, wasm, config, opts...)
}

// newSimOf is newSim for another build of the filter.
func newSimOf(t *testing.T, wasm []byte, config string, opts ...hostsim.Option) *sim {
	t.Helper()
	var err error
	s := &sim{t: t, status: map[string]int{}}
	s.Host, err = hostsim.New(wasm, append([]hostsim.Option{
		hostsim.PluginConfig(config), hostsim.PluginName("healthgate"), hostsim.VMID("healthgate"),
		hostsim.Node{ID: "node-1", Cluster: "shop", Region: "north", Zone: "north-a"},
		hostsim.Upstream("app", s), hostsim.Admin("envoy_admin"), hostsim.FailReload,
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// newReady starts a host and lets the first election and round of probes pass.
func newReady(t *testing.T, config string, opts ...hostsim.Option) *sim {
	t.Helper()
	s := newSim(t, config, opts...)
	s.Advance(settle)
	return s
}

// settle is longer than the first election.
const settle = 300 * time.Millisecond

// ask sends a trusted check to a worker.
func (s *sim) ask(worker int, path string) *hostsim.Reply {
	s.t.Helper()
	return s.Host.Worker(worker).Do(&hostsim.Request{Path: path, Peer: balancer})
}

// want asks every worker and compares status, body and details.
func (s *sim) want(path string, status int, body, details string) {
	s.t.Helper()
	for i := range s.Workers() {
		r := s.ask(i, path)
		if r.Status != status || string(r.Body) != body || r.Details != details || r.Forwarded {
			s.t.Errorf("%v: worker %d: %s: got %d %q, details %q, forwarded %v; want %d %q, %q", s.Elapsed(), i, path,
				r.Status, r.Body, r.Details, r.Forwarded, status, body, details)
		}
	}
}

func (s *sim) wantHealthy() {
	s.t.Helper()
	s.want(check, 200, "OK", "healthgate_healthy")
}

func (s *sim) wantMaintenance() {
	s.t.Helper()
	s.want(check, 503, maintenance, "healthgate_maintenance")
}

func (s *sim) wantUnknown() {
	s.t.Helper()
	s.want(check, 503, "UNKNOWN", "healthgate_unknown")
}

func (s *sim) wantMetric(name string, want uint64) {
	s.t.Helper()
	if got, ok := s.Metric(name); got != want || !ok {
		s.t.Errorf("%v: %s = %d (defined: %v), want %d", s.Elapsed(), name, got, ok, want)
	}
}

// stateLog returns the plugin's log without the lines about who leads, each with its level.
func (s *sim) stateLog() []string {
	var lines []string
	for _, e := range s.Logs() {
		if text, ok := strings.CutPrefix(e.Message, "healthgate: "); ok && !strings.HasPrefix(text, "leader: ") {
			lines = append(lines, e.Level.String()+" "+text)
		}
	}
	return lines
}

// wantLog compares the state log from the given line on.
func (s *sim) wantLog(from int, want ...string) {
	s.t.Helper()
	got := s.stateLog()
	if got = got[min(from, len(got)):]; strings.Join(got, "\n") != strings.Join(want, "\n") {
		s.t.Errorf("log:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// requests counts the requests that the application got for a path.
func (s *sim) requests(path string) int {
	n := 0
	for _, r := range s.UpstreamRequests("app") {
		if r.Path() == path {
			n++
		}
	}
	return n
}
