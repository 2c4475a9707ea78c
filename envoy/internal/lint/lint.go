// Package lint finds what the plugin accepts in a healthgate.yaml and an operator will regret: doors left open, probes
// that can't keep up, replies that a load balancer takes the wrong way round.
package lint

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/balancer"
	"github.com/healthgate/healthgate/envoy/internal/document"
	"github.com/healthgate/healthgate/envoy/internal/layer"
	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/trust"
)

// Check returns the warnings about a document, in the order of the file.
func Check(d *document.Document) []*document.Problem {
	l := &linter{d: d, c: d.Config}
	for _, w := range l.c.Warnings { // the plugin's own, which it logs
		l.warn(w.Place, "%s", w.What)
	}
	for _, place := range d.Nulls() {
		l.warn(place, "has no value, and counts as not there: leave it out, or give it one, {} where all in it has a default")
	}
	for i := range l.c.Endpoints {
		l.requests(i)
		l.trusted(i)
		l.replies(i)
		l.maintenance(i)
		l.policy(i)
		l.shadowed(i)
	}
	l.probes()
	l.admin()
	slices.SortStableFunc(l.found, func(a, b *document.Problem) int { return a.Line - b.Line })
	return l.found
}

type linter struct {
	d     *document.Document
	c     *config.Config
	found []*document.Problem
}

func (l *linter) warn(place, format string, args ...any) {
	l.found = append(l.found, l.d.Problem(place, fmt.Sprintf(format, args...)))
}

func endpoint(i int, field string) string { return fmt.Sprintf("endpoints[%d].%s", i, field) }

func (l *linter) trusted(i int) {
	e := &l.c.Endpoints[i]
	place := endpoint(i, "trusted.cidrs")
	for j, s := range l.d.Strings(place) {
		if cidr, err := netip.ParsePrefix(s); err == nil && cidr.Bits() == 0 {
			l.warn(fmt.Sprintf("%s[%d]", place, j), "%s is everyone: whoever reaches this Envoy learns how it is; "+
				"name the load balancer's addresses", s)
		}
	}
	if e.Trusted.Peer == config.PeerForwarded {
		l.warn(endpoint(i, "trusted.peer"),
			"whoever can send X-Forwarded-For can name a trusted address; only for proxies in front "+
				"that overwrite that header, else use connection or {filter_state: KEY}")
	}
	place = endpoint(i, "trusted.providers")
	for j, s := range l.d.Strings(place) {
		for _, p := range trust.Platforms {
			if p.Name == s && p.Demand != "" && len(e.Headers) == 0 {
				l.warn(fmt.Sprintf("%s[%d]", place, j), "%s: headers: [%s]", p.Advice, p.Demand)
			}
		}
		for _, b := range balancer.All() {
			if b.Provider == s && !e.Healthy.Pass && !e.GRPC && !b.Success.Has(int(e.Healthy.Status)) {
				l.warn(fmt.Sprintf("%s[%d]", place, j), "%s takes only %s for healthy, and the healthy reply is %d", b.Title,
					b.Success, e.Healthy.Status)
				break
			}
		}
	}
}

func (l *linter) replies(i int) {
	e := &l.c.Endpoints[i]
	if e.GRPC { // whose status says nothing
		return
	}
	if !e.Healthy.Pass && e.Healthy.Status >= 400 {
		l.warn(endpoint(i, "healthy.status"), "load balancers take %d as unhealthy", e.Healthy.Status)
	}
	for _, r := range []struct {
		field string
		reply *config.Reply
	}{{"unhealthy", &e.Unhealthy}, {"maintenance", &e.Maintenance.Reply}, {"unknown", &e.Unknown}} {
		if r.reply.Status != 0 && r.reply.Status < 400 && !r.reply.ProbeStatus {
			l.warn(endpoint(i, r.field+".status"), "load balancers take %d as healthy", r.reply.Status)
		}
	}
}

