package order

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/healthgate/healthgate/envoy/admin"
	"github.com/healthgate/healthgate/envoy/internal/reach"
	"github.com/healthgate/healthgate/envoy/internal/report"
	filter "github.com/healthgate/healthgate/filter/maintenance"
)

// settle is how long an endpoint that was in maintenance already has to stay so before it counts: its gauge may be of
// an earlier maintenance, until the plugin has read runtime again.
const settle = 2500 * time.Millisecond

// atLeast is how much time an order needs, however well all is.
const atLeast = 2 * time.Second

// pollInterval is how often an Envoy is asked while it is waited for, and pollShare how much longer the pause is than
// what an answer took: Envoy's main thread writes all keys of runtime for each.
const (
	pollInterval = 100 * time.Millisecond
	pollShare    = 10
	lookInterval = 3 * time.Second // between two looks at the configuration, which may be large
)

// pause is how long an Envoy is left alone that has taken so long for its answers.
func pause(took time.Duration) time.Duration {
	return min(max(pollInterval, pollShare*took), time.Second)
}

// problem says why an order is not carried out yet. Waiting does not help if it is final. Where Envoy is lost, what
// was known of it is no more.
type problem struct {
	what  string
	final bool
	lost  bool
}

// orVerify is the way out of what is not known: of maintenance, not of shutdown. A check proves nothing where it is not
// seen that the plugin counts it.
func (e *Envoy) orVerify(o Order) string {
	if o.Steps {
		return ""
	} else if !e.countsSeen {
		return "; --verify URL would tell where Envoy shows the plugin's metrics"
	}
	return "; a check would tell: --verify URL"
}

// Wait asks an Envoy until it is as ordered, or the context ends; the state that it returns says which. kind is the
// layer that the order was written to. Checks that are given have the last word on what checks get.
func (e *Envoy) Wait(ctx context.Context, o Order, kind reach.Kind, checks []string) State {
	return e.wait(ctx, o, kind, checks, time.Time{})
}

// wait is Wait from when the order had arrived in runtime; zero: it may not have.
func (e *Envoy) wait(ctx context.Context, o Order, kind reach.Kind, checks []string, arrived time.Time) State {
	last, start := e.State, time.Now()
	for {
		begin := time.Now()
		lack := e.ask(ctx, o, kind, checks, &arrived)
		if ctx.Err() == nil || last.Error == "" { // what an ended context cut off says nothing
			now := e.now()
			if lack.what == "" { // the key may have ended meanwhile
				lack = e.runtimeLacks(o, kind, now)
			}
			if last = e.state(now); lack.lost {
				last = State{Envoy: last.Envoy, Key: last.Key}
			}
			last.Error = lack.what
			if lack.what == "" && o.On && len(checks) > 0 {
				last.Notes = texts(e.gaps(nil))
			}
			if lack.what == "" {
				last.Notes = append(last.Notes, e.besides(o)...)
			}
		}
		if lack.what == "" || lack.final {
			return last
		}
		select {
		case <-ctx.Done():
			waited := time.Since(start)
			if errors.Is(ctx.Err(), context.DeadlineExceeded) && waited < atLeast && last.Error != "" {
				last.Error += fmt.Sprintf("; --wait left %s for it, give it more", waited.Round(time.Millisecond))
			}
			return last
		case <-time.After(pause(time.Since(begin))):
		}
	}
}

