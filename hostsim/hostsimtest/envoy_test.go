package hostsimtest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/hostsim"
)

// TestNotOnEnvoy: what a real Envoy can't get is named, with the remedy if there is one.
func TestNotOnEnvoy(t *testing.T) {
	t.Parallel()
	some := map[string]map[string]any{"a": {"b": 1.0}}
	for want, req := range map[string]*hostsim.Request{
		"Request.RouteName can't be carried to a real Envoy: the option Routes": {RouteName: "a"},
		"Request.RouteMetadata can't be carried to a real Envoy: the option Ro": {RouteMetadata: some},
		"Request.Metadata can't":                 {Metadata: some},
		"Request.FilterState can't":              {FilterState: map[string]string{"a": "b"}},
		"Request.Properties can't":               {Properties: map[string]string{"a": "b"}},
		"Request.Before can't":                   {Before: 1},
		"Request.Listener can't":                 {Listener: 1},
		"Request.Peer and Local are addresses":   {Peer: "@socket"},
		"Request.Peer and Local are addresses w": {Local: "envoy://internal_client_address/"},
	} {
		if _, err := new(envoy).onTheWire(req); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	function := func(*hostsim.Caller, ...uint32) uint32 { return 0 }
	foreign := func([]byte) ([]byte, error) { return nil, nil }
	serve := func(string, http.Handler) string { return "127.0.0.1:1" }
	for want, o := range map[string]hostsim.Option{
		"TrapAt, FailAllocation, LoseCAS or Race can't be": hostsim.Race("key", 1),
		"ForeignFunction can't be":                         hostsim.ForeignFunction("f", foreign),
		"HostFunction can't be":                            hostsim.HostFunction("env", "f", function),
		"Listeners of more than one can't be":              hostsim.Listeners(hostsim.Listener{}, hostsim.Listener{}),
		"Workers of more than one can't be":                hostsim.Workers(2),
		"Workers(0)":                                       hostsim.Workers(0),
	} {
		_, err := hostsim.Bootstrap(nil, t.TempDir(), "127.0.0.1:1", "127.0.0.1:2", serve, o)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// TestVirtualHost: a plugin that reads xds.virtual_host_name finds on a real Envoy what it finds on hostsim.
func TestVirtualHost(t *testing.T) {
	t.Parallel()
	text, err := hostsim.Bootstrap(nil, t.TempDir(), "127.0.0.1:1", "127.0.0.1:2",
		func(string, http.Handler) string { return "127.0.0.1:3" })
	if err != nil || !strings.Contains(string(text), `"virtual_hosts":[{"domains":["*"],"name":"hostsim",`) {
		t.Errorf("%s, %v", text, err)
	}
}

func TestNoEnvoy(t *testing.T) {
	t.Parallel()
	p := &pretended{TB: t}
	func() {
		defer func() { _ = recover() }()
		startEnvoy(p, t.TempDir(), nil, nil)
	}()
	if !strings.Contains(p.printed, "$ENVOY must name the binary of an Envoy: ") {
		t.Error(p.printed)
	}
}

// TestWire: a body comes in the pieces that hostsim plays.
func TestWire(t *testing.T) {
	t.Parallel()
	text, err := new(envoy).onTheWire(&hostsim.Request{Body: []byte("hello"), ChunkSize: 3})
	if err != nil || !strings.HasSuffix(text, "transfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n") {
		t.Errorf("%q, %v", text, err)
	}
}
