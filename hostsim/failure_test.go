package hostsim_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/hostsim"
)

func TestFailurePolicies(t *testing.T) {
	t.Parallel()
	const text = `
		configure set_tick_period_milliseconds 100
		configure define_metric 0 "starts" >m
		configure increment_metric $m 1
		tick set_shared_data "last" "tick" 0
		request_headers get_shared_data "last"`
	type result struct {
		status    int
		details   string
		forwarded bool
	}
	failed := result{503, "wasm_fail_stream", false}
	passed := result{200, "via_upstream", true}
	for _, c := range []struct {
		name   string
		policy hostsim.FailurePolicy
		want   []result // of a request each at 0, 0.1, 0.9 and 1.6 s after the crash
		ticks  bool     // alive in the end
		starts uint64
	}{
		{"closed", hostsim.FailClosed, []result{failed, failed, failed, failed}, false, 3},
		{"open", hostsim.FailOpen, []result{failed, passed, passed, passed}, false, 3},
		{"reload", hostsim.FailReload, []result{failed, failed, failed, passed}, true, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			host := newHost(t, text, c.policy, hostsim.TrapAt("proxy_on_request_headers", 1),
				hostsim.MinLogLevel(hostsim.LogTrace))
			at := host.Elapsed()
			for i, after := range []time.Duration{0, 100 * time.Millisecond, 900 * time.Millisecond, 1600 * time.Millisecond} {
				host.Advance(at + after - host.Elapsed())
				r := host.Worker(0).Get("/")
				if got := (result{r.Status, r.Details, r.Forwarded}); got != c.want[i] {
					t.Errorf("after %v: %+v, want %+v", after, got, c.want[i])
				}
			}
			if host.Worker(0).Failed() == c.ticks {
				t.Errorf("failed: %v", !c.ticks)
			}
			if n, _ := host.Metric("starts"); n != c.starts {
				t.Errorf("%d starts, want %d", n, c.starts)
			}
			if !strings.Contains(host.LogText(), "Function: proxy_on_request_headers failed: injected trap") {
				t.Error("the log says nothing of it")
			}
		})
	}
	t.Run("in other callbacks", func(t *testing.T) {
		t.Parallel()
		for export, want := range map[string]int{
			"proxy_on_context_create": 503, "proxy_on_response_headers": 503, "proxy_on_log": 200, "proxy_on_done": 200,
			"proxy_on_delete": 200, "proxy_on_memory_allocate": 503,
		} {
			host := newHost(t, `request_headers get_header_map_value 0 ":path"`)
			host.Inject(hostsim.TrapAt(export, 1).On("worker 0"))
			if r := host.Worker(0).Get("/"); r.Status != want {
				t.Errorf("%s: %+v", export, r)
			}
			if !host.Worker(0).Failed() {
				t.Errorf("%s: the VM lives", export)
			}
		}
	})
	t.Run("after the headers are sent", func(t *testing.T) {
		t.Parallel()
		host := newHost(t, "")
		host.Inject(hostsim.TrapAt("proxy_on_response_body", 1))
		if r := host.Worker(0).Get("/"); r.Status != 200 || !r.Reset {
			t.Errorf("%+v", r)
		}
	})
	t.Run("other threads go on", func(t *testing.T) {
		t.Parallel()
		host := newHost(t, "trace\nconfigure set_tick_period_milliseconds 100\n", hostsim.Workers(2))
		host.Worker(0).Crash()
		host.Advance(time.Second)
		if a, b := count(host, "worker 0", "tick(1)"), count(host, "worker 1", "tick(1)"); a != 0 || b != 10 {
			t.Errorf("%d and %d ticks", a, b)
		}
		if r := host.Worker(1).Get("/"); r.Status != 200 {
			t.Errorf("%+v", r)
		}
	})
	t.Run("a reload that fails is tried again after the backoff", func(t *testing.T) {
		t.Parallel()
		host := newHost(t, "", hostsim.FailReload, hostsim.ReloadBackoff(100*time.Millisecond))
		host.Worker(0).Crash()
		host.Inject(hostsim.TrapAt("proxy_on_configure", 1))
		var got []int
		for range 3 {
			host.Advance(150 * time.Millisecond)
			got = append(got, host.Worker(0).Get("/").Status, host.Worker(0).Get("/").Status)
		}
		if want := []int{503, 503, 200, 200, 200, 200}; !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		for name, want := range map[string]uint64{"vm_reload_success": 1, "vm_reload_failure": 1, "vm_reload_backoff": 1} {
			if n, _ := host.Metric("wasm.plugin." + name); n != want {
				t.Errorf("%s is %d, want %d", name, n, want)
			}
		}
	})
}

func TestProfiles(t *testing.T) {
	t.Parallel()
	// _initialize calls fd_prestat_get, which the older Envoy allows while it starts,
	// as the newer does; poll_oneoff only the newer does; sched_yield neither.
	wasi := func(name string, params []byte, code ...byte) []byte {
		m := tiny(abi020, wasmFunc{name: "_initialize", code: append(code, 0x10, 0, 0x1a)})
		m.imports = []wasmImport{{"wasi_snapshot_preview1", name, params, types(1)}}
		return m.bytes()
	}
	zero := []byte{0x41, 0}
	zeros := func(n int) []byte {
		var b []byte
		for range n {
			b = append(b, zero...)
		}
		return b
	}
	for _, c := range []struct {
		name     string
		params   int
		old, new bool
	}{
		{"fd_prestat_get", 2, true, true}, {"fd_fdstat_get", 2, true, true}, {"random_get", 2, true, true},
		{"poll_oneoff", 4, false, true}, {"sched_yield", 0, false, false}, {"fd_close", 1, false, false},
		{"fd_read", 4, false, false},
	} {
		for p, want := range map[hostsim.Profile]bool{hostsim.Envoy136: c.old, hostsim.Envoy140: c.new} {
			host, err := hostsim.New(wasi(c.name, types(c.params), zeros(c.params)...), p)
			if (err == nil) != want {
				t.Errorf("%s in %v: %v", c.name, p, err)
			}
			if err == nil {
				host.Close()
			} else if !strings.Contains(err.Error(), "restricted_callback: wasi_snapshot_preview1."+c.name) {
				t.Error(err)
			}
		}
	}
	if p, ok := hostsim.ParseProfile("envoy-1.36"); !ok || p != hostsim.Envoy136 {
		t.Error(p, ok)
	}
	if _, ok := hostsim.ParseProfile("envoy-2"); ok {
		t.Error("envoy-2 is a profile")
	}
}
