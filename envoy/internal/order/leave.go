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
	"github.com/healthgate/healthgate/envoy/internal/lifecycle"
	"github.com/healthgate/healthgate/envoy/internal/reach"
	"github.com/healthgate/healthgate/envoy/internal/report"
	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/verdict"
)

// Step is something that has come about.
type Step struct {
	Name string `json:"name"`
	What string `json:"what"`
}

// Names of steps.
const (
	Closed   = "closed"   // health checks get 503
	Seen     = "seen"     // by load balancers
	Draining = "draining" // Envoy closes connections, and in the end its listeners
	Idle     = "idle"     // no request runs
	Gone     = "gone"
	Holding  = "holding" // probes
	Opened   = "open"
	Back     = "back" // in rotation, after it was out
)

// finalError says what waiting does not mend.
type finalError struct{ error }

// until asks again and again until nothing is lacking. A final error or an Envoy that is gone ends it, and so does the
// context.
func until(ctx context.Context, lacks func() (string, error)) error {
	var last string
	for {
		begin := time.Now()
		lack, err := lacks()
		cut := ctx.Err() != nil && last != "" // what an ended context cut off says nothing
		switch {
		case err == nil && lack == "":
			return nil
		case cut:
		case errors.As(err, new(*admin.GoneError)), errors.As(err, new(finalError)):
			return err
		case err != nil:
			last = err.Error()
		default:
			last = lack
		}
		select {
		case <-ctx.Done():
			return errors.New(last)
		case <-time.After(pause(time.Since(begin))):
		}
	}
}

// until is the same, and ends where another Envoy has been started in the place of this one.
func (e *Envoy) until(ctx context.Context, lacks func() (string, error)) error {
	looked := time.Now()
	return until(ctx, func() (string, error) {
		if e.known != nil && time.Since(looked) > lookInterval {
			looked = time.Now()
			if err := e.client.Stays(ctx, e.known.Begun); err != nil {
				return "", finalError{err}
			}
		}
		return lacks()
	})
}

// OpenError is of an instance that was closed, and is so no longer.
type OpenError struct {
	error
	Another bool // it is another process, which knows nothing of what was done
}

// StaysClosed looks again whether an instance that was closed still is, by an order or by Envoy's own health check:
// somebody else may have opened it.
func (e *Envoy) StaysClosed(ctx context.Context, o Order, kind reach.Kind) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), atLeast)
	defer cancel()
	// First, for of another Envoy that has been started in its place what it is says nothing.
	all := e.Stays(o.Key != "", "") == ""
	if changed := e.changed(ctx, o, nil); changed.final {
		return &OpenError{errors.New(changed.what), changed.lost}
	} else if changed.what != "" {
		return errors.New(changed.what)
	}
	if why := e.Stays(o.Key != "", ""); all && why != "" {
		return &OpenError{error: errors.New("its configuration is another one than at the begin: " + why)}
	}
	o.Reason = "" // that of another operator opens nothing
	if o.Key != "" {
		lack := e.askRuntime(ctx, o, kind)
		e.State = e.state(e.now())
		if lack.what != "" && !lack.lost {
			return &OpenError{error: errors.New("no longer closed: " + lack.what)}
		} else if lack.what != "" {
			return errors.New(lack.what)
		}
	} else if state, err := e.client.Ready(ctx); err != nil {
		return err
	} else if state != "DRAINING" {
		return &OpenError{error: errors.New("no longer closed: Envoy says " + state + ": somebody has opened it")}
	}
	return nil
}

// Again looks whether an Envoy that was as ordered still is: others took their time, and it is told with them.
func (e *Envoy) Again(ctx context.Context, o Order, kind reach.Kind, checks []string) State {
	ctx, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	now := e.wait(ctx, o, kind, checks, time.Now().Add(-settle))
	if now.Error != "" {
		now.Error = "it was as ordered before: " + now.Error
	}
	return now
}

