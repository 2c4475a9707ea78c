// Package config holds the plugin's configuration: what an operator may write, its defaults, and the strict reader
// that refuses everything else with the place of the mistake.
//
// The package makes no host call, so the plugin, its tests and command-line tools read a configuration alike.
package config

import (
	"github.com/healthgate/healthgate/filter/lean/duration"
	"github.com/healthgate/healthgate/filter/trust"
)

// Config is one plugin configuration, checked and with its defaults filled in.
type Config struct {
	Endpoints []Endpoint
	Probes    []Probe
	OnDemand  bool     // some probe is
	Admin     *Admin   // nil when the configuration has no admin section
	Keys      []string // every runtime key that an endpoint names, placeholders expanded, each once
	// Warnings are mistakes that do not stop the plugin.
	Warnings []Error
	// Fingerprint identifies what the shared record is made of: probes, admin section and expanded keys. Plugins with
	// the same fingerprint may share a record; all others never see it.
	Fingerprint uint64
	// EndpointsFingerprint identifies what can be told of the endpoints' maintenance: their names and keys.
	EndpointsFingerprint uint64
}

// NamesServices reports whether an endpoint of gRPC names its services, so that the plugin reads bodies of checks.
func (c *Config) NamesServices() bool {
	for i := range c.Endpoints {
		if len(c.Endpoints[i].Services) > 0 {
			return true
		}
	}
	return false
}

// Endpoint is one set of URLs and what it answers.
type Endpoint struct {
	Name string
	Kind EndpointKind
	GRPC bool // the health service of gRPC: paths, methods and replies are its own
	// Services of gRPC that may be asked for, besides the server; none means that any may be.
	Services []string
	Paths    []string // exact, compared byte for byte with the request's path without its query
	Methods  []string // empty: any
	Hosts    []string // lower case; empty: any
	Headers  []HeaderMatcher

	Trusted   Trusted
	Untrusted Reply

	// Only of an endpoint of kind KindHealthCheck.
	Healthy     Reply
	Unhealthy   Reply
	Maintenance Maintenance
	Probes      Policy
	Degraded    Degraded
	Unknown     Reply
	Draining    Reply
}

// EndpointKind is what an endpoint is for.
type EndpointKind uint8

// The kinds of endpoints.
const (
	KindHealthCheck EndpointKind = iota // answers a load balancer's checks
	KindStatus                          // shows operators the state of everything, see package status
)

// HeaderMatcher demands something of one request header. Exactly one of its kinds is set, as in Envoy's HeaderMatcher
// with its StringMatcher.
type HeaderMatcher struct {
	Name       string // lower case
	Kind       MatchKind
	Value      string // lower case when IgnoreCase is set
	IgnoreCase bool
}

// MatchKind is how a HeaderMatcher compares.
type MatchKind uint8

// The kinds of comparison.
const (
	Exact MatchKind = iota
	Prefix
	Suffix
	Contains
	Present // the header is there, whatever its value
	Absent  // the header is not there
)

// Trusted says who may ask an endpoint, and where the asker's address is read.
type Trusted struct {
	Set  *trust.Set
	Pipe bool // also whoever can open the Unix socket that Envoy listens on
	Peer Peer
	// FilterState is the filter state object that holds the peer's address, when Peer is PeerFilterState.
	FilterState string
}

// Peer is where the address of the asker comes from.
type Peer uint8

// The sources of a peer address.
const (
	// PeerConnection takes Envoy's source.address only when it is the address of a connection: port 0 marks one that
	// Envoy derived from X-Forwarded-For.
	PeerConnection Peer = iota
	// PeerForwarded takes source.address, derived from X-Forwarded-For if there is one.
	PeerForwarded
	// PeerFilterState reads a filter state object, as written by Envoy's set_filter_state filters.
	PeerFilterState
)

// Reply is one answer: pass the request on, or a local reply.
type Reply struct {
	Pass        bool
	ProbeStatus bool // use the failing probe's status instead of Status
	Status      uint32
	Body        string
	Headers     [][2]string // lower-case names, content-type first
}

