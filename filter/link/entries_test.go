package main

import (
	"context"
	"testing"

	"github.com/tetratelabs/wazero"
)

// TestEntries runs the entries in front of a plugin whose host.Entry is at address 0, and whose functions do nothing but
// count their calls and return 0.
func TestEntries(t *testing.T) {
	t.Parallel()
	linked, err := link(built(whole...))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	runtime := wazero.NewRuntime(ctx)
	t.Cleanup(func() { _ = runtime.Close(ctx) })
	called := 0
	env := runtime.NewHostModuleBuilder("env").NewFunctionBuilder().WithFunc(func() { called++ }).Export("called")
	if _, err := env.Instantiate(ctx); err != nil {
		t.Fatal(err)
	}
	plugin, err := runtime.InstantiateWithConfig(ctx, linked, wazero.NewModuleConfig().WithStartFunctions("_initialize"))
	if err != nil {
		t.Fatal(err)
	}
	if called != 2 {
		t.Errorf("_initialize called %d functions of the plugin, want itself and the one that returns the address", called)
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
		for i, word := range tt.entry {
			plugin.Memory().WriteUint32Le(uint32(4*i), word)
		}
		called = 0
		out, err := plugin.ExportedFunction("proxy_on_"+tt.export).Call(ctx, tt.in...)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if len(out) > 0 && out[0] != tt.out {
			t.Errorf("%s: got %d, want %d", tt.name, out[0], tt.out)
		}
		if (called > 0) != tt.plugin {
			t.Errorf("%s: called the plugin's function: %t", tt.name, called > 0)
		}
		if scratch, _ := plugin.Memory().ReadUint32Le(0); scratch != tt.scratch {
			t.Errorf("%s: scratch goes on at %d, want %d", tt.name, scratch, tt.scratch)
		}
	}
}
