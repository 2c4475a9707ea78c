package order

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/healthgate/healthgate/envoy/internal/lifecycle"
	"github.com/healthgate/healthgate/envoy/internal/reach"
	"github.com/healthgate/healthgate/envoy/internal/report"
	"github.com/healthgate/healthgate/filter/config"
)

// WaitProbes waits until as many probes are up as each endpoint needs: of those that the key switches, or of all. It
// says so. Those on demand are not waited for: they are asked when a check of an open instance comes.
func (e *Envoy) WaitProbes(ctx context.Context, byKey bool) (string, error) {
	if e.known == nil {
		return "", errors.New("which probes it needs is not known: its configuration can't be read: " + e.unknown.Error())
	}
	if len(e.known.Plugins) == 0 {
		return "", errors.New(e.known.Absent())
	}
	what, found := "as many probes are up as each endpoint needs", false
	e.each(func(p *reach.Plugin, endpoint *config.Endpoint) {
		found = true
		for _, i := range endpoint.Probes.Names {
			if probe := p.Config.Probes[i]; probe.OnDemand > 0 && (!byKey || p.Reads(endpoint, e.key)) {
				what += "; " + endpoint.Name + " needs " + probe.Name + ", too, which is on demand: a check asks it"
			}
		}
	})
	if !found {
		return "", errors.New("its configuration has no health check of healthgate")
	}
	return what, until(ctx, func() (string, error) {
		r := report.FromAdmin(ctx, e.client, time.Now(), nil)
		if r.Error != "" {
			return r.Error, nil
		}
		var lacks []string
		e.each(func(p *reach.Plugin, endpoint *config.Endpoint) {
			if byKey && !p.Reads(endpoint, e.key) {
				return
			}
			up := map[string]bool{}
			for _, probe := range r.Probes {
				if probe.Listener == "" || probe.Listener == p.Listeners() {
					up[probe.Name] = probe.Healthy != nil && *probe.Healthy
				}
			}
			var probes []string
			for _, i := range endpoint.Probes.Names {
				name := p.Config.Probes[i].Name
				up[name] = up[name] || p.Config.Probes[i].OnDemand > 0
				probes = append(probes, name)
			}
			if lack := lifecycle.Holds(endpoint.Name, up, probes, endpoint.Probes.Need); lack != "" {
				lacks = append(lacks, lack)
			}
		})
		return strings.Join(lacks, "; "), nil
	})
}

// Open ends what Fail began, or a file in Envoy's flags_path, and waits until health checks get success.
func (e *Envoy) Open(ctx context.Context) error {
	if err := e.client.Post(ctx, "/healthcheck/ok"); err != nil {
		return err
	}
	return e.WaitOpen(ctx, false, true)
}

// WaitOpen waits until each health check is answered with success: those that the key switches, or all. It looks for a
// check of each for a moment, for a load balancer may begin to ask later.
func (e *Envoy) WaitOpen(ctx context.Context, byKey, look bool) error {
	seen, looked := &report.Seen{}, !look
	return until(ctx, func() (string, error) {
		r := report.FromAdmin(ctx, e.client, time.Now(), seen)
		var lacks []string
		if strings.HasSuffix(r.State, "INITIALIZING") {
			lacks = append(lacks, "Envoy is "+r.State+": it does not take connections yet")
		}
		if err := e.readGauges(ctx); err == nil && e.stopped != "" {
			return "", finalError{errors.New(e.stopped)}
		} else if err == nil && e.overload != "" {
			lacks = append(lacks, e.overload)
		}
		if runtime, err := e.client.Runtime(ctx); err == nil && e.known != nil {
			e.runtime, e.known.Runtime = runtime, runtime
			for _, key := range e.known.RouteKeys() {
				percent, _ := e.percent(key)
				for _, name := range e.part(key, percent) {
					if !byKey || e.reads(name) {
						return "", finalError{fmt.Errorf("%s is in maintenance for a part of its checks by the route's key %s = %s, "+
							"too: %s", name, key, percent, e.command("maintenance", "off", "--route", key))}
					}
				}
			}
		}
		for _, endpoint := range r.Endpoints {
			if m := endpoint.Maintenance; m != nil && (!byKey || e.reads(endpoint.Name)) {
				end := []string{"release", m.Key}
				if endpoint.Source == "route" {
					end = []string{"maintenance", "off", "--route", m.Key}
				}
				return "", finalError{fmt.Errorf("%s is in maintenance by the key %s, too: %s", endpoint.Name, m.Key,
					e.command(end...))}
			}
		}
		_, unseen, doubts, closed := e.success(&r, byKey)
		e.Doubts, lacks = doubts, append(lacks, closed...)
		if r.Error == "" && len(r.Endpoints) == 0 {
			lacks = append(lacks, "no health check is known")
		}
		if len(unseen) > 0 {
			none := "no check was seen that got success from " + strings.Join(unseen, ", ")
			e.Doubts = append(e.Doubts, none+": `healthgate check` sends one")
			if !looked && len(lacks) == 0 {
				lacks, seen.Wait, looked = []string{none}, settle, true
			}
		}
		return r.Error + strings.Join(lacks, "; "), nil
	})
}

