package hostsim

import "github.com/healthgate/healthgate/hostsim/internal/headers"

// pluginContext is a context of the ABI, for which a plugin calls its host: the VM's own
// (id 0), a plugin's root, or one HTTP stream's (ContextBase, and Envoy's Context).
type pluginContext struct {
	vm   *vm
	id   uint32
	root *rootContext // that of the plugin; that of the VM has one of its own

	// created is set once proxy_on_context_create ran (in_vm_context_created_).
	created bool
	// configuring is set while on_configure runs: only then can the plugin
	// configuration be read (temp_plugin_).
	configuring bool

	// lastBuffer is what the plugin looked at last: Envoy has one place for all buffers,
	// and hands it out, as it is, for the call data.
	lastBuffer buffer

	// Of a stream.
	stream    *Stream
	destroyed bool
	views     streamViews

	// declared are properties that declare_property was told of, and whether they are
	// read-only. Only a root's count.
	declared map[string]bool
}

// streamViews is what of a stream the plugin can reach right now: Envoy hands each
// map and buffer out for the time of its own callback, longer only while paused.
type streamViews struct {
	request, response directionView
	endOfStream       bool
	accessLog         bool
}

type directionView struct {
	headers, trailers *headers.Map
	body              *[]byte
	buffering         bool // the body that the plugin sees is the one it held back
}

// buffer is a buffer as a plugin reads it. change is nil for one that cannot be written,
// and else where it lives.
type buffer struct {
	data   []byte
	change *[]byte
}

func (b buffer) bytes() []byte {
	if b.change != nil {
		return *b.change
	}
	return b.data
}

// callback runs one export and the after-call actions.
func (c *pluginContext) callback(e export, args ...uint64) (uint64, bool) {
	if c.vm.fns[e] == nil || c.vm.dead() {
		return 0, false
	}
	r, ok := c.vm.call(c, e, args...)
	c.vm.runAfterCall()
	return r, ok
}

func (c *pluginContext) id64() uint64 { return uint64(c.id) }

// onCreate creates a stream's context in the VM, once.
func (c *pluginContext) onCreate() {
	if !c.created {
		c.callback(expContextCreate, c.id64(), uint64(c.root.id))
	}
	c.created = true
}

// onDone returns whether the context is done with; only a root's answer counts.
func (c *pluginContext) onDone() bool {
	if c.vm.fns[expDone] == nil || c.vm.dead() {
		return true
	}
	r, _ := c.callback(expDone, c.id64())
	return r != 0
}

func (c *pluginContext) onDelete() {
	if c.created {
		c.callback(expDelete, c.id64())
	}
}