// besides says what else decides whether a load balancer does what the order is for.
func (e *Envoy) besides(o Order) (out []string) {
	for _, why := range []string{e.overload, e.stopped, e.parent} {
		if why != "" {
			out = append(out, why)
		}
	}
	if e.drains != "" {
		out = append(out, e.drains)
	}
	if !o.On {
		out = append(out, texts(e.gaps(nil))...)
	}
	if !o.On && e.known != nil {
		if why := e.unreloaded(nil); why != "" {
			out = append(out, why)
		}
	}
	if o.On && e.known != nil {
		out = slices.Concat(out, e.known.Replaced(e.reads), e.known.OtherAdmins())
	}
	if clock := e.client.Clock(); o.On && clock != "" && o.Value != On && !o.Route {
		out = append(out, clock+", and the key ends by it")
	}
	if !o.On && e.refusesUnseen != "" {
		out = append(out, e.refusesUnseen)
	}
	if !o.On && e.failing && e.known != nil {
		out = append(out, "health checks may fail all the same"+e.deaf())
	}
	if !o.On && e.draining {
		out = append(out, "Envoy is draining: its health checks fail all the same, until /healthcheck/ok")
	}
	for _, r := range e.readers() {
		if r.plugin == nil || !o.On {
			continue
		}
		endpoint := r.plugin.HealthCheck(r.name)
		if status := endpoint.Maintenance.Reply.Status; status < 400 && !endpoint.GRPC {
			out = append(out, fmt.Sprintf("the endpoint %q answers %d in maintenance: "+
				"a load balancer that looks at the status keeps the instance", r.name, status))
		}
	}
	return out
}

// ask asks for what is not yet as ordered: runtime, then the gauges or the checks. Somebody else may change runtime
// meanwhile: it is read again now and then, and at the end.
func (e *Envoy) ask(ctx context.Context, o Order, kind reach.Kind, checks []string, arrived *time.Time) problem {
	now := time.Now()
	if arrived.IsZero() || now.Sub(e.asked) > time.Second {
		if lack := e.askRuntime(ctx, o, kind); lack.what != "" {
			if lack.lost && !e.right {
				lack.what = "what was written is not known to have arrived: " + lack.what
			}
			*arrived, _ = time.Time{}, e.readGauges(ctx)
			if (e.right || time.Since(e.looked) > lookInterval) && !lack.lost {
				if changed := e.changed(ctx, o, nil); changed.lost {
					return changed
				}
			}
			return lack
		}
		if arrived.IsZero() {
			*arrived = now
		}
	}
	lack, verified := e.askPlugin(ctx, o, checks, now.Sub(*arrived))
	if lack.what == "" && time.Since(e.asked) > pollInterval {
		lack = e.askRuntime(ctx, o, kind)
	}
	if lack.what == "" || !lack.final && !lack.lost && time.Since(e.looked) > lookInterval {
		if changed := e.changed(ctx, o, verified); changed.what != "" {
			return changed
		}
	}
	return lack
}

// changed reads the configuration again, and says what it lacks of an order that it did not lack before.
func (e *Envoy) changed(ctx context.Context, o Order, verified map[string]bool) problem {
	before := e.barrier(o, verified)
	if err := e.lookAgain(ctx); errors.As(err, new(*OpenError)) {
		return problem{what: err.Error(), final: true, lost: true}
	} else if err != nil {
		return problem{what: "whether its configuration is still the same is not known: " + err.Error()}
	}
	if now := e.barrier(o, verified); now != "" && now != before {
		return problem{what: "its configuration is another one than at the begin: " + now, final: true}
	}
	return problem{}
}

// barrier says what of the configuration is in the way of an order; "" for nothing, or where it is not known.
func (e *Envoy) barrier(o Order, verified map[string]bool) string {
	switch {
	case e.known == nil:
		return ""
	case len(e.known.Plugins) == 0:
		return e.known.Absent()
	case !o.On:
		return ""
	}
	return cmp.Or(e.unread(), some(texts(e.gaps(verified))))
}

// askRuntime reads runtime, and says what it lacks of an order.
func (e *Envoy) askRuntime(ctx context.Context, o Order, kind reach.Kind) problem {
	runtime, err := e.client.Runtime(ctx)
	if err != nil {
		return problem{what: err.Error(), lost: true}
	}
	if e.runtime = runtime; e.known != nil {
		e.known.Runtime = runtime
	}
	e.asked = time.Now()
	lack := e.runtimeLacks(o, kind, e.now())
	e.right = e.right || lack.what == ""
	return lack
}

