package hostsim

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// A test that asks for what there can't be would be green for a wrong reason. So New returns an error for such an
// option, and a method panics. This file has the checks.

// check returns what is wrong with the options, but for those that need the modules.
func (c *config) check() error {
	errs := []error{c.checkUpstreams()}
	refuse := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf("hostsim: "+format, args...))
		}
	}
	refuse(c.workers < 1, "Workers(%d): an Envoy has at least one worker thread", c.workers)
	refuse(c.profile < 0 || int(c.profile) >= len(profiles), "Profile(%d): there are Envoy136 and Envoy140", c.profile)
	refuse(c.deadline < 0, "CallDeadline(%v): 0 means no limit", c.deadline)
	refuse(c.bufferLimit < 0, "BufferLimit(%d): 0 means no limit", c.bufferLimit)
	refuse(c.xffTrustedHops < 0, "XFFNumTrustedHops(%d): it can't be negative", c.xffTrustedHops)
	refuse(c.logLevel < LogTrace || c.logLevel > LogCritical, "MinLogLevel(%d): levels are LogTrace to LogCritical",
		c.logLevel)
	_, err := netip.ParseAddr(c.address)
	refuse(err != nil, "Address(%q): it is no IP address", c.address)
	refuse(len(c.listeners) == 0, "Listeners(): an Envoy without a listener gets no requests")
	for _, l := range c.listeners {
		refuse(l.Direction < 0 || l.Direction > 2, "Listener.Direction %d: 0 is none, 1 inbound, 2 outbound", l.Direction)
	}
	for _, p := range slices.Concat(c.plugins, c.services) {
		refuse(p.policy < FailClosed || p.policy > FailReload,
			"FailurePolicy(%d): there are FailClosed, FailOpen and FailReload", p.policy)
		refuse(p.backoff < time.Millisecond, "ReloadBackoff(%v): Envoy takes 1ms or more", p.backoff)
		for _, e := range p.env {
			refuse(strings.HasPrefix(e, "="), "Env(%q, …): a variable has a name", "")
		}
	}
	for name, f := range c.foreign {
		refuse(f == nil, "ForeignFunction(%q, nil): there is no function to call", name)
	}
	for key, f := range c.functions {
		refuse(f == nil, "HostFunction(%q, %q, nil): there is no function to call", key.module, key.name)
	}
	return errors.Join(errs...)
}

func (c *config) checkUpstreams() error {
	names := []string{c.app.name}
	if c.adminCluster != "" {
		names = append(names, c.adminCluster)
	}
	for _, up := range append([]*upstream{c.app}, c.upstreams...) {
		if up.url != nil && up.url.Host == "" {
			return fmt.Errorf("hostsim: the URL %q of %q has no host: it is such as http://127.0.0.1:8080", up.url, up.name)
		}
	}
	for _, up := range c.upstreams {
		if up.name == "" {
			return errors.New(`hostsim: Upstream(""): a cluster has a name`)
		}
		if slices.Contains(names, up.name) {
			return fmt.Errorf("hostsim: there are two clusters %q: the names of Upstreams and Admin differ, and "+
				`"application" is the Application`, up.name)
		}
		names = append(names, up.name)
	}
	for _, r := range c.routes {
		if r.Cluster != "" && !slices.Contains(names, r.Cluster) {
			return fmt.Errorf("hostsim: the route %q leads to %q, which is no Upstream", r.Name, r.Cluster)
		}
	}
	return nil
}

// checkFaults returns why a fault would never strike.
func (h *Host) checkFaults(faults []Fault) error {
	threads := []string{"base", "canary"}
	for _, t := range h.threads() {
		threads = append(threads, t.name)
	}
	for _, f := range faults {
		switch {
		case f.n < 1:
			return fmt.Errorf("hostsim: a fault of the call %d never strikes: calls count from 1", f.n)
		case f.thread != "" && !slices.Contains(threads, f.thread):
			return fmt.Errorf("hostsim: Fault.On(%q): there are %s", f.thread, strings.Join(threads, ", "))
		case f.kind == faultTrap && !h.calls(f.name):
			return fmt.Errorf("hostsim: TrapAt(%q, %d) never strikes: no plugin exports a callback of this name",
				f.name, f.n)
		}
	}
	return nil
}

// calls reports whether the host can call an export.
func (h *Host) calls(name string) bool {
	return slices.ContainsFunc(exportTypes[:], func(e exportType) bool { return e.name == name }) &&
		slices.ContainsFunc(slices.Concat(h.cfg.plugins, h.cfg.services), func(p *pluginConfig) bool {
			return p.module.Exports()[name] != nil
		})
}

// mustBeOpen ends a test that goes on with a closed host: no answer would be true.
func (h *Host) mustBeOpen(what string) {
	if h.closed {
		panic("hostsim: " + what + " after Close")
	}
}

// enter makes the caller the host's thread until it leaves: defer h.enter("Advance")(). What has a name needs an open
// host.
func (h *Host) enter(what string) (leave func()) {
	h.mu.Lock()
	if h.closed && what != "" {
		defer h.mu.Unlock()
		h.mustBeOpen(what)
	}
	return h.mu.Unlock
}

func mustNotBeNegative(what string, d time.Duration) {
	if d < 0 {
		panic(fmt.Sprintf("hostsim: %s of %v: virtual time goes forward", what, d))
	}
}

// mustHaveUpstream returns a cluster, or the application.
func (h *Host) mustHaveUpstream(name string) *upstream {
	up := h.upstream(name)
	if up == nil {
		panic(fmt.Sprintf("hostsim: no upstream %q; there are: %s", name,
			strings.Join(slices.Sorted(maps.Keys(h.upstreams)), ", ")))
	}
	return up
}

// from is what comes from index n on.
func from[T any](what string, all []T, n int) []T {
	if n < 0 || n > len(all) {
		panic(fmt.Sprintf("hostsim: %s index %d of %d", what, n, len(all)))
	}
	return all[n:]
}

// check ends a test whose request no client can send.
func (r *Request) check(h *Host) {
	refuse := func(wrong bool, format string, args ...any) {
		if wrong {
			panic(fmt.Sprintf("hostsim: Request."+format, args...))
		}
	}
	const forms = "is no address: ip:port, [ipv6]:port, a path, @name or envoy://…"
	refuse(!isAddress(r.Peer), "Peer %q %s", r.Peer, forms)
	refuse(!isAddress(r.Local), "Local %q %s", r.Local, forms)
	refuse(r.Listener < 0 || r.Listener >= len(h.cfg.listeners),
		"Listener %d of %d, which count from 0: see the option Listeners", r.Listener, len(h.cfg.listeners))
	refuse(r.Before < 0, "Before %d: it counts updates", r.Before)
	refuse(r.ChunkSize < 0, "ChunkSize %d: 0 is a body in one piece", r.ChunkSize)
	refuse(len(r.Chunks) > 0 && (len(r.Body) > 0 || r.ChunkSize > 0), "Chunks are in place of Body and ChunkSize")
	for _, f := range slices.Concat(r.Header, r.Trailer) {
		refuse(strings.HasPrefix(f[0], ":"), "Header with %s: Method, Scheme, Authority and Path are fields of Request", f[0])
	}
}
