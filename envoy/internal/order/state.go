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

	"github.com/healthgate/healthgate/envoy/admin"
	"github.com/healthgate/healthgate/envoy/internal/document"
	"github.com/healthgate/healthgate/envoy/internal/reach"
	"github.com/healthgate/healthgate/envoy/internal/report"
	"github.com/healthgate/healthgate/filter/config"
	filter "github.com/healthgate/healthgate/filter/maintenance"
	"github.com/healthgate/healthgate/filter/verdict"
)

// State is what one Envoy says of a key. Its JSON is what pipelines read: names are added, none is renamed.
type State struct {
	Envoy  string     `json:"envoy"` // the address that was asked
	Key    string     `json:"key"`
	On     *bool      `json:"on"`    // by the key's value and the clock; null: not known
	Value  string     `json:"value"` // empty when no layer has the key
	Until  *time.Time `json:"until,omitempty"`
	Reason string     `json:"reason,omitempty"`
	Layer  string     `json:"layer,omitempty"` // of the runtime layers, the one that decides
	// Endpoints are those in maintenance, by this key or another, as the plugin says, and by routes; nil: not known.
	Endpoints []string `json:"endpoints"`
	Steps     []Step   `json:"steps,omitempty"`   // that came about, in their order
	Already   bool     `json:"already,omitempty"` // it was as ordered, and nothing was written
	Left      bool     `json:"left,omitempty"`    // the command ended before anything was changed
	Notes     []string `json:"notes,omitempty"`
	// Error says why the Envoy is not as it was ordered to be, why that is not known, or why it could not be asked.
	Error string `json:"error,omitempty"`
}

func (s *State) on() bool { return s.On != nil && *s.On }

// Envoy is an Envoy that the command asks and switches.
type Envoy struct {
	State  State // as it was when it was asked
	client *admin.Client
	key    string
	route  bool
	// known is the configuration; nil, and unknown says why, when it can't be read.
	known      *reach.Envoy
	unknown    error
	server     admin.Server
	runtime    *admin.Runtime
	before     *admin.Runtime    // as it was read first
	begin      map[string]uint64 // the plugins' metrics as they were read first
	gauges     map[string]bool   // by endpoint, whether the plugin says that it is in maintenance
	unseen     error             // why they can't be read
	writes     uint64            // of the plugins' record
	countsSeen bool              // of the plugins' checks
	still      bool              // it was not written since it was looked at first
	came       map[string]bool   // by endpoint, whether a check came while some were waited for
	failing    bool              // whether the plugin's requests for runtime do, since then
	drains     string            // why an earlier plugin may have set them, and answers checks
	// overload says that Envoy may refuse checks, and stopped that it takes no connections.
	overload, stopped string
	// of what Envoy does not show the metrics that would tell it
	drainsUnseen, refusesUnseen string
	parent                      string    // of an earlier process that answers
	asked, looked               time.Time // when runtime and the configuration were read last
	right                       bool      // it was once as ordered
	// draining is whether the plugin says that Envoy drains.
	draining bool
	// Doubts are why checks may not get the success that was waited for.
	Doubts []string
	told   []report.Endpoint // by status endpoints, where gauges do not tell of which plugin they are
}

// Ask asks an Envoy for all that an order for a key needs to know. Nothing is changed.
func Ask(ctx context.Context, client *admin.Client, key string, route bool) *Envoy {
	e := &Envoy{client: client, key: key, route: route, State: State{Envoy: client.Name, Key: key}}
	var err error
	if e.runtime, err = client.Runtime(ctx); err != nil {
		e.State.Error = err.Error()
		return e
	}
	e.before = e.runtime
	// An admin may show only some paths: what it does not show is not known, and no reason to write nothing.
	if e.server, e.unknown = client.Server(ctx); e.unknown == nil {
		e.known, e.unknown = e.configuration(ctx)
	}
	if e.known != nil {
		err = client.Stays(ctx, e.known.Begun)
	}
	if err != nil {
		e.State.Error = err.Error()
		return e
	}
	if _ = e.readGauges(ctx); ctx.Err() != nil {
		e.State.Error = "it was not asked to the end in time: give it more"
		return e
	}
	e.State = e.state(e.now())
	return e
}

// configuration reads what the Envoy's configuration is now.
func (e *Envoy) configuration(ctx context.Context) (*reach.Envoy, error) {
	dump, err := e.client.ConfigDump(ctx)
	if err != nil {
		return nil, err
	}
	e.looked = time.Now()
	known := reach.Read(dump, e.server.Node, e.runtime)
	known.Own = append(known.Own, e.client.Machine()...)
	if len(known.Unreadable) > 0 {
		return nil, errors.New(known.Unreadable[0])
	}
	return known, nil
}