// askPlugin says what the plugin, or what checks get, lacks of an order that runtime has had for some time.
func (e *Envoy) askPlugin(ctx context.Context, o Order, checks []string, arrived time.Duration) (problem,
	map[string]bool) {
	verified := map[string]bool{}
	err := e.readGauges(ctx)
	if errors.As(err, new(*admin.GoneError)) {
		return problem{what: "the key had arrived, and nobody answers since: " + err.Error(), lost: true}, verified
	}
	for _, url := range checks {
		met, lack := e.verify(ctx, o, url)
		if lack.what != "" {
			return lack, verified
		}
		verified[met] = true
	}
	if len(checks) > 0 { // which took their time
		err = e.readGauges(ctx)
	}
	switch {
	case len(checks) > 0 && e.known == nil:
		return problem{}, verified
	case err != nil && (o.On || !o.Route) && (e.known == nil || slices.ContainsFunc(e.readers(),
		func(r reader) bool { return !e.settled(verified, r.name) })):
		return problem{what: "the key is set right, and what the plugin does is not known: " + err.Error() + e.orVerify(o)},
			verified
	}
	return e.pluginLacks(o, verified, arrived, e.now()), verified
}

// runtimeLacks says what runtime lacks of an order.
func (e *Envoy) runtimeLacks(o Order, kind reach.Kind, now time.Time) problem {
	s := e.state(now)
	layer, found := e.written(o, kind)
	value, loaded := in(e.runtime, layer.Name, e.key)
	reason, _ := in(e.runtime, layer.Name, e.key+".reason")
	const later = ", and comes after the one that was written: take the key out there, or write it there"
	missing, says := "the key has not arrived", "still says"
	if e.right {
		missing, says = "the key had arrived, and somebody has changed it since", "says again"
	} else if o.Value == "" {
		missing = "the key has not been taken out"
	}
	switch {
	case !found:
		if _, known := e.may(o, kind); !known && o.Value != "" && slices.Contains(e.runtime.Entries[e.key].Layers, o.Value) {
			missing = "whether the key has arrived is not known"
		}
		return problem{what: missing + ": " + e.candidates(o, kind)}
	case !loaded:
		return problem{what: fmt.Sprintf("Envoy has not loaded its layer %q: is it another one that was written, "+
			"or is a file in it not YAML?", layer.Name)}
	case value != o.Value && o.Value != "":
		where := fmt.Sprintf(" in its layer %q", layer.Name)
		if source := layer.Source(); source != "" {
			where += ", which reads " + source
		}
		if kind == reach.Admin && !e.right {
			where += ": has somebody taken it out since, " +
				"or does a proxy before admin lead a POST to another Envoy than a GET?"
		}
		return problem{what: missing + where}
	case value != "" && o.Value == "":
		return problem{what: fmt.Sprintf("the layer %q %s %q", layer.Name, says, value)}
	case o.On && s.Value != o.Value, !o.On && o.Value != "" && s.Value != o.Value:
		return problem{what: fmt.Sprintf("the layer %q says %q", s.Layer, s.Value) + later}
	case o.On && o.Reason != "" && (reason != o.Reason || s.Reason != o.Reason):
		switch by := e.runtime.Layer(e.key + ".reason"); {
		case by == layer.Name:
			return problem{what: fmt.Sprintf("the layer %q gives the reason %q", by, s.Reason)}
		case reason != o.Reason:
			return problem{what: fmt.Sprintf("the reason has not arrived in its layer %q", layer.Name)}
		default:
			return problem{what: fmt.Sprintf("the layer %q gives the reason %q", by, s.Reason) + later}
		}
	case s.On == nil:
		return problem{what: e.strange() + ": take it back there, or say --override here", final: true}
	case o.On && !o.Route && !s.on():
		what := "the time of the key is over: it ended by itself at " + s.Value
		if clock := e.client.Clock(); clock != "" {
			what += "; " + clock
		}
		return problem{what: what, final: true}
	case !o.On && s.on() && s.Layer == "":
		return problem{what: "the key is off, and the maintenance route takes checks without it, by its default_value: " +
			"say --override", final: true}
	case !o.On && s.on():
		return problem{what: fmt.Sprintf("the layer %q says %q: take it back there, or say --override here", s.Layer,
			s.Value)}
	}
	return problem{}
}

