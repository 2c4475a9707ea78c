package conformance

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/envoy/must"
	"github.com/healthgate/healthgate/hostsim"
	"github.com/healthgate/healthgate/hostsim/cel"
)

// backOff is how long after its start a plugin gets the first request that may be loaded again: longer than the second
// for which Envoy does not load a VM again.
const backOff = 2 * time.Second

// patience is how much virtual time a wait may take, unless a case says otherwise.
const patience = 10 * time.Second

// simulate runs a case on hostsim.
func simulate(t testing.TB, c *Case, wasm []byte, profile hostsim.Profile) *result {
	t.Helper()
	r := &result{}
	slug, turns := c.slug(), newTurns()
	backend := http.Handler(turns)
	if c.Grpc {
		backend = http.HandlerFunc(serveGrpc)
	}
	opts := []hostsim.Option{
		profile, policies[c.Policy], hostsim.PluginName(slug), hostsim.VMID(c.vmID()), hostsim.VMConfig(c.VMConfig),
		hostsim.PluginConfig(c.config(0)), hostsim.UseRemoteAddress(c.Remote), hostsim.XFFNumTrustedHops(c.Hops),
		hostsim.AllowOnHeadersStopIteration(c.AllowStop), hostsim.Address(machineAddress(t)),
		hostsim.RootID(c.rootID()), hostsim.Upstream(c.backend(), backend), hostsim.Application(turns),
		hostsim.Upstream("refused", turns), hostsim.Upstream("empty", nil),
		hostsim.Admin("envoy_admin"), nodeOption, hostsim.EnableTrailers(true), cel.Option(),
	}
	opts = append(opts, hostsim.Listeners(c.listeners()...))
	if c.Routes {
		opts = append(opts, hostsim.Routes(c.routes()...))
	}
	if c.App == "empty" {
		opts = append(opts, hostsim.Application(nil))
	}
	if c.Workers > 0 {
		opts = append(opts, hostsim.Workers(c.Workers))
	}
	if c.Limit > 0 {
		opts = append(opts, hostsim.BufferLimit(c.Limit))
	}
	for _, f := range c.Further {
		opts = append(opts, f.option(c, wasm))
	}
	record := &recording{}
	opts = append(opts, hostsim.TraceTo(record))
	host, err := hostsim.New(wasm, opts...)
	traces.add(c.Name, record)
	var load *hostsim.LoadError
	if errors.As(err, &load) {
		r.refused = true
		r.log = simLog(load.Logs)
		return r
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = host.Close() }() // it never fails
	host.FaultAllCallouts("refused", &hostsim.CalloutFault{Kind: hostsim.CalloutConnectFailure})
	for name, upstream := range map[string]string{"application": "application", "backend": c.backend()} {
		if name == "application" && c.App == "refused" {
			host.FaultAllCallouts(upstream, &hostsim.CalloutFault{Kind: hostsim.CalloutConnectFailure})
		}
		if c.silent(name) {
			host.FaultAllCallouts(upstream, &hostsim.CalloutFault{Kind: hostsim.CalloutNever})
		}
	}
	if c.Policy == "reload" {
		host.Advance(backOff)
	}
	s := &simulation{t: t, c: c, host: host, turns: turns, left: map[*hostsim.Stream]bool{}}
	for _, step := range c.Steps {
		s.step(step)
	}
	r.refused = s.refused
	for _, stream := range s.begun {
		s.wait(stream)
	}
	if c.Shutdown {
		host.Shutdown()
	}
	host.Advance(settle)
	for _, stream := range s.streams {
		reply := stream.Reply()
		if s.left[stream] {
			reply = &hostsim.Reply{Reset: true, Code: reply.Code, Flags: reply.Flags, Details: reply.Details}
		}
		r.replies = append(r.replies, clientReply{reply.Status, reply.Header, string(reply.Body), reply.Trailer, reply.Reset})
		if stream.Done() {
			r.details = append(r.details, details(strconv.Itoa(reply.Code), reply.Flags, reply.Details))
		}
	}
	r.crashed = host.Crashed() != ""
	r.app = simSeen(host.UpstreamRequests("application"))
	if !c.Grpc { // that server says what it saw
		r.backend = simSeen(host.UpstreamRequests(c.backend()))
	}
	r.log = simLog(host.Logs())
	for _, m := range host.Metrics() {
		if m.Kind != hostsim.Histogram && strings.HasPrefix(m.Name, c.metrics()) {
			r.metrics = append(r.metrics, metric(m.Name, m.Value))
		}
	}
	return r
}