// lookAgain reads a configuration that was known, which may have changed meanwhile.
func (e *Envoy) lookAgain(ctx context.Context) error {
	if e.known == nil {
		return nil
	}
	known, err := e.configuration(ctx)
	if err != nil {
		return err
	}
	if known.Begun != e.known.Begun || e.client.Stays(ctx, known.Begun) != nil {
		return &OpenError{admin.ErrAnother, true}
	}
	known.Answered, known.Fresh, known.Reloaded = e.known.Answered, e.known.Fresh, e.known.Reloaded
	if known.Updated(e.known) { // of which no check that was answered before proves anything
		e.begin, known.Fresh, known.Reloaded = nil, nil, true
	}
	e.known = known
	return nil
}

// readGauges reads what the plugins' gauges say, and asks their status endpoints where that tells too little.
func (e *Envoy) readGauges(ctx context.Context) error {
	stats, err := e.client.Stats(ctx, report.Metrics)
	e.unseen = err
	e.countsSeen = slices.ContainsFunc(slices.Collect(maps.Keys(stats)),
		func(name string) bool { return strings.HasPrefix(name, report.Checks) })
	if err != nil {
		return err
	}
	writes, counts := stats[report.Writes]
	counts = counts && (e.known == nil || slices.ContainsFunc(e.known.Plugins, report.Ticks))
	e.still = counts && (e.gauges == nil || e.still && writes == e.writes)
	e.gauges, e.drains, e.told, e.writes = map[string]bool{}, report.Drains(stats, e.known), nil, writes
	if e.begin == nil {
		e.begin = stats
	}
	e.failing = stats[report.Unread] > e.begin[report.Unread]
	e.overload, e.stopped = report.Overload(stats), report.Stopped(stats)
	e.drainsUnseen, e.refusesUnseen = report.DrainsUnseen(stats, e.known), report.Unseen(stats, e.known)
	e.parent = report.Parent(stats)
	if e.known != nil {
		report.Tell(e.known, e.begin, stats)
		e.stopped = cmp.Or(e.stopped, e.known.Limited())
	}
	e.draining = stats[report.IsDraining] > 0
	for name, value := range stats {
		if endpoint, is := strings.CutPrefix(name, report.InMaintenance); is {
			e.gauges[endpoint] = value > 0
		}
	}
	if slices.ContainsFunc(e.all(), func(r reader) bool { return e.shared(r.name) != "" }) {
		e.told = report.Told(ctx, e.client, e.known, e.server.Node)
	}
	return nil
}

// reader is a health check that the key switches. Without a configuration, its plugin is not known.
type reader struct {
	plugin *reach.Plugin
	name   string
}

// all returns the health checks that there are: by the gauges, where the configuration is not known.
func (e *Envoy) all() (out []reader) {
	e.each(func(p *reach.Plugin, endpoint *config.Endpoint) { out = append(out, reader{p, endpoint.Name}) })
	for _, name := range slices.Sorted(maps.Keys(e.gauges)) {
		if e.known == nil {
			out = append(out, reader{nil, name})
		}
	}
	return out
}

// readers returns the health checks that the key switches when it is on; all that there are, where that is not known.
func (e *Envoy) readers() []reader {
	all := e.all()
	if e.known == nil {
		return all
	}
	names := e.known.Readers(e.key)
	if e.route {
		names = e.known.RouteReaders(e.key, RouteOn)
	}
	return slices.DeleteFunc(all, func(r reader) bool {
		return !slices.Contains(names, r.name) || !e.route && !r.plugin.Reads(r.plugin.HealthCheck(r.name), e.key)
	})
}

// reads reports whether the key switches a health check of this name.
func (e *Envoy) reads(name string) bool {
	return slices.ContainsFunc(e.readers(), func(r reader) bool { return r.name == name })
}

// shared says why a health check's gauge does not tell of which plugin it is; "" when it does.
func (e *Envoy) shared(name string) string {
	if e.known == nil {
		return ""
	}
	if all := e.known.Namesakes(name); len(all) > 1 {
		var where []string
		for _, p := range all {
			where = append(where, p.Listeners())
		}
		return fmt.Sprintf("%d plugins set its one metric (listeners %s)", len(all), strings.Join(where, "; "))
	}
	return e.drains
}

