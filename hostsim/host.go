package hostsim

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/healthgate/healthgate/hostsim/internal/metrics"
	"github.com/healthgate/healthgate/hostsim/internal/shareddata"
	"github.com/healthgate/healthgate/hostsim/internal/sharedqueue"
	"github.com/healthgate/healthgate/hostsim/internal/timeline"
	"github.com/healthgate/healthgate/hostsim/internal/wasm"
)

// Host is one Envoy with a Wasm HTTP filter, or several. Its methods are safe for concurrent use, but everything in it
// happens on one thread, one thing after another: that is what makes a run repeatable.
//
// Handlers of upstreams run on that thread. They may call methods that only read (Now, Logs, Metric, SharedData,
// UpstreamRequests) and the Admin's methods. A method that drives the host (Do, Start, Advance, Close, Inject) would
// wait for itself for ever.
type Host struct {
	mu     sync.Mutex // whoever holds it is the host's thread
	cfg    *config
	time   *timeline.Timeline
	random *rand.ChaCha8
	closed bool
	// crashed is why the process is gone; empty while it runs.
	crashed string

	shared  shareddata.Store
	queues  sharedqueue.Queues
	metrics metrics.Store

	main    *thread
	workers []*thread
	updates int // how many there were
	vms     int // how many a thread has at most

	upstreams  map[string]*upstream
	app        *upstream
	upstreamMu sync.Mutex
	client     *http.Client
	grpcClient *http.Client // speaks HTTP/2 only
	admin      *AdminEndpoint

	logMu  sync.Mutex
	logs   []LogEntry
	traces []*Trace
	faults []*Fault

	watchdog wasm.Watchdog
	wake     chan struct{} // real time: there is something to do
	began    time.Time     // real time: when the virtual one was 0
	pending  sync.WaitGroup
	inboxMu  sync.Mutex
	inbox    []func()
}

// LoadError is the error for a plugin that cannot be set up. Envoy would refuse the configuration for the same reason.
type LoadError struct {
	Message string     // as in Envoy's log
	Logs    []LogEntry // of the attempt
}

// Error returns the message, followed by the log.
func (e *LoadError) Error() string {
	log := strings.ReplaceAll(strings.TrimSpace(LogDump(e.Logs)), "\n", "\n\t")
	if log == "" {
		return "hostsim: " + e.Message
	}
	return "hostsim: " + e.Message + "\n\t" + log
}

// New builds a host for the plugin in code, as Envoy does when it gets a configuration: it compiles the module (once
// per process), initializes the base VM, tries the configuration on a canary VM, which is thrown away but whose traces
// in shared data, queues and metrics stay, and starts a VM on the main thread and on each worker. The error is a
// *LoadError if the plugin is to blame, and tells of an option that can't be, such as Workers(0).
func New(code []byte, opts ...Option) (*Host, error) {
	cfg := newConfig(code, opts)
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg.addListeners()
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], cfg.seed)
	h := &Host{
		cfg: cfg, time: timeline.New(cfg.start), random: rand.NewChaCha8(seed),
		upstreams: make(map[string]*upstream), app: cfg.app, wake: make(chan struct{}, 1),
		client: newClient(false), grpcClient: newClient(true),
	}
	if cfg.shuffled {
		order := rand.New(rand.NewPCG(cfg.seed, 0)) // its own source, so that the plugin's random numbers do not depend on it
		h.time.Shuffle = order.Uint64
	}
	h.watchdog.Limit = cfg.deadline
	for _, up := range cfg.upstreams {
		h.upstreams[up.name] = up
	}
	h.admin = newAdmin(h)
	if cfg.adminCluster != "" {
		h.upstreams[cfg.adminCluster] = &upstream{name: cfg.adminCluster, handler: h.admin}
	}
	for _, f := range cfg.faults {
		h.faults = append(h.faults, &f)
	}
	h.main = &thread{host: h, name: "main"}
	for i := range cfg.workers {
		h.workers = append(h.workers, &thread{host: h, name: fmt.Sprintf("worker %d", i)})
	}
	defer h.enter("")()
	for _, p := range slices.Concat(cfg.services, cfg.plugins) {
		if msg := h.startPlugin(p); msg != "" {
			h.close()
			return nil, h.refused(p, msg, 0)
		}
	}
	if err := h.checkFaults(cfg.faults); err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

// refused is the error for a plugin that cannot be set up, with the log from entry n on.
func (h *Host) refused(p *pluginConfig, msg string, n int) error {
	if h.several() {
		msg = p.name + ": " + msg
	}
	return &LoadError{Message: msg, Logs: h.LogsFrom(n)}
}

