package hostsim

import (
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"github.com/healthgate/healthgate/hostsim/internal/incoming"
	"github.com/healthgate/healthgate/hostsim/internal/wasm"
)

// thread is one of Envoy's threads and the plugins' VMs on it.
type thread struct {
	host         *Host
	name         string
	vms          []*vm     // the last that was set up of each, or nil; plugins may share one
	chain        []*plugin // the filter chain's
	services     []*plugin
	reloads      int
	stalledUntil time.Duration
}

// plugin is a plugin on a thread.
type plugin struct {
	*pluginConfig
	handles []*handle // of each configuration that is in use, the newest last
}

// handle is one configuration of a plugin on a thread (PluginHandleBase).
type handle struct {
	root     *rootContext // nil if it could not be set up: the plugin is left out
	config   []byte
	lastLoad time.Duration
}

// keep gives the plugin the configuration that it has.
func (p *plugin) keep() {
	if n := len(p.handles); n > 0 {
		p.handles = append(p.handles, p.handles[n-1])
	}
}

// plugins are all on the thread.
func (t *thread) plugins() []*plugin { return slices.Concat(t.chain, t.services) }

// addPlugin gives the thread a plugin, without a configuration yet.
func (t *thread) addPlugin(c *pluginConfig) {
	t.vms = append(t.vms, make([]*vm, max(c.vm+1-len(t.vms), 0))...)
	p := &plugin{pluginConfig: c}
	switch {
	case slices.Contains(t.host.cfg.plugins, c):
		t.chain = append(t.chain, p)
	case !c.singleton || t == t.host.main:
		t.services = append(t.services, p)
	}
}

// add gives a plugin on the thread a configuration. One that is there already is shared
// (getOrCreateThreadLocalPlugin).
func (t *thread) add(c *pluginConfig, config []byte) {
	all := t.plugins()
	at := slices.IndexFunc(all, func(p *plugin) bool { return p.pluginConfig == c })
	if at < 0 {
		return // a singleton's, on another thread
	}
	h := t.shared(c, config)
	if h == nil {
		h = &handle{t.build(c, config), config, t.host.time.Elapsed()}
	}
	all[at].handles = append(all[at].handles, h)
}

// shared is the configuration of a plugin if the thread has it.
func (t *thread) shared(c *pluginConfig, config []byte) *handle {
	for _, p := range t.plugins() {
		for _, h := range p.handles {
			if p.pluginConfig == c && string(h.config) == string(config) ||
				p.vm == c.vm && h.root != nil && h.root.runs(c, config) {
				return h
			}
		}
	}
	return nil
}

