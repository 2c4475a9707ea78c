// Package status makes the document of a status endpoint: what each health check would get at this moment and why, each
// probe, draining, and how old all of that is. It is written as JSON for programs and as a page for people.
//
// The document follows "Health Check Response Format for HTTP APIs" (draft-inadarei-api-health-check-06);
// docs/status.md describes it for those who read it.
package status

import (
	"strconv"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/lean/ascii"
	"github.com/healthgate/healthgate/filter/lean/duration"
	"github.com/healthgate/healthgate/filter/snapshot"
	"github.com/healthgate/healthgate/filter/verdict"
)

// Level is the draft's status (section 3.1).
type Level uint8

// The levels, from good to bad.
const (
	Pass Level = iota
	Warn
	Planned // for programs the same as Fail, for people not: an operator wanted it so
	Fail
)

// String is the level's name in the document.
func (l Level) String() string { return [...]string{"pass", "warn", "fail", "fail"}[l] }

// Document is the state of one configuration. All times are Unix nanoseconds, 0 for not known.
type Document struct {
	Level     Level
	Node      string  // Envoy's node id
	Time      int64   // when the document was made
	Output    string  // which checks are why Level is not Pass
	Note      string  // what the document can't know
	Endpoints []Check // one for each endpoint of kind health_check
	Probes    []Check // one for each probe
	System    []Check // draining, runtime and the shared record
}

// Check is one entry of the draft's "checks" (section 4), whose name there is Component:Measurement.
type Check struct {
	Component, Measurement string
	Level                  Level
	Value                  string // observedValue, as a JSON text; "" when nothing was observed
	Unit                   string // observedUnit
	Time                   int64  // when Value was recorded
	Since                  int64  // since when a probe has been as it is
	HTTPStatus             uint32 // what a health check gets, or what a probe got last; 0 when there is none
	Outcome                string // what a probe got last, in the words of docs/status.md
	Paths                  []string
	Output                 string       // why Level is not Pass
	Maintenance            *Maintenance // nil unless a runtime key puts the endpoint under maintenance
}

// Maintenance is what an operator said in a runtime key.
type Maintenance struct {
	Key, Value, Reason string
	Until              int64 // 0: no end
}

// HTTPStatus is the status of the document's response: the draft demands 4xx or 5xx for fail, 2xx or 3xx for all else.
func (d *Document) HTTPStatus() uint32 {
	if d.Level >= Planned {
		return 503
	}
	return 200
}

// noteOnRoutes is for behind another text.
const noteOnRoutes = "; maintenance by route is decided for each check, and not known here"

// describer has what a document is made from.
type describer struct {
	config    *config.Config
	record    *snapshot.Record
	none      bool // there is no record yet, so this one is empty
	clock     verdict.Clock
	now, wall int64 // the monotonic and the wall clock
}

// Describe makes the document from the configuration and the shared record, which is nil while there is none. The whole
// fails if one of the endpoints' health checks does, and passes if everything does.
func Describe(c *config.Config, node config.Node, record *snapshot.Record, clock verdict.Clock) *Document {
	d := describer{config: c, record: record, clock: clock, now: clock.Monotonic(), wall: clock.Wall()}
	if record == nil {
		d.record, d.none = snapshot.New(len(c.Keys), len(c.Probes)), true
	}
	doc := &Document{Node: node.ID, Time: d.wall}
	var byRoute []int
	for i := range c.Endpoints {
		if e := &c.Endpoints[i]; e.Kind == config.KindHealthCheck {
			doc.Endpoints = append(doc.Endpoints, d.endpoint(e, record))
			if e.Maintenance.RouteMetadata {
				doc.Note = noteOnRoutes[len("; "):]
				byRoute = append(byRoute, len(doc.Endpoints)-1)
			}
		}
	}
	for i := range c.Probes {
		doc.Probes = append(doc.Probes, d.probe(i))
	}
	if c.Admin != nil {
		if !c.Admin.IgnoreDraining {
			doc.System = append(doc.System, d.draining())
		}
		doc.System = append(doc.System, d.runtime())
	}
	if c.Admin != nil || len(c.Probes) > 0 {
		doc.System = append(doc.System, d.snapshot())
	}
	doc.judge()
	for _, i := range byRoute { // the document has it once for all
		if e := &doc.Endpoints[i]; e.Maintenance == nil {
			note := noteOnRoutes
			if e.Output == "" {
				note = doc.Note
			}
			e.Output += note
		}
	}
	return doc
}