// several reports whether there is more than one plugin.
func (h *Host) several() bool { return h.cfg.chain+len(h.cfg.services) > 1 }

// startPlugin is createWasm and the slot's set on each thread. It returns why it failed.
func (h *Host) startPlugin(p *pluginConfig) string {
	var err error
	if p.module, err = h.load(p.code); err != nil {
		return err.Error()
	}
	p.vm = h.vms
	for _, other := range slices.Concat(h.cfg.services, h.cfg.plugins) {
		if other != p && other.module != nil && p.sharesVM(other, h.cfg.profile) {
			p.vm = other.vm
			break
		}
	}
	if p.vm == h.vms {
		h.vms++
		base := newVM(h, h.main, "base", p)
		defer base.close()
		if base.dead() {
			return "Failed to initialize Wasm code: " + base.failure
		}
	}
	for _, t := range h.threads() {
		t.addPlugin(p)
	}
	return h.addConfig(p, p.config)
}

// load compiles a module, and links it with what Envoy has and with the HostFunctions.
func (h *Host) load(code []byte) (*wasm.Module, error) {
	own := h.cfg.ownCalls()
	names := ""
	for _, f := range own {
		names += f.Module + "." + f.Name + "\n"
	}
	return wasm.Load(code, profiles[h.cfg.profile], h.cfg.cacheDir, names, func(m *wasm.Module) error {
		return prepare(m, own)
	})
}

// addConfig tries a plugin's configuration on a canary VM and gives it to each thread.
func (h *Host) addConfig(p *pluginConfig, config []byte) string {
	if h.main.shared(p, config) == nil { // else it was tried
		if msg := h.try(p, config); msg != "" {
			return msg
		}
	}
	for _, t := range h.threads() {
		t.add(p, config)
	}
	return ""
}

// try sets a configuration up in a canary VM. What that has armed dies with it, before any of it runs.
func (h *Host) try(p *pluginConfig, config []byte) string {
	canary := newVM(h, h.main, "canary", p)
	defer canary.close()
	if canary.dead() {
		return "Failed to initialize Wasm code: " + canary.failure
	}
	root, ok := canary.start(p, config)
	switch {
	case !ok:
		return reason("Failed to start base Wasm", canary)
	case !root.onConfigure() || canary.dead():
		return reason("Failed to configure base Wasm plugin", canary)
	}
	return ""
}

func reason(msg string, v *vm) string {
	if v.failure != "" {
		msg += ": " + v.failure
	}
	return msg
}

