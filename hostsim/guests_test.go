package hostsim_test

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/hostsim"
)

const (
	abi020 = "proxy_abi_version_0_2_0"
	abi021 = "proxy_abi_version_0_2_1"
)

// logImport is env.proxy_log.
var logImport = wasmImport{"env", "proxy_log", types(3), types(1)}

// TestOtherGuests loads what other compilers make: a command with _start and malloc,
// a reactor with main, either ABI, few callbacks or none.
func TestOtherGuests(t *testing.T) {
	t.Parallel()
	// store writes a byte to address 8 and traps unless it held want before.
	mark := func(want, set byte) []byte {
		return append(append([]byte{0x41, 8, 0x2d, 0, 0}, append(i32const(want), 0x47, 0x04, 0x40, 0x00, 0x0b)...),
			append(append([]byte{0x41, 8}, i32const(set)...), 0x3a, 0, 0)...)
	}
	check := func(want byte) wasmFunc {
		return wasmFunc{name: "proxy_on_vm_start", params: types(2), results: types(1),
			code: append(mark(want, want), i32const(1)...)}
	}
	for name, m := range map[string]*wasmModule{
		"nothing but the marker": tiny(abi020),
		"ABI 0.2.1":              tiny(abi021),
		"a command":              tiny(abi020, wasmFunc{name: "_start", code: mark(0, 1)}, check(1)),
		"a reactor":              tiny(abi020, wasmFunc{name: "_initialize", code: mark(0, 2)}, check(2)),
		"a reactor wins over a command": tiny(abi020, wasmFunc{name: "_initialize", code: mark(0, 2)},
			wasmFunc{name: "_start", code: mark(0, 9)}, check(2)),
		"a reactor with main": tiny(abi020, wasmFunc{name: "_initialize", code: mark(0, 2)},
			wasmFunc{name: "main", params: types(2), results: types(1), code: append(mark(2, 3), i32const(0)...)}, check(3)),
		"a command does not run main": tiny(abi020, wasmFunc{name: "_start", code: mark(0, 1)},
			wasmFunc{name: "main", params: types(2), results: types(1), code: append(mark(1, 9), i32const(0)...)}, check(1)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, p := range []hostsim.Profile{hostsim.Envoy136, hostsim.Envoy140} {
				host, err := hostsim.New(m.bytes(), p)
				if err != nil {
					t.Fatal(err)
				}
				if r := host.Worker(0).Get("/"); r.Status != 200 || !r.Forwarded {
					t.Errorf("%v: %+v", p, r)
				}
				host.Close()
			}
		})
	}
	for p, want := range map[hostsim.Profile]byte{hostsim.Envoy136: 2, hostsim.Envoy140: 4} {
		t.Run("a reactor with __main_void/"+p.String(), func(t *testing.T) {
			t.Parallel()
			m := tiny(abi020, wasmFunc{name: "_initialize", code: mark(0, 2)},
				wasmFunc{name: "__main_void", results: types(1), code: append(mark(2, 4), i32const(0)...)}, check(want))
			host, err := hostsim.New(m.bytes(), p)
			if err != nil {
				t.Fatal(err)
			}
			host.Close()
		})
	}
}

// TestLogLevel is the one host call that ABI 0.2.1 has and 0.2.0 has not.
func TestLogLevel(t *testing.T) {
	t.Parallel()
	// on_vm_start lets it write to address 8, and starts if LogDebug is there.
	m := tiny(abi021, wasmFunc{name: "proxy_on_vm_start", params: types(2), results: types(1),
		code: []byte{0x41, 8, 0x10, 0, 0x1a, 0x41, 8, 0x2d, 0, 0, 0x41, byte(hostsim.LogDebug), 0x46}})
	m.imports = []wasmImport{{"env", "proxy_get_log_level", types(1), types(1)}}
	for level, ok := range map[hostsim.LogLevel]bool{hostsim.LogDebug: true, hostsim.LogError: false} {
		host, err := hostsim.New(m.bytes(), hostsim.MinLogLevel(level))
		if (err == nil) != ok {
			t.Errorf("%v: %v", level, err)
		}
		if err == nil {
			host.Close()
		}
	}
}

