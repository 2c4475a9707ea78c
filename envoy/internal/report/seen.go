package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/healthgate/healthgate/envoy/admin"
	"github.com/healthgate/healthgate/envoy/internal/reach"
	"github.com/healthgate/healthgate/filter/verdict"
)

// recent is how old a check that was seen may be: more than the interval of most load balancers.
const recent = 30 * time.Second

// pause is how long Envoy is left alone at least between two looks at its metrics.
const pause = 100 * time.Millisecond

// Seen are the checks that an Envoy was seen to answer, by the plugin's counters, from one report to the next. Only
// they show that what the plugin would answer is what checks get.
type Seen struct {
	Wait   time.Duration // how long the next report waits for a check of each endpoint; those after it do not
	For    []Expectation // of what a check is waited for where something is expected
	Waited bool          // so long that what the report says of other endpoints is too old

	keep    time.Duration        // how old a check may be
	known   *reach.Envoy         // the configuration that was read last; nil when that is not known
	process string               // of whose counters they are
	counted map[string]uint64    // as they were read last
	read    time.Time            // when that was
	rose    map[string]time.Time // since when each may have risen last
}

// configured takes which process an Envoy is, and its configuration, as far as both are known: of one that came by an
// update no earlier check tells, and another process counts anew.
func (o *Seen) configured(known *reach.Envoy, process string) {
	if o.process != process {
		o.counted = nil
	}
	if o.known != nil && known != nil && known.Updated(o.known) {
		clear(o.rose)
	}
	o.known, o.process = cmp.Or(known, o.known), process
}

// take takes an Envoy's metrics as they are read.
func (o *Seen) take(stats map[string]uint64, now time.Time) {
	if o.counted == nil {
		o.keep, o.counted, o.read, o.rose = max(recent, o.Wait), maps.Clone(stats), now, map[string]time.Time{}
		return
	}
	for name, n := range stats {
		if strings.HasPrefix(name, Checks) && n > o.counted[name] {
			o.rose[name] = o.read // it may be as old as that reading
		}
	}
	maps.Copy(o.counted, stats)
	o.read = now
}

// shows reports whether a check of an endpoint was answered by its verdict lately, and by which one it was since; empty
// for none.
func (o *Seen) shows(e *Endpoint, now time.Time) (shows bool, since string) {
	own := cmp.Or(map[string]string{"failing": "unhealthy"}[e.Verdict], e.Verdict)
	last := o.rose[Counter(e.Name, own)]
	shows = now.Sub(last) <= o.keep
	for kind := range verdict.Kind(verdict.Kinds) {
		at := o.rose[Counter(e.Name, kind.String())]
		if kind != verdict.Untrusted && at.After(last) && now.Sub(at) <= o.keep {
			shows, last, since = false, at, kind.String()
		}
	}
	return shows, since
}

// look waits until a check of each endpoint was seen whose verdict is not in doubt for another reason. Checks that a
// maintenance route answers are not counted. It returns an error if Envoy answers no more: what it said is old.
func (r *Report) look(ctx context.Context, envoy *admin.Client, s *asked, seen *Seen) error {
	for start, wait := time.Now(), seen.Wait; ; {
		begin, all := time.Now(), true
		for i := range r.Endpoints {
			e := &r.Endpoints[i]
			if e.Verdict == "" || e.Source == "route" {
				continue
			}
			shows, _ := seen.shows(e, begin)
			shows = shows && (s.known == nil || len(s.known.Namesakes(e.Name)) < 2)
			e.CheckSeen = &shows
			all = all && (shows || len(e.Unsure) > 0 || seen.For != nil &&
				!slices.ContainsFunc(seen.For, func(x Expectation) bool { return x.of(e) && x.met(e.Verdict) }))
		}
		if waited := begin.Sub(start); all || waited >= wait || ctx.Err() != nil {
			seen.Wait, seen.Waited = 0, waited > time.Second || waited > pause && seen.For != nil
			break
		}
		if shown := s.noGauges == ""; s.stats(ctx, envoy) != nil && shown && ctx.Err() == nil {
			return errors.New(s.noGauges)
		}
		// Envoy's main thread writes all metrics for each.
		time.Sleep(min(max(pause, 10*time.Since(begin)), time.Second))
	}
	for i := range r.Endpoints {
		e := &r.Endpoints[i]
		if s.known == nil || e.CheckSeen == nil {
			continue
		}
		if _, since := seen.shows(e, time.Now()); since != "" && len(s.known.Namesakes(e.Name)) < 2 {
			e.Unsure = append(e.Unsure, "the last check that was seen got another verdict: "+since)
		}
		for _, p := range s.known.Namesakes(e.Name) {
			if p.Config.Admin != nil && e.Source == "gauges" && s.gauges[Unread] > s.begin[Unread] {
				e.Unsure = append(e.Unsure, p.Failing())
			}
		}
		if !*e.CheckSeen {
			if may := s.known.Refusing(e.Name); len(may) > 0 {
				r.note(fmt.Sprintf("no check of %s was seen, and these may refuse one: %s", e.Name, strings.Join(may, "; ")))
			}
			continue
		}
		if ways := s.known.Ways(e.Name); len(ways) > 1 {
			r.note(fmt.Sprintf("a check of %s was seen, and not by which of its ways in, which are unlike: %s", e.Name,
				strings.Join(ways, "; ")))
		}
	}
	return nil
}
