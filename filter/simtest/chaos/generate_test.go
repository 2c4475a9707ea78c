package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// generator makes a plan of a seed. Plans that once failed are committed, since the same seed may give another plan
// when this changes.
type generator struct {
	*rand.Rand
	plan *plan
}

func generate(seed uint64) *plan {
	g := &generator{rand.New(rand.NewPCG(seed, 1)), &plan{Seed: seed, Configs: map[string]*settings{}}}
	g.plan.Workers = pick(g, 1, 2, 2, 3, 4)
	a := g.settings()
	a.degrade(rand.New(rand.NewPCG(seed, 2)))
	a.readGauges(rand.New(rand.NewPCG(seed, 3)))
	demands := rand.New(rand.NewPCG(seed, 4))
	g.plan.Configs["A"] = a
	calm := g.between(6*time.Second, 22*time.Second)
	updates := g.IntN(2) == 0
	if updates {
		g.plan.Configs["B"] = g.changed(a)
		g.plan.Configs["B"].demand(demands)
	}
	a.demand(demands)
	g.change(settle, calm, 2+g.IntN(7))
	end := g.faults(calm, updates)
	calm = max(calm, end)
	g.add(calm, "calm")
	g.aftermath(calm, updates)
	slices.SortStableFunc(g.plan.Ops, func(a, b op) int { return int(a.at - b.at) })
	return g.plan
}

func pick[T any](g *generator, choices ...T) T { return choices[g.IntN(len(choices))] }

// upTo is a time in whole milliseconds.
func (g *generator) upTo(d time.Duration) time.Duration {
	return time.Duration(g.Int64N(int64(d/time.Millisecond))+1) * time.Millisecond
}

func (g *generator) between(from, to time.Duration) time.Duration { return from + g.upTo(to-from) }

func (g *generator) add(at time.Duration, name string, args ...any) {
	o := op{at: at, name: name}
	for _, a := range args {
		o.args = append(o.args, strings.Fields(fmt.Sprint(a))...) // as it will be read
	}
	g.plan.Ops = append(g.plan.Ops, o)
}

const ms = time.Millisecond

func (g *generator) settings() *settings {
	s := &settings{}
	var names []string
	for i := range 1 + g.IntN(3) {
		s.Probes = append(s.Probes, probe{"p" + strconv.Itoa(i), pick(g, 250*ms, 500*ms, 1000*ms, 2000*ms),
			pick(g, 100*ms, 300*ms, 500*ms), pick(g, 1, 1, 2, 3), pick(g, 1, 1, 2), pick(g, 0, 0, 0, 3000*ms),
			g.IntN(4) == 0, false, 0})
		names = append(names, s.Probes[i].Name)
	}
	if g.IntN(10) > 0 {
		s.Admin = &admin{pick(g, 250*ms, 500*ms, 1000*ms), pick(g, 100*ms, 200*ms, 300*ms), pick(g, 5000*ms, 10000*ms),
			pick(g, "keep", "fail"), pick(g, "poll", "poll", "poll", "ignore")}
	}
	for i := range 1 + g.IntN(3) {
		s.Endpoints = append(s.Endpoints, g.endpoint("e"+strconv.Itoa(i), names, s.Admin != nil))
	}
	if g.IntN(3) == 0 {
		s.Endpoints = append(s.Endpoints, endpoint{"state", "status", nil, "", "reply", pick(g, "pass", "reply"), "", false})
	}
	return s
}

// degrade lets probes degrade endpoints, or one's checks be of gRPC, by numbers of its own: all else of a seed's plan
// is as without it.
func (s *settings) degrade(r *rand.Rand) {
	for i := range s.Endpoints {
		if e := &s.Endpoints[i]; e.Policy != "status" && e.Healthy == "reply" && r.IntN(3) == 0 {
			e.Degraded = s.Probes[r.IntN(len(s.Probes))].Name
		}
	}
	e := &s.Endpoints[r.IntN(len(s.Endpoints))]
	e.GRPC = r.IntN(3) == 0 && e.Policy != "status" && e.Healthy == "reply" && e.Degraded == ""
}

// readGauges has probes read a gauge of Envoy's, likewise.
func (s *settings) readGauges(r *rand.Rand) {
	for i := range s.Probes {
		if p := &s.Probes[i]; s.Admin != nil && r.IntN(4) == 0 {
			p.GRPC, p.Gauge = false, true
		}
	}
}

