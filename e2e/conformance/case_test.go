package conformance

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/healthgate/healthgate/hostsim"
)

// Case is a plugin's configuration and what is done to it.
type Case struct {
	Name string
	// Config is the plugin's configuration: what the guest in hostsim/testdata/script does, without its "trace" line,
	// which every case has. In it, {case} is the case's own name for clusters and metrics, which all cases of an Envoy
	// share.
	Config string
	// Updates are what the first plugin's configuration becomes with each step Update.
	Updates []string
	// Further are the plugins behind the first.
	Further []*further
	// Filter takes healthgate's own filter in place of that guest.
	Filter bool
	// Guest is a plugin of hostsim/testdata/guests in its place, made with another SDK or none.
	Guest string
	// ABI021 takes the guest for the newer ABI.
	ABI021 bool
	// TinyGo takes the guest that TinyGo built, with which an Envoy starts ten times as fast.
	TinyGo bool

	// Routes gives the case the routes of chain_test.go, in place of one for all requests.
	Routes bool
	// RouteMetadata is that of the route which all requests take.
	RouteMetadata map[string]map[string]any

	// Listeners are those of the case, one if empty.
	Listeners []hostsim.Listener

	VMConfig  string
	Policy    policy
	AllowStop bool // allow_on_headers_stop_iteration
	Remote    bool // use_remote_address
	Hops      int  // xff_num_trusted_hops
	Limit     int  // per_connection_buffer_limit_bytes
	// App is the cluster behind the plugin in place of the case's own: "refused" or "empty".
	App string
	// Silent are the upstreams that never answer: "application" or "backend".
	Silent []string
	// Grpc makes the upstream that the plugin calls a gRPC server.
	Grpc bool
	// Backend is the name of the cluster that the plugin calls, "{case}-backend" if empty. Other names are shared by the
	// cases of an Envoy.
	Backend string
	// Metrics is what the names of the plugin's metrics start with, "{case}." if empty. Other metrics are shared by the
	// cases of an Envoy.
	Metrics string
	// Alone is a case that changes what all cases of an Envoy share.
	Alone bool

	// Workers is how many worker threads there are, 1 if 0.
	Workers int
	// Shutdown takes the plugin's listener away after the steps.
	Shutdown bool

	// Unordered is for what happens at once: then the order of lines does not count.
	Unordered bool
	// Repeats is for what goes on and on, on whichever thread: then a request to an upstream and a line of the log count
	// once however often they come, and the thread of a line does not count.
	Repeats bool

	// Patience is how much of hostsim's time a wait may take, if more than usual.
	Patience time.Duration

	Steps []Step
}

// Step is one thing that is done.
type Step struct {
	Request *Request
	Leave   string   // close the connection of the request once the log has this
	Async   bool     // begin the request, and do the next step at once
	Await   string   // wait for a line of the plugin's log that contains this
	Post    string   // an admin action, such as /healthcheck/fail; {in 5s} is that time, as in RFC 3339
	Update  bool     // a live update to the next of Updates
	Drained bool     // wait until what was before the update is gone
	Turn    string   // what the upstreams answer with Status from now on: a path without its query
	Until   *Request // send this again and again until the answer has Status; it is waited for, and not compared
	Status  int
}

// waiting marks the requests of Until, so that what becomes of them is not compared.
const waiting = "x-waiting"

// untilRequest is what Until sends.
func (s *Step) untilRequest() *Request {
	r := *s.Until
	r.Header = slices.Concat([][2]string{{waiting, "1"}}, r.Header)
	return &r
}

// action is what Post asks of the admin endpoint when the clock shows now.
func (c *Case) action(s *Step, now time.Time) string {
	return c.named(inTime.ReplaceAllStringFunc(s.Post, func(in string) string {
		d, _ := time.ParseDuration(inTime.FindStringSubmatch(in)[1]) // nothing else matches
		return url.QueryEscape(now.Add(d).UTC().Format(time.RFC3339))
	}))
}

var inTime = regexp.MustCompile(`\{in (\d+s)\}`)

// policy is a failure policy, "closed" if empty.
type policy string

var policies = map[policy]hostsim.FailurePolicy{
	"": hostsim.FailClosed, "closed": hostsim.FailClosed, "open": hostsim.FailOpen, "reload": hostsim.FailReload,
}

// Request is what a client sends.
type Request struct {
	Method, Path, Authority string
	Listener                int
	Header                  [][2]string
	Body                    string
	Chunks                  []string // in place of Body, in pieces; the next is sent when the plugin has seen the last
	Trailer                 [][2]string
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// slug is the case's name as Envoy's names go.
func (c *Case) slug() string {
	var b strings.Builder
	for _, r := range strings.ToLower(c.Name) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else if !strings.HasSuffix(b.String(), "_") {
			b.WriteByte('_')
		}
	}
	return strings.Trim(b.String(), "_")
}

// config is the plugin's configuration after a number of updates.
func (c *Case) config(updates int) string {
	text := append([]string{c.Config}, c.Updates...)[updates]
	if c.Filter || c.Guest != "" {
		return c.named(text)
	}
	return c.named("trace\n" + text)
}

// named puts the case's own name into a text.
func (c *Case) named(text string) string { return strings.ReplaceAll(text, "{case}", c.slug()) }

// listeners is all of the case's.
func (c *Case) listeners() []hostsim.Listener {
	if c.Listeners == nil {
		return []hostsim.Listener{{}}
	}
	return c.Listeners
}

// workers is the number of worker threads.
func (c *Case) workers() int { return max(c.Workers, 1) }

// vmID is the VM's. The cases of the filter share one VM, as plugins in Istio do, unless they are alone.
func (c *Case) vmID() string {
	if c.Filter && !c.Alone {
		return "healthgate"
	}
	return c.slug()
}

// rootID tells the plugins of a shared VM apart in Envoy's log, which has no more of a root context.
func (c *Case) rootID() string {
	if c.Filter && !c.Alone {
		return c.slug()
	}
	return ""
}

func (c *Case) backend() string { return c.named(or(c.Backend, "{case}-backend")) }

// metrics is what the names of the plugin's metrics start with.
func (c *Case) metrics() string { return c.named(or(c.Metrics, "{case}.")) }

func (c *Case) silent(upstream string) bool { return slices.Contains(c.Silent, upstream) }

// lines is a result of the case as it is compared.
func (c *Case) lines(r *result) []string {
	if c.Repeats {
		r.once()
	}
	lines := r.lines(c)
	if c.Unordered {
		slices.Sort(lines)
	}
	return lines
}