// ContentType returns the reply's content-type; "" if it has none.
func (r *Reply) ContentType() string {
	if len(r.Headers) == 0 || r.Headers[0][0] != "content-type" {
		return ""
	}
	return r.Headers[0][1]
}

// Maintenance says what switches an endpoint's maintenance, and what is answered then.
type Maintenance struct {
	Keys          []int // indexes into Config.Keys
	RouteMetadata bool  // also on when the route's metadata says healthgate: {maintenance: true}
	Reply         Reply
}

// Policy says how many of the named probes must be healthy.
type Policy struct {
	Names []int // indexes into Config.Probes; empty: no probe decides
	Need  int
}

// Degraded says which probes do not fail an endpoint, but change its healthy answer while they fail, or nothing is
// known of them.
type Degraded struct {
	Probes []int // indexes into Config.Probes
	Reply  Reply // by default the healthy one
}

// Probe is one request that the leader sends again and again: HTTP, a Check of the gRPC health checking protocol, or to
// Envoy's admin endpoint for its own statistics.
type Probe struct {
	Name, Cluster, Path, Host, Method string
	Interval, Timeout                 duration.Duration
	UnhealthyThreshold                uint32
	HealthyThreshold                  uint32
	MinUnhealthy                      duration.Duration // how long it stays unhealthy at the least
	OnDemand                          duration.Duration // sent when a check finds its result older; 0: every Interval
	ExpectedStatuses                  []StatusRange     // of HTTP; of statistics, what is asked of them

	GRPC    bool
	Service string // whose health gRPC asks for; "" for the server's

	Stats   []string // the gauges of Envoy that are read: a cluster's, or one by itself; none asks the application
	Witness string   // one that is there unless a stats_matcher leaves out all of its kind; "" for one by itself
	XDS     bool     // they say that what Envoy gets by xDS is complete, which is asked until it once is
}

// OfEnvoy reports whether the probe reads Envoy's own statistics, through the cluster of admin.
func (p *Probe) OfEnvoy() bool { return len(p.Stats) > 0 }

// MaxAge is how old the probe's last result may be. While a leader lives, results are at most an interval and a timeout
// apart; when one dies, what it had under way is lost, and the next one waits for its turn. Thresholds do not matter:
// they count results, and do not make them rarer.
func (p *Probe) MaxAge() duration.Duration {
	if p.OnDemand > 0 {
		return p.OnDemand
	}
	least := minAge
	if p.OfEnvoy() {
		least = DefaultMaxAge // admin does not answer while Envoy's main thread is busy
	}
	return max(least, 3*p.Interval+p.Timeout)
}

// minAge spares probes with a short interval a flap when an Envoy is busy for seconds.
const minAge = 10 * duration.Second

// StatusRange is a half-open range of HTTP statuses, as Envoy's Int64Range.
type StatusRange struct{ Start, End uint32 }

// Expects reports whether the status counts as a success of the probe.
func (p *Probe) Expects(status uint32) bool {
	for _, r := range p.ExpectedStatuses {
		if r.Start <= status && status < r.End {
			return true
		}
	}
	return false
}

// Admin says how Envoy's admin endpoint is polled for runtime keys and draining.
type Admin struct {
	Cluster           string
	Interval, Timeout duration.Duration
	MaxAge            duration.Duration // how long the last readings of runtime and draining stay good
	FailOnStale       bool              // on_stale: fail
	IgnoreDraining    bool              // draining: ignore
}

// Pause is the least time between the end of a poll of runtime and the next one's beginning. Envoy's main thread writes
// all keys there are for each poll; this leaves it nineteen parts of twenty for its own work.
func Pause(took duration.Duration) duration.Duration { return 20 * took }

// MaxAgeAfter is how old a reading may be that took so long: where Pause keeps polls apart, three of its turns.
func (a *Admin) MaxAgeAfter(took duration.Duration) duration.Duration {
	return max(a.MaxAge, 3*Pause(took))
}

// Node is the Envoy this runs in; its values replace the placeholders in maintenance keys.
type Node struct{ ID, Cluster, Region, Zone string }