// demand has probes be asked on demand, by numbers of its own, too.
func (s *settings) demand(r *rand.Rand) {
	for i := range s.Probes {
		if p := &s.Probes[i]; !p.Gauge && r.IntN(4) == 0 {
			p.OnDemand = []time.Duration{200 * ms, 500 * ms, 1000 * ms, 3000 * ms}[r.IntN(4)]
			p.Unhealthy, p.Healthy, p.MinUnhealthy = 1, 1, 0
		}
	}
}

func (g *generator) endpoint(name string, probes []string, admin bool) endpoint {
	e := endpoint{name, "all", nil, "", pick(g, "reply", "reply", "reply", "pass"), pick(g, "pass", "reply"), "", false}
	g.Shuffle(len(probes), func(i, k int) { probes[i], probes[k] = probes[k], probes[i] })
	e.Probes = slices.Sorted(slices.Values(probes[:g.IntN(len(probes)+1)]))
	if len(e.Probes) > 0 {
		e.Policy = pick(g, "all", "all", "any", strconv.Itoa(1+g.IntN(len(e.Probes))))
	}
	if admin && g.IntN(4) > 0 {
		e.Key = pick(g, "out", "out", "out."+name)
	}
	return e
}

// changed is another version of a configuration.
func (g *generator) changed(a *settings) *settings {
	b := a.clone()
	for range 1 + g.IntN(2) {
		p := &b.Probes[g.IntN(len(b.Probes))]
		switch g.IntN(7) {
		case 0:
			p.Unhealthy, p.MinUnhealthy = 1+g.IntN(3), pick(g, p.MinUnhealthy, 0, 2000*ms)
		case 1:
			p.Interval = pick(g, 250*ms, 500*ms, 1000*ms)
		case 2:
			e := &b.Endpoints[0]
			e.Untrusted = map[string]string{"pass": "reply", "reply": "pass"}[e.Untrusted]
		case 3:
			b.Endpoints = append(b.Endpoints, g.endpoint("more", []string{p.Name}, b.Admin != nil))
			b.Endpoints = slices.CompactFunc(b.Endpoints, func(x, y endpoint) bool { return x.Name == y.Name })
		case 4:
			if b.probe("new") == nil {
				b.Probes = append(b.Probes, probe{"new", 500 * ms, 300 * ms, 1, 1, 0, false, false, 0})
				b.Endpoints[0].Probes = append(slices.Clone(b.Endpoints[0].Probes), "new")
				if b.Endpoints[0].Policy == "status" {
					b.Endpoints[0].Probes = nil
				}
			}
		default:
			if b.Admin != nil {
				b.Admin.OnStale = pick(g, "keep", "fail")
				b.Admin.MaxAge = pick(g, 5000*ms, 10000*ms, 20000*ms)
			}
		}
	}
	return b
}

// change changes the truth, at random moments.
func (g *generator) change(from, to time.Duration, times int) {
	a := g.plan.Configs["A"]
	for range times {
		at := g.between(from, to)
		switch kind := g.IntN(5); {
		case kind < 2:
			g.add(at, "app", a.Probes[g.IntN(len(a.Probes))].Name, pick(g, "200", "200", "500", "503", "404", "204", "999"))
		case a.Admin == nil:
		case kind < 4:
			e := a.Endpoints[g.IntN(len(a.Endpoints))]
			value := pick(g, "true", "1", "yes", "garbage", "2099-01-01T00:00:00Z", "", "", "false", "0", "2001-01-01T00:00:00Z",
				`{"numerator":_0}`)
			if e.Key != "" {
				g.add(at, "runtime", e.Key, value)
			}
		default:
			g.add(at, "draining", pick(g, "on", "off", "off"))
		}
	}
}

