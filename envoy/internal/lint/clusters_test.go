package lint

import (
	"slices"
	"testing"

	"go.yaml.in/yaml/v3"
)

// What a cluster does to probes is told, once, and nothing of a cluster that has one host and nothing else.
func TestClusters(t *testing.T) {
	t.Parallel()
	const (
		routed = `has users' requests, too, and probes count as such: give them a cluster of their own, as ` +
			"`healthgate render` does"
		detects  = "has outlier detection: probes that fail eject hosts, for users as well, and a host that is out can't be probed"
		checks   = "has health checks: a host that they take out can't be probed"
		panics   = "has a panic threshold of 50%: when fewer hosts are left, those that are out are probed, too"
		panics20 = "has a panic threshold of 20%: when fewer hosts are left, those that are out are probed, too"
		never    = "has a panic threshold of 0: when all hosts are out, every probe fails"
		breaker  = "has a circuit breaker, max_requests 4: what is above it fails, and so may probes"
		two      = "has 2 hosts: each probe asks another, so one that is bad makes the state flip"
		names    = "has the hosts that a name stands for: if they are several each probe asks another, so one that is bad makes the state flip"
		service  = "has the hosts of a service: if they are several each probe asks another, so one that is bad makes the state flip"
	)
	for _, test := range []struct {
		name, envoy string
		want        []string
	}{
		{"one host", `load_assignment: {cluster_name: app, endpoints: [{lb_endpoints: [{}]}]}}`, nil},
		{"another cluster's", `connect_timeout: 1s}, {name: other, connect_timeout: 1s, outlier_detection: {}}`, nil},
		{"outlier detection", `connect_timeout: 1s, outlier_detection: {}}`, []string{detects, panics}},
		{"never panics",
			`connect_timeout: 1s, outlier_detection: {}, common_lb_config: {healthy_panic_threshold: {value: 0}}}`, []string{detects, never}},
		{"0 as a dump has it", `connect_timeout: 1s, health_checks: [{}], common_lb_config: {healthy_panic_threshold: {}}}`,
			[]string{checks, never}},
		{"panics late",
			`connect_timeout: 1s, health_checks: [{}], common_lb_config: {healthy_panic_threshold: {value: 20.0}}}`, []string{checks, panics20}},
		{"a panic threshold without hosts that are out",
			`connect_timeout: 1s, common_lb_config: {healthy_panic_threshold: {value: 0}}}`, nil},
		{"circuit breaker",
			`connect_timeout: 1s, circuit_breakers: {thresholds: [{max_requests: 4, max_retries: 1, max_connections: 1}]}}`, []string{breaker}},
		{"Istio's circuit breaker for none",
			`connect_timeout: 1s, circuit_breakers: {thresholds: [{max_requests: 4294967295}]}}`, nil},
		{"two hosts", `load_assignment: {cluster_name: app, endpoints: [{lb_endpoints: [{}]}, {lb_endpoints: [{}]}]}}`,
			[]string{two}},
		{"a name", `type: STRICT_DNS, load_assignment: {cluster_name: app, endpoints: [{lb_endpoints: [{}]}]}}`,
			[]string{names}},
		{"a service", `type: EDS, eds_cluster_config: {service_name: s}}`, []string{service}},
		{"a service's hosts",
			`type: EDS, eds_cluster_config: {service_name: s}}, {endpoint_config: {cluster_name: s, endpoints: [{lb_endpoints: [{}, {}]}]}}`, []string{two}},
		{"a service's one host",
			`type: EDS, eds_cluster_config: {service_name: s}}, {endpoint_config: {cluster_name: s, endpoints: [{lb_endpoints: [{}]}]}}`, nil},
		{"a route", `connect_timeout: 1s}, {match: {}, route: {cluster: app}}`, []string{routed}},
		{"one of several on a route",
			`connect_timeout: 1s}, {route: {weighted_clusters: {clusters: [{name: x}, {name: app}]}}}`, []string{routed}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var envoy any
			// A dump of Envoy holds a static cluster twice.
			if err := yaml.Unmarshal([]byte(`[{probes: [{cluster: app}]}, [[{name: app, `+test.envoy+`]], [{name: app, `+test.envoy+`]]`), &envoy); err != nil {
				t.Fatal(err)
			}
			var want []ClusterWarning
			for _, what := range test.want {
				want = append(want, ClusterWarning{1, `the cluster "app" ` + what})
			}
			if got := Clusters([]string{"unknown", "app", "app"}, envoy); !slices.Equal(got, want) {
				t.Errorf("warned of %q, want %q", got, want)
			}
		})
	}
}