// machineAddress is what Envoy takes for its own address: that of the first interface that is not loopback.
func machineAddress(t testing.TB) string {
	t.Helper()
	addresses := must.Get(net.InterfaceAddrs())(t)
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil && !ip.IP.IsLoopback() {
			return ip.IP.String()
		}
	}
	return "127.0.0.1"
}

// settle is virtual time at the end of a case, for what is under way.
const settle = 300 * time.Millisecond

type simulation struct {
	t       testing.TB
	c       *Case
	host    *hostsim.Host
	turns   *turns
	streams []*hostsim.Stream
	begun   []*hostsim.Stream        // those that are not waited for yet
	left    map[*hostsim.Stream]bool // whose client left
	updates int
	refused bool // an update was
}

func (s *simulation) step(step Step) {
	s.t.Helper()
	switch {
	case step.Request != nil:
		stream := s.host.Worker(0).Start(s.request(step.Request))
		s.streams = append(s.streams, stream)
		if step.Leave != "" {
			s.until(func() bool { return strings.Contains(s.host.LogText(), step.Leave) })
			stream.Disconnect()
			s.left[stream] = true
		}
		if step.Async {
			s.begun = append(s.begun, stream)
		} else {
			s.wait(stream)
		}
	case step.Until != nil:
		s.until(func() bool {
			stream := s.host.Worker(0).Start(s.request(step.untilRequest()))
			s.until(stream.Done)
			return stream.Reply().Status == step.Status
		})
	case step.Await != "":
		s.until(func() bool { return strings.Contains(s.host.LogText(), step.Await) })
	case step.Post != "":
		s.post(s.c.action(&step, s.host.Now()))
	case step.Update:
		s.updates++
		s.refused = s.host.Update(s.c.config(s.updates)) != nil
	case step.Drained:
		s.host.Drained()
	case step.Turn != "":
		s.turns.set(step.Turn, step.Status)
	}
}

// wait is a client's, which leaves if the answer has begun and does not end.
func (s *simulation) wait(stream *hostsim.Stream) {
	s.t.Helper()
	s.until(stream.Done)
	if !stream.Done() && stream.Reply().Status != 0 {
		stream.Disconnect()
	}
}

// until lets time pass in small steps until the condition holds.
func (s *simulation) until(condition func() bool) {
	s.t.Helper()
	for end := s.host.Elapsed() + max(patience, s.c.Patience); !condition(); s.host.Advance(10 * time.Millisecond) {
		if s.host.Elapsed() > end {
			return // the results tell
		}
	}
}

func (s *simulation) request(r *Request) *hostsim.Request {
	out := &hostsim.Request{
		RouteMetadata: s.c.RouteMetadata, Listener: r.Listener, Method: r.Method, Path: r.Path,
		Authority: r.Authority, Header: r.Header, Trailer: r.Trailer}
	for _, chunk := range r.Chunks {
		out.Chunks = append(out.Chunks, []byte(chunk))
	}
	if r.Body != "" {
		out.Body = []byte(r.Body)
	}
	return out
}

func simSeen(requests []*hostsim.UpstreamRequest) []seen {
	var out []seen
	for _, u := range requests {
		if u.Header.Has(waiting) {
			continue
		}
		s := seen{line: u.Method() + " " + u.Path() + " " + u.Authority(), body: string(u.Body), trailer: u.Trailer}
		for _, f := range u.Header {
			if !strings.HasPrefix(f[0], ":") {
				s.header = append(s.header, f)
			}
		}
		out = append(out, s)
	}
	return out
}

func simLog(entries []hostsim.LogEntry) []logLine {
	var out []logLine
	for _, e := range entries {
		thread := "main"
		if strings.HasPrefix(e.Thread, "worker") {
			thread = "worker"
		}
		if strings.HasPrefix(e.Message, "Function: ") {
			continue // Envoy says it without the plugin's name, see ofPlugin
		}
		_, message := from(e.Plugin, e.Message)
		out = append(out, logLine{thread, e.Level.String(), trimEnds(message)})
	}
	return out
}

// post is an admin action.
func (s *simulation) post(action string) {
	s.host.Admin().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", action, nil))
}