// faults lets a random subset of faults happen with random weights. It returns when the last is over.
func (g *generator) faults(calm time.Duration, updates bool) (over time.Duration) {
	kinds := strings.Fields("crash trap refuse lose race stall sleep back wall callouts admin updates crash-all")
	var drawn []string
	for _, kind := range kinds {
		if g.IntN(2) == 0 && (kind != "updates" || updates) {
			for range 1 + g.IntN(3) {
				drawn = append(drawn, kind)
			}
		}
	}
	threads := []string{"main"}
	for i := range g.plan.Workers {
		threads = append(threads, strconv.Itoa(i))
	}
	if len(drawn) == 0 {
		return 0
	}
	for range 1 + g.IntN(10) {
		at := g.between(settle, calm)
		thread := pick(g, threads...)
		switch kind := pick(g, drawn...); kind {
		case "crash":
			g.add(at, kind, thread)
		case "crash-all":
			for _, t := range threads[g.IntN(2):] {
				g.add(at, "crash", t)
			}
		case "trap":
			g.add(at, kind, thread, pick(g, "proxy_on_tick", "proxy_on_request_headers", "proxy_on_http_call_response"))
		case "refuse":
			g.add(at, kind, thread, 1+g.IntN(12))
		case "lose", "race":
			g.add(at, kind, pick(g, "lease", "snapshot", "voice"))
		case "stall":
			d := g.upTo(pick(g, 800*ms, 3000*ms, 13000*ms))
			g.add(at, kind, thread, d)
			over = max(over, at+d)
		case "sleep":
			d := g.upTo(pick(g, 3000*ms, 16000*ms))
			g.add(at, kind, d)
			over = max(over, at+d)
		case "back":
			g.add(at, kind, g.upTo(pick(g, 300*ms, 5000*ms)))
		case "wall":
			g.add(at, kind, pick[time.Duration](g, 1, -1)*g.upTo(time.Hour))
		case "callouts":
			cluster := pick(g, clusters...)
			for range 1 + g.IntN(2) {
				g.add(at, kind, cluster, pick(g, "late", "late", "inline", "refused", "reset", "timeout", "never", "lost"),
					g.upTo(pick(g, 50*ms, 400*ms)))
				at += g.upTo(pick(g, 6000*ms, 6000*ms, 6000*ms, 25000*ms))
			}
			g.add(at, kind, cluster, "none")
			over = max(over, at)
		case "admin":
			g.add(at, kind, pick(g, "login", "closed", "empty", "truncated", "foreign"))
			at += g.upTo(14 * time.Second)
			g.add(at, kind, "ok")
			over = max(over, at)
		case "updates":
			g.update(at)
		}
	}
	return over
}

func (g *generator) update(at time.Duration) {
	switch g.IntN(5) {
	case 0:
		g.add(at, "refuse-update")
		return
	case 1:
		g.add(at, "update", "A")
	default:
		g.add(at, "update", "B")
	}
	if g.IntN(2) == 0 {
		g.add(at+g.upTo(8*time.Second), "drained")
	}
}

// aftermath is the time in which the plugin must find back to the truth and keep to it, and all the checks.
func (g *generator) aftermath(calm time.Duration, updates bool) {
	settled := calm + reload + time.Second + recovery(g.plan)
	for _, o := range g.plan.Ops {
		if o.name == "back" {
			settled += o.duration(0)
		}
	}
	end := settled + 6*time.Second
	g.change(settled, end-4*time.Second, 1+g.IntN(3))
	if updates && g.IntN(2) == 0 {
		g.update(g.between(settled, settled+3*time.Second))
	}
	if g.IntN(3) == 0 {
		g.add(g.between(settled, settled+3*time.Second), "depose")
	}
	for w := range g.plan.Workers {
		g.checks(w, settle, calm, g.between(200*ms, 1500*ms), updates)
		g.checks(w, calm+reload+g.upTo(50*ms), settled, 4*time.Second, updates)
		g.checks(w, settled, end, g.between(300*ms, 1000*ms), updates)
	}
	g.add(end, "end")
}

func (g *generator) checks(worker int, from, to, every time.Duration, updates bool) {
	c := g.plan.Configs["A"]
	if b := g.plan.Configs["B"]; b != nil {
		c = b
	}
	for at := from; at < to; at += (every / 2).Truncate(ms) + g.upTo(every) {
		o := []any{worker, pick(g, c.Endpoints...).Name, "balancer"}
		if g.IntN(8) == 0 {
			o[2] = "stranger"
		}
		if updates && g.IntN(6) == 0 {
			o = append(o, 1)
		}
		g.add(at, "check", o...)
	}
}
