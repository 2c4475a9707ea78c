// Package shareddata is the key-value store that the VMs of one vm_id share (proxy-wasm-cpp-host src/shared_data.cc).
package shareddata

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"sync"
)

// Errors of the store; they are the WasmResult codes NotFound and CasMismatch.
var (
	ErrNotFound    = errors.New("not found")
	ErrCasMismatch = errors.New("cas mismatch")
)

// Store holds the data of any number of vm_ids. It is safe for concurrent use.
type Store struct {
	mu   sync.Mutex
	cas  uint32
	data map[string]map[string]Entry
}

// Entry is one value and the compare-and-swap number of its last write.
type Entry struct {
	Key   string
	Value string
	Cas   uint32
}

// Get returns the entry of key, or ErrNotFound. It does not keep key, and allocates nothing.
func (s *Store) Get(vmID string, key []byte) (Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.data[vmID][string(key)]
	if !ok {
		return Entry{}, ErrNotFound
	}
	return e, nil
}

// Set writes value. cas 0 overwrites any value; another cas must equal that of the present entry, or the error is
// ErrCasMismatch. A missing key is created with any cas: the store cannot express "create only". The numbers count up
// over the whole store, start at 1 and are never 0.
func (s *Store) Set(vmID, key, value string, cas uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.data[vmID][key]; ok && cas != 0 && cas != e.Cas {
		return ErrCasMismatch
	}
	if s.data == nil {
		s.data = make(map[string]map[string]Entry)
	}
	if s.data[vmID] == nil {
		s.data[vmID] = make(map[string]Entry)
	}
	if s.cas++; s.cas == 0 {
		s.cas = 1
	}
	s.data[vmID][key] = Entry{key, value, s.cas}
	return nil
}

// Entries returns all entries of vmID, sorted by key.
func (s *Store) Entries(vmID string) []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.data[vmID]), func(a, b Entry) int { return cmp.Compare(a.Key, b.Key) })
}

// DeleteVMID drops all data of vmID, as happens when its last base VM dies.
func (s *Store) DeleteVMID(vmID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.data, vmID)
}
