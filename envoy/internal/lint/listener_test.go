package lint

import (
	"strings"
	"testing"

	"github.com/healthgate/healthgate/filter/config"
	"go.yaml.in/yaml/v3"
)

func TestListener(t *testing.T) {
	t.Parallel()
	const (
		proxyProtocol = `listener_filters: [{name: x, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector}},
			{name: y, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol}}]`
		socket    = `address: {pipe: {path: /run/envoy.sock}}`
		internal  = `internal_listener: {}`
		network   = `address: {socket_address: {address: 0.0.0.0, port_value: 80}}`
		connected = `"cidrs": ["10.0.0.0/8"]`
		forwarded = connected + `, "peer": "forwarded"`
		stored    = connected + `, "peer": {"filter_state": "k"}`
	)
	for _, test := range []struct{ name, listener, trusted, want string }{
		{"an address", network, connected, ""},
		{"an address, pipe", network, `"pipe": true`, ""},
		{"PROXY protocol", network + ", " + proxyProtocol, connected, "the filter proxy_protocol"},
		{"PROXY protocol, forwarded", network + ", " + proxyProtocol, forwarded, "the filter proxy_protocol"},
		{"PROXY protocol, filter state", network + ", " + proxyProtocol, stored, ""},
		{"PROXY protocol on a Unix socket", socket + ", " + proxyProtocol, `"pipe": true, ` + connected,
			"the filter proxy_protocol"},
		{"Unix socket", socket, connected, "is a Unix socket"},
		{"Unix socket, pipe", socket, `"pipe": true`, ""},
		{"Unix socket, forwarded", socket, forwarded, ""},
		{"Unix socket, filter state", socket, stored, ""},
		{"internal", internal, connected, "is internal"},
		{"internal, pipe", internal, `"pipe": true`, "is internal"},
		{"internal, filter state", internal, stored, ""},
	} {
		c, err := config.Parse([]byte(`{"endpoints": [{"name": "a", "paths": ["/a"], "trusted": {`+stored+`}},
			{"name": "b", "paths": ["/b"], "trusted": {`+test.trusted+`}}]}`), config.Node{})
		if err != nil {
			t.Fatal(err)
		}
		var envoy any
		if err := yaml.Unmarshal([]byte(`{dynamic: [{listener: {filter_chains: [{}], `+test.listener+`}}]}`),
			&envoy); err != nil {
			t.Fatal(err)
		}
		found := listeners(envoy)
		if len(found) != 1 {
			t.Fatalf("found %d listeners", len(found))
		}
		got := Listener(found[0], c)
		if test.want == "" && len(got) == 0 {
			continue
		}
		if len(got) != 1 || got[0].Endpoint != 1 || test.want == "" || !strings.Contains(got[0].What, test.want) {
			t.Errorf("%s: %v, want %q of the second endpoint", test.name, got, test.want)
		}
	}
	if found := listeners([]any{map[string]any{"address": 1}}); len(found) > 0 {
		t.Errorf("%v is no listener", found)
	}
}
