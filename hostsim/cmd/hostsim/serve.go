package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/healthgate/healthgate/hostsim"
)

// upstreams is the flag --upstream NAME=URL, which may come again.
type upstreams map[string]*url.URL

func (u upstreams) String() string { return "" }

func (u upstreams) Set(s string) error {
	name, addr, ok := strings.Cut(s, "=")
	if !ok || name == "" {
		return fmt.Errorf("%q is not NAME=URL", s)
	}
	parsed, err := parseURL(addr)
	if err != nil {
		return err
	}
	u[name] = parsed
	return nil
}

func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%q is not an http URL", s)
	}
	return u, nil
}

// maxBody bounds what a client may send.
const maxBody = 64 << 20

// serve runs a plugin as an HTTP server.
func serve(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("hostsim serve", flag.ContinueOnError)
	fs.SetOutput(stderr)
	ups := upstreams{}
	var (
		wasm    = fs.String("wasm", "", "the plugin, a .wasm `FILE`")
		config  = fs.String("config", "", "the plugin's configuration, a `FILE`")
		listen  = fs.String("listen", "127.0.0.1:10000", "`ADDRESS` to serve on")
		admin   = fs.String("admin", "127.0.0.1:9901", "`ADDRESS` of the admin endpoint; empty for none")
		cluster = fs.String("admin-cluster", "envoy_admin", "`NAME` of the cluster through which the plugin reaches it")
		workers = fs.Int("workers", 1, "`NUMBER` of worker threads")
		app     = fs.String("app", "", "`URL` of the application behind the plugin (default: a built-in one)")
		nodeID  = fs.String("node-id", "hostsim", "node.id")
		nodeCl  = fs.String("node-cluster", "hostsim", "node.cluster")
		region  = fs.String("region", "", "node.locality.region")
		zone    = fs.String("zone", "", "node.locality.zone")
		profile = fs.String("profile", "envoy-1.40", "`NAME` of the Envoy whose WASI to serve: envoy-1.36 or envoy-1.40")
		policy  = fs.String("failure-policy", "closed", "closed, open or reload")
		level   = fs.Bool("debug", false, "log at debug level")
		trace   = fs.Bool("trace", false, "print each call between host and plugin")
		remote  = fs.Bool("use-remote-address", false, "the peer is the client, whatever x-forwarded-for says")
	)
	fs.Var(ups, "upstream", "a cluster, `NAME=URL`; may come again")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return usageError{err}
	}
	if *wasm == "" || fs.NArg() > 0 {
		return usageError{errors.New("serve needs --wasm FILE and no other argument")}
	}
	code, err := os.ReadFile(*wasm)
	if err != nil {
		return usageError{err}
	}
	opts := []hostsim.Option{
		hostsim.Workers(*workers), hostsim.Admin(*cluster), hostsim.LogTo(stderr), hostsim.StartTime(time.Now()),
		hostsim.Seed(uint64(time.Now().UnixNano())), hostsim.UseRemoteAddress(*remote),
		hostsim.Node{ID: *nodeID, Cluster: *nodeCl, Region: *region, Zone: *zone},
	}
	if *config != "" {
		text, err := os.ReadFile(*config)
		if err != nil {
			return usageError{err}
		}
		opts = append(opts, hostsim.PluginConfig(string(text)))
	}
	for name, u := range ups {
		opts = append(opts, hostsim.UpstreamURL(name, u))
	}
	if *app != "" {
		u, err := parseURL(*app)
		if err != nil {
			return usageError{err}
		}
		opts = append(opts, hostsim.ApplicationURL(u))
	}
	p, ok := hostsim.ParseProfile(*profile)
	if !ok {
		return usageError{fmt.Errorf("no profile %q; there are envoy-1.36 and envoy-1.40", *profile)}
	}
	fail, err := parsePolicy(*policy)
	if err != nil {
		return usageError{err}
	}
	opts = append(opts, p, fail)
	if *level {
		opts = append(opts, hostsim.MinLogLevel(hostsim.LogDebug))
	}
	if *trace {
		opts = append(opts, hostsim.TraceTo(stdout))
	}
	if *workers < 1 {
		return usageError{errors.New("serve needs at least one worker")}
	}
	host, err := hostsim.New(code, opts...)
	if err != nil {
		return usageError{err}
	}
	defer host.Close()
	return listenAndServe(ctx, host, *listen, *admin, stdout)
}

func parsePolicy(name string) (hostsim.FailurePolicy, error) {
	policies := map[string]hostsim.FailurePolicy{
		"closed": hostsim.FailClosed, "open": hostsim.FailOpen, "reload": hostsim.FailReload,
	}
	p, ok := policies[name]
	if !ok {
		return 0, fmt.Errorf("no failure policy %q; there are closed, open and reload", name)
	}
	return p, nil
}

// grace is how long the requests under way may take once no more are accepted.
const grace = 10 * time.Second

// listenAndServe serves until ctx is done, and then the requests that are under way.
func listenAndServe(ctx context.Context, host *hostsim.Host, addr, adminAddr string, stdout io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 2)
	var servers []*http.Server
	defer func() {
		for _, s := range servers {
			s.Close()
		}
	}()
	start := func(what, addr string, h http.Handler) error {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return err
		}
		server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
		servers = append(servers, server)
		fmt.Fprintf(stdout, "%s on http://%s\n", what, l.Addr())
		go func() {
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
				cancel()
			}
		}()
		return nil
	}
	if err := start("serving", addr, &front{host: host}); err != nil {
		return err
	}
	if adminAddr != "" {
		if err := start("admin", adminAddr, host.Admin()); err != nil {
			return err
		}
	}
	answering, answered := context.WithCancel(context.Background())
	defer answered()
	go func() {
		defer answered()
		<-ctx.Done()
		limited, end := context.WithTimeout(context.Background(), grace)
		defer end()
		for _, s := range servers {
			_ = s.Shutdown(limited) // a request that takes longer is cut off
		}
	}()
	host.Serve(answering)
	if why := host.Crashed(); why != "" {
		return errors.New("an Envoy would have crashed: " + why)
	}
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// front hands requests to the workers in turn, as connections would spread.
type front struct {
	host *hostsim.Host
	next atomic.Uint64
}

// ServeHTTP puts a request through the plugin. The peer is the socket's own.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	req := &hostsim.Request{Method: r.Method, Authority: r.Host, Path: r.RequestURI, Peer: r.RemoteAddr, Body: body}
	if l, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		req.Local = l.String()
	}
	for name, vs := range r.Header {
		for _, v := range vs {
			req.Header = append(req.Header, [2]string{strings.ToLower(name), v})
		}
	}
	worker := f.host.Worker(int(f.next.Add(1)-1) % f.host.Workers())
	reply := worker.ServeRequest(r.Context(), req)
	if reply.Reset && reply.Status == 0 {
		panic(http.ErrAbortHandler)
	}
	for _, h := range reply.Header {
		if h[0] != "transfer-encoding" {
			w.Header().Add(h[0], h[1])
		}
	}
	if w.Header().Get("content-type") == "" {
		w.Header()["Content-Type"] = nil // or net/http would guess one
	}
	w.WriteHeader(reply.Status)
	if reply.Header.Has("transfer-encoding") {
		_ = http.NewResponseController(w).Flush() // or net/http adds the length of a short body
	}
	_, _ = w.Write(reply.Body) // a client that left is no concern of the host's
	if reply.Reset {
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}
