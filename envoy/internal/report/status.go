// Package report asks Envoys how healthgate is: what health checks get and why, maintenance, draining, every probe.
//
// The plugin's status endpoint knows all of it (docs/status.md). Where it can't be reached, or another Envoy may have
// answered, the verdicts are derived from the configuration, runtime and gauges, which Envoy's admin has; what only the
// plugin knows is missing then.
package report

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/healthgate/healthgate/envoy/admin"
	"github.com/healthgate/healthgate/envoy/internal/lint"
	"github.com/healthgate/healthgate/envoy/internal/reach"
	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/verdict"
)

// Report is what is known of one Envoy. Its JSON is what pipelines read: names are added, none is renamed. A pointer is
// nil, a string empty, for what is not known.
type Report struct {
	Envoy         string     `json:"envoy"` // the address that was asked
	Node          string     `json:"node,omitempty"`
	Zone          string     `json:"zone,omitempty"`
	State         string     `json:"state,omitempty"` // Envoy's own: LIVE, DRAINING, …
	Draining      *bool      `json:"draining"`
	SnapshotAgeMS *int64     `json:"snapshot_age_ms,omitempty"` // of the plugin's shared record
	Endpoints     []Endpoint `json:"endpoints"`
	Probes        []Probe    `json:"probes"`
	StatusURLs    []string   `json:"status_urls"` // of the status endpoints that answered
	Notes         []string   `json:"notes,omitempty"`
	Process       string     `json:"-"`               // tells one Envoy from another; empty when it is not known
	Error         string     `json:"error,omitempty"` // why nothing is known

	unreadable []string // plugins whose health checks are not known
}

// Endpoint is one health check.
type Endpoint struct {
	Listener    string       `json:"listener,omitempty"` // where there are several plugins
	Name        string       `json:"name"`
	Verdict     string       `json:"verdict"` // one of Verdicts; empty: not known
	HTTPStatus  int          `json:"http_status,omitempty"`
	Output      string       `json:"output,omitempty"` // why it is not healthy, or what is not known
	Maintenance *Maintenance `json:"maintenance,omitempty"`
	Source      string       `json:"source,omitempty"` // of the verdict: plugin, route, or gauges
	Unsure      []string     `json:"unsure,omitempty"` // why a check may get something else
	// NotEverywhere: some checks do get something else, as the configuration says.
	NotEverywhere bool `json:"not_everywhere,omitempty"`
	// CheckSeen: a check was seen that got this verdict; nil where none was looked for.
	CheckSeen *bool `json:"check_seen,omitempty"`
}

// Maintenance is what an operator said in a runtime key.
type Maintenance struct {
	Key    string     `json:"key"`
	Value  string     `json:"value"`
	Reason string     `json:"reason,omitempty"`
	Until  *time.Time `json:"until,omitempty"`
}

// Probe is the state of one probe.
type Probe struct {
	Listener  string     `json:"listener,omitempty"` // where there are several plugins
	Name      string     `json:"name"`
	Healthy   *bool      `json:"healthy"` // by gauges alone, false is also what was not asked yet
	Since     *time.Time `json:"since,omitempty"`
	Status    int        `json:"last_status,omitempty"`
	Outcome   string     `json:"outcome,omitempty"` // response, or what came in the place of one, see docs/status.md
	LatencyMS *int64     `json:"latency_ms,omitempty"`
	LastAsked *time.Time `json:"last_asked,omitempty"`
}

func newReport(envoy string) Report {
	return Report{Envoy: envoy, Endpoints: []Endpoint{}, Probes: []Probe{}, StatusURLs: []string{}}
}

// FromURL asks a status endpoint. Without a trust for https:// it takes any certificate.
func FromURL(ctx context.Context, url string, trust *tls.Config) Report {
	r, client := newReport(url), Anyone
	if trust != nil {
		client = newClient(trust)
	}
	d, err := fetch(ctx, client, url, question{endpoint: nil})
	if err != nil {
		r.Error = err.Error()
		return r
	}
	r.Node = d.ServiceID
	r.take("", url, d)
	for i := range r.Endpoints { // a status endpoint does not tell of checks
		r.Endpoints[i].CheckSeen = new(bool)
	}
	return r
}

// asked is what an Envoy's admin tells.
type asked struct {
	now      time.Time
	node     config.Node
	runtime  *admin.Runtime
	known    *reach.Envoy // nil when its configuration can't be read
	dump     any
	gauges   map[string]uint64 // and the counters of status endpoints
	begin    map[string]uint64 // the first of them
	noGauges string            // why there are none
	seen     *Seen
}

