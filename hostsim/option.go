package hostsim

import (
	"cmp"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Option sets up a Host. Node, Profile and FailurePolicy are Options themselves.
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

type config struct {
	plugins          []*pluginConfig // of each listener's chain, in its order; the first is New's
	chain            int             // how many each chain has
	listeners        []Listener
	services         []*pluginConfig
	profile          Profile
	workers          int
	node             Node
	upstreams        []*upstream
	app              *upstream
	adminCluster     string
	seed             uint64
	start            time.Time
	deadline         time.Duration
	logLevel         LogLevel
	logTo            io.Writer
	traceTo          io.Writer
	useRemoteAddress bool
	xffTrustedHops   int
	address          string
	bufferLimit      int
	trailers         bool
	foreign          map[string]ForeignFunc
	functions        map[hostFunction]HostFunc
	compile          func(text string) (Expression, error)
	routes           []Route
	faults           []Fault
	realtime         bool
	shuffled         bool
	cacheDir         string
}

const (
	defaultDeadline    = 10 * time.Second
	defaultBufferLimit = 1 << 20
)

// defaultStart is a moment that is easy to recognize in a log.
var defaultStart = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

func newConfig(code []byte, opts []Option) *config {
	c := &config{
		plugins: []*pluginConfig{newPluginConfig(code)}, listeners: []Listener{{}},
		workers: 1, start: defaultStart, deadline: defaultDeadline,
		logLevel: LogInfo, bufferLimit: defaultBufferLimit, foreign: make(map[string]ForeignFunc),
		functions: make(map[hostFunction]HostFunc),
		address:   "192.0.2.1",
		node:      Node{ID: "node", Cluster: "cluster"},
		app:       &upstream{name: "application", handler: http.HandlerFunc(defaultApplication)},
	}
	for _, o := range opts {
		if o != nil {
			o.apply(c)
		}
	}
	return c
}

func defaultApplication(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	io.WriteString(w, "application")
}

// Workers is the number of worker threads, 1 by default and at least. Each has a VM, and so has the main thread.
func Workers(n int) Option { return optionFunc(func(c *config) { c.workers = n }) }

// Node is node and node.locality of Envoy's bootstrap, read as the property xds.node. It is an Option.
type Node struct {
	ID, Cluster           string
	Region, Zone, SubZone string
	// Metadata is node.metadata. Values have the types of package encoding/json.
	Metadata map[string]any
}

func (n Node) apply(c *config) { c.node = n }

// Upstream is a cluster that handler serves, in place of any network. With a nil handler it has no healthy endpoint.
func Upstream(name string, handler http.Handler) Option {
	return optionFunc(func(c *config) { c.upstreams = append(c.upstreams, &upstream{name: name, handler: handler}) })
}

// UpstreamGRPC is Upstream for a gRPC service: in a real Envoy, its cluster speaks HTTP/2.
func UpstreamGRPC(name string, handler http.Handler) Option {
	return optionFunc(func(c *config) {
		c.upstreams = append(c.upstreams, &upstream{name: name, handler: handler, http2: true})
	})
}

// UpstreamURL is a cluster at a real address, such as http://127.0.0.1:8080. A call to it takes real time, not virtual
// time.
func UpstreamURL(name string, u *url.URL) Option {
	return optionFunc(func(c *config) {
		c.upstreams = append(c.upstreams, &upstream{name: name, url: cmp.Or(u, &url.URL{})})
	})
}

// Application is the upstream behind the router. The default answers 200 and the text "application"; with a nil handler
// there is no healthy upstream.
func Application(handler http.Handler) Option {
	return optionFunc(func(c *config) { c.app = &upstream{name: "application", handler: handler} })
}

// ApplicationURL is Application at a real address.
func ApplicationURL(u *url.URL) Option {
	return optionFunc(func(c *config) { c.app = &upstream{name: "application", url: cmp.Or(u, &url.URL{})} })
}

// Admin makes Envoy's admin endpoint reachable as the cluster name: /runtime, /runtime_modify, /ready,
// /healthcheck/fail, /healthcheck/ok, /stats and /server_info, as far as Host.Admin describes.
func Admin(name string) Option { return optionFunc(func(c *config) { c.adminCluster = name }) }

// Seed is the source of all randomness in a run, 0 by default. Two runs with the same seed are the same, byte for byte.
func Seed(n uint64) Option { return optionFunc(func(c *config) { c.seed = n }) }

// Shuffled lets the seed decide the order of events that fall due at the same moment, or that fell due while a thread
// was stalled or the process stood still. Envoy promises no order.
func Shuffled() Option { return optionFunc(func(c *config) { c.shuffled = true }) }

// StartTime is the wall clock's time when the host is built, 2030-01-02 03:04:05 UTC by default.
func StartTime(t time.Time) Option { return optionFunc(func(c *config) { c.start = t }) }

// CacheDir keeps compiled plugins in a directory, which it makes, so that the next process that tests the same plugin
// need not compile it. Nothing is removed there.
func CacheDir(dir string) Option { return optionFunc(func(c *config) { c.cacheDir = dir }) }

// CallDeadline limits the real time that one call into a VM may take, 10 s by default. The VM dies when the limit is
// reached, or up to a quarter of the limit later. 0 means no limit. In Envoy, which has no such limit, an endless loop
// blocks the thread.
func CallDeadline(d time.Duration) Option { return optionFunc(func(c *config) { c.deadline = d }) }

// MinLogLevel is Envoy's log level for Wasm, LogInfo by default. Messages below it are dropped.
func MinLogLevel(l LogLevel) Option { return optionFunc(func(c *config) { c.logLevel = l }) }

// LogTo also writes each line of the log to w.
func LogTo(w io.Writer) Option { return optionFunc(func(c *config) { c.logTo = w }) }

// TraceTo writes each call between host and plugin to w, from the first.
func TraceTo(w io.Writer) Option { return optionFunc(func(c *config) { c.traceTo = w }) }

// UseRemoteAddress is use_remote_address of the connection manager. With false,
// Envoy's default, source.address is the last entry of x-forwarded-for with port 0,
// if there is one; with true it is the peer, which is appended to x-forwarded-for.
func UseRemoteAddress(use bool) Option {
	return optionFunc(func(c *config) { c.useRemoteAddress = use })
}

// XFFNumTrustedHops is xff_num_trusted_hops of the connection manager.
func XFFNumTrustedHops(n int) Option { return optionFunc(func(c *config) { c.xffTrustedHops = n }) }

// Address is the machine's own IP address, "192.0.2.1" by default. Envoy takes it from the first interface that is not
// loopback, and writes it to x-forwarded-for in place of a peer on loopback.
func Address(ip string) Option { return optionFunc(func(c *config) { c.address = ip }) }

// BufferLimit is per_connection_buffer_limit_bytes, 1 MiB by default. If a plugin holds back more of a request, the
// client gets a 413; if it holds back more of a response, a 500. 0 means no limit.
func BufferLimit(bytes int) Option { return optionFunc(func(c *config) { c.bufferLimit = bytes }) }

// EnableTrailers is enable_trailers of the HTTP/1.1 codec, on both sides: without it, Envoy drops trailers.
func EnableTrailers(enable bool) Option { return optionFunc(func(c *config) { c.trailers = enable }) }
