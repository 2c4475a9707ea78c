// Package metrics holds the process-wide statistics that plugins define: one stat per name and kind, which all VMs
// share under IDs of their own.
package metrics

import (
	"cmp"
	"slices"
	"sync"
)

// Kind is the type of a metric, numbered as in the ABI (MetricType).
type Kind uint32

// The kinds of the ABI.
const (
	Counter Kind = iota
	Gauge
	Histogram
)

// Store holds all stats of a process. It is safe for concurrent use.
type Store struct {
	mu    sync.Mutex
	stats map[key]*Stat
}

type key struct {
	kind Kind
	name string
}

// Stat is one metric. Its methods are safe for concurrent use.
type Stat struct {
	store   *Store
	kind    Kind
	name    string
	value   uint64
	samples []uint64
}

// Define returns the stat of that kind and name, creating it at 0.
func (s *Store) Define(kind Kind, name string) *Stat {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := key{kind, name}
	st := s.stats[k]
	if st == nil {
		if s.stats == nil {
			s.stats = make(map[key]*Stat)
		}
		st = &Stat{store: s, kind: kind, name: name}
		s.stats[k] = st
	}
	return st
}

// Snapshot is a stat's state at one moment.
type Snapshot struct {
	Name    string
	Kind    Kind
	Value   uint64   // of counters and gauges
	Samples []uint64 // of histograms, in order of arrival
}

// All returns a snapshot of every stat, sorted by name and kind.
func (s *Store) All() []Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Snapshot, 0, len(s.stats))
	for _, st := range s.stats {
		all = append(all, Snapshot{st.name, st.kind, st.value, append([]uint64(nil), st.samples...)})
	}
	slices.SortFunc(all, func(a, b Snapshot) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind))
	})
	return all
}

// Lookup returns the counter or, if there is none, the gauge called name.
func (s *Store) Lookup(name string) (uint64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range []Kind{Counter, Gauge} {
		if st := s.stats[key{k, name}]; st != nil {
			return st.value, true
		}
	}
	return 0, false
}

// Clear forgets all stats.
func (s *Store) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.stats)
}

// Kind returns the kind of the stat.
func (st *Stat) Kind() Kind { return st.kind }

// Add adds delta, which wraps around for negative numbers on a gauge.
func (st *Stat) Add(delta uint64) {
	st.store.mu.Lock()
	defer st.store.mu.Unlock()
	st.value += delta
}

// Set stores value.
func (st *Stat) Set(value uint64) {
	st.store.mu.Lock()
	defer st.store.mu.Unlock()
	st.value = value
}

// Record appends a sample to a histogram.
func (st *Stat) Record(value uint64) {
	st.store.mu.Lock()
	defer st.store.mu.Unlock()
	st.samples = append(st.samples, value)
}

// Value is the present value of a counter or gauge.
func (st *Stat) Value() uint64 {
	st.store.mu.Lock()
	defer st.store.mu.Unlock()
	return st.value
}
