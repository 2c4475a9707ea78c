package wasm

import (
	"strconv"
	"sync"

	"github.com/tetratelabs/wazero/api"
)

// images are an instance's memory and globals after its start, and instances that can be made like it. To make an
// instance costs more than most of what is done with it: half a millisecond for Go's table of functions and data, as
// much again for its runtime's start.
type images struct {
	whole bool // memory and globals are all that the module's code can change
	mu    sync.Mutex
	image *image
	idle  []*Instance
}

type image struct {
	memory  []byte
	globals []uint64
}

// Clone returns an instance that is as the first was when it called Started; nil if none did.
func (m *Module) Clone(host Host, w *Watchdog) *Instance {
	m.mu.Lock()
	made := m.image
	var i *Instance
	if last := len(m.idle) - 1; last >= 0 {
		i, m.idle = m.idle[last], m.idle[:last]
	}
	m.mu.Unlock()
	if made == nil {
		return nil
	}
	if i == nil {
		var err error
		if i, err = m.Instantiate(host, w); err != nil {
			return nil
		}
	}
	i.Host, i.watchdog, i.cloned = host, w, true
	i.memory.next = made.memory
	i.mem.Grow(1) // the engine takes what Reallocate gives, which is the image
	for n, g := range i.globals() {
		g.Set(made.globals[n])
	}
	return i
}

// Started keeps the instance as it is now, for clones.
func (i *Instance) Started() {
	m := i.module
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.whole || m.image != nil {
		return
	}
	memory, _ := i.mem.Read(0, i.mem.Size())
	m.image = &image{memory: append([]byte(nil), memory...)}
	for _, g := range i.globals() {
		m.image.globals = append(m.image.globals, g.Get())
	}
}

func (m *Module) keep(i *Instance) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.idle = append(m.idle, i)
}

// globals are the mutable ones.
func (i *Instance) globals() (all []api.MutableGlobal) {
	for n := 0; ; n++ {
		g, ok := i.mod.ExportedGlobal(exportGlobal + strconv.Itoa(n)).(api.MutableGlobal)
		if !ok {
			return all
		}
		all = append(all, g)
	}
}