// judge sets the level of the whole, and says why.
func (d *Document) judge() {
	for i := range d.Endpoints {
		d.Level = max(d.Level, d.Endpoints[i].Level)
	}
	lists := [][]Check{d.Endpoints}
	if d.Level < Planned {
		// What is wrong here fails no health check: a probe that no endpoint needs, or one of several.
		lists = append(lists, d.Probes, d.System)
	}
	var why []string
	for _, checks := range lists {
		for i := range checks {
			if c := &checks[i]; c.Level != Pass {
				d.Level = max(d.Level, Warn)
				why = append(why, c.Component+": "+c.Output)
			}
		}
	}
	d.Output = ascii.Join(why, "; ")
}

// toWall turns a time of the monotonic clock into one of the wall clock.
func (d *describer) toWall(t int64) int64 {
	if t == 0 {
		return 0
	}
	return d.wall - (d.now - t)
}

func (d *describer) endpoint(e *config.Endpoint, record *snapshot.Record) Check {
	a := verdict.Decide(d.config, e, record, false, d.clock)
	c := Check{
		Component: e.Name, Measurement: "verdict", Value: `"` + a.Kind.String() + `"`, Time: d.toWall(d.record.WrittenAt),
		HTTPStatus: a.Status, Paths: e.Paths,
	}
	c.Level = Planned
	switch a.Kind {
	case verdict.Maintenance:
		c.Maintenance, c.Output = d.maintenance(e)
	case verdict.Draining:
		c.Output = "Envoy is draining"
	case verdict.Unknown:
		c.Level, c.Output = Fail, d.unknown(e)
	case verdict.Unhealthy:
		c.Level, c.Output = Fail, d.unhealthy(e)
	case verdict.Degraded:
		c.Level, c.Output = Warn, ascii.Join(d.failing(e.Degraded.Probes), ", ")+" not known to be healthy"
	default: // healthy
		c.Level = Pass
		return c
	}
	if a.Status < 400 {
		c.Level = Warn // something is wrong, and the configuration tells load balancers otherwise
	}
	return c
}

func (d *describer) maintenance(e *config.Endpoint) (*Maintenance, string) {
	i := verdict.Key(e, d.record, d.clock)
	if i < 0 {
		return nil, "" // it ended between two looks at the clock
	}
	k := &d.record.Keys[i]
	m := &Maintenance{Key: d.config.Keys[i], Value: k.Value, Reason: k.Reason, Until: k.Switch.Until}
	output := "under maintenance by key " + ascii.Quote(m.Key)
	if m.Reason != "" {
		output += ": " + m.Reason
	}
	return m, output
}

func (d *describer) unknown(e *config.Endpoint) string {
	if d.none {
		return "there is no shared record yet"
	}
	if d.record.Stale(d.now) {
		return "the shared record is " + age(d.now-d.record.WrittenAt) + " old"
	}
	if d.now < d.record.WrittenAt {
		return "the clock was set back since the shared record was written"
	}
	var unseen []string
	for _, i := range e.Probes.Names {
		if !d.probeKnown(i) {
			unseen = append(unseen, d.config.Probes[i].Name)
		}
	}
	if len(unseen) > 0 {
		return "no recent result of " + ascii.Join(unseen, ", ")
	}
	if len(e.Maintenance.Keys) > 0 && !verdict.RuntimeKnown(d.config.Admin, d.record, d.now) {
		return d.runtime().Output
	}
	return "draining: " + d.draining().Output
}

func (d *describer) unhealthy(e *config.Endpoint) string {
	failing, n := d.failing(e.Probes.Names), len(e.Probes.Names)
	return ascii.Join(failing, ", ") + " failing; " + strconv.Itoa(n-len(failing)) + " of " + strconv.Itoa(n) +
		" healthy, " + strconv.Itoa(e.Probes.Need) + " needed"
}

