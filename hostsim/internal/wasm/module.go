// Package wasm is the WebAssembly machine of a host: modules, their instances and memory, the WASI that guests meet,
// and the limits on what a guest can do to the process. It knows nothing of proxy-wasm.
package wasm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// maxMemoryPages is 1 GiB (PROXY_WASM_HOST_MAX_WASM_MEMORY_SIZE_BYTES).
const maxMemoryPages = 16384

// maxIdleModules is how many compiled modules are kept while they are unused.
const maxIdleModules = 16

// Module is a compiled module with all that it imports.
type Module struct {
	profile  *Profile
	code     []byte
	further  string
	once     sync.Once
	err      error
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
	users    int
}

// cache is process-wide: compiling a module takes seconds, so it is done once.
var cache = struct {
	sync.Mutex
	code    map[string]wazero.CompilationCache // by directory, "" for memory alone; the profiles share it
	modules []*Module                          // a few: comparing them is faster than a hash of the code
	idle    []*Module                          // least recently used first
}{code: make(map[string]wazero.CompilationCache)}

// Load returns the compiled module of code, which it keeps in the directory dir for the next process unless dir is "".
// Every caller must Release it. prepare must Link the module, and can refuse it; it is called once for code, profile
// and further, which tells what else the module is linked with.
func Load(code []byte, p *Profile, dir, further string, prepare func(*Module) error) (*Module, error) {
	cache.Lock()
	var m *Module
	same := func(m *Module) bool { return m.profile == p && m.further == further && bytes.Equal(m.code, code) }
	if i := slices.IndexFunc(cache.modules, same); i >= 0 {
		m = cache.modules[i]
	} else {
		m = &Module{profile: p, code: bytes.Clone(code), further: further}
		cache.modules = append(cache.modules, m)
	}
	m.users++
	cache.idle = slices.DeleteFunc(cache.idle, func(idle *Module) bool { return idle == m })
	cache.Unlock()
	m.once.Do(func() {
		if m.err = m.compile(m.code, dir); m.err == nil {
			m.err = prepare(m)
		}
	})
	if m.err != nil {
		m.Release()
		return nil, m.err
	}
	return m, nil
}

// Release gives a module back, once its instances are closed. Failed ones are forgotten
// at once, others when too many lie idle.
func (m *Module) Release() {
	cache.Lock()
	defer cache.Unlock()
	if m.users--; m.users > 0 {
		return
	}
	if m.err == nil {
		cache.idle = append(cache.idle, m)
		if len(cache.idle) <= maxIdleModules {
			return
		}
		m, cache.idle = cache.idle[0], cache.idle[1:]
	}
	cache.modules = slices.DeleteFunc(cache.modules, func(other *Module) bool { return other == m })
	if m.compiled != nil {
		_ = m.compiled.Close(context.Background()) // neither can fail
	}
	if m.runtime != nil {
		_ = m.runtime.Close(context.Background())
	}
}

// codeIn is where compiled code is kept.
func codeIn(dir string) (wazero.CompilationCache, error) {
	cache.Lock()
	defer cache.Unlock()
	if c := cache.code[dir]; c != nil {
		return c, nil
	}
	c, err := wazero.NewCompilationCache(), error(nil)
	if dir != "" {
		c, err = wazero.NewCompilationCacheWithDir(filepath.Join(dir, release()))
	}
	if err == nil {
		cache.code[dir] = c
	}
	return c, err
}

// release is wazero's, such as wazero@v1.12.0. Its code is of no use to another one; wazero would find out by itself,
// but not in a test, whose binary does not list its modules.
func release() string {
	file, _ := runtime.FuncForPC(reflect.ValueOf(wazero.NewRuntime).Pointer()).FileLine(0)
	for part := range strings.SplitSeq(filepath.ToSlash(file), "/") {
		if strings.HasPrefix(part, "wazero@") {
			return part
		}
	}
	return ""
}

func (m *Module) compile(code []byte, dir string) error {
	if len(code) < headerSize || string(code[:4]) != "\x00asm" {
		return errors.New("not a Wasm file: it does not start with \\0asm")
	}
	if code[6] == 1 { // the layer, in the upper half of the version
		return errors.New("a component of WebAssembly (wasip2), which Envoy can't run: build a module, for wasip1")
	}
	kept, err := codeIn(dir)
	if err != nil {
		return fmt.Errorf("CacheDir: %w", err)
	}
	code, err = checked(code)
	if err == nil {
		code, err = interruptible(code)
	}
	if err == nil {
		m.runtime = wazero.NewRuntimeWithConfig(context.Background(),
			wazero.NewRuntimeConfig().WithCompilationCache(kept).WithMemoryLimitPages(maxMemoryPages))
		m.compiled, err = compile(m.runtime, code)
	}
	if err != nil {
		return fmt.Errorf("failed to load Wasm bytecode: %w", err)
	}
	return nil
}

func compile(rt wazero.Runtime, code []byte) (c wazero.CompiledModule, err error) {
	defer recovered(&err)
	return rt.CompileModule(context.Background(), code)
}

// Exports are the functions that the module exports.
func (m *Module) Exports() map[string]api.FunctionDefinition { return m.compiled.ExportedFunctions() }

// Link gives the module the functions that it imports, of funcs and the profile's WASI,
// and checks that it has what an instance needs.
func (m *Module) Link(funcs []Func) error {
	known := make(map[string]*Func)
	for _, f := range slices.Concat(funcs, m.profile.wasi()) {
		known[f.Module+"."+f.Name] = &f
	}
	builders := make(map[string]wazero.HostModuleBuilder)
	for _, imported := range m.compiled.ImportedFunctions() {
		module, name, _ := imported.Import()
		f := known[module+"."+name]
		if f == nil {
			return fmt.Errorf("failed to load Wasm module due to a missing import: %s.%s (%s)", module, name, m.profile.Name)
		}
		f.setTypes(imported)
		if !slices.Equal(imported.ParamTypes(), f.params) || !slices.Equal(imported.ResultTypes(), f.results) {
			return fmt.Errorf("failed to load Wasm module due to an import type mismatch: %s.%s", module, name)
		}
		if builders[module] == nil {
			builders[module] = m.runtime.NewHostModuleBuilder(module)
		}
		builders[module].NewFunctionBuilder().
			WithGoModuleFunction(api.GoModuleFunc(f.call), f.params, f.results).
			Export(name)
	}
	if memories := m.compiled.ImportedMemories(); len(memories) > 0 {
		module, name, _ := memories[0].Import()
		return fmt.Errorf("failed to load Wasm module due to a missing import: %s.%s (a memory)", module, name)
	}
	if _, ok := m.compiled.ExportedMemories()["memory"]; !ok {
		return errors.New(`the module exports no memory called "memory"`)
	}
	if start := m.Exports()[ExportStart]; start != nil && len(start.ParamTypes())+len(start.ResultTypes()) > 0 {
		return errors.New("failed to load Wasm bytecode: the start function takes or returns something")
	}
	for _, b := range builders {
		if _, err := b.Instantiate(context.Background()); err != nil {
			return err
		}
	}
	return nil
}