// TestLogWhileStarting is a guest that logs from its start function, where that is allowed.
func TestLogWhileStarting(t *testing.T) {
	t.Parallel()
	m := tiny(abi020, wasmFunc{name: "_initialize", code: []byte{0x41, 2, 0x41, 0, 0x41, 0, 0x10, 0, 0x1a}})
	m.imports = []wasmImport{logImport}
	host, err := hostsim.New(m.bytes())
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	if logs := host.Logs(); len(logs) != 4 || logs[0].Thread != "base" || logs[3].Thread != "worker 0" {
		t.Errorf("%v", logs)
	}
}

// TestRefused are modules that no Envoy loads, and what hostsim says of them.
func TestRefused(t *testing.T) {
	t.Parallel()
	with := func(m *wasmModule, imports ...wasmImport) []byte {
		m.imports = imports
		return m.bytes()
	}
	good := tiny(abi020).bytes()
	for name, c := range map[string]struct {
		wasm []byte
		opts []hostsim.Option
		want string
	}{
		"empty":         {nil, nil, "not a Wasm file"},
		"text":          {[]byte("hello, world"), nil, "not a Wasm file"},
		"truncated":     {good[:len(good)-9], nil, "failed to load Wasm bytecode"},
		"no ABI marker": {tiny("something").bytes(), nil, "missing or unknown Proxy-Wasm ABI version"},
		"ABI 0.1.0":     {tiny("proxy_abi_version_0_1_0").bytes(), nil, "ABI 0.1.0"},
		"no malloc":     {(&wasmModule{pages: 1, funcs: []wasmFunc{{name: abi020}}}).bytes(), nil, "missing the malloc"},
		"unknown import": {with(tiny(abi020), wasmImport{"env", "proxy_fly", nil, nil}), nil,
			"missing import: env.proxy_fly"},
		"unknown module": {with(tiny(abi020), wasmImport{"elsewhere", "f", nil, nil}), nil, "missing import: elsewhere.f"},
		"import type": {with(tiny(abi020), wasmImport{"env", "proxy_log", types(2), types(1)}), nil,
			"type mismatch: env.proxy_log"},
		"get_log_level before 0.2.1": {with(tiny(abi020), wasmImport{"env", "proxy_get_log_level", types(1), types(1)}), nil,
			"missing import: env.proxy_get_log_level"},
		"WASI that Envoy 1.36 lacks": {
			with(tiny(abi020), wasmImport{"wasi_snapshot_preview1", "fd_sync", types(1), types(1)}),
			[]hostsim.Option{hostsim.Envoy136}, "missing import: wasi_snapshot_preview1.fd_sync (envoy-1.36)"},
		"export type": {tiny(abi020, wasmFunc{name: "proxy_on_tick", params: types(2)}).bytes(), nil,
			"bad function signature for: proxy_on_tick"},
		"network filter": {tiny(abi020, wasmFunc{name: "proxy_on_new_connection", params: types(1), results: types(1),
			code: i32const(0)}).bytes(), nil, "network filter"},
		"trap on start": {tiny(abi020, wasmFunc{name: "_initialize", code: []byte{0}}).bytes(), nil,
			"Failed to initialize Wasm code: Function: _initialize failed: wasm error: unreachable"},
		"restricted while starting": {with(tiny(abi020, wasmFunc{name: "_initialize", code: []byte{0x10, 0, 0x1a}}),
			wasmImport{"env", "proxy_done", nil, types(1)}), nil, "restricted_callback: env.proxy_done"},
		"trap in vm start": {tiny(abi020, wasmFunc{name: "proxy_on_vm_start", params: types(2), results: types(1),
			code: []byte{0}}).bytes(), nil, "Failed to start base Wasm: Function: proxy_on_vm_start failed"},
		"refuses to start": {tiny(abi020, wasmFunc{name: "proxy_on_vm_start", params: types(2), results: types(1),
			code: i32const(0)}).bytes(), nil, "Failed to start base Wasm"},
		"endless loop": {tiny(abi020, wasmFunc{name: "_initialize", code: []byte{0x03, 0x40, 0x0c, 0, 0x0b}}).bytes(),
			[]hostsim.Option{hostsim.CallDeadline(50 * time.Millisecond)}, "took longer than 50ms"},
		"endless start section": {(&wasmModule{pages: 1, start: 2, funcs: append(tiny(abi020).funcs,
			wasmFunc{code: []byte{0x03, 0x40, 0x0c, 0, 0x0b}})}).bytes(),
			[]hostsim.Option{hostsim.CallDeadline(50 * time.Millisecond)}, "took longer than 50ms"},
		// The second calls itself twice, 200 deep.
		"recursion without a loop": {tiny(abi020,
			wasmFunc{name: "_initialize", code: []byte{0x41, 0xc8, 1, 0x10, 3}},
			wasmFunc{params: types(1), code: []byte{0x20, 0, 0x45, 0x04, 0x40, 0x0f, 0x0b,
				0x20, 0, 0x41, 1, 0x6b, 0x10, 3, 0x20, 0, 0x41, 1, 0x6b, 0x10, 3}}).bytes(),
			[]hostsim.Option{hostsim.CallDeadline(50 * time.Millisecond)}, "took longer than 50ms"},
		"start with a result": {(&wasmModule{pages: 1, start: 2, funcs: append(tiny(abi020).funcs,
			wasmFunc{results: types(1), code: i32const(0)})}).bytes(), nil, "the start function"},
		"endless recursion": {tiny(abi020, wasmFunc{name: "_initialize", code: []byte{0x10, 2}}).bytes(), nil,
			"stack overflow"},
		"no workers at all": {good, []hostsim.Option{hostsim.Workers(-1)}, "-1 workers"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host, err := hostsim.New(c.wasm, c.opts...)
			if err == nil {
				host.Close()
				t.Fatal("it was loaded")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v; want %q in it", err, c.want)
			}
		})
	}
}

