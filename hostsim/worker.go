package hostsim

import (
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/healthgate/healthgate/hostsim/internal/wasm"
)

// thread is one of Envoy's threads and the plugin's VM on it.
type thread struct {
	host         *Host
	name         string
	vm           *vm       // the last VM that was set up, or nil
	plugins      []*plugin // of each configuration that is in use, the newest last
	reloads      int
	stalledUntil time.Duration
}

// plugin is one configuration on a thread (PluginHandleBase).
type plugin struct {
	config   []byte
	root     *rootContext // nil if it could not be set up: the plugin is left out
	lastLoad time.Duration
}

// add gives the thread a configuration. One that it has already is shared (getOrCreateThreadLocalPlugin).
func (t *thread) add(config []byte) {
	at := slices.IndexFunc(t.plugins, func(p *plugin) bool { return string(p.config) == string(config) })
	if at >= 0 {
		t.plugins = append(t.plugins, t.plugins[at])
		return
	}
	t.plugins = append(t.plugins, &plugin{config, t.build(config), t.host.time.Elapsed()})
}

// build starts a configuration in the thread's VM, or in a new VM if that is dead. It returns nil if that fails.
func (t *thread) build(config []byte) *rootContext {
	v, fresh := t.vm, t.vm == nil || t.vm.dead()
	if fresh {
		v = newVM(t.host, t, "")
	}
	if !v.dead() {
		if root, ok := v.start(config); ok && root.onConfigure() && !v.dead() {
			if fresh && t.vm != nil {
				t.vm.close()
			}
			t.vm = v
			return root
		}
	}
	if fresh {
		v.close()
	}
	return nil
}

// filter returns a new stream context, or nil if the chain is without the plugin (PluginConfig::createContext). A dead
// VM is replaced first, if policy and backoff allow.
func (t *thread) filter(s *Stream) *pluginContext {
	h := t.host
	at := len(t.plugins) - 1 - s.req.Before
	if at < 0 || t.plugins[at].root == nil {
		return nil
	}
	p := t.plugins[at]
	if p.root.vm.dead() && h.cfg.policy == FailReload {
		t.reload(p)
	}
	v := p.root.vm
	c := &pluginContext{vm: v, stream: s, root: p.root}
	if v.dead() {
		if h.cfg.policy == FailOpen {
			return nil
		}
		return c
	}
	c.id = v.newContextID()
	v.contexts[c.id] = c
	return c
}

// reload is maybeReloadHandleIfNeeded: the backoff, base plus up to half of it, counts
// from the last attempt, and the attempt counts even if it fails.
func (t *thread) reload(p *plugin) {
	h := t.host
	backoff := h.cfg.backoff + time.Duration(h.randomBelow(uint64(max(h.cfg.backoff/2, 1))))
	now := h.time.Elapsed()
	if now-p.lastLoad < backoff {
		h.metrics.Define(0, "wasm."+h.cfg.pluginName+".vm_reload_backoff").Add(1)
		return
	}
	p.lastLoad = now
	root := t.build(p.config)
	if root == nil {
		h.metrics.Define(0, "wasm."+h.cfg.pluginName+".vm_reload_failure").Add(1)
		return
	}
	h.metrics.Define(0, "wasm."+h.cfg.pluginName+".vm_reload_success").Add(1)
	p.root = root
	t.reloads++
}

func (h *Host) randomBelow(n uint64) uint64 { return h.random.Uint64() % n }

// shutdown begins the plugin's end on this thread (WasmBase::startShutdown).
func (t *thread) shutdown() {
	if t.vm == nil || t.vm.dead() {
		return
	}
	t.drain(len(t.plugins))
	t.drop()
}

// drain ends the first n configurations, except those that are also among the rest.
func (t *thread) drain(n int) {
	ending := t.plugins[:n]
	t.plugins = t.plugins[n:]
	for i, p := range ending {
		if p.root != nil && !slices.Contains(t.plugins, p) && !slices.Contains(ending[:i], p) {
			p.root.end()
		}
	}
}

// drop closes the thread's VM without a word.
func (t *thread) drop() {
	if t.vm != nil {
		t.vm.close()
		t.vm = nil
	}
}

// Worker is one of Envoy's threads. A test sends requests on it, and can stall it or kill its VM.
type Worker struct{ t *thread }

// Name is the thread's name: "worker 0", "main".
func (w *Worker) Name() string { return w.t.name }

