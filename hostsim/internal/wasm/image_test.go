package wasm

import (
	"slices"
	"testing"
)

// changing is a module with a global and a function called "change" with that body.
func changing(body string) []byte {
	return []byte(header + typeAndFunc + "\x04\x04\x01\x70\x00\x01" + memory + "\x06\x06\x01\x7f\x01\x41\x05\x0b" +
		"\x07\x13\x02\x06memory\x02\x00\x06change\x00\x00" + code(body))
}

// A clone is as the first instance was when it had started, whatever was done to the one whose memory it has.
func TestClone(t *testing.T) {
	t.Parallel()
	// mem[0]++; global++; memory.grow(1)
	const change = "\x41\x00\x41\x00\x2d\x00\x00\x41\x01\x6a\x3a\x00\x00" +
		"\x23\x00\x41\x01\x6a\x24\x00\x41\x01\x40\x00\x1a\x0b"
	m, err := Load(changing(change), Envoy140, func(m *Module) error { return m.Link(nil) })
	if err != nil {
		t.Fatal(err)
	}
	defer m.Release()
	if m.Clone(nil, &Watchdog{}) != nil {
		t.Error("a clone of nothing")
	}
	first, err := m.Instantiate(nil, &Watchdog{})
	if err != nil {
		t.Fatal(err)
	}
	run := func(i *Instance) {
		if _, err := i.Call(i.Function("change")); err != nil {
			t.Fatal(err)
		}
	}
	state := func(i *Instance) []int {
		b, _ := i.Bytes(0, 1)
		return []int{int(b[0]), int(i.globals()[0].Get()), i.MemoryBytes() / 65536}
	}
	run(first)
	first.Started()
	run(first)
	first.Started()
	started, changed := []int{1, 6, 2}, []int{2, 7, 3}
	for range 3 {
		a, b := m.Clone(nil, &Watchdog{}), m.Clone(nil, &Watchdog{})
		for _, i := range []*Instance{a, b} {
			if got := state(i); !slices.Equal(got, started) {
				t.Errorf("a clone begins with memory, global and pages %v, want %v", got, started)
			}
			run(i)
			if got := state(i); !slices.Equal(got, changed) {
				t.Errorf("a clone that was changed has %v, want %v", got, changed)
			}
		}
		a.Close()
		b.Close()
	}
	if len(m.idle) != 2 {
		t.Errorf("%d instances for two clones at a time", len(m.idle))
	}
	first.Close()
}

// What an image does not hold must not differ between two instances.
func TestCloneRefused(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"table.set":  "\x41\x00\xd0\x70\x26\x00\x0b",
		"table.grow": "\xd0\x70\x41\x01\xfc\x0f\x00\x1a\x0b",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := Load(changing(body), Envoy140, func(m *Module) error { return m.Link(nil) })
			if err != nil {
				t.Fatal(err)
			}
			defer m.Release()
			i, err := m.Instantiate(nil, &Watchdog{})
			if err != nil {
				t.Fatal(err)
			}
			defer i.Close()
			i.Started()
			if m.Clone(nil, &Watchdog{}) != nil {
				t.Error("it was cloned")
			}
		})
	}
}
