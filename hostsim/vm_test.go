package hostsim_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/healthgate/healthgate/hostsim"
)

// TestLoopIsEnded is an endless loop in a callback: the deadline kills the VM, not the host. Meanwhile the garbage
// collector, which stops every goroutine, does not make the whole process wait. The deadline is long enough for the
// other calls on a loaded machine.
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