// stats reads the plugin's metrics.
func (s *asked) stats(ctx context.Context, envoy *admin.Client) (err error) {
	if s.gauges, err = envoy.Stats(ctx, Metrics); err != nil {
		s.noGauges = "its metrics can't be read: " + err.Error()
	} else if s.noGauges = ""; !s.any() && s.known != nil {
		s.noGauges = s.known.NoMetrics()
	}
	if s.seen != nil && err == nil {
		s.seen.take(s.gauges, time.Now())
	}
	if s.known != nil {
		if s.begin == nil {
			s.begin = s.gauges
		}
		Tell(s.known, s.begin, s.gauges)
	}
	return err
}

// any reports whether a metric is there that is healthgate's.
func (s *asked) any() bool {
	for name := range s.gauges {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// Told returns what the plugins' own status endpoints tell of health checks: nothing of a plugin without one that
// answers.
func Told(ctx context.Context, envoy *admin.Client, known *reach.Envoy, node config.Node) []Endpoint {
	r, s := newReport(envoy.Name), asked{now: time.Now(), node: node, known: known}
	_ = s.stats(ctx, envoy) // noGauges says why there are none
	for _, p := range known.Plugins {
		r.fromStatusEndpoints(ctx, envoy, &s, p, p.Listeners(), nil)
	}
	return r.Endpoints
}

// Interrupted is a report of an Envoy that was not asked to the end.
func Interrupted(envoy string) Report {
	r := newReport(envoy)
	r.Error = "interrupted"
	return r
}

// FromAdmin asks an Envoy's admin, and the status endpoints that its configuration has. It looks for checks where seen
// is given.
func FromAdmin(ctx context.Context, envoy *admin.Client, now time.Time, seen *Seen) Report {
	r := newReport(envoy.Name)
	s := asked{now: now, seen: seen}
	var err error
	if s.runtime, err = envoy.Runtime(ctx); err != nil {
		r.Error = err.Error()
		return r
	}
	s.now = now.Add(envoy.Skew())
	if clock := envoy.Clock(); clock != "" {
		r.note(clock + ", and keys end by it")
	}
	// An admin may show only some paths: what it does not show is not known.
	if r.State, err = envoy.Ready(ctx); err != nil {
		r.note("its state is not known: " + err.Error())
	}
	var server admin.Server
	if server, err = envoy.Server(ctx); err == nil {
		s.node = server.Node
		r.Node, r.Zone = s.node.ID, s.node.Zone
		if s.dump, err = envoy.ConfigDump(ctx); err == nil {
			s.known = reach.Read(s.dump, s.node, s.runtime)
			s.known.Own = append(s.known.Own, envoy.Machine()...)
			r.Process = s.known.Process(s.node)
		}
	}
	if err != nil {
		r.note("its configuration can't be read: " + err.Error() + "; a status endpoint tells more: --status-url URL")
	}
	if seen != nil {
		seen.configured(s.known, r.Process)
	}
	_ = s.stats(ctx, envoy) // noGauges says why there are none
	if draining, is := s.gauges[IsDraining]; is {
		on := draining > 0
		r.Draining = &on
	}
	if age, is := s.gauges[snapshotAge]; is {
		ms := int64(age) * 1000
		r.SnapshotAgeMS = &ms
	}
	switch {
	case s.known == nil && !s.any():
		r.note("whether it runs healthgate is not known")
		if s.noGauges != "" {
			r.note(s.noGauges)
		}
	case s.known == nil:
		r.fromGauges(&s, "is in its configuration, which can't be read")
	case len(s.known.Unreadable) > 0 && len(s.known.Plugins) == 0:
		for _, why := range s.known.Faults() {
			r.note(why)
		}
		r.unreadable = s.known.Unreadable
	case len(s.known.Plugins) == 0 && (!s.any() || s.known.Undiscovered()):
		r.note(s.known.Absent())
	case len(s.known.Plugins) == 0:
		r.note("its configuration has no healthgate; the metrics that it has are of an earlier one")
	default:
		r.fromPlugins(ctx, envoy, &s)
	}
	var lost error
	if seen != nil {
		lost = r.look(ctx, envoy, &s, seen)
	}
	if s.known != nil {
		err = envoy.Stays(ctx, s.known.Begun)
	}
	if err = cmp.Or(lost, err); lost != nil || errors.Is(err, admin.ErrAnother) {
		r = newReport(envoy.Name)
		r.Error = err.Error()
	}
	return r
}

// fromPlugins asks each plugin of a configuration.
func (r *Report) fromPlugins(ctx context.Context, envoy *admin.Client, s *asked) {
	shut := map[string]bool{}
	for _, gap := range s.known.Gaps() {
		shut[gap.Endpoint] = shut[gap.Endpoint] || !gap.Doubt
	}
	for _, p := range s.known.Plugins {
		listener := ""
		if len(s.known.Plugins) > 1 {
			listener = p.Listeners()
		}
		answered, doubts := r.fromStatusEndpoints(ctx, envoy, s, p, listener, shut)
		if slices.ContainsFunc(s.known.Plugins, func(o *reach.Plugin) bool { return o != p && o.Listeners() == listener }) {
			doubts = append(doubts, "several plugins stand in the listener "+listener+
				", and each connection is for one of them: what the others answer is not shown")
		}
		if !answered {
			doubts = append(doubts, s.doubts(ctx, envoy, p, r)...)
			r.derive(listener, p, s)
		}
		for _, why := range []string{Drains(s.gauges, s.known), DrainsUnseen(s.gauges, s.known), Overload(s.gauges),
			s.unnoticed(p, r.State)} {
			if why != "" {
				doubts = append(doubts, why)
			}
		}
		crash := s.known.Unreloaded(p) // whose 503 is no harm in maintenance
		for i := range r.Endpoints {
			e := &r.Endpoints[i]
			if e.Listener != listener {
				continue
			}
			if e.Unsure = append(e.Unsure, doubts...); crash != "" && e.Verdict != verdict.Maintenance.String() {
				e.Unsure = append(e.Unsure, crash)
			}
		}
	}
	if s.noGauges != "" {
		r.note(s.noGauges)
	}
	if parent := Parent(s.gauges); parent != "" {
		r.note(parent)
	}
	for _, crash := range crashes(s.gauges) {
		r.note(crash)
	}
	r.unreadable = s.known.Unreadable
	for _, fault := range s.known.Faults() {
		r.note(fault)
	}
	stale := func(g reach.Gap) bool { return g.Stale }
	for start := time.Now(); time.Since(start) < patience && ctx.Err() == nil &&
		slices.ContainsFunc(s.known.Gaps(), stale); time.Sleep(pause) {
		_ = s.stats(ctx, envoy)
	}
	r.fromRoutes(s)
	r.unsure(s.known.Gaps())
	for _, e := range r.Endpoints {
		for _, why := range e.Unsure {
			r.note(why)
		}
	}
	for _, p := range s.known.Plugins {
		for _, place := range p.Places {
			for _, w := range lint.Listener(place.Listener, p.Config) {
				if w.Nobody && p.Config.Endpoints[w.Endpoint].Kind == config.KindHealthCheck {
					continue // which is a gap
				}
				r.note(fmt.Sprintf("endpoint %q: %s", p.Config.Endpoints[w.Endpoint].Name, w.What))
			}
		}
		var clusters []string
		for i := range p.Config.Probes {
			clusters = append(clusters, p.Config.Probes[i].Cluster)
		}
		for _, w := range lint.Clusters(clusters, s.dump) {
			r.note(fmt.Sprintf("probe %q: %s", p.Config.Probes[w.Probe].Name, w.What))
		}
	}
}

// fromStatusEndpoints asks each status endpoint of a plugin, wherever it stands. It reports whether one answered, and
// why others, which did not as they should, make it doubtful what checks get there.
func (r *Report) fromStatusEndpoints(ctx context.Context, envoy *admin.Client, s *asked, p *reach.Plugin,
	listener string, shut map[string]bool) (answered bool, doubts []string) {
	unasked := "it has no status endpoint"
	var foreign []string
	for i := range p.Config.Endpoints {
		e := &p.Config.Endpoints[i]
		if e.Kind != config.KindStatus {
			continue
		}
		for _, place := range p.Places {
			to, why := base(place, envoy.Host())
			if to == "" {
				unasked = fmt.Sprintf("its status endpoint %s can't be asked from here: %s", e.Name, why)
				continue
			}
			to += e.Paths[0]
			d, err := s.ask(ctx, envoy, to, p.Config, question{endpoint: e, shut: shut[e.Name]})
			if err == nil {
				answered = true
				r.take(listener, to, d)
				continue
			}
			if ctx.Err() != nil {
				continue
			}
			unasked = ""
			what := "its status endpoint " + to + " does not tell: " + err.Error()
			r.note(what)
			switch {
			case errors.As(err, new(unansweredError)):
				doubts = append(doubts, what)
			case !errors.As(err, new(refusedError)):
				foreign = append(foreign, what)
			}
		}
	}
	if answered {
		return true, doubts
	}
	if unasked != "" {
		r.note(unasked + ": verdicts are derived from its configuration, runtime and gauges")
	}
	return false, append(doubts, foreign...)
}

// fromRoutes takes the maintenance routes that are on.
func (r *Report) fromRoutes(s *asked) {
	for i := range r.Endpoints { // the plugin does not see the routes; they are in the configuration
		e := &r.Endpoints[i]
		e.Unsure = slices.DeleteFunc(e.Unsure, isByRoute)
	}
	r.Notes = slices.DeleteFunc(r.Notes, isByRoute)
	for _, key := range s.known.RouteKeys() {
		written, layer := s.runtime.Entries[key].Value, s.runtime.Layer(key)
		value, ok := s.known.Percent(written, layer)
		if !ok {
			var doubts []reach.Gap
			for _, endpoint := range s.known.RouteReaders(key, "100") {
				doubts = append(doubts, reach.Gap{Endpoint: endpoint, Doubt: true, What: reach.Strange(layer, key, written)})
			}
			r.unsure(doubts)
			continue
		}
		if !slices.ContainsFunc(s.known.Routes(),
			func(route reach.Route) bool { return route.Key == key && route.Share(value) > 0 }) {
			continue
		}
		readers := s.known.RouteReaders(key, value)
		for i := range r.Endpoints {
			e := &r.Endpoints[i]
			if written := s.written(e); written != nil && written.Maintenance.RouteMetadata && slices.Contains(readers, e.Name) {
				if e.Verdict == "" { // whether the plugin runs is not known
					e.Unsure = append(e.Unsure, e.Output)
				}
				*e = Endpoint{
					Listener: e.Listener, Name: e.Name, Output: "by its route", Source: "route",
					Unsure: e.Unsure, NotEverywhere: e.NotEverywhere,
					Verdict: verdict.Maintenance.String(), HTTPStatus: int(verdict.Reply(written, verdict.Maintenance).Status),
					Maintenance: &Maintenance{Key: key, Value: value, Reason: s.runtime.Entries[key+".reason"].Value},
				}
			}
		}
		r.unsure(s.known.RouteGaps(key, value))
	}
}

// written returns the configuration of an endpoint.
func (s *asked) written(shown *Endpoint) *config.Endpoint {
	for _, p := range s.known.Namesakes(shown.Name) {
		if shown.Listener == "" || shown.Listener == p.Listeners() {
			return p.HealthCheck(shown.Name)
		}
	}
	return nil
}

// Met are the Envoys that were seen already, by process: the first address of each.
type Met map[string]string

// Again says that an Envoy was met at another address; "" when it was not, or is not known.
func (m Met) Again(process, envoy string) string {
	first, is := m[process]
	switch {
	case process == "":
	case is:
		return "it is the Envoy of " + first + ", at another address: it is counted twice"
	default:
		m[process] = envoy
	}
	return ""
}

// Mark is what stands behind a verdict that does not hold for each check, or not for sure; "" behind others.
func (e *Endpoint) Mark() string {
	switch {
	case e.Verdict == "":
	case e.NotEverywhere:
		return ", not everywhere"
	case len(e.Unsure) > 0:
		return ", not for sure"
	case e.unseen():
		return NoCheckSeen
	}
	return ""
}

// NoCheckSeen is the mark of a verdict that no check was seen to get.
const NoCheckSeen = ", no check seen"

func (e *Endpoint) unseen() bool { return e.CheckSeen != nil && !*e.CheckSeen }

// byRoute begins the plugin's text that it does not know of maintenance by route.
const byRoute = "maintenance by route"

func isByRoute(text string) bool { return strings.HasPrefix(text, byRoute) }

// unsure notes the ways of checks past what their endpoints are said to answer, known ones before doubts.
func (r *Report) unsure(gaps []reach.Gap) {
	known := map[*Endpoint]int{}
	for _, gap := range gaps {
		if !gap.Refusal {
			r.note(gap.What)
		}
		for i := range r.Endpoints {
			e := &r.Endpoints[i]
			if e.Name != gap.Endpoint || gap.Refusal && Of(e.Verdict) < Degraded {
				continue
			}
			e.NotEverywhere = e.NotEverywhere || !gap.Doubt
			switch {
			case slices.Contains(e.Unsure, gap.What):
			case gap.Doubt:
				e.Unsure = append(e.Unsure, gap.What)
			default:
				e.Unsure = slices.Insert(e.Unsure, known[e], gap.What)
				known[e]++
			}
		}
	}
}

// note adds a note, once.
func (r *Report) note(text string) {
	if !slices.Contains(r.Notes, text) {
		r.Notes = append(r.Notes, text)
	}
}

func (r *Report) endpoint(listener, name string) *Endpoint {
	i := slices.IndexFunc(r.Endpoints, func(e Endpoint) bool { return e.Listener == listener && e.Name == name })
	if i < 0 {
		i = len(r.Endpoints)
		r.Endpoints = append(r.Endpoints, Endpoint{Listener: listener, Name: name})
	}
	return &r.Endpoints[i]
}

func (r *Report) probe(listener, name string) *Probe {
	i := slices.IndexFunc(r.Probes, func(p Probe) bool { return p.Listener == listener && p.Name == name })
	if i < 0 {
		i = len(r.Probes)
		r.Probes = append(r.Probes, Probe{Listener: listener, Name: name})
	}
	return &r.Probes[i]
}