// each visits the health checks of an Envoy's plugins.
func (e *Envoy) each(visit func(p *reach.Plugin, endpoint *config.Endpoint)) {
	if e.known == nil {
		return
	}
	for _, p := range e.known.Plugins {
		for i := range p.Config.Endpoints {
			if endpoint := &p.Config.Endpoints[i]; endpoint.Kind == config.KindHealthCheck {
				visit(p, endpoint)
			}
		}
	}
}

// Stays says which health checks stay open when the key is on, or where there is none when Envoy drains; "" when none
// does besides the one that is to.
func (e *Envoy) Stays(byKey bool, open string) (why string) {
	if e.known == nil {
		return "its configuration can't be read: " + e.unknown.Error()
	}
	found, named := false, open == ""
	e.each(func(p *reach.Plugin, endpoint *config.Endpoint) {
		if endpoint.Name == open {
			named = true
			return
		}
		found = true
		switch a := p.Config.Admin; {
		case why != "":
		case byKey && !p.Reads(endpoint, e.key):
			why = fmt.Sprintf("the key %s does not switch the endpoint %q: leave the key out, for all of them", e.key,
				endpoint.Name)
		case byKey:
		case a == nil || a.IgnoreDraining:
			why = fmt.Sprintf("the endpoint %q does not see that Envoy drains "+
				"(admin is missing, or has draining: ignore): name a maintenance key that all endpoints have", endpoint.Name)
		}
	})
	switch {
	case !found:
		return "its configuration has no health check of healthgate"
	case !named:
		return fmt.Sprintf("it has no health check %q to keep open", open)
	case why == "" && e.unseen != nil:
		return "what the plugin does would not be known: " + e.unseen.Error()
	case why == "" && e.known.Silent():
		return "what the plugin does would not be known: " + e.known.NoMetrics()
	}
	for _, gauge := range e.managers() {
		if why == "" && e.known.Hides(gauge) {
			why = "how many requests run would not be known: its stats_matcher leaves out " + gauge
		}
	}
	return why
}

// Fail fails Envoy's health check, which the plugin sees as draining, and waits until it does.
func (e *Envoy) Fail(ctx context.Context) error {
	if err := e.client.Post(ctx, "/healthcheck/fail"); err != nil {
		return err
	}
	return until(ctx, func() (string, error) {
		switch state, err := e.client.Ready(ctx); {
		case err != nil:
			return "", err
		case state != "DRAINING":
			return "Envoy says " + state + ", not DRAINING", nil
		}
		if err := e.readGauges(ctx); err != nil {
			return "", err
		}
		if !e.draining {
			return "Envoy is DRAINING, and the plugin has not taken it up yet" + e.deaf(), nil
		}
		return "", nil
	})
}

// Past returns why a load balancer keeps an Envoy that drains, or may: ways past the plugin, and replies that it takes
// for success.
func (e *Envoy) Past() (out []string) {
	out = texts(reach.Unrefused(e.known.Gaps()))
	e.each(func(_ *reach.Plugin, endpoint *config.Endpoint) {
		if status := endpoint.Draining.Status; status < 400 && !endpoint.GRPC {
			out = append(out, fmt.Sprintf("the endpoint %q answers %d while Envoy drains: "+
				"a load balancer that looks at the status keeps the instance", endpoint.Name, status))
		}
	})
	return out
}

// WaitChecks waits until checks of each endpoint have seen that it is closed: of those that the key switches, or of all
// of them. It says how many have.
func (e *Envoy) WaitChecks(ctx context.Context, checks *lifecycle.Checks, byKey bool) (string, error) {
	var names []string
	for _, r := range e.readers() {
		names = append(names, r.name)
	}
	if !byKey {
		names = nil
		e.each(func(_ *reach.Plugin, endpoint *config.Endpoint) { names = append(names, endpoint.Name) })
	}
	var first, last map[string]uint64
	err := e.until(ctx, func() (string, error) {
		stats, err := e.client.Stats(ctx, "^"+report.Checks)
		if err != nil {
			return "", err
		}
		if last = stats; first == nil {
			first = stats
		}
		counts, hidden := counted(stats, names)
		if hidden != "" {
			return "", finalError{errors.New(hidden)}
		}
		return checks.Take(time.Now(), counts), nil
	})
	seen := checks.Seen()
	e.came = map[string]bool{}
	for _, name := range names {
		e.came[name] = checks.Asked(name)
		untrusted := report.Counter(name, verdict.Untrusted.String())
		if n := last[untrusted] - min(first[untrusted], last[untrusted]); n > 0 { // they may have been reset
			seen += fmt.Sprintf("; %d of %s came from addresses that it does not trust", n, name)
		}
	}
	return seen, err
}