func (l *linter) maintenance(i int) {
	m := &l.c.Endpoints[i].Maintenance
	if l.d.Has(endpoint(i, "maintenance")) && len(m.Keys) == 0 && !m.RouteMetadata {
		l.warn(endpoint(i, "maintenance"), "nothing switches it on: give keys, or route_metadata: true")
	}
	place := endpoint(i, "maintenance.keys")
	for j, key := range l.d.Strings(place) {
		filled := strings.NewReplacer("{", "", "}", "").Replace(key) // as far as it is known before an Envoy runs
		if err := layer.CheckKey(filled); err != nil {
			l.warn(fmt.Sprintf("%s[%d]", place, j), "%v; `healthgate maintenance` can't set it, and render refuses it", err)
		}
	}
}

// policy looks for probes that can't be healthy together. Probes of the same target see the same status.
func (l *linter) policy(i int) {
	p := l.c.Endpoints[i].Probes
	type target struct{ cluster, host, method, path string }
	same, possible := map[target][]int{}, 0
	for _, n := range p.Names {
		q := &l.c.Probes[n]
		if q.OfEnvoy() {
			possible++
			continue
		}
		t := target{q.Cluster, q.Host, q.Method, q.Path}
		same[t] = append(same[t], n)
	}
	for _, probes := range same {
		most := 0
		for status := uint32(200); status < 600; status++ { // a 1xx is not a final response
			n := 0
			for _, q := range probes {
				if l.c.Probes[q].Expects(status) {
					n++
				}
			}
			most = max(most, n)
		}
		possible += most
	}
	if possible < p.Need {
		l.warn(endpoint(i, "probes"),
			"the policy can't hold: it needs %d healthy probes, and of these at most %d can be healthy at "+
				"once; look at their expected_statuses", p.Need, possible)
	}
}

// shadowed looks for an earlier endpoint that takes every request of this one's path.
func (l *linter) shadowed(i int) {
	e := &l.c.Endpoints[i]
	for j, path := range e.Paths {
		for k := range l.c.Endpoints[:i] {
			o := &l.c.Endpoints[k]
			if slices.Contains(o.Paths, path) && len(o.Headers) == 0 && covers(o.Methods, e.Methods) &&
				covers(o.Hosts, e.Hosts) {
				l.warn(fmt.Sprintf("endpoints[%d].paths[%d]", i, j),
					"is never reached: the endpoint %q before it takes every such request of %s", o.Name, path)
				break
			}
		}
	}
}

// covers reports whether a list takes all that the other takes. An empty list takes everything.
func covers(list, other []string) bool {
	if len(list) == 0 {
		return true
	}
	return len(other) > 0 && !slices.ContainsFunc(other, func(s string) bool { return !slices.Contains(list, s) })
}

func (l *linter) probes() {
	used := map[int]bool{}
	for i := range l.c.Endpoints {
		e := &l.c.Endpoints[i]
		for _, n := range slices.Concat(e.Probes.Names, e.Degraded.Probes) {
			used[n] = true
		}
	}
	for i := range l.c.Probes {
		p := &l.c.Probes[i]
		at := fmt.Sprintf("probes[%d]", i)
		if p.Interval < p.Timeout && !p.OfEnvoy() {
			l.warn(at+".interval", "%s is below the timeout, %s: a slow probe delays the next", p.Interval, p.Timeout)
		}
		if !used[i] && p.OnDemand > 0 {
			l.warn(at, "no endpoint names %q: no check has it sent", p.Name)
		} else if !used[i] {
			l.warn(at, "no endpoint names %q: it is asked, and decides nothing", p.Name)
		}
	}
}

func (l *linter) admin() {
	a := l.c.Admin
	if a == nil {
		l.warn("", "there is no admin section: health checks do not see that Envoy drains")
		return
	}
	if a.MaxAge < 2*a.Interval {
		l.warn("admin.max_age", "%s is less than two intervals: one reading that fails makes the state stale", a.MaxAge)
	}
}
