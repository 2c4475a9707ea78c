package main

import (
	"context"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// stub is a linked plugin whose host.Entry is at address 0, and whose functions do nothing but count their calls and
// return 0.
type stub struct {
	api.Module
	called    int
	getHeader func(mapType, name, nameSize, value, size uint32) uint32 // the host call
}

func newStub(t *testing.T) *stub {
	t.Helper()
	linked, err := link(built(whole...))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	runtime := wazero.NewRuntime(ctx)
	t.Cleanup(func() { _ = runtime.Close(ctx) })
	var s stub
	env := runtime.NewHostModuleBuilder("env").
		NewFunctionBuilder().WithFunc(func() { s.called++ }).Export("called").
		NewFunctionBuilder().WithFunc(func(a, b, c, d, e uint32) uint32 { return s.getHeader(a, b, c, d, e) }).Export(getHeaderFunction)
	if _, err := env.Instantiate(ctx); err != nil {
		t.Fatal(err)
	}
	s.Module, err = runtime.InstantiateWithConfig(ctx, linked, wazero.NewModuleConfig().WithStartFunctions("_initialize"))
	if err != nil {
		t.Fatal(err)
	}
	return &s
}

// call calls an entry, and returns its result and whether it called the plugin's function.
func (s *stub) call(t *testing.T, export string, in ...uint64) (out []uint64, plugin bool) {
	t.Helper()
	s.called = 0
	out, err := s.ExportedFunction("proxy_on_"+export).Call(context.Background(), in...)
	if err != nil {
		t.Fatal(err)
	}
	return out, s.called > 0
}

func (s *stub) write(words ...uint32) {
	for i, word := range words {
		s.Memory().WriteUint32Le(uint32(4*i), word)
	}
}

func (s *stub) word(at uint32) uint32 {
	word, _ := s.Memory().ReadUint32Le(at)
	return word
}

func TestEntries(t *testing.T) {
	t.Parallel()
	plugin := newStub(t)
	if plugin.called != 2 {
		t.Errorf("_initialize called %d functions of the plugin, want itself and the one that returns the address", plugin.called)
	}
	const next, root, bare = 1000, 5, 1
	for _, tt := range []struct {
		name    string
		entry   [5]uint32 // host.Entry
		export  string
		in      []uint64
		out     uint64
		plugin  bool   // the plugin's function is called
		scratch uint32 // ScratchNext afterwards
	}{
		{"fits", [5]uint32{next, next + 16}, "memory_allocate", []uint64{9}, next, false, next + 16},
		{"fits exactly", [5]uint32{next, next + 16}, "memory_allocate", []uint64{16}, next, false, next + 16},
		{"small", [5]uint32{next, next + 16}, "memory_allocate", []uint64{1}, next, false, next + 8},
		{"too large", [5]uint32{next, next + 16}, "memory_allocate", []uint64{17}, 0, true, next},
		{"largest", [5]uint32{next, next + 16}, "memory_allocate", []uint64{0xffffffff}, 0, true, next},
		{"nothing", [5]uint32{next, next + 16}, "memory_allocate", []uint64{0}, 0, true, next},
		{"full", [5]uint32{next, next}, "memory_allocate", []uint64{1}, 0, true, next},
		{"closed", [5]uint32{}, "memory_allocate", []uint64{1}, 0, true, 0},
		{"a stream of the same root", [5]uint32{2: root}, "context_create", []uint64{7, root}, 0, false, 0},
		{"a stream of another root", [5]uint32{2: root}, "context_create", []uint64{7, 6}, 0, true, 0},
		{"a root", [5]uint32{2: root}, "context_create", []uint64{7, 0}, 0, true, 0},
		{"the first root", [5]uint32{2: 0xffffffff}, "context_create", []uint64{1, 0}, 0, true, 0},
		{"a stream is done", [5]uint32{3: root}, "done", []uint64{7}, 1, false, 0},
		{"the root is done", [5]uint32{3: root}, "done", []uint64{root}, 0, true, 0},
		{"one of several roots, perhaps", [5]uint32{3: 0}, "done", []uint64{7}, 0, true, 0},
		{"a response", [5]uint32{}, "response_headers", []uint64{7, 3, 0}, 0, false, 0},
		{"a bare reply", [5]uint32{4: bare}, "response_headers", []uint64{7, 3, 0}, 0, true, 0},
	} {
		plugin.write(tt.entry[:]...)
		out, called := plugin.call(t, tt.export, tt.in...)
		if len(out) > 0 && out[0] != tt.out {
			t.Errorf("%s: got %d, want %d", tt.name, out[0], tt.out)
		}
		if called != tt.plugin {
			t.Errorf("%s: called the plugin's function: %t", tt.name, called)
		}
		if next := plugin.word(scratchNext); next != tt.scratch {
			t.Errorf("%s: scratch goes on at %d, want %d", tt.name, next, tt.scratch)
		}
	}
}

// TestRequestEntry has endpoints with paths of 2, 5 and 9 bytes.
func TestRequestEntry(t *testing.T) {
	t.Parallel()
	const given, scratchAt, scratchTo, name, text = 100, 200, 300, 400, 500
	for _, tt := range []struct {
		name, path string
		lengths    uint32
		status     uint32
		plugin     bool
	}{
		{"every request is to be looked at", "/app", 0, 0, true},
		{"no path", "", given, 1, true},
		{"an empty path", "", given, 0, false},
		{"shorter than all", "/", given, 0, false},
		{"in between", "/app", given, 0, false},
		{"longer than all", "/application", given, 0, false},
		{"as long as the first", "/a", given, 0, true},
		{"as long as another", "/live", given, 0, true},
		{"as long as the last", "/liveness", given, 0, true},
		{"a query behind the first", "/a?live", given, 0, true},
		{"a query behind another", "/live?", given, 0, true},
		{"a query behind the last", "/liveness?verbose", given, 0, true},
		{"a query elsewhere", "/app?live", given, 0, true}, // it has 9 bytes
		{"a query elsewhere, of another length", "/app?alive", given, 0, false},
		{"no lengths", "/live", given + 12, 0, false},
	} {
		plugin := newStub(t)
		entry := [...]uint32{lengths / 4: tt.lengths, scratch / 4: scratchAt, scratchStop / 4: scratchTo, pathName / 4: name, pathSize / 4: 0}
		plugin.write(entry[:]...)
		plugin.Memory().Write(given, []byte{2, 0, 0, 0, 5, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0})
		plugin.Memory().WriteString(text, tt.path)
		plugin.getHeader = func(mapType, key, keySize, value, size uint32) uint32 {
			if mapType != 0 || key != name || keySize != uint32(len(":path")) {
				t.Errorf("%s: asked for map %d, name of %d bytes at %d", tt.name, mapType, keySize, key)
			}
			if next, end := plugin.word(scratchNext), plugin.word(scratchEnd); next != scratchAt || end != scratchTo {
				t.Errorf("%s: the host would allocate from %d to %d", tt.name, next, end)
			}
			if tt.status == 0 {
				plugin.Memory().WriteUint32Le(value, text)
				plugin.Memory().WriteUint32Le(size, uint32(len(tt.path)))
			}
			return tt.status
		}
		out, called := plugin.call(t, "request_headers", 7, 10, 1)
		if out[0] != 0 || called != tt.plugin {
			t.Errorf("%s: got action %d, called the plugin's function: %t", tt.name, out[0], called)
		}
		if next, end := plugin.word(scratchNext), plugin.word(scratchEnd); next != 0 || end != 0 {
			t.Errorf("%s: scratch is open from %d to %d", tt.name, next, end)
		}
	}
}