// counted returns what the plugin has counted of endpoints' answers, and says where that is not known.
func counted(stats map[string]uint64, names []string) (counts map[string]lifecycle.Count, hidden string) {
	counts = map[string]lifecycle.Count{}
	for _, name := range names {
		count := func(kinds ...verdict.Kind) (n uint64) {
			for _, k := range kinds {
				counter := report.Counter(name, k.String())
				if _, is := stats[counter]; !is {
					hidden = "which checks it answers is not known: " + report.NotShown(counter)
				}
				n += stats[counter]
			}
			return n
		}
		counts[name] = lifecycle.Count{
			Open:   count(verdict.Healthy, verdict.Degraded, verdict.Passed),
			Closed: count(verdict.Maintenance, verdict.Draining, verdict.Unhealthy, verdict.Unknown),
		}
	}
	return counts, hidden
}

// Drain has Envoy close connections as their requests end, and its listeners after its drain time: those of a sidecar's
// inbound side where the plugin stands there. A second time changes nothing.
func (e *Envoy) Drain(ctx context.Context) (string, error) {
	path := "/drain_listeners?graceful"
	for _, p := range e.known.Plugins {
		if slices.ContainsFunc(p.Places, func(place reach.Place) bool {
			return place.Listener["traffic_direction"] == "INBOUND"
		}) {
			path = "/drain_listeners?graceful&inboundonly"
		}
	}
	return "POST " + path + ", which only a restart takes back", e.client.Post(ctx, path)
}

const active = ".downstream_rq_active"

// managers returns the gauges of the requests that run, in whatever listener: users may have one of their own.
func (e *Envoy) managers() (gauges []string) {
	for _, prefix := range cmp.Or(e.known, &reach.Envoy{}).StatPrefixes() {
		gauges = append(gauges, "http."+strings.ReplaceAll(prefix, ":", "_")+active)
	}
	return gauges
}

// WaitIdle waits until no request runs, but for those to admin.
func (e *Envoy) WaitIdle(ctx context.Context) error {
	var idle lifecycle.Idle
	return e.until(ctx, func() (string, error) {
		stats, err := e.client.Stats(ctx, `^http\..+\.downstream_rq_active$`)
		if err != nil {
			return "", err
		}
		gauges := e.managers()
		for _, gauge := range gauges {
			if _, is := stats[gauge]; !is {
				return "how many requests run is not known: " + report.NotShown(gauge), nil
			}
		}
		const own = "http.admin" + active // which a listener may have named so, too
		if slices.Contains(gauges, own) {
			stats[own] -= min(stats[own], 1) // this request
		} else {
			delete(stats, own)
		}
		var running uint64
		for _, n := range stats {
			running += n
		}
		if len(stats) == 0 {
			return "how many requests run is not known: it does not show its metrics http.*" + active, nil
		}
		return idle.Take(time.Now(), running), nil
	})
}

// Quit ends Envoy, and waits until nobody answers at its admin's address.
func (e *Envoy) Quit(ctx context.Context) error {
	err := e.client.Post(ctx, "/quitquitquit")
	if err != nil && !errors.As(err, new(*admin.UnansweredError)) { // it may end before its answer has left
		return err
	}
	err = until(ctx, func() (string, error) {
		err := e.lookAgain(ctx)
		if errors.As(err, new(*OpenError)) { // another one has been started in its place
			return "", nil
		}
		return "it still answers", err
	})
	if errors.As(err, new(*admin.GoneError)) {
		return nil
	}
	return err
}