const notKnown = "; whether it is in rotation is not known"

// WaitBack waits until all health checks of an Envoy that was out of rotation get success again, which is to be soon,
// and then for so many checks in a row of each endpoint that somebody asks: a load balancer may want several. Nobody
// asks one of which no check came while WaitChecks waited. It says what is known.
func (e *Envoy) WaitBack(ctx, soon context.Context, checks uint64) (what string, err error) {
	var open []string
	seen, before, asked := &report.Seen{}, cmp.Or(e.known, &reach.Envoy{}).Answered, map[string]bool{}
	was := map[string]bool{}
	e.each(func(_ *reach.Plugin, endpoint *config.Endpoint) { was[endpoint.Name] = true })
	back := func(ctx context.Context) (string, error) {
		r := report.FromAdmin(ctx, e.client, time.Now(), seen)
		if open = nil; r.Error != "" {
			return r.Error + notKnown, nil
		}
		var doubts, lacks []string
		open, _, doubts, lacks = e.success(&r, false)
		what = strings.Join(slices.Concat([]string{"its health checks are " + r.Class().String()}, lacks, doubts), "; ")
		switch class := r.Class(); {
		case class == report.Failing, class == report.Planned:
			return what + "; it is out of rotation", nil
		case !r.Open():
			return what + notKnown, nil
		}
		return "", nil
	}
	if err = until(soon, func() (string, error) { return back(soon) }); err != nil {
		return what, err
	}
	success := lifecycle.Checks{Open: true, Need: max(checks, 1)}
	err = until(ctx, func() (string, error) {
		if lack, err := back(ctx); lack != "" || err != nil {
			return lack, err
		}
		stats, err := e.client.Stats(ctx, "^"+report.Checks)
		if err != nil {
			return "", err
		}
		counts, hidden := counted(stats, open)
		if hidden != "" {
			return what + "; " + hidden + notKnown, nil
		}
		renamed := false // one that was asked has another name now, perhaps
		for name := range was {
			renamed = renamed || (e.came[name] || e.came == nil && before[name]) && !slices.Contains(open, name)
		}
		maps.DeleteFunc(counts, func(name string, n lifecycle.Count) bool {
			went, known := e.came[name]
			asked[name] = went || renamed && !was[name] ||
				!known && (asked[name] || before[name] || n.Open+n.Closed > 0)
			return !asked[name]
		})
		lack := success.Take(time.Now(), counts)
		if lack != "" {
			lack = what + "; " + lack + " with success: is that time enough for so many of the load balancer's?" + notKnown
		}
		return lack, nil
	})
	if slices.ContainsFunc(open, func(name string) bool { return asked[name] }) {
		what += "; " + success.Seen()
	}
	for _, name := range open {
		switch _, known := e.came[name]; {
		case asked[name]:
		case known:
			what += "; no check of " + name + " came while it went, and none is waited for"
		default:
			what += "; no check of " + name + " was seen, nor any before"
		}
	}
	return what, err
}

// success says of the health checks of a report, or of those that the key switches, which get success by all that is
// known, of which of these no check was seen, why they may not get it, and what the others get.
func (e *Envoy) success(r *report.Report, byKey bool) (open, unseen, doubts, lacks []string) {
	for i := range r.Endpoints {
		endpoint := &r.Endpoints[i]
		name, got := endpoint.Name, cmp.Or(endpoint.Verdict, "what is not known")
		if byKey && !e.reads(name) {
			continue
		}
		if !endpoint.Open() {
			if report.Of(endpoint.Verdict) == report.Degraded {
				got = fmt.Sprintf("%d, which is no success", endpoint.HTTPStatus)
			}
			lacks = append(lacks, fmt.Sprintf("checks of %s get %s: %s", name, got, endpoint.Why(time.Now())))
			continue
		}
		if open = append(open, name); report.Of(endpoint.Verdict) == report.Passed {
			doubts = append(doubts, "the application answers checks of "+name+
				", and whether with success is not known: `healthgate check` asks it")
		}
		switch endpoint.Mark() {
		case "":
		case report.NoCheckSeen:
			unseen = append(unseen, name)
		default:
			doubts = append(doubts, fmt.Sprintf("whether checks of %s get success is not for sure: %s", name,
				strings.ReplaceAll(some(endpoint.Unsure), "not for sure: ", "")))
		}
	}
	return open, unseen, doubts, lacks
}