// in reports whether a health check is in maintenance as its plugin says, or why that is not known.
func (e *Envoy) in(r reader) (in bool, unknown string) {
	if why := e.shared(r.name); why != "" {
		for _, told := range e.told {
			if told.Name == r.name && told.Listener == r.plugin.Listeners() {
				return told.Verdict == verdict.Maintenance.String(), ""
			}
		}
		return false, fmt.Sprintf("whether %s (%s) is in maintenance is not known: %s, and no status endpoint of it answers",
			r.name, r.plugin.Listeners(), why)
	}
	in, is := e.gauges[r.name]
	if !is {
		unknown = "what the plugin does is not known: " + e.known.NoMetrics()
	}
	return in, unknown
}

// Process tells one Envoy from another; empty when that is not known.
func (e *Envoy) Process() string {
	if e.known == nil {
		return ""
	}
	return e.known.Process(e.server.Node)
}

// Known returns the Envoy's configuration; nil when it could not be read.
func (e *Envoy) Known() *reach.Envoy { return e.known }

// now is the time by Envoy's clock, which the plugin ends keys by.
func (e *Envoy) now() time.Time { return time.Now().Add(e.client.Skew()) }

// state says what runtime and the gauges, as they were read last, mean.
func (e *Envoy) state(now time.Time) State {
	s := State{Envoy: e.client.Name, Key: e.key, Value: e.runtime.Entries[e.key].Value,
		Reason: e.runtime.Entries[e.key+".reason"].Value,
		Layer:  e.runtime.Layer(e.key)}
	on, until := false, int64(0)
	if e.route {
		s.On = e.byRoute(e.key)
	} else {
		parsed, _ := filter.ParseSwitch(s.Value)
		on, until = parsed.Active(report.Clock(now)), parsed.Until
		s.On = &on
	}
	if until != 0 {
		end := time.Unix(0, until).UTC()
		s.Until = &end
	}
	known := e.unseen == nil && (e.known != nil || len(e.gauges) > 0)
	for _, r := range e.all() {
		in, unknown := e.inAny(r)
		if known = known && unknown == ""; in && !slices.Contains(s.Endpoints, r.name) {
			s.Endpoints = append(s.Endpoints, r.name)
		}
	}
	if slices.Sort(s.Endpoints); known && s.Endpoints == nil {
		s.Endpoints = []string{}
	}
	return s
}

// inAny reports whether a health check is in maintenance, as its plugin says or by a route, or why that is not known.
func (e *Envoy) inAny(r reader) (in bool, unknown string) {
	in, unknown = e.in(r)
	if _, runs := e.gauges[r.name]; !runs || in || e.known == nil {
		return in, unknown
	}
	for _, key := range e.known.RouteKeys() {
		if percent, ok := e.percent(key); ok && slices.Contains(e.known.RouteReaders(key, percent), r.name) {
			return true, ""
		}
	}
	return in, unknown
}

// percent returns the value of a route's key as Envoy takes it; false when that is not known.
func (e *Envoy) percent(key string) (string, bool) {
	return cmp.Or(e.known, &reach.Envoy{}).Percent(e.runtime.Entries[key].Value, e.runtime.Layer(key))
}

// byRoute reports whether a route's key takes some checks at least; nil when that is not known.
func (e *Envoy) byRoute(key string) *bool {
	percent, ok := e.percent(key)
	if !ok {
		return nil
	}
	routes := []reach.Route{{Key: key}}
	if e.known != nil {
		routes = e.known.Routes()
	}
	on := slices.ContainsFunc(routes, func(r reach.Route) bool { return r.Key == key && r.Share(percent) > 0 })
	return &on
}

// gaps returns what keeps the key from switching every check, but for those of verified endpoints.
func (e *Envoy) gaps(verified map[string]bool) []reach.Gap {
	if e.known == nil {
		return []reach.Gap{{What: "its configuration can't be read, so whether all checks come to the plugin is not known: " +
			e.unknown.Error()}}
	}
	gaps := e.known.KeyGaps(e.key)
	if e.route {
		gaps = append(e.known.RouteGaps(e.key, RouteOn), e.known.RouteBeside(e.key)...)
	}
	return slices.DeleteFunc(gaps, func(gap reach.Gap) bool { return e.settled(verified, gap.Endpoint) })
}

// texts says what gaps are, each once.
func texts(gaps []reach.Gap) (out []string) {
	for _, gap := range gaps {
		if !slices.Contains(out, gap.What) {
			out = append(out, gap.What)
		}
	}
	return out
}

