//go:build !race

// What the guest allocates does not depend on the race detector of the host, under which these tests take ten times as
// long: `make test-unit` runs them without it.

package simtest

import (
	"flag"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/healthgate/healthgate/hostsim"
)

// manyChecks is how many checks a long run sends; `make test-unit` sends a million.
var manyChecks = flag.Int("checks", 20_000, "how many checks the tests of the plugin's memory send")

// countingModule is the filter built with the tag healthgate_faults, which reports its VM's memory.
var countingModule = sync.OnceValues(func() ([]byte, error) {
	return build("healthgate_faults.wasm", "HEALTHGATE_FAULTY_WASM", "filter-faults")
})

func newCounting(t *testing.T, config string, opts ...hostsim.Option) *sim {
	t.Helper()
	wasm, err := countingModule()
	if err != nil {
		t.Fatal(err)
	}
	s := newSimOf(t, wasm, config, append(opts, hostsim.CallDeadline(0))...)
	s.Advance(settle)
	return s
}

// memory is what the VM of worker 0 reports: every object that was ever allocated on the guest's heap, by the plugin's
// code, by the SDK, or by the host through proxy_on_memory_allocate; and the bytes in use after a collection.
type memory struct{ allocations, inUse int }

func (s *sim) memory() (m memory) {
	s.t.Helper()
	seen := len(s.Logs())
	s.Worker(0).Do(&hostsim.Request{Path: check, Header: hostsim.Header{{"x-healthgate-fault", "memory"}}})
	for _, e := range s.Logs()[seen:] {
		if n, _ := fmt.Sscanf(e.Message, "healthgate: memory: %d allocations, %d bytes in use",
			&m.allocations, &m.inUse); n == 2 {
			return m
		}
	}
	s.t.Fatal("the plugin reported no memory: is it built with the tag healthgate_faults?")
	return m
}

// allocations returns how many objects the guest allocated while f ran, and how many bytes more are in use.
func (s *sim) allocations(f func()) (allocated, grown int) {
	s.t.Helper()
	before := s.memory()
	reported := s.memory() // what a report itself costs
	f()
	after := s.memory()
	return after.allocations - reported.allocations - (reported.allocations - before.allocations),
		after.inUse - reported.inUse
}

// choosy has endpoints that look at all that a check may be chosen by.
const choosy = `{
	"endpoints": [{
		"name": "plain", "paths": ["/healthz"], "trusted": {"cidrs": ["10.0.0.0/8", "192.168.0.0/16", "fd00::/8"]}
	}, {
		"name": "choosy", "paths": ["/hc", "/live"], "hosts": ["shop.example"], "methods": ["GET"],
		"headers": [{"name": "user-agent", "prefix": "lb/"}, {"name": "x-not", "present_match": false}],
		"trusted": {"cidrs": ["10.0.0.0/8"], "providers": ["gcp"], "peer": {"filter_state": "peer"}},
		"untrusted": {"action": "reply", "status": 403},
		"healthy": {"body": "OK", "headers": {"cache-control": "no-store"}}
	}]
}`

// forwarding believes the proxies in front, and whoever can open a Unix socket.
const forwarding = `{"endpoints": [{"name": "e", "paths": ["/hc"],
	"trusted": {"cidrs": ["10.0.0.0/8"], "pipe": true, "peer": "forwarded"}}]}`

