//go:build retired_sdk

package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/proxytest"
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"
)

// These tests run the plugin natively on the host emulator of the SDK that TinyGo builds use, so that the second SDK
// is exercised where no TinyGo is at hand. The emulator is one global, so they are not parallel.

const emulatorConfig = `{
	"endpoints": [{
		"name": "my-service", "paths": ["/my-service/healthcheck"],
		"trusted": {"cidrs": ["10.0.0.0/8"]},
		"healthy": {"body": "OK", "content_type": "text/plain"},
		"maintenance": {"keys": ["maint"], "route_metadata": true},
		"probes": {"names": ["app"]}
	}, {
		"name": "empty", "paths": ["/empty"], "trusted": {"cidrs": ["10.0.0.0/8"]}
	}],
	"probes": [{"name": "app", "cluster": "app", "path": "/isalive"}],
	"admin": {"cluster": "envoy_admin"}
}`

// emulator is a plugin on the SDK's host.
type emulator struct {
	proxytest.HostEmulator
	t        *testing.T
	answered int // callouts so far
}

func newEmulator(t *testing.T, config string) *emulator {
	t.Helper()
	opt := proxytest.NewEmulatorOption().WithVMContext(&vm{}).WithPluginConfiguration([]byte(config))
	host, reset := proxytest.NewHostEmulator(opt)
	t.Cleanup(reset)
	return &emulator{HostEmulator: host, t: t}
}

func startEmulator(t *testing.T) *emulator {
	t.Helper()
	e := newEmulator(t, emulatorConfig)
	if e.StartVM() != types.OnVMStartStatusOK || e.StartPlugin() != types.OnPluginStartStatusOK {
		t.Fatalf("the plugin did not start: %q", e.GetCriticalLogs())
	}
	return e
}

// answer answers the callouts of the leader that came since the last call, by path.
func (e *emulator) answer(responses map[string][2]string) {
	e.t.Helper()
	calls := e.GetCalloutAttributesFromContext(proxytest.PluginContextID)
	for _, call := range calls[e.answered:] {
		path := ""
		for _, h := range call.Headers {
			if h[0] == ":path" {
				path = h[1]
			}
		}
		r, ok := responses[path]
		if !ok {
			e.t.Fatalf("a callout to %q that the test does not expect", path)
		}
		e.CallOnHttpCallResponse(call.CalloutID, [][2]string{{":status", r[0]}}, nil, []byte(r[1]))
	}
	e.answered = len(calls)
}

// check sends a health check from an address and returns the local reply, nil if the request passed.
func (e *emulator) check(path, source string) *proxytest.LocalHttpResponse {
	e.t.Helper()
	if err := e.SetProperty([]string{"source", "address"}, []byte(source)); err != nil {
		e.t.Fatal(err)
	}
	id := e.InitializeHttpContext()
	defer e.CompleteHttpContext(id)
	action := e.CallOnRequestHeaders(id, [][2]string{{":path", path}, {":method", "GET"}}, true)
	reply := e.GetSentLocalResponse(id)
	if (action == types.ActionPause) != (reply != nil) {
		e.t.Fatalf("action %v with reply %v", action, reply)
	}
	return reply
}

func (e *emulator) wantReply(path string, status uint32, body string) {
	e.t.Helper()
	r := e.check(path, "10.1.2.3:4567")
	if r == nil || r.StatusCode != status || string(r.Data) != body {
		e.t.Errorf("%s: got %+v, want %d %q", path, r, status, body)
	}
}

func healthyResponses() map[string][2]string {
	return map[string][2]string{
		"/isalive":             {"200", ""},
		"/runtime?format=json": {"200", `{"entries": {}}`},
		"/ready":               {"200", "LIVE"},
	}
}