// Start begins a request and returns without waiting for its answer. All that happens
// at this moment of virtual time has happened by then.
func (w *Worker) Start(req *Request) *Stream {
	h := w.t.host
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mustBeOpen()
	return h.start(w.t, req, nil)
}

// Do sends a request and returns the answer. If that needs virtual time, because the
// plugin waits for a callout or the application is slow, the time passes. A stream on
// which nothing moves is ended by Envoy after 5 minutes, so Do always returns.
func (w *Worker) Do(req *Request) *Reply {
	h := w.t.host
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mustBeOpen()
	s := h.start(w.t, req, nil)
	for !s.done && h.runs() {
		at, ok := h.time.Next()
		if !ok {
			break
		}
		h.run(at)
	}
	return &s.reply
}

// Get is Do for a GET of path from a client on this machine.
func (w *Worker) Get(path string) *Reply { return w.Do(&Request{Path: path}) }

// StartIn begins a request d from now, and calls done with the answer once the stream is over. done may only call
// methods that read. If the process stands still at that time, the request waits, as in the socket of a stopped
// process.
func (w *Worker) StartIn(d time.Duration, req *Request, done func(*Reply)) *Stream {
	h := w.t.host
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mustBeOpen()
	var s *Stream
	s = h.newStream(w.t, req, func() { done(&s.reply) })
	s.started += d
	if !s.done {
		h.after(d, w.t, s.begin)
	}
	return s
}

// mustBeOpen ends a test that goes on with a closed host: no answer would be true.
func (h *Host) mustBeOpen() {
	if h.closed {
		panic("hostsim: a request after Close")
	}
}

func (h *Host) start(t *thread, req *Request, onDone func()) *Stream {
	s := h.newStream(t, req, onDone)
	switch {
	case s.done:
	case t.stalledUntil > h.time.Elapsed():
		h.after(t.stalledUntil-h.time.Elapsed(), t, s.begin)
	default:
		s.begin()
	}
	h.run(h.time.Elapsed())
	return s
}

func (h *Host) newStream(t *thread, req *Request, onDone func()) *Stream {
	if req == nil {
		req = &Request{}
	}
	s := &Stream{host: h, thread: t, req: req, onDone: onDone, started: h.time.Elapsed(),
		request: direction{callbacks: &requestCallbacks}, response: direction{callbacks: &responseCallbacks}}
	if !h.runs() {
		s.done, s.reply.Reset = true, true
		return s
	}
	if !isPeer(req.Peer) {
		panic(fmt.Sprintf("hostsim: Request.Peer %q is no address: ip:port, [ipv6]:port, a path, @name or envoy://…",
			req.Peer))
	}
	s.id = h.requestID()
	s.request.headers, s.source = req.headerMap(h, s.id)
	return s
}

// requestID is a version 4 UUID from the seed.
func (h *Host) requestID() string {
	var b [16]byte
	h.random.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	var text [36]byte
	hex.Encode(text[:], b[:4])
	for i, group := range [][]byte{b[4:6], b[6:8], b[8:10], b[10:]} {
		text[8+5*i] = '-'
		hex.Encode(text[9+5*i:], group)
	}
	return string(text[:])
}

// Stall keeps the thread busy for d of virtual time: events that fall due on it meanwhile happen afterwards, late.
func (w *Worker) Stall(d time.Duration) {
	h := w.t.host
	h.mu.Lock()
	defer h.mu.Unlock()
	w.t.stalledUntil = h.time.Elapsed() + d
}

// Crash kills the thread's VM, as a trap would.
func (w *Worker) Crash() {
	h := w.t.host
	h.mu.Lock()
	defer h.mu.Unlock()
	if w.t.vm != nil {
		w.t.vm.failed("crash", wasm.Trap("killed by the test"))
	}
}

// Failed reports whether the thread's VM is dead or could not be set up.
func (w *Worker) Failed() bool {
	h := w.t.host
	h.mu.Lock()
	defer h.mu.Unlock()
	return w.t.vm == nil || w.t.vm.dead()
}

// Reloads is how often the thread's VM has been replaced.
func (w *Worker) Reloads() int {
	h := w.t.host
	h.mu.Lock()
	defer h.mu.Unlock()
	return w.t.reloads
}

// MemoryBytes is the size of the VM's memory, 0 if there is no VM.
func (w *Worker) MemoryBytes() int {
	h := w.t.host
	h.mu.Lock()
	defer h.mu.Unlock()
	if w.t.vm == nil {
		return 0
	}
	return w.t.vm.MemoryBytes()
}