// failing names those of some probes that are not known to be healthy.
func (d *describer) failing(probes []int) (names []string) {
	for _, i := range probes {
		why := "no recent result"
		if d.probeKnown(i) {
			if d.record.Probes[i].Healthy {
				continue
			}
			why = d.found(i, "")
		}
		names = append(names, d.config.Probes[i].Name+" ("+why+")")
	}
	return names
}

// found is what the state of a probe rests on. One of Envoy's statistics has no answer of its own: what its finding has
// is how the last reading went.
func (d *describer) found(i int, prefix string) string {
	if d.config.Probes[i].OfEnvoy() {
		return "statistics"
	}
	return found(&d.record.Probes[i].Finding, prefix)
}

func (d *describer) probeKnown(i int) bool {
	return verdict.ProbeKnown(&d.config.Probes[i], &d.record.Probes[i], d.now)
}

func (d *describer) probe(i int) Check {
	c := Check{Component: d.config.Probes[i].Name, Measurement: "responseTime", Level: Warn, Output: "no result yet"}
	p := &d.record.Probes[i]
	why := ""
	if d.config.Probes[i].OfEnvoy() && p.Unread() {
		if why = ": " + found(&p.Finding, "status "); p.Status == 200 {
			why = ": Envoy shows no such gauge"
		}
	}
	if p.At == 0 {
		c.Output += why
		return c
	}
	c.Value, c.Unit = strconv.Itoa(int(p.TookMs)), "ms"
	c.Time, c.Since, c.Outcome = d.toWall(p.At), d.toWall(p.ChangedAt), d.found(i, "")
	if p.Outcome == snapshot.Answered && !d.config.Probes[i].OfEnvoy() {
		c.HTTPStatus, c.Outcome = p.Status, "response"
	}
	switch {
	case !d.probeKnown(i):
		c.Output = "unknown: the last result is " + age(d.now-p.At) + " old" + why
	case p.Healthy:
		c.Level, c.Output = Pass, ""
	default:
		c.Level, c.Output = Fail, d.found(i, "status ")
	}
	return c
}

func (d *describer) draining() Check {
	c := Check{Component: "envoy", Measurement: "draining"}
	if d.record.Draining {
		c.Level, c.Value, c.Output = Planned, "true", "Envoy is draining"
		c.Time = d.toWall(d.record.Ready.At)
		return c
	}
	if f := &d.record.Ready; d.reading(&c, f) {
		c.Value, c.Time = "false", d.toWall(f.At)
	}
	return c
}

func (d *describer) runtime() Check {
	c := Check{Component: "runtime", Measurement: "age"}
	if f := &d.record.Runtime; d.reading(&c, f) {
		c.read(d, f.At)
	}
	return c
}

// reading judges a reading of admin as verdict.Decide does; false if there is none.
func (d *describer) reading(c *Check, f *snapshot.Finding) bool {
	a := d.config.Admin
	through := " through cluster " + ascii.Quote(a.Cluster)
	if f.Unread() { // a request came to this since it could be read
		through += ": " + found(f, "status ")
	}
	if f.At == 0 {
		c.Level, c.Output = Warn, "not read yet"+through
		return false
	}
	if old := d.now - f.At; old > int64(a.MaxAgeAfter(f.Took())) {
		c.Level, c.Output = Warn, "last read "+age(old)+" ago"+through
		if a.FailOnStale {
			c.Level = Fail
		} else {
			c.Output += "; the last values are kept"
		}
	}
	return true
}

func (d *describer) snapshot() Check {
	c := Check{Component: "snapshot", Measurement: "age"}
	if d.none {
		c.Level, c.Output = Warn, "there is no shared record yet"
		return c
	}
	c.read(d, d.record.WrittenAt)
	if d.record.Stale(d.now) {
		c.Level, c.Output = Fail, "not written for "+age(d.now-d.record.WrittenAt)+": no VM leads"
	}
	return c
}

// read makes the check's value the age of what was read at a time of the monotonic clock.
func (c *Check) read(d *describer, at int64) {
	c.Value, c.Unit, c.Time = strconv.FormatInt(max(d.now-at, 0)/int64(duration.Millisecond), 10), "ms", d.toWall(at)
}