func TestEmulatorDecisions(t *testing.T) {
	for _, tt := range []struct {
		name     string
		response [2]string // path, and what it answers
		answer   [2]string
		status   uint32
		body     string
	}{
		{name: "healthy", status: 200, body: "OK"},
		{"maintenance", [2]string{"/runtime?format=json"}, [2]string{"200", `{"entries": {"maint": {"final_value": "on"}}}`},
			503, "Under maintenance. Remove maintenance file when complete"},
		{"draining", [2]string{"/ready"}, [2]string{"503", "DRAINING\n"}, 503, "DRAINING"},
		{"unhealthy", [2]string{"/isalive"}, [2]string{"500", ""}, 500, "FAILED"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := startEmulator(t)
			e.wantReply("/my-service/healthcheck", 503, "UNKNOWN")
			e.Tick() // takes the lease and sends the callouts
			responses := healthyResponses()
			responses[tt.response[0]] = tt.answer
			e.answer(responses)
			e.wantReply("/my-service/healthcheck?x=1", tt.status, tt.body)
			e.wantReply("/empty", map[bool]uint32{false: 200, true: 503}[tt.name == "draining"],
				map[bool]string{true: "DRAINING"}[tt.name == "draining"])
			name := "healthgate_checks_total.endpoint.my-service.verdict." + tt.name
			if n, err := e.GetCounterMetric(name); n != 1 || err != nil {
				t.Errorf("%s = %d (%v), want 1", name, n, err)
			}
		})
	}
}

func TestEmulatorPasses(t *testing.T) {
	e := startEmulator(t)
	for _, tt := range []struct{ name, path, source string }{
		{"another path", "/shop", "10.1.2.3:4567"},
		{"an untrusted source", "/my-service/healthcheck", "192.0.2.1:4567"},
		{"an address from X-Forwarded-For", "/my-service/healthcheck", "10.1.2.3:0"},
		{"a Unix socket", "/my-service/healthcheck", "/run/envoy.sock"},
	} {
		if r := e.check(tt.path, tt.source); r != nil {
			t.Errorf("%s: answered with %d %q", tt.name, r.StatusCode, r.Data)
		}
	}
}

func TestEmulatorRouteMetadata(t *testing.T) {
	e := startEmulator(t)
	all := []string{"xds", "route_metadata"}
	if err := errors.Join(e.SetProperty(all, []byte("a Metadata message")),
		e.SetProperty(append(all, "filter_metadata", "healthgate", "maintenance"), []byte{1})); err != nil {
		t.Fatal(err)
	}
	e.wantReply("/my-service/healthcheck", 503, "Under maintenance. Remove maintenance file when complete")
	e.wantReply("/empty", 200, "")
}

func TestEmulatorStatus(t *testing.T) {
	e := newEmulator(t, strings.Replace(emulatorConfig, `"endpoints": [`,
		`"endpoints": [{"name": "state", "kind": "status", "paths": ["/state"], "trusted": {"cidrs": ["192.0.2.0/24"]}},`, 1))
	if e.StartVM() != types.OnVMStartStatusOK || e.StartPlugin() != types.OnPluginStartStatusOK {
		t.Fatalf("the plugin did not start: %q", e.GetCriticalLogs())
	}
	if r := e.check("/state", "10.1.2.3:4567"); r != nil {
		t.Errorf("an untrusted source got %d %q", r.StatusCode, r.Data)
	}
	for _, tt := range []struct {
		status uint32
		body   string
	}{{503, `"output":"my-service: there is no shared record yet"`}, {200, `"my-service:verdict":[{"componentId":"my-service",` +
		`"componentType":"component","status":"pass","observedValue":"healthy"`}} {
		r := e.check("/state", "192.0.2.7:4567")
		if r == nil || r.StatusCode != tt.status || !strings.Contains(string(r.Data), tt.body) {
			t.Errorf("got %+v, want %d and %s", r, tt.status, tt.body)
		}
		e.Tick()
		e.answer(healthyResponses())
	}
}

func TestEmulatorRefusesConfiguration(t *testing.T) {
	e := newEmulator(t, strings.Replace(emulatorConfig, "10.0.0.0/8", "10.0.0.0/33", 1))
	if e.StartPlugin() == types.OnPluginStartStatusOK {
		t.Fatal("a bad configuration was accepted")
	}
	want := `healthgate: config: endpoints[0].trusted.cidrs[0]: "10.0.0.0/33" is not a CIDR`
	if logs := e.GetCriticalLogs(); len(logs) != 1 || logs[0] != want {
		t.Errorf("logged %q, want %q", logs, want)
	}
}
