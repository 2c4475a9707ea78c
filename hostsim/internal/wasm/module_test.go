package wasm

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// plugin is a module that is told from others by the name of its function.
func plugin(name string) []byte {
	exports := fmt.Sprintf("\x02\x06memory\x02\x00%c%s\x00\x00", len(name), name)
	return []byte(header + typeAndFunc + memory + fmt.Sprintf("\x07%c", len(exports)) + exports + code("\x0b"))
}

func load(t *testing.T, name string) *Module {
	t.Helper()
	m, err := Load(plugin(name), Envoy140, "", "", func(m *Module) error { return m.Link(nil) })
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// What nobody uses must not stay for ever: a process that loads many modules would keep the memory of each.
func TestCacheClosesModules(t *testing.T) {
	t.Parallel()
	first := load(t, "first")
	first.Release()
	if m := load(t, "first"); m != first {
		t.Error("a module that was just released is loaded anew")
	}
	i, err := first.Instantiate(nil, &Watchdog{})
	if err != nil {
		t.Fatal(err)
	}
	i.Close()
	first.Release()
	for n := range maxIdleModules {
		load(t, fmt.Sprint("module", n)).Release()
	}
	if _, err := first.runtime.CompileModule(context.Background(), plugin("x")); err == nil {
		t.Error("the runtime of the oldest idle module has not been closed")
	}
	m := load(t, "first")
	defer m.Release()
	if m == first {
		t.Error("a module that was closed is given out again")
	}
}

// TestComponent: the other thing that a file which begins as a module can be is called by its name.
func TestComponent(t *testing.T) {
	_, err := Load([]byte("\x00asm\x0d\x00\x01\x00"), Envoy140, "", "", nil)
	if err == nil || !strings.Contains(err.Error(), "component") {
		t.Error(err)
	}
}

// TestCompiledIsKept: what was compiled is in the directory, one file for each module.
func TestCompiledIsKept(t *testing.T) {
	dir := t.TempDir()
	m, err := Load(plugin("kept"), Envoy140, dir, "", func(m *Module) error { return m.Link(nil) })
	if err != nil {
		t.Fatal(err)
	}
	defer m.Release()
	if files, err := filepath.Glob(filepath.Join(dir, "wazero@v*", "*", "*")); err != nil || len(files) != 1 {
		t.Error(files, err)
	}
}