// build starts a configuration in the plugin's VM, or in a new VM if that is dead. It returns nil if that fails.
func (t *thread) build(c *pluginConfig, config []byte) *rootContext {
	old := t.vms[c.vm]
	v, fresh := old, old == nil || old.dead()
	if fresh {
		v = newVM(t.host, t, "", c)
	}
	if !v.dead() {
		if root, ok := v.start(c, config); ok && root.onConfigure() && !v.dead() {
			if fresh && old != nil {
				old.close()
			}
			t.vms[c.vm] = v
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
func (t *thread) filter(s *Stream, p *plugin) *pluginContext {
	at := len(p.handles) - 1 - s.req.Before
	if at < 0 || p.handles[at].root == nil {
		return nil
	}
	h := p.handles[at]
	if h.root.vm.dead() && p.policy == FailReload {
		t.reload(p, h)
	}
	v := h.root.vm
	c := &pluginContext{vm: v, stream: s, root: h.root}
	if v.dead() {
		if p.policy == FailOpen {
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
func (t *thread) reload(p *plugin, ph *handle) {
	h := t.host
	backoff := p.backoff + time.Duration(h.randomBelow(uint64(max(p.backoff/2, 1))))
	now := h.time.Elapsed()
	if now-ph.lastLoad < backoff {
		h.metrics.Define(0, "wasm."+p.name+".vm_reload_backoff").Add(1)
		return
	}
	ph.lastLoad = now
	root := t.build(p.pluginConfig, ph.config)
	if root == nil {
		h.metrics.Define(0, "wasm."+p.name+".vm_reload_failure").Add(1)
		return
	}
	h.metrics.Define(0, "wasm."+p.name+".vm_reload_success").Add(1)
	ph.root = root
	t.reloads++
}

func (h *Host) randomBelow(n uint64) uint64 { return h.random.Uint64() % n }

// cut resets the streams of all but the newest kept configurations of plugins: Envoy closes their connections with the
// filter chain or the listener, and says why.
func (t *thread) cut(plugins []*plugin, kept int, why string) {
	for _, p := range plugins {
		n := max(len(p.handles)-kept, 0)
		for _, h := range p.handles[:n] {
			if h.root == nil || slices.Contains(p.handles[n:], h) {
				continue
			}
			contexts := h.root.vm.contexts
			for _, id := range slices.Sorted(maps.Keys(contexts)) {
				if c := contexts[id]; c != nil && c.stream != nil && c.root == h.root {
					c.stream.disconnect("downstream_local_disconnect(" + why + ")")
				}
			}
		}
	}
}

// drain ends all but the newest kept configurations of plugins (WasmBase::startShutdown).
func (t *thread) drain(plugins []*plugin, kept int) {
	var ending []*handle
	for _, p := range plugins {
		n := max(len(p.handles)-kept, 0)
		ending = append(ending, p.handles[:n]...)
		p.handles = p.handles[n:]
	}
	t.end(ending)
}

// revert takes the newest configuration from the first n plugins of the chain.
func (t *thread) revert(n int) {
	var ending []*handle
	for _, p := range t.chain[:n] {
		last := len(p.handles) - 1
		ending = append(ending, p.handles[last])
		p.handles = p.handles[:last]
	}
	t.end(ending)
}

// end ends those handles that no plugin uses any more.
func (t *thread) end(handles []*handle) {
	for i, h := range handles {
		if h.root != nil && !slices.Contains(handles[:i], h) && !t.uses(h) {
			h.root.end()
		}
	}
}

func (t *thread) uses(h *handle) bool {
	return slices.ContainsFunc(t.plugins(), func(p *plugin) bool { return slices.Contains(p.handles, h) })
}

// drop closes the VMs in which no plugin has a configuration any more, without a word.
func (t *thread) drop() {
	for i, v := range t.vms {
		if v != nil && !slices.ContainsFunc(t.plugins(), func(p *plugin) bool { return p.vm == i && len(p.handles) > 0 }) {
			v.close()
			t.vms[i] = nil
		}
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
	defer h.enter("a request")()
	return h.start(w.t, req, nil)
}

// Do sends a request and returns the answer. If that needs virtual time, because the
// plugin waits for a callout or the application is slow, the time passes. A stream on
// which nothing moves is ended by Envoy after 5 minutes, so Do always returns.
func (w *Worker) Do(req *Request) *Reply {
	h := w.t.host
	defer h.enter("a request")()
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
	defer h.enter("a request")()
	mustNotBeNegative("StartIn", d)
	var s *Stream
	s = h.newStream(w.t, req, func() { done(&s.reply) })
	s.started += d
	if !s.done {
		h.after(d, w.t, s.begin)
	}
	return s
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
	if t == h.main {
		panic("hostsim: the main thread takes no requests: send them to a Worker")
	}
	req.check(h)
	s.id = h.requestID()
	s.request.headers, s.source, s.refusal = req.headerMap(h, s.id)
	s.closes = incoming.Closes(req.Method, req.Header.Get("connection"), s.refusal)
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
	defer h.enter("Stall")()
	mustNotBeNegative("Stall", d)
	w.t.stalledUntil = h.time.Elapsed() + d
}

// Crash kills the thread's VMs, as a trap would.
func (w *Worker) Crash() {
	defer w.t.host.enter("Crash")()
	for _, v := range w.t.vms {
		if v != nil {
			v.failed("crash", wasm.Trap("killed by the test"))
		}
	}
}

// Call calls an exported function that takes and returns nothing and is not for Envoy, in each VM of the thread that
// lives and has it. It returns what they write to standard output, which is not logged.
func (w *Worker) Call(export string) (outputs [][]byte) {
	defer w.t.host.enter("")()
	for _, v := range w.t.vms {
		if v == nil || v.dead() {
			continue
		}
		if fn := v.Function(export); fn != nil {
			var out []byte
			v.output = &out
			v.callFunction(v.vmContext, fn, export)
			v.output = nil
			outputs = append(outputs, out)
		}
	}
	return outputs
}

// Failed reports whether a VM of the thread is dead or could not be set up.
func (w *Worker) Failed() bool {
	defer w.t.host.enter("")()
	return slices.ContainsFunc(w.t.plugins(), func(p *plugin) bool {
		return w.t.vms[p.vm] == nil || w.t.vms[p.vm].dead()
	})
}

// Reloads is how often a VM of the thread has been replaced.
func (w *Worker) Reloads() int {
	defer w.t.host.enter("")()
	return w.t.reloads
}

// MemoryBytes is the size of the memory of the thread's VMs.
func (w *Worker) MemoryBytes() int {
	defer w.t.host.enter("")()
	n := 0
	for _, v := range w.t.vms {
		if v != nil && v.Instance != nil {
			n += v.MemoryBytes()
		}
	}
	return n
}