// settled reports whether checks said what a health check gets, in each plugin that has one of its name.
func (e *Envoy) settled(verified map[string]bool, name string) bool {
	if e.known == nil {
		return verified[name]
	}
	all := e.known.Namesakes(name)
	return len(all) > 0 && !slices.ContainsFunc(all, func(p *reach.Plugin) bool { return !verified[e.met(p, name)] })
}

// met names a health check of a plugin, among verified ones.
func (e *Envoy) met(p *reach.Plugin, name string) string {
	if len(e.known.Namesakes(name)) < 2 {
		return name
	}
	return report.Named(name, p.Listeners())
}

// pluginLacks says what the plugin lacks of an order that runtime has had for some time. Health checks that were
// verified lack nothing.
func (e *Envoy) pluginLacks(o Order, verified map[string]bool, arrived time.Duration, now time.Time) problem {
	const set, off = "the key is set, and ", "the key is off, and still in maintenance: "
	if !o.On && e.known != nil {
		if in, by := e.others(verified, now); len(by) > 0 {
			return problem{what: off + strings.Join(in, ", ") + ", by " + strings.Join(by, ", "), final: true}
		}
	}
	readers := slices.DeleteFunc(e.readers(), func(r reader) bool { return e.settled(verified, r.name) })
	unproved := len(readers) > 0
	if o.Route && !o.On {
		readers = nil
	}
	if len(readers) > 0 && e.known != nil && !o.Route {
		if faults := e.known.AdminFaults(); len(faults) > 0 {
			return problem{what: strings.Join(faults, "; "), final: true}
		}
	}
	var outside, inside []string // of those that the key switches
	for _, r := range readers {
		in, unknown := e.in(r)
		if _, is := e.gauges[r.name]; o.Route && is { // by route it is decided for each check: the plugin has to be there
			in, unknown = true, ""
		}
		switch {
		case unknown != "":
			return problem{what: "the key is set right, and " + unknown + e.orVerify(o), final: e.known.Silent()}
		case in:
			inside = append(inside, r.name)
		default:
			outside = append(outside, r.name)
		}
	}
	late := outside // with what was ordered
	if !o.On {
		late = inside
	}
	switch {
	case !o.On && e.known != nil && len(e.known.Plugins) == 0:
		return problem{what: "the key is off, and " + e.known.Absent(), final: true}
	case len(readers) == 0 && e.known == nil && !o.Route:
		return problem{what: set + "this Envoy shows no metric of healthgate: does it run the plugin?"}
	case len(late) > 0 && e.known != nil && arrived < max(settle, 2*e.interval()):
		return problem{what: "runtime is right, and the plugin, which reads it every " + e.interval().String() +
			", has not taken it up yet: " + strings.Join(late, ", ")}
	case o.On && len(outside) > 0 && (e.known != nil || len(inside) == 0):
		return problem{what: set + "not in maintenance: " + strings.Join(outside, ", ") + e.deaf()}
	case e.still && slices.ContainsFunc(readers, func(r reader) bool { return o.Route || e.shared(r.name) == "" }):
		return problem{what: "runtime is right, and the plugin has written no record since: " +
			"does it still run? See Envoy's log"}
	case o.On && !o.Route && len(inside) > 0 && !e.State.on() && len(e.State.Endpoints) > 0 && arrived < settle:
		return problem{what: set + "the plugin may not have read it yet"}
	case !o.On && unproved && e.stopped != "":
		return problem{what: "the key is off, and " + e.stopped, final: true}
	case !o.On && unproved && e.overload != "":
		return problem{what: "the key is off, and " + e.overload + e.orVerify(o)}
	case !o.On && !o.Steps && unproved && e.known != nil && e.refusesUnseen != "":
		return problem{what: "the key is off, and " + e.refusesUnseen + e.orVerify(o), final: true}
	case !o.On && !o.Steps && e.unreloaded(verified) != "":
		return problem{what: "the key is off, and it is not for sure what checks get: " + e.unreloaded(verified) +
			e.orVerify(o), final: true}
	case o.On && !o.Steps && len(readers) > 0 && e.drains != "":
		return problem{what: set + e.drains + e.orVerify(o)}
	case o.On && !o.Steps && len(readers) > 0 && e.drainsUnseen != "":
		return problem{what: set + e.drainsUnseen + e.orVerify(o), final: true}
	case o.On:
		if gaps := e.gaps(verified); len(gaps) > 0 {
			return problem{what: some(texts(gaps)) + e.orVerify(o),
				final: slices.ContainsFunc(gaps, func(g reach.Gap) bool { return !g.Stale })}
		}
	case len(inside) > 0 && e.known != nil:
		return problem{what: off + strings.Join(inside, ", ") + e.deaf()}
	case len(inside) > 0 && e.State.on() && len(inside) >= len(e.State.Endpoints):
		return problem{what: off + strings.Join(inside, ", ") +
			": is another key on, or can the plugin not reach admin?"}
	}
	return problem{}
}