// TestBadAllocators have a malloc that answers with nothing, or with an address
// outside.
func TestBadAllocators(t *testing.T) {
	t.Parallel()
	for name, code := range map[string][]byte{
		"null": i32const(0), "outside": {0x41, 0x70}, "trap": {0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// on_vm_start calls get_property of a path of 11 bytes at 0, which is not
			// there, and get_buffer_bytes of the VM's configuration.
			m := &wasmModule{pages: 1,
				imports: []wasmImport{{"env", "proxy_get_buffer_bytes", types(5), types(1)}},
				funcs: []wasmFunc{
					{name: abi020},
					{name: "malloc", params: types(1), results: types(1), code: code},
					{name: "proxy_on_vm_start", params: types(2), results: types(1), code: []byte{
						0x41, 6, 0x41, 0, 0x41, 2, 0x41, 16, 0x41, 20, 0x10, 0, // get_buffer_bytes
						0x41, 6, 0x46, // == InvalidMemoryAccess
					}},
				}}
			host, err := hostsim.New(m.bytes(), hostsim.VMConfig("vm"))
			if name == "trap" {
				if err == nil || !strings.Contains(err.Error(), "Function: malloc failed") {
					t.Error(err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			host.Close()
		})
	}
}

// TestLoopIsEnded is an endless loop in a callback: the deadline kills the VM, not the
// host. Meanwhile the garbage collector, which stops every goroutine, does not make the
// whole process wait. The deadline is one that a loaded machine meets in what does end.
func TestLoopIsEnded(t *testing.T) {
	t.Parallel()
	host := newHost(t, "request_headers loop", hostsim.CallDeadline(3*time.Second), hostsim.FailReload)
	host.Advance(2 * time.Second)
	collected := make(chan struct{})
	go func() {
		defer close(collected)
		for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
			runtime.GC()
		}
	}()
	defer func() { <-collected }()
	for range 2 {
		if r := host.Worker(0).Get("/"); r.Status != 503 || r.Details != "wasm_fail_stream" {
			t.Errorf("%+v", r)
		}
		host.Advance(2 * time.Second)
	}
	if n := host.Worker(0).Reloads(); n != 1 {
		t.Errorf("%d reloads", n)
	}
}

// TestNoLeaks builds and closes many hosts.
func TestNoLeaks(t *testing.T) {
	wasm := tiny(abi020, wasmFunc{name: "proxy_on_vm_start", params: types(2), results: types(1),
		code: i32const(1)}).bytes()
	round := func(n int) {
		for range n {
			host, err := hostsim.New(wasm, hostsim.Workers(2))
			if err != nil {
				t.Fatal(err)
			}
			host.Worker(1).Get("/")
			host.Close()
		}
	}
	usage := func() (goroutines int, heap uint64) {
		var ms runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&ms)
		return runtime.NumGoroutine(), ms.HeapAlloc
	}
	round(50)
	g0, h0 := usage()
	round(1000)
	g1, h1 := usage()
	if g1 > g0 {
		t.Errorf("%d goroutines before, %d after", g0, g1)
	}
	if h1 > h0+4<<20 {
		t.Errorf("%d bytes before, %d after", h0, h1)
	}
}
