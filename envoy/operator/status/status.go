// Package status asks Envoys how healthgate is: what health checks get and why, maintenance, draining, every probe.
//
// The plugin's status endpoint knows all of it (docs/status.md). Where it can't be reached, Envoy's admin still tells the
// configuration, the runtime keys and the gauges; what only the plugin knows is missing then.
package status

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/healthgate/healthgate/envoy/operator/admin"
	"github.com/healthgate/healthgate/envoy/operator/lint"
	"github.com/healthgate/healthgate/envoy/operator/reach"
	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/maintenance"
)

// Report is what is known of one Envoy. A pointer is nil, a string empty, for what is not known.
type Report struct {
	Envoy         string     `json:"envoy"` // the address that was asked
	Node          string     `json:"node,omitempty"`
	Zone          string     `json:"zone,omitempty"`
	State         string     `json:"state,omitempty"` // Envoy's own: LIVE, DRAINING, …
	Draining      *bool      `json:"draining,omitempty"`
	SnapshotAgeMS *int64     `json:"snapshot_age_ms,omitempty"` // of the plugin's shared record
	Endpoints     []Endpoint `json:"endpoints,omitempty"`
	Probes        []Probe    `json:"probes,omitempty"`
	StatusURL     string     `json:"status_url,omitempty"` // of the status endpoint that was asked
	Notes         []string   `json:"notes,omitempty"`
	Error         string     `json:"error,omitempty"` // why nothing is known
}

// Endpoint is one health check.
type Endpoint struct {
	Name        string       `json:"name"`
	Verdict     string       `json:"verdict,omitempty"` // healthy, passed, unhealthy, maintenance, draining, unknown
	HTTPStatus  int          `json:"http_status,omitempty"`
	Output      string       `json:"output,omitempty"` // why it is not healthy
	Maintenance *Maintenance `json:"maintenance,omitempty"`
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
	Name      string     `json:"name"`
	Healthy   *bool      `json:"healthy,omitempty"`
	Since     *time.Time `json:"since,omitempty"`
	Status    int        `json:"last_status,omitempty"`
	Outcome   string     `json:"outcome,omitempty"` // what came in the place of a status, see docs/status.md
	LatencyMS *int64     `json:"latency_ms,omitempty"`
	LastAsked *time.Time `json:"last_asked,omitempty"`
}

// FromURL asks a status endpoint.
func FromURL(ctx context.Context, url string) Report {
	r := Report{Envoy: url}
	if err := r.ask(ctx, url, ""); err != nil {
		r.Error = err.Error()
	}
	return r
}

// FromAdmin asks an Envoy's admin, and the status endpoint that its configuration has.
func FromAdmin(ctx context.Context, envoy *admin.Client, now time.Time) Report {
	r := Report{Envoy: envoy.Name}
	fail := func(err error) Report {
		r.Error = err.Error()
		return r
	}
	var err error
	if r.State, err = envoy.Ready(ctx); err != nil {
		return fail(err)
	}
	node, err := envoy.Node(ctx)
	if err != nil {
		return fail(err)
	}
	r.Node, r.Zone = node.ID, node.Zone
	runtime, err := envoy.Runtime(ctx)
	if err != nil {
		return fail(err)
	}
	gauges, err := envoy.Stats(ctx, `^wasmcustom\.healthgate_(maintenance|probe_up|draining|snapshot_age_seconds)`)
	if err != nil {
		return fail(err)
	}
	dump, err := envoy.ConfigDump(ctx)
	if err != nil {
		r.Notes = append(r.Notes, "its configuration can't be read: "+err.Error())
	}
	known := reach.Read(dump, node)
	for _, p := range known.Plugins {
		r.fromConfig(p.Config, runtime, now)
	}
	r.fromGauges(gauges)
	if len(gauges) == 0 && len(known.Plugins) == 0 {
		r.Notes = append(r.Notes, "it runs no healthgate")
	}
	for _, p := range known.Plugins {
		for _, place := range p.Places {
			url, host := statusURL(p.Config, place.Address, envoy.Host())
			if url == "" || r.StatusURL != "" {
				continue
			}
			if err := r.ask(ctx, url, host); err == nil {
				// The plugin does not see the routes; they are in the configuration.
				r.Notes = slices.DeleteFunc(r.Notes, func(note string) bool { return strings.HasPrefix(note, "maintenance by route") })
			} else if ctx.Err() == nil {
				r.Notes = append(r.Notes, "its status endpoint "+url+" does not tell: "+err.Error())
			}
		}
	}
	note := func(text string) {
		if !slices.Contains(r.Notes, text) { // static parts stand in a dump twice
			r.Notes = append(r.Notes, text)
		}
	}
	for _, fault := range known.Faults() {
		note(fault)
	}
	for _, gap := range known.Gaps() {
		note(gap.What)
	}
	for _, p := range known.Plugins {
		r.fromRoutes(p.Config, known.Routes(), runtime)
		for _, place := range p.Places {
			for _, w := range lint.Listener(place.Listener, p.Config) {
				note(fmt.Sprintf("endpoint %q: %s", p.Config.Endpoints[w.Endpoint].Name, w.What))
			}
		}
		var clusters []string
		for i := range p.Config.Probes {
			clusters = append(clusters, p.Config.Probes[i].Cluster)
		}
		for _, w := range lint.Clusters(clusters, dump) {
			note(fmt.Sprintf("probe %q: %s", p.Config.Probes[w.Probe].Name, w.What))
		}
	}
	return r
}