// unreloaded says that a plugin of the key's endpoints, but for verified ones, may have crashed for good; "" when Envoy
// loads it again.
func (e *Envoy) unreloaded(verified map[string]bool) string {
	for _, r := range e.readers() {
		if r.plugin == nil || e.settled(verified, r.name) {
			continue
		}
		if why := e.known.Unreloaded(r.plugin); why != "" {
			return why
		}
	}
	return ""
}

// part returns the endpoints of which a route's key puts a part of the checks under maintenance.
func (e *Envoy) part(key, percent string) []string {
	whole := e.known.RouteReaders(key, percent)
	return slices.DeleteFunc(e.known.RouteTouched(key, percent),
		func(name string) bool { return slices.Contains(whole, name) })
}

// interval returns how often the plugins read runtime: the slowest counts.
func (e *Envoy) interval() (slowest time.Duration) {
	for _, p := range e.known.Plugins {
		if a := p.Config.Admin; a != nil {
			slowest = max(slowest, a.Interval)
		}
	}
	return slowest
}

// deaf asks why the plugin does not do what runtime says.
func (e *Envoy) deaf() string {
	if e.known != nil {
		if why := e.known.Restricted(); why != "" {
			return ": " + why
		}
		for _, p := range e.known.Plugins {
			if a := p.Config.Admin; a != nil && e.failing {
				return ": " + p.Failing()
			} else if others := e.known.OtherAdmins(); a != nil && len(others) > 0 {
				return ": " + strings.Join(others, "; ")
			} else if a != nil {
				return fmt.Sprintf(": it reads runtime every %s, through the cluster %q, and no failure is counted: does that "+
					"lead to this Envoy's admin, or is it slow, and needs more --wait?", a.Interval, a.Cluster)
			}
		}
	}
	return ": is it one of maintenance.keys, and can the plugin reach admin?"
}

// others returns those of the key's endpoints, but for verified ones, that other keys have in maintenance, and these
// keys.
func (e *Envoy) others(verified map[string]bool, now time.Time) (in, by []string) {
	readers := e.readers()
	add := func(key string, endpoints []string) {
		for _, endpoint := range endpoints {
			reads := slices.ContainsFunc(readers, func(r reader) bool { return r.name == endpoint })
			if key == e.key || e.settled(verified, endpoint) || !reads {
				continue
			}
			if !slices.Contains(in, endpoint) {
				in = append(in, endpoint)
			}
			if !slices.Contains(by, key) {
				by = append(by, key)
			}
		}
	}
	for _, key := range e.known.Keys() {
		if s, _ := filter.ParseSwitch(e.runtime.Entries[key].Value); s.Active(report.Clock(now)) {
			add(key, e.known.Readers(key))
		}
	}
	for _, key := range e.known.RouteKeys() {
		if percent, ok := e.percent(key); ok {
			add(key, e.known.RouteReaders(key, percent))
			add(fmt.Sprintf("%s = %s, which takes a part of the checks", key, percent), e.part(key, percent))
		} else {
			add(fmt.Sprintf("%s = %q, if that is on: this command does not understand it", key, e.runtime.Entries[key].Value),
				e.known.RouteReaders(key, RouteOn))
		}
	}
	return in, by
}
