package hostsim

import "github.com/healthgate/healthgate/hostsim/internal/headers"

// pluginContext is a context of the ABI, for which a plugin calls its host: the VM's own
// (id 0), a plugin's root, or one HTTP stream's (ContextBase, and Envoy's Context).
type pluginContext struct {
	vm   *vm
	id   uint32
	root *rootContext // the plugin's root; the VM's own context is its own root

	// created is set once proxy_on_context_create ran (in_vm_context_created_).
	created bool
	// configuring is set while on_configure runs: only then can the plugin configuration be read (temp_plugin_).
	configuring bool

	// lastBuffer is the buffer that the plugin read last. Envoy has one variable for all buffers, and returns it unchanged
	// for the call data.
	lastBuffer buffer

	// Of a stream.
	stream            *Stream
	request, response *direction
	destroyed         bool
	failed            bool // wasm_fail_stream was sent
	views             streamViews

	// declared holds the properties that declare_property declared, and whether they are read-only. Only those of a root
	// have an effect.
	declared map[string]bool
}

// streamViews are the maps and buffers of a stream that the plugin can reach now: Envoy gives access to each during its
// own callback, and longer only while the stream is paused.
type streamViews struct {
	request, response directionView
	endOfStream       bool
	accessLog         bool
}

type directionView struct {
	headers, trailers *headers.Map
	body              *[]byte
	buffering         bool // the plugin sees the whole body that it held back
}

// buffer is a buffer as a plugin reads it. change points to its bytes if the plugin may write them, else it is nil.
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
