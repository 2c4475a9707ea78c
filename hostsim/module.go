package hostsim

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/healthgate/healthgate/hostsim/internal/wasmbin"
)

// abiVersion is the ABI that a module says it was built for, by the name of an
// exported function.
type abiVersion string

const (
	abi010 abiVersion = "proxy_abi_version_0_1_0"
	abi020 abiVersion = "proxy_abi_version_0_2_0"
	abi021 abiVersion = "proxy_abi_version_0_2_1"
)

// maxMemoryPages is 1 GiB (PROXY_WASM_HOST_MAX_WASM_MEMORY_SIZE_BYTES).
const maxMemoryPages = 16384

// maxIdleModules bounds the compiled modules that are kept though no host uses them.
const maxIdleModules = 16

// engine is a wazero runtime with the host calls of one profile and ABI version.
// One serves all hosts of a process: the VMs in it share code, nothing else.
type engine struct {
	once   sync.Once
	err    error
	rt     wazero.Runtime
	linked map[string]*hostCall
}

type engineKey struct {
	profile Profile
	abi     abiVersion
}

// module is a compiled plugin in an engine.
type module struct {
	once     sync.Once
	err      error
	key      moduleKey
	engine   *engine
	compiled wazero.CompiledModule
	abi      abiVersion
	users    int
}

type moduleKey struct {
	profile Profile
	sum     [sha256.Size]byte
}

// cache is process-wide: compiling a plugin takes seconds, so it is done once.
var cache = struct {
	sync.Mutex
	code    wazero.CompilationCache
	engines map[engineKey]*engine
	modules map[moduleKey]*module
	idle    []*module // least recently used first
}{engines: make(map[engineKey]*engine), modules: make(map[moduleKey]*module)}

// loadModule returns the compiled module of code. Every caller must release it.
func loadModule(code []byte, p Profile) (*module, error) {
	key := moduleKey{p, sha256.Sum256(code)}
	cache.Lock()
	if cache.code == nil {
		cache.code = wazero.NewCompilationCache()
	}
	m := cache.modules[key]
	if m == nil {
		m = &module{key: key}
		cache.modules[key] = m
	}
	m.users++
	for i, idle := range cache.idle {
		if idle == m {
			cache.idle = append(cache.idle[:i], cache.idle[i+1:]...)
			break
		}
	}
	cache.Unlock()
	m.once.Do(func() { m.err = m.compile(code, p) })
	if m.err != nil {
		m.release()
		return nil, m.err
	}
	return m, nil
}

// release gives a module back. Failed ones are forgotten at once, others when too
// many lie idle.
func (m *module) release() {
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
	delete(cache.modules, m.key)
	if m.compiled != nil {
		m.compiled.Close(context.Background())
	}
}

// engineFor returns the engine for a profile and ABI version.
func engineFor(p Profile, abi abiVersion) (*engine, error) {
	cache.Lock()
	e := cache.engines[engineKey{p, abi}]
	if e == nil {
		e = &engine{}
		cache.engines[engineKey{p, abi}] = e
	}
	code := cache.code
	cache.Unlock()
	e.once.Do(func() {
		ctx := context.Background()
		cfg := wazero.NewRuntimeConfig().
			WithCompilationCache(code).
			WithMemoryLimitPages(maxMemoryPages)
		e.rt = wazero.NewRuntimeWithConfig(ctx, cfg)
		e.linked, e.err = instantiateHostModules(ctx, e.rt, p, abi)
	})
	return e, e.err
}

// compile checks code as Envoy does before it starts a VM, in the same order
// (WasmBase::load, V8::link, WasmBase::getFunctions).
func (m *module) compile(code []byte, p Profile) error {
	if len(code) < 8 || string(code[:4]) != "\x00asm" {
		return errors.New("not a Wasm file: it does not start with \\0asm")
	}
	code, err := wasmbin.Check(code)
	if err == nil {
		code, err = wasmbin.Bound(code)
	}
	if err != nil {
		return fmt.Errorf("failed to load Wasm bytecode: %w", err)
	}
	// Which ABI a module needs is known once it is compiled, so try the common one
	// first. The code cache makes a second round cheap.
	for _, abi := range []abiVersion{abi020, abi021} {
		e, err := engineFor(p, abi)
		if err != nil {
			return err
		}
		c, err := compileModule(e.rt, code)
		if err != nil {
			return fmt.Errorf("failed to load Wasm bytecode: %w", err)
		}
		got, err := abiOf(c)
		if err == nil && got != abi {
			c.Close(context.Background())
			continue
		}
		if err == nil {
			err = e.check(c, p)
		}
		if err != nil {
			c.Close(context.Background())
			return err
		}
		m.engine, m.compiled, m.abi = e, c, abi
		return nil
	}
	return nil
}