// fromRoutes takes the maintenance routes that are on.
func (r *Report) fromRoutes(c *config.Config, routes []reach.Route, runtime *admin.Runtime) {
	for _, route := range routes {
		value := runtime.Entries[route.Key].Value
		share := route.Share(value)
		for i := range c.Endpoints {
			e := &c.Endpoints[i]
			if share == 0 || !e.Maintenance.RouteMetadata || !slices.Contains(e.Paths, route.Path) {
				continue
			}
			if share < 1 {
				r.Notes = append(r.Notes, fmt.Sprintf("maintenance by route: %s = %s puts only %g%% of the checks of %s under maintenance; 100 is all",
					route.Key, value, 100*share, route.Path))
				continue
			}
			*r.endpoint(e.Name) = Endpoint{
				Name: e.Name, Verdict: "maintenance", HTTPStatus: int(e.Maintenance.Reply.Status), Output: "by its route",
				Maintenance: &Maintenance{Key: route.Key, Value: value, Reason: runtime.Entries[route.Key+".reason"].Value},
			}
		}
	}
}

func (r *Report) endpoint(name string) *Endpoint {
	i := slices.IndexFunc(r.Endpoints, func(e Endpoint) bool { return e.Name == name })
	if i < 0 {
		i = len(r.Endpoints)
		r.Endpoints = append(r.Endpoints, Endpoint{Name: name})
	}
	return &r.Endpoints[i]
}

func (r *Report) probe(name string) *Probe {
	i := slices.IndexFunc(r.Probes, func(p Probe) bool { return p.Name == name })
	if i < 0 {
		i = len(r.Probes)
		r.Probes = append(r.Probes, Probe{Name: name})
	}
	return &r.Probes[i]
}

// fromGauges takes what the plugin's gauges tell.
func (r *Report) fromGauges(gauges map[string]uint64) {
	names := make([]string, 0, len(gauges))
	for name := range gauges {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, full := range names {
		on := gauges[full] > 0
		name := strings.TrimPrefix(full, "wasmcustom.healthgate_")
		if endpoint, is := strings.CutPrefix(name, "maintenance.endpoint."); is {
			if e := r.endpoint(endpoint); on {
				e.Verdict = "maintenance"
			}
		} else if probe, is := strings.CutPrefix(name, "probe_up.probe."); is {
			r.probe(probe).Healthy = &on
		} else if name == "draining" {
			r.Draining = &on
		} else if name == "snapshot_age_seconds" {
			age := int64(gauges[full]) * 1000
			r.SnapshotAgeMS = &age
		}
	}
}

// wallClock is the plugin's clock, at a given moment.
type wallClock time.Time

func (c wallClock) Wall() int64 { return time.Time(c).UnixNano() }

// fromConfig takes the maintenance keys of a configuration, with what runtime says of them.
func (r *Report) fromConfig(c *config.Config, runtime *admin.Runtime, now time.Time) {
	for i := range c.Endpoints {
		if c.Endpoints[i].Kind != config.KindHealthCheck {
			continue
		}
		e := r.endpoint(c.Endpoints[i].Name)
		for _, k := range c.Endpoints[i].Maintenance.Keys {
			key := c.Keys[k]
			value := runtime.Entries[key].Value
			s, _ := maintenance.ParseSwitch(value)
			if !s.Active(wallClock(now)) {
				continue
			}
			e.Maintenance = &Maintenance{Key: key, Value: value, Reason: runtime.Entries[key+".reason"].Value}
			if s.Until != 0 {
				until := time.Unix(0, s.Until).UTC()
				e.Maintenance.Until = &until
			}
			break
		}
	}
	for i := range c.Probes {
		r.probe(c.Probes[i].Name)
	}
}
