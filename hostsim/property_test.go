package hostsim_test

import (
	"testing"

	"github.com/healthgate/healthgate/hostsim"
)

func TestProperties(t *testing.T) {
	t.Parallel()
	request := &hostsim.Request{
		Method: "PUT", Path: "/a?b=c", Authority: "example.org", Peer: "10.1.2.3:4567",
		Header:        hostsim.Header{{"user-agent", "test"}, {"x", "1"}, {"x", "2"}},
		FilterState:   map[string]string{"hc.peer": "10.9.9.9"},
		RouteName:     "main",
		RouteMetadata: map[string]map[string]any{"healthgate": {"maintenance": true, "n": 1.5, "l": []any{"a", "b"}}},
	}
	do := func(h *hostsim.Host) { h.Worker(0).Do(request) }
	runCalls(t, []callCase{
		{
			name: "attributes of the request",
			script: `
				request_headers get_property "request\x00path"
				request_headers get_property "request\x00url_path"
				request_headers get_property "request\x00query"
				request_headers get_property "request\x00host"
				request_headers get_property "request\x00method"
				request_headers get_property "request\x00useragent"
				request_headers get_property "request\x00headers\x00x"
				request_headers get_property "request\x00headers\x00y"
				request_headers get_property "source\x00address"
				request_headers get_property "source\x00port"
				request_headers get_property "request\x00protocol\x00"
				request_headers get_property "request\x00nothing"
				request_headers get_property "nothing"
				response_headers get_property "request\x00path"
				response_headers get_property "response\x00code"`,
			drive: do,
			want: `
				request_headers get_property "request\x00path" = 0 "/a?b=c"
				request_headers get_property "request\x00url_path" = 0 "/a"
				request_headers get_property "request\x00query" = 0 "b=c"
				request_headers get_property "request\x00host" = 0 "example.org"
				request_headers get_property "request\x00method" = 0 "PUT"
				request_headers get_property "request\x00useragent" = 0 "test"
				request_headers get_property "request\x00headers\x00x" = 0 "1,2"
				request_headers get_property "request\x00headers\x00y" = 1
				request_headers get_property "source\x00address" = 0 "10.1.2.3:4567"
				request_headers get_property "source\x00port" = 0 "\xd7\x11\x00\x00\x00\x00\x00\x00"
				request_headers get_property "request\x00protocol\x00" = 0 "HTTP/1.1"
				request_headers get_property "request\x00nothing" = 1
				request_headers get_property "nothing" = 1
				response_headers get_property "request\x00path" = 1
				response_headers get_property "response\x00code" = 0 "\xc8\x00\x00\x00\x00\x00\x00\x00"`,
		}, {
			name: "metadata, filter state and the node",
			script: `
				configure get_property "xds\x00node\x00id"
				configure get_property "xds\x00node\x00locality\x00zone"
				configure get_property "node\x00id"
				configure get_property "request\x00path"
				configure get_property "plugin_name"
				configure get_property "plugin_root_id"
				configure get_property "plugin_vm_id"
				request_headers get_property "filter_state\x00hc.peer"
				request_headers get_property "filter_state\x00none"
				request_headers get_property "xds\x00route_name"
				request_headers get_property "xds\x00route_metadata\x00filter_metadata\x00healthgate\x00maintenance"
				request_headers get_property "xds\x00route_metadata\x00filter_metadata\x00healthgate\x00n"
				request_headers get_property "xds\x00route_metadata\x00filter_metadata\x00healthgate\x00l\x001"
				request_headers get_property "xds\x00route_metadata\x00filter_metadata\x00none\x00x"
				request_headers get_property "route_metadata"`,
			opts: []hostsim.Option{hostsim.Node{ID: "n1", Zone: "z1"}, hostsim.PluginName("p"), hostsim.RootID("r"),
				hostsim.VMID("v")},
			drive: do,
			want: `
				configure get_property "xds\x00node\x00id" = 0 "n1"
				configure get_property "xds\x00node\x00locality\x00zone" = 0 "z1"
				configure get_property "node\x00id" = 1
				configure get_property "request\x00path" = 1
				configure get_property "plugin_name" = 0 "p"
				configure get_property "plugin_root_id" = 0 "r"
				configure get_property "plugin_vm_id" = 0 "v"
				request_headers get_property "filter_state\x00hc.peer" = 0 "10.9.9.9"
				request_headers get_property "filter_state\x00none" = 1
				request_headers get_property "xds\x00route_name" = 0 "main"
				request_headers get_property "xds\x00route_metadata\x00filter_metadata\x00healthgate\x00maintenance" = 0 "\x01"
				request_headers get_property "xds\x00route_metadata\x00filter_metadata\x00healthgate\x00n" = 0 "\x00\x00\x00\x00\x00\x00\xf8?"
				request_headers get_property "xds\x00route_metadata\x00filter_metadata\x00healthgate\x00l\x001" = 0 "b"
				request_headers get_property "xds\x00route_metadata\x00filter_metadata\x00none\x00x" = 1
				request_headers get_property "route_metadata" = 1`,
		}, {
			name: "a property of several parts is written and never found",
			script: `
				configure set_property "k" "v"
				request_headers set_property "k" "v"
				request_headers get_property "k"
				request_headers set_property "a\x00b" "v"
				request_headers get_property "a\x00b"
				response_headers get_property "k"`,
			drive: do,
			want: `
				configure set_property "k" "v" = 1
				request_headers set_property "k" "v" = 0
				request_headers get_property "k" = 0 "v"
				request_headers set_property "a\x00b" "v" = 0
				request_headers get_property "a\x00b" = 1
				response_headers get_property "k" = 0 "v"`,
		},
	})
}
