package config

import "github.com/healthgate/healthgate/filter/lean/duration"

// Limits on a configuration. The reader holds them; the JSON Schema and docs/configuration.md name them.
const (
	MaxBytes     = 1 << 20 // size of the JSON text
	MaxEndpoints = 64
	MaxProbes    = 64
	MaxCIDRs     = 100_000 // over all endpoints, provider ranges not counted
	MaxKeys      = 64      // maintenance keys of one endpoint
	MaxKeyBytes  = 256     // of one key as it is written
	// MaxExpandedBytes bounds one key with the node's values in the places of its placeholders.
	MaxExpandedBytes = 1024
	MaxName          = 64  // characters of an endpoint's or a probe's name
	MaxService       = 127 // characters of the name of a gRPC service
	MaxFields        = 64  // of an object; only a reply's headers may be that many

	MinStatus, MaxStatus           = 200, 599 // of a reply
	MinProbeStatus, MaxProbeStatus = 100, 599 // of what a probe may get
	MaxThreshold                   = 1000
	MaxGauge                       = 1<<31 - 1 // that a probe compares a gauge with; of more, Envoy's YAML makes text

	// The lower ones keep a slip of the unit ("1ms") from flooding an application.
	MinInterval, MaxInterval = 100 * duration.Millisecond, duration.Hour
	MinTimeout, MaxTimeout   = 10 * duration.Millisecond, duration.Minute
	MaxMaxAge                = 24 * duration.Hour // and admin.interval at the least
)

// What holds where a configuration says nothing. The content-types, statuses and bodies are those of an endpoint's
// replies.
const (
	DefaultInterval     = duration.Second
	DefaultProbeTimeout = 500 * duration.Millisecond
	DefaultAdminTimeout = 2 * duration.Second
	DefaultMaxAge       = 15 * duration.Second
	DefaultThreshold    = 1
	DefaultProbeHost    = "localhost"
	DefaultProbeMethod  = "GET"

	DefaultType     = "text/plain" // of all but the healthy reply
	HealthyStatus   = 200
	HealthyType     = "text/html"
	UntrustedStatus = 403 // once the action is "reply"
	FailingStatus   = 503 // of all others; unhealthy takes the failing probe's where there is one
	UnhealthyBody   = "FAILED"
	DrainingBody    = "DRAINING"
	UnknownBody     = "UNKNOWN"
	MaintenanceBody = "Under maintenance. Remove maintenance file when complete"
)

// What an endpoint of gRPC answers: its paths, of which Watch is refused, and the bodies of its replies.
const (
	GRPCCheck  = "/grpc.health.v1.Health/Check"
	GRPCWatch  = "/grpc.health.v1.Health/Watch"
	Serving    = "SERVING"
	NotServing = "NOT_SERVING"
	// GRPCAnswer is the request header by which a reply reaches Envoy's routes: a filter's own local reply to a request
	// of gRPC has no message.
	GRPCAnswer = "x-healthgate-grpc"
)

// DefaultMethods are those of an endpoint that answers health checks; a status endpoint has the first two.
var DefaultMethods = []string{"GET", "HEAD", "OPTIONS"}
