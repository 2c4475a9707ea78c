package hostsim_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/hostsim"
)

// TestMisuse: a test that asks for what there can't be is told so.
func TestMisuse(t *testing.T) {
	t.Parallel()
	host := newHost(t, "", hostsim.Workers(2))
	closed := newHost(t, "")
	closed.Close()
	do := func(r hostsim.Request) func() { return func() { host.Worker(0).Do(&r) } }
	for want, misuse := range map[string]func(){
		`Request.Local "x" is no address`:         do(hostsim.Request{Local: "x"}),
		"Request.Listener 1 of 1":                 do(hostsim.Request{Listener: 1}),
		"Request.Before -1: it counts updates":    do(hostsim.Request{Before: -1}),
		"Request.ChunkSize -1":                    do(hostsim.Request{Body: []byte("x"), ChunkSize: -1}),
		"Request.Chunks are in place of Body":     do(hostsim.Request{Body: []byte("x"), Chunks: [][]byte{{1}}}),
		"Request.Header with :path":               do(hostsim.Request{Header: hostsim.Header{{":path", "/x"}}}),
		"the main thread takes no requests":       func() { host.Main().Get("/") },
		"Advance of -1s":                          func() { host.Advance(-time.Second) },
		"StartIn of -1s":                          func() { host.Worker(0).StartIn(-time.Second, nil, nil) },
		"Stall of -1s":                            func() { host.Worker(0).Stall(-time.Second) },
		"a latency of -1s":                        func() { host.SetLatency("application", -time.Second) },
		`no upstream "a"; there are: b`:           func() { newHost(t, "", upstreamB).SetLatency("a", 1) },
		`no upstream "c"; there are: b`:           func() { newHost(t, "", upstreamB).UpstreamRequests("c") },
		`no upstream "d"; there are: b`:           func() { newHost(t, "", upstreamB).FaultAllCallouts("d", nil) },
		"UpstreamRequestsFrom index 1 of 0":       func() { host.UpstreamRequestsFrom("application", 1) },
		"LogsFrom index -1 of 0":                  func() { host.LogsFrom(-1) },
		"Update with 2 configurations for 1":      func() { host.Update("", "") },
		`TrapAt("proxy_on_tik", 1) never strikes`: func() { host.Inject(hostsim.TrapAt("proxy_on_tik", 1)) },
		"a fault of the call 0 never strikes":     func() { host.Inject(hostsim.FailAllocation(0)) },
		`Fault.On("worker 2"): there are base, canary, main, worker 0, worker 1`: func() {
			host.Inject(hostsim.LoseCAS("k", 1).On("worker 2"))
		},
		"Advance after Close":                    func() { closed.Advance(time.Second) },
		"Update after Close":                     func() { closed.Update("") },
		"Drained after Close":                    func() { closed.Drained() },
		"Inject after Close":                     func() { closed.Inject(hostsim.TrapAt("proxy_on_tick", 1)) },
		"Crash after Close":                      func() { closed.Worker(0).Crash() },
		"Stall after Close":                      func() { closed.Worker(0).Stall(time.Second) },
		"Enqueue after Close":                    func() { closed.Enqueue("a", "b") },
		"SetSharedData after Close":              func() { closed.SetSharedData("a", "b") },
		"JumpMonotonic after Close":              func() { closed.JumpMonotonic(time.Second) },
		"Worker(2) of 2":                         func() { host.Worker(2) },
		"Worker(-1) of 2":                        func() { host.Worker(-1) },
		`Request.Peer "10.0.0.1" is no address`:  func() { host.Worker(0).Do(&hostsim.Request{Peer: "10.0.0.1"}) },
		`Request.Peer "localhost:1" is no addre`: func() { host.Worker(0).Start(&hostsim.Request{Peer: "localhost:1"}) },
		"a request after Close":                  func() { closed.Worker(0).Get("/") },
	} {
		t.Run(want, func(t *testing.T) {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, want) {
					t.Error(got)
				}
			}()
			misuse()
		})
	}
	if r := host.Worker(0).Do(&hostsim.Request{Peer: "[2001:db8::1]:1"}); r.Status != 200 {
		t.Error("the host is of no use afterwards:", r)
	}
}

var upstreamB = hostsim.Upstream("b", nil)