// compileModule is rt.CompileModule without its panics: a decoder that is handed
// random bytes must not end the process.
func compileModule(rt wazero.Runtime, code []byte) (c wazero.CompiledModule, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("compiler: %v", r)
		}
	}()
	return rt.CompileModule(context.Background(), code)
}

func abiOf(c wazero.CompiledModule) (abiVersion, error) {
	for _, abi := range []abiVersion{abi010, abi020, abi021} {
		if _, ok := c.ExportedFunctions()[string(abi)]; !ok {
			continue
		}
		if abi == abi010 {
			return "", errors.New("the module is built for Proxy-Wasm ABI 0.1.0; hostsim runs 0.2.0 and 0.2.1")
		}
		return abi, nil
	}
	return "", errors.New("missing or unknown Proxy-Wasm ABI version: " +
		"the module exports neither proxy_abi_version_0_2_0 nor proxy_abi_version_0_2_1")
}

// check compares imports and exports with what the host has.
func (e *engine) check(c wazero.CompiledModule, p Profile) error {
	for _, f := range c.ImportedFunctions() {
		mod, name, _ := f.Import()
		hc := e.linked[mod+"."+name]
		if hc == nil {
			return fmt.Errorf("failed to load Wasm module due to a missing import: %s.%s (%s)", mod, name, p)
		}
		var results []api.ValueType
		if !hc.void {
			results = []api.ValueType{api.ValueTypeI32}
		}
		if !sameTypes(f.ParamTypes(), hc.params()) || !sameTypes(f.ResultTypes(), results) {
			return fmt.Errorf("failed to load Wasm module due to an import type mismatch: %s.%s", mod, name)
		}
	}
	if ms := c.ImportedMemories(); len(ms) > 0 {
		mod, name, _ := ms[0].Import()
		return fmt.Errorf("failed to load Wasm module due to a missing import: %s.%s (a memory)", mod, name)
	}
	if _, ok := c.ExportedMemories()["memory"]; !ok {
		return errors.New(`the module exports no memory called "memory"`)
	}
	fns := c.ExportedFunctions()
	if start := fns[wasmbin.Start]; start != nil && len(start.ParamTypes())+len(start.ResultTypes()) > 0 {
		return errors.New("failed to load Wasm bytecode: the start function takes or returns something")
	}
	for name, def := range fns {
		want, ok := exportTypes[name]
		if !ok {
			continue
		}
		if len(def.ParamTypes()) != want.params || !allI32(def.ParamTypes()) ||
			(want.result) != (len(def.ResultTypes()) == 1) || !allI32(def.ResultTypes()) {
			return fmt.Errorf("bad function signature for: %s", name)
		}
	}
	if fns["malloc"] == nil && fns["proxy_on_memory_allocate"] == nil {
		return errors.New("the module is missing the malloc function: it exports neither malloc nor proxy_on_memory_allocate")
	}
	return checkKind(fns)
}

// checkKind refuses a plugin that has callbacks for connections and none for HTTP
// streams: hostsim plays HTTP filters. SDKs commonly export both.
func checkKind(fns map[string]api.FunctionDefinition) error {
	network := ""
	for name := range fns {
		switch {
		case strings.HasPrefix(name, "proxy_on_request_"), strings.HasPrefix(name, "proxy_on_response_"):
			return nil
		case name == "proxy_on_new_connection", name == "proxy_on_downstream_data", name == "proxy_on_upstream_data":
			network = name
		}
	}
	if network != "" {
		return fmt.Errorf("the module is a network filter (it exports %s and no callback for HTTP streams): "+
			"hostsim runs HTTP filters only", network)
	}
	return nil
}

func sameTypes(a, b []api.ValueType) bool {
	return string(a) == string(b)
}

func allI32(ts []api.ValueType) bool {
	for _, t := range ts {
		if t != api.ValueTypeI32 {
			return false
		}
	}
	return true
}
