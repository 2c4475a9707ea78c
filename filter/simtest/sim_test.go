package simtest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/healthgate/healthgate/hostsim"
	"go.yaml.in/yaml/v3"
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

// watchdog is the configuration of testdata/watchdog.yaml, as JSON.
var watchdog = func() string {
	var config any
	text, err := os.ReadFile("testdata/watchdog.yaml")
	if err == nil {
		err = yaml.Unmarshal(text, &config)
	}
	if err != nil {
		panic(err)
	}
	text, _ = json.Marshal(config)
	return string(text)
}()

const (
	check    = "/my-service/healthcheck"
	balancer = "10.1.2.3:40000"
)

// sim is a host with the filter, whose upstreams answer as they are told.
type sim struct {
	*hostsim.Host
	t       *testing.T
	mu      sync.Mutex
	answers map[string]answer // by the upstream's name and a path, or "*" for all paths
}

type answer struct {
	status int
	body   string
}

// answer makes an upstream answer requests for a path with a status, or as usual with status 0.
func (s *sim) answer(upstream, path string, status int, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[upstream+path] = answer{status, body}
}

// serve answers for an upstream as it was told to, or else as usual.
func (s *sim) serve(upstream string, usual http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		told := s.answers[upstream+r.URL.Path]
		if told.status == 0 {
			told = s.answers[upstream+"*"]
		}
		s.mu.Unlock()
		switch grpc := r.Header.Get("Content-Type") == "application/grpc"; {
		case grpc && (told.status == 0 || told.status == 200):
			health(w, cmp.Or(told.body, "0 1"))
			return
		case told.status == 0:
			usual(w, r)
			return
		}
		w.WriteHeader(told.status)
		_, _ = io.WriteString(w, told.body)
	})
}

// health answers a Check of the gRPC health service with a grpc-status and, if that is 0, a state: "0 1" is SERVING.
func health(w http.ResponseWriter, answer string) {
	status, state, there := strings.Cut(answer, " ")
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Trailer", "Grpc-Status")
	if there {
		n, err := strconv.Atoi(state)
		if err != nil {
			panic(err)
		}
		_, _ = w.Write([]byte{0, 0, 0, 0, 2, 8, byte(n)})
	}
	w.Header().Set("Grpc-Status", status)
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
	s, err := start(t, wasm, config, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// start loads a build of the filter into a host.
func start(t *testing.T, wasm []byte, config string, opts ...hostsim.Option) (*sim, error) {
	t.Helper()
	s := &sim{t: t, answers: map[string]answer{}}
	ok := func(http.ResponseWriter, *http.Request) {}
	admin := func(w http.ResponseWriter, r *http.Request) { s.Admin().ServeHTTP(w, r) }
	host, err := hostsim.New(wasm, append([]hostsim.Option{
		hostsim.PluginConfig(config), hostsim.PluginName("healthgate"), hostsim.VMID("healthgate"),
		hostsim.Node{ID: "node-1", Cluster: "shop", Region: "north", Zone: "north-a"},
		hostsim.Upstream("app", s.serve("app", ok)), hostsim.Upstream("empty", nil),
		hostsim.Application(s.serve("application", ok)), hostsim.Upstream("envoy_admin", s.serve("envoy_admin", admin)),
		hostsim.FailReload,
	}, opts...)...)
	if err != nil {
		return nil, err
	}
	s.Host = host
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, nil
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

func (s *sim) wantMetric(name string, want uint64) {
	s.t.Helper()
	if got, ok := s.Metric(name); got != want || !ok {
		s.t.Errorf("%v: %s = %d (defined: %v), want %d", s.Elapsed(), name, got, ok, want)
	}
}

// stateLog returns the plugin's log without the lines about who leads, each with its level.
func (s *sim) stateLog() []string { return stateLog(s.Logs()) }

func stateLog(entries []hostsim.LogEntry) (lines []string) {
	for _, e := range entries {
		if text, ok := strings.CutPrefix(e.Message, "healthgate: "); ok && !strings.HasPrefix(text, "leader: ") {
			lines = append(lines, e.Level.String()+" "+text)
		}
	}
	return lines
}

// leader returns the thread that leads: the one that logged so last.
func (s *sim) leader() string {
	s.t.Helper()
	name := ""
	for _, e := range s.Logs() {
		if strings.HasPrefix(e.Message, "healthgate: leader: ") {
			name = e.Thread
		}
	}
	if name == "" {
		s.t.Fatal("no thread leads")
	}
	return name
}

func (s *sim) thread(name string) *hostsim.Worker {
	for i := range s.Workers() {
		if w := s.Host.Worker(i); w.Name() == name {
			return w
		}
	}
	if name != s.Main().Name() {
		s.t.Fatalf("there is no thread %q", name)
	}
	return s.Main()
}

// datum returns the key of shared data with an ending, and its value.
func (s *sim) datum(ending string) (key, value string) {
	s.t.Helper()
	for _, d := range s.SharedData() {
		if strings.HasSuffix(d.Key, ending) {
			return d.Key, d.Value
		}
	}
	s.t.Fatalf("no %s in shared data", ending)
	return "", ""
}
