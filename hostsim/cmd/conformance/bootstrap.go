package main

import (
	"fmt"
	"sort"
	"strings"
)

// bootstrap is the Envoy configuration of a case.
func (e *envoy) bootstrap(port int, c testCase) string {
	names := make([]string, 0, len(e.ports))
	for name := range e.ports {
		names = append(names, name)
	}
	sort.Strings(names)
	var clusters strings.Builder
	for _, name := range names {
		endpoints := ""
		if p := e.ports[name]; p != 0 {
			endpoints = fmt.Sprintf("{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: %d}}}}]}", p)
		}
		fmt.Fprintf(&clusters, "  - {name: %s, type: STATIC, load_assignment: {cluster_name: %s, endpoints: [%s]}}\n",
			name, name, endpoints)
	}
	const indent = "                    "
	script := indent + strings.ReplaceAll(strings.TrimSuffix(c.Script, "\n"), "\n", "\n"+indent)
	return fmt.Sprintf(`node: {id: n1, cluster: c1}
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: %d}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: conformance
          route_config:
            virtual_hosts:
            - name: hostsim
              domains: ["*"]
              routes:
              - name: route
                match: {prefix: "/"}
                route: {cluster: application}
                metadata: {filter_metadata: {healthgate: {maintenance: true, n: 2, l: [a, b], s: {k: v}}}}
          http_filters:
          - name: wasm
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                name: %s
                configuration:
                  "@type": type.googleapis.com/google.protobuf.StringValue
                  value: |
%s
                vm_config:
                  runtime: envoy.wasm.runtime.v8
                  code: {local: {filename: %q}}
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
%s`, port, pluginName, script, e.wasm, clusters.String())
}