// TestChecksAllocateNothing counts what the guest allocates over many checks of every kind: nothing at all, neither in
// the plugin's code, nor in the SDK, nor for what the host hands over. Time stands still, so that no tick is among
// them.
func TestChecksAllocateNothing(t *testing.T) {
	t.Parallel()
	const few = 1000
	for _, c := range []struct {
		name    string
		checks  int
		config  string
		request hostsim.Request
		throw   string // a runtime key
		status  int
		details string
	}{
		{name: "healthy", checks: *manyChecks, status: 200, details: "healthgate_healthy"},
		{name: "HEAD", request: hostsim.Request{Method: "HEAD"}, status: 200, details: "healthgate_healthy"},
		{name: "query", request: hostsim.Request{Path: check + "?from=lb"}, status: 200, details: "healthgate_healthy"},
		{name: "IPv6", request: hostsim.Request{Peer: "[fd00::1]:40000"}, status: 200, details: "healthgate_healthy"},
		{name: "empty", request: hostsim.Request{Path: "/healthz"}, status: 200, details: "healthgate_healthy"},
		{name: "key", throw: "maintenance", status: 503, details: "healthgate_maintenance"},
		{name: "key until", throw: "maintenance=2031-01-01T00:00:00Z", status: 503, details: "healthgate_maintenance"},
		{name: "route", status: 503, details: "healthgate_maintenance", request: hostsim.Request{
			RouteMetadata: map[string]map[string]any{"healthgate": {"maintenance": true}}}},
		{name: "untrusted", request: hostsim.Request{Peer: "192.0.2.1:40000"}, status: 200, details: "via_upstream"},
		{name: "forwarded", request: hostsim.Request{Header: hostsim.Header{{"x-forwarded-for", "10.1.1.1"}}},
			status: 200, details: "via_upstream"},
		{name: "other path", request: hostsim.Request{Path: "/shop"}, status: 200, details: "via_upstream"},
		{name: "choosy", config: choosy, status: 200, details: "healthgate_healthy", request: hostsim.Request{Path: "/hc",
			Authority: "shop.example:80", Header: hostsim.Header{{"user-agent", "lb/1"}},
			FilterState: map[string]string{"peer": "10.1.1.1:5000"}}},
		{name: "proxy's own", config: forwarding, status: 200, details: "healthgate_healthy",
			request: hostsim.Request{Path: "/hc"}},
		{name: "through a proxy", config: forwarding, status: 200, details: "healthgate_healthy",
			request: hostsim.Request{Path: "/hc",
				Header: hostsim.Header{{"x-forwarded-for", "10.1.1.1"}}}},
		{name: "no forwarded address", config: forwarding, status: 200, details: "via_upstream",
			request: hostsim.Request{Path: "/hc",
				Header: hostsim.Header{{"x-forwarded-for", "10.1.1.1:443"}}}},
		{name: "Unix socket", config: forwarding, status: 200, details: "healthgate_healthy",
			request: hostsim.Request{Path: "/hc",
				Peer: "/run/envoy.sock"}},
		{name: "refused", config: choosy, status: 403, details: "healthgate_untrusted", request: hostsim.Request{Path: "/hc",
			Authority: "shop.example", Header: hostsim.Header{{"user-agent", "lb/1"}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.config == "" {
				c.config = watchdog
			}
			s := newCounting(t, c.config)
			if c.throw != "" {
				key, value, _ := strings.Cut(c.throw+"=true", "=")
				s.Admin().SetRuntime(key, strings.TrimSuffix(value, "=true"))
				s.Advance(2 * time.Second)
			}
			if c.request.Path == "" {
				c.request.Path = check
			}
			if c.request.Peer == "" {
				c.request.Peer = balancer
			}
			ask := func(n int) {
				for range n {
					if r := s.Worker(0).Do(&c.request); r.Status != c.status || r.Details != c.details {
						t.Fatalf("got %d, details %q; want %d, %q", r.Status, r.Details, c.status, c.details)
					}
				}
			}
			ask(1) // decodes the record
			for range 3 {
				s.memory() // the first collections set up what the collector needs
			}
			n, size := max(c.checks, few), s.Worker(0).MemoryBytes()
			allocated, grown := s.allocations(func() { ask(n) })
			// A report's own text may stay in use: TinyGo's collector takes for a pointer whatever looks like one.
			if allocated != 0 || grown > 1<<10 {
				t.Errorf("%d checks: %d allocations, %d bytes more in use; want none", n, allocated, grown)
			}
			if now := s.Worker(0).MemoryBytes(); now != size {
				t.Errorf("%d checks: the VM's memory grew from %d to %d bytes", n, size, now)
			}
		})
	}
}

// TestAllocationsAreCounted shows that the count above can be other than 0: a path that is longer than what the plugin
// reserves for a check must be allocated.
func TestAllocationsAreCounted(t *testing.T) {
	t.Parallel()
	s := newCounting(t, watchdog)
	for range 3 {
		s.memory() // the first collections set up what the collector needs
	}
	const n = 100
	long := &hostsim.Request{Path: "/" + strings.Repeat("x", 56<<10)}
	if allocated, _ := s.allocations(func() {
		for range n {
			s.Worker(0).Do(long)
		}
	}); allocated < n {
		t.Errorf("%d requests with a path of 56 KiB: %d allocations", n, allocated)
	}
}

// TestTicksKeepMemoryFlat lets hours of ticks, probes and polls pass. In the VM that leads they do allocate; the
// collector must find all of it again.
func TestTicksKeepMemoryFlat(t *testing.T) {
	t.Parallel()
	for _, leads := range []bool{true, false} {
		t.Run(fmt.Sprintf("leads=%t", leads), func(t *testing.T) {
			t.Parallel()
			s := newCounting(t, watchdog)
			if leads {
				s.Main().Crash() // it led, and loads again only for a request, which it never gets
				s.Advance(5 * time.Second)
			}
			s.memory()
			s.Advance(time.Hour) // by then the heap has grown to where the collector begins
			early, size := s.memory(), s.Worker(0).MemoryBytes()
			allocated, grown := s.allocations(func() { s.Advance(2 * time.Hour) })
			if leads != (allocated > 0) {
				t.Errorf("%d allocations", allocated)
			}
			if grown > 1<<14 { // Go counts in pages of 8 KiB, and some come and go
				t.Errorf("%d bytes were in use, %d more are after two hours", early.inUse, grown)
			}
			if grown := s.Worker(0).MemoryBytes() - size; grown > size/32 {
				t.Errorf("the VM's memory grew from %d by %d bytes", size, grown)
			}
		})
	}
}

// TestUpdatesFasterThanDrains updates the listener a hundred times while no connection is drained: each configuration
// adds little to a VM's memory, and the newest one is right.
func TestUpdatesFasterThanDrains(t *testing.T) {
	t.Parallel()
	s := newSim(t, watchdog)
	for i := range 100 {
		other := strings.Replace(watchdog, `"/stats/isalive"`, fmt.Sprintf(`"/stats/isalive?%d"`, i), 1)
		if err := s.Update(other); err != nil {
			t.Fatal(err)
		}
		s.Advance(250 * time.Millisecond)
		if r := s.ask(0, check); r.Status != 200 {
			t.Fatalf("after %d updates: %d %s", i+1, r.Status, r.Body)
		}
	}
	for _, w := range []*hostsim.Worker{s.Main(), s.Worker(0)} {
		if bytes := w.MemoryBytes(); bytes > 12<<20 {
			t.Errorf("the VM has %d bytes", bytes)
		}
	}
}