// TestOptions: an option that can't be is refused, with the place and the remedy.
func TestOptions(t *testing.T) {
	t.Parallel()
	other := hostsim.Node{}                                 // any option
	opaque := &url.URL{Scheme: "localhost", Opaque: "8080"} // what url.Parse makes of localhost:8080
	for want, opts := range map[string][2]hostsim.Option{
		"Workers(0): an Envoy has at least one":   {hostsim.Workers(0), other},
		"Profile(9): there are Envoy136":          {hostsim.Profile(9), other},
		"CallDeadline(-1s): 0 means no limit":     {hostsim.CallDeadline(-time.Second), other},
		"BufferLimit(-1): 0 means no limit":       {hostsim.BufferLimit(-1), other},
		"XFFNumTrustedHops(-1)":                   {hostsim.XFFNumTrustedHops(-1), other},
		"MinLogLevel(9)":                          {hostsim.MinLogLevel(9), other},
		`Address("localhost"): it is no IP`:       {hostsim.Address("localhost"), other},
		"Listeners(): an Envoy without a":         {hostsim.Listeners(), other},
		"Listener.Direction 3":                    {hostsim.Listeners(hostsim.Listener{Direction: 3}), other},
		"FailurePolicy(3)":                        {hostsim.Plugin(pluginWasm(), hostsim.FailurePolicy(3)), other},
		"ReloadBackoff(0s): Envoy takes 1ms":      {hostsim.ReloadBackoff(0), other},
		`Env("", …): a variable has a name`:       {hostsim.Env("", "x"), other},
		`ForeignFunction("f", nil)`:               {hostsim.ForeignFunction("f", nil), other},
		`HostFunction("env", "f", nil)`:           {hostsim.HostFunction("env", "f", nil), other},
		`Upstream(""): a cluster has a name`:      {hostsim.Upstream("", nil), other},
		`there are two clusters "b"`:              {upstreamB, upstreamB},
		`there are two clusters "admin"`:          {hostsim.Admin("admin"), hostsim.Upstream("admin", nil)},
		`there are two clusters "application"`:    {hostsim.Upstream("application", nil), other},
		`the URL "localhost:8080" of "u" has no`:  {hostsim.UpstreamURL("u", opaque), other},
		`the URL "" of "application" has no host`: {hostsim.ApplicationURL(nil), other},
		`TrapAt("proxy_on_tik", 1) never strikes`: {hostsim.TrapAt("proxy_on_tik", 1), other},
		"a fault of the call 0 never strikes":     {hostsim.Fault{}, other},
		`Fault.On("worker 1")`:                    {hostsim.Race("k", 1).On("worker 1"), other},
	} {
		if _, err := hostsim.New(pluginWasm(), opts[0], opts[1]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// TestUpdateRefused: the error has the log of the update, not of those before.
func TestUpdateRefused(t *testing.T) {
	t.Parallel()
	host := newHost(t, "")
	refuses := func(why string) string { return "configure say " + why + "\nconfigure return 0" }
	if err := host.Update(refuses("first")); err == nil || !strings.Contains(err.Error(), "first") {
		t.Error(err)
	}
	err := host.Update(refuses("second"))
	if err == nil || !strings.Contains(err.Error(), "second") || strings.Contains(err.Error(), "first") {
		t.Error(err)
	}
}

func ExampleUpstreamRequest() {
	host, err := hostsim.New(pluginWasm())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer host.Close()

	host.Worker(0).Do(&hostsim.Request{Method: "POST", Path: "/a", Body: []byte("hello")})
	fmt.Println(host.UpstreamRequests("application")[0])
	// Output:
	// POST /a
	// :authority: localhost
	// :path: /a
	// :method: POST
	// :scheme: http
	// content-length: 5
	// x-forwarded-proto: http
	// x-request-id: 984ce172-5032-4c38-95b9-70d3ecbf14bd
	// x-envoy-expected-rq-timeout-ms: 15000
	//
	// hello
}

func ExampleReply() {
	host, err := hostsim.New(pluginWasm(), hostsim.PluginConfig("request_body get_buffer_bytes 0 0 9"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer host.Close()

	fmt.Println(host.Worker(0).Do(&hostsim.Request{Body: []byte("12345"), ChunkSize: 2}))
	for _, e := range host.Logs() {
		fmt.Println(e.Message)
	}
	// Output:
	// 200 via_upstream -, forwarded
	// content-type: text/plain
	// date: Wed, 02 Jan 2030 03:04:05 GMT
	// content-length: 11
	// x-envoy-upstream-service-time: 0
	// server: envoy
	//
	// application
	// request_body get_buffer_bytes 0 0 9 = 0 "12"
	// request_body get_buffer_bytes 0 0 9 = 0 "34"
	// request_body get_buffer_bytes 0 0 9 = 0 "5"
	// request_body get_buffer_bytes 0 0 9 = 0 "" null
}

func TestRouteToNowhere(t *testing.T) {
	_, err := hostsim.New(pluginWasm(), hostsim.Routes(hostsim.Route{Name: "a", Cluster: "nowhere"}))
	if err == nil || !strings.Contains(err.Error(), `the route "a" leads to "nowhere"`) {
		t.Error(err)
	}
}