// unread says that nothing reads the key; "" when something does, or that is not known.
func (e *Envoy) unread() string {
	if e.known == nil || len(e.readers()) > 0 || e.route && len(e.gaps(nil)) > 0 {
		return ""
	}
	what, there, hint := "no endpoint has the key", e.known.Keys(),
		"; a maintenance route has it, which maintenance on and off take with --route"
	if e.route {
		what, there, hint = "no maintenance route has the key", e.known.RouteKeys(), "; an endpoint has it: leave out --route"
	}
	switch {
	case len(e.known.Plugins) == 0:
		return e.known.Absent()
	case e.route && slices.Contains(there, e.key):
		return fmt.Sprintf("the maintenance route has the key %s, and none of the endpoints that it takes has "+
			"maintenance.route_metadata: true, without which the plugin does not see it", e.key)
	case slices.Contains(append(e.known.Keys(), e.known.RouteKeys()...), e.key):
		return what + " " + e.key + hint
	case len(there) == 0:
		return what + " " + e.key + ", or any"
	}
	return what + " " + e.key + "; there is " + strings.Join(there, ", ")
}

// strange says that the value of the route's key is not understood.
func (e *Envoy) strange() string {
	return reach.Strange(e.State.Layer, e.key, e.State.Value)
}

// Report returns the state for someone who only looks, with notes of what keeps the key from switching every check.
func (e *Envoy) Report() State {
	s := e.State
	if s.Error != "" {
		return s
	}
	if e.unseen != nil {
		s.Notes = append(s.Notes, "which endpoints are in maintenance is not known: "+e.unseen.Error())
	}
	for _, r := range e.all() {
		if _, unknown := e.inAny(r); e.unseen == nil && unknown != "" && !slices.Contains(s.Notes, unknown) {
			s.Notes = append(s.Notes, unknown)
		}
	}
	if note := e.unread(); note != "" {
		s.Notes = append(s.Notes, note)
		return s
	}
	if s.On == nil {
		s.Notes = append(s.Notes, e.strange())
	}
	if clock := e.client.Clock(); clock != "" && s.Until != nil {
		s.Notes = append(s.Notes, clock+", and the key ends by it")
	}
	if e.known != nil && !e.route {
		s.Notes = slices.Concat(s.Notes, e.known.AdminFaults(), e.known.OtherAdmins())
	}
	gaps := e.gaps(nil)
	if percent, ok := e.percent(e.key); ok && s.on() && e.route && e.known != nil {
		gaps = append(e.known.RouteGaps(e.key, percent), gaps...)
	}
	s.Notes = append(s.Notes, texts(gaps)...)
	return s
}

// otherKind reports whether the key is one of the other kind: polled by the plugin, or of a maintenance route.
func (e *Envoy) otherKind() bool {
	return e.known != nil && slices.Contains(e.known.Keys(), e.key) == e.route &&
		slices.Contains(e.known.RouteKeys(), e.key) != e.route
}

// Refuses says why nothing would come of an order that is written to a layer of this kind, or of checks that are to
// verify it; "" when something may.
func (e *Envoy) Refuses(o Order, kind reach.Kind, checks []string) string {
	if e.State.Error != "" {
		return e.State.Error
	}
	if what := e.unread(); what != "" && (o.On || e.State.Value == "" || e.otherKind()) {
		return what
	}
	for _, url := range checks {
		if what := e.misfit(url); what != "" {
			return what
		}
	}
	if e.known == nil || len(e.known.Layers) == 0 {
		return ""
	}
	of := e.known.Of(kind)
	switch {
	case kind == reach.RTDS && len(of) > 0 && !slices.ContainsFunc(of, func(l reach.Layer) bool { return l.File != "" }):
		return fmt.Sprintf("its layer %q comes from a server, not from a file: change the key there", of[0].Name)
	case len(of) > 0:
		return ""
	}
	return e.without(kind)
}

// some joins texts, of which there may be hundreds.
func some(texts []string) string {
	const most = 4
	if more := len(texts) - most; more > 0 {
		texts = append(slices.Clone(texts[:most]), fmt.Sprintf("and %d more, which healthgate status shows", more))
	}
	return strings.Join(texts, "; ")
}

// command returns a command line about this Envoy, as a shell takes it.
func (e *Envoy) command(words ...string) string {
	return "healthgate " + document.Shell(words...) + " " + e.client.Flags
}