// newClient is a client that shows what upstreams send, unaltered.
func newClient(http2 bool) *http.Client {
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute}
	if http2 {
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetHTTP2(true)
		transport.Protocols.SetUnencryptedHTTP2(true)
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Close shuts the plugin down and frees everything. It does not wait for a plugin that is not done. It may be called
// twice; the error is always nil.
func (h *Host) Close() error {
	h.mu.Lock()
	if !h.closed {
		for _, t := range h.threads() {
			t.drain(t.plugins(), 0)
		}
		h.close()
	}
	h.mu.Unlock()
	h.pending.Wait()
	h.client.CloseIdleConnections()
	h.grpcClient.CloseIdleConnections()
	return nil
}

// Shutdown takes the plugins of the chain out of all threads, as a removed listener would once its drain time is over:
// requests that still run are cut off, and then there are on_done and on_delete. A plugin that answers false to on_done
// does not get on_delete: Envoy lets go of a VM with its last plugin, without waiting for proxy_done, and with it of
// the callouts under way and the metrics. Shared data stays, and so do the host and its services; requests get past
// the plugins.
func (h *Host) Shutdown() {
	defer h.enter("")()
	if h.closed {
		return
	}
	for _, t := range h.threads() {
		t.cut(t.chain, 0, "purging_socket_that_have_not_progressed_to_connections")
		t.drain(t.chain, 0)
		t.drop()
	}
	h.run(h.time.Elapsed())
	h.metrics.Clear()
}

func (h *Host) close() {
	h.closed = true
	for _, t := range h.threads() {
		for _, v := range t.vms {
			if v != nil {
				v.close()
			}
		}
	}
	h.watchdog.Close()
	for _, p := range slices.Concat(h.cfg.services, h.cfg.plugins) {
		h.shared.DeleteVMID(p.vmID)
		if p.module != nil {
			p.module.Release()
		}
	}
}

// threads are all threads, in the order in which things happen on them.
func (h *Host) threads() []*thread {
	return append([]*thread{h.main}, h.workers...)
}

// Worker returns a worker thread. It panics if there is no such worker.
func (h *Host) Worker(i int) *Worker {
	if i < 0 || i >= len(h.workers) {
		panic(fmt.Sprintf("hostsim: Worker(%d) of %d, which count from 0: see the option Workers", i, len(h.workers)))
	}
	return &Worker{h.workers[i]}
}

// Workers is the number of workers.
func (h *Host) Workers() int { return len(h.workers) }

// Main returns the main thread. It runs a VM, with ticks, but no requests: sending one there panics.
func (h *Host) Main() *Worker { return &Worker{h.main} }

// Metric returns the value of the counter or gauge that the plugin defined under name, and whether there is one.
func (h *Host) Metric(name string) (uint64, bool) { return h.metrics.Lookup(name) }

// Metric is a metric of the plugin's.
type Metric struct {
	Name    string
	Kind    MetricKind
	Value   uint64   // of counters and gauges
	Samples []uint64 // of histograms, in order of arrival
}

// MetricKind is the type of a metric, numbered as in the ABI (MetricType).
type MetricKind uint32

// The kinds of the ABI.
const (
	Counter MetricKind = iota
	Gauge
	Histogram
)

// String is "counter", "gauge" or "histogram".
func (k MetricKind) String() string { return [...]string{"counter", "gauge", "histogram"}[k] }

// Metrics returns all metrics that the plugin has defined, sorted by name and kind.
func (h *Host) Metrics() []Metric {
	var all []Metric
	for _, s := range h.metrics.All() {
		all = append(all, Metric{s.Name, MetricKind(s.Kind), s.Value, s.Samples})
	}
	return all
}

// SharedDatum is an entry of the shared data. Cas is the number of its last write, counted over the writes to all keys.
type SharedDatum struct {
	Key   string
	Value string
	Cas   uint32
}

// SharedData returns the shared data of the first plugin's vm_id, sorted by key.
func (h *Host) SharedData() []SharedDatum { return h.SharedDataOf(h.cfg.plugins[0].vmID) }

// SharedDataOf returns the shared data of a vm_id, sorted by key.
func (h *Host) SharedDataOf(vmID string) []SharedDatum {
	var all []SharedDatum
	for _, e := range h.shared.Entries(vmID) {
		all = append(all, SharedDatum(e))
	}
	return all
}

// SetSharedData writes to the shared data as another plugin of the first one's vm_id would.
func (h *Host) SetSharedData(key, value string) {
	h.mustBeOpen("SetSharedData")
	_ = h.shared.Set(h.cfg.plugins[0].vmID, key, value, 0) // CAS 0 always succeeds
}

// Enqueue puts a message on a shared queue of the first plugin's vm_id, as another plugin
// would. It reports whether there is such a queue.
func (h *Host) Enqueue(queue, value string) bool {
	defer h.enter("Enqueue")()
	token, err := h.queues.Resolve(h.cfg.plugins[0].vmID, queue)
	if err != nil {
		return false
	}
	_ = h.queues.Enqueue(token, value) // the queue is there
	h.run(h.time.Elapsed())
	return true
}

// Admin is Envoy's admin endpoint, whether or not a cluster leads to it.
func (h *Host) Admin() *AdminEndpoint { return h.admin }

// UpstreamRequests returns the requests that an upstream got, in order. The upstream behind the router is called
// "application". It panics if there is no such upstream: else a test that expects no requests would be green.
func (h *Host) UpstreamRequests(name string) []*UpstreamRequest {
	return h.UpstreamRequestsFrom(name, 0)
}

// UpstreamRequestsFrom returns the requests that an upstream got from index n on, without copying them.
func (h *Host) UpstreamRequestsFrom(name string, n int) []*UpstreamRequest {
	h.upstreamMu.Lock()
	defer h.upstreamMu.Unlock()
	return slices.Clip(from("UpstreamRequestsFrom", h.mustHaveUpstream(name).seen, n))
}

// SetLatency lets an upstream take d of virtual time for each answer. It panics if there is no such upstream.
func (h *Host) SetLatency(upstream string, d time.Duration) {
	defer h.enter("")()
	mustNotBeNegative("a latency", d)
	h.mustHaveUpstream(upstream).latency = d
}

// upstream finds a cluster, or the application, by its name; nil if neither has it.
func (h *Host) upstream(name string) *upstream {
	if name == h.app.name {
		return h.app
	}
	return h.upstreams[name]
}
