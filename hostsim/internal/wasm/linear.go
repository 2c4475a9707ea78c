package wasm

import (
	"math/bits"
	"sync"

	"github.com/tetratelabs/wazero/experimental"
)

// spare are memories whose instances are gone, all zeros. A test makes many instances that live for a moment, and each
// would cost the collector megabytes, and copies of them as it grows.
var spare sync.Pool // of *[]byte

// linearMemory is the memory of an instance.
type linearMemory struct {
	b []byte // as far as it is in use
}

func newLinearMemory(_, _ uint64) experimental.LinearMemory { return &linearMemory{} }

// Reallocate implements experimental.LinearMemory.
func (m *linearMemory) Reallocate(size uint64) []byte {
	if size > uint64(cap(m.b)) {
		old := m.b
		m.b = nil
		if b, ok := spare.Get().(*[]byte); ok {
			m.b = *b
		}
		if size > uint64(cap(m.b)) {
			m.b = make([]byte, 0, max(8<<20, 1<<bits.Len64(size-1)))
		}
		m.b = append(m.b[:0], old...)
	}
	m.b = m.b[:max(size, uint64(len(m.b)))]
	return m.b
}

// Free implements experimental.LinearMemory.
func (m *linearMemory) Free() {
	clear(m.b)
	b := m.b[:0]
	spare.Put(&b)
	m.b = nil
}
