package config

import (
	"reflect"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/filter/lean/duration"
)

// example is a configuration with every field there is.
const example = `{
  "endpoints": [{
    "name": "my-service",
    "paths": ["/my-service/healthcheck"],
    "methods": ["GET", "HEAD"],
    "hosts": [],
    "headers": [{"name": "user-agent", "prefix": "ELB-HealthChecker/"}],
    "trusted": {"cidrs": ["10.0.0.0/8", "fd00::/8"], "providers": ["gcp", "azure"], "pipe": true, "peer": "connection"},
    "untrusted": {"action": "pass"},
    "healthy":   {"status": 200, "body": "OK", "content_type": "text/plain", "headers": {"cache-control": "no-store"}},
    "unhealthy": {"status": "probe", "body": "FAILED", "content_type": "text/plain"},
    "maintenance": {
      "keys": ["healthgate.maintenance", "healthgate.maintenance.zone.{zone}"],
      "route_metadata": true,
      "status": 503, "body": "Under maintenance. Remove maintenance file when complete", "content_type": "text/plain"
    },
    "probes": {"policy": "all", "names": ["inbound", "outbound", "stats"]},
    "unknown": {"status": 503, "body": "UNKNOWN"}
  }],
  "probes": [{
    "name": "inbound", "cluster": "app", "path": "/inbound/isalive", "host": "localhost", "method": "GET",
    "interval": "1s", "timeout": "500ms", "unhealthy_threshold": 1, "healthy_threshold": 1,
    "expected_statuses": [{"start": 200, "end": 201}]
  }, {
"name": "outbound", "cluster": "app2", "path": "/outbound/isalive?x=1", "host": "app.example:7070", "method": "HEAD",
"interval": "1.5m", "timeout": "2s", "unhealthy_threshold": 3, "healthy_threshold": 2,
    "expected_statuses": [{"start": 200, "end": 300}, {"start": 304, "end": 305}]
  }, {"name": "stats", "cluster": "app", "path": "/stats/isalive"}],
  "admin": {"cluster": "envoy_admin", "interval": "1s", "timeout": "500ms", "max_age": "10s", "on_stale": "keep"}
}`

func headers(more ...[2]string) [][2]string {
	return append([][2]string{{"content-type", "text/plain"}}, more...)
}

func TestFullExample(t *testing.T) {
	t.Parallel()
	c, err := Parse([]byte(example), Node{Zone: "eu-1a"})
	if err != nil {
		t.Fatal(err)
	}
	checkTrusted(t, &c.Endpoints[0].Trusted)
	c.Endpoints[0].Trusted.Set, c.Fingerprint, c.EndpointsFingerprint = nil, 0, 0
	want := &Config{
		Endpoints: []Endpoint{{
			Name: "my-service", Paths: []string{"/my-service/healthcheck"}, Methods: []string{"GET", "HEAD"},
			Headers:   []HeaderMatcher{{Name: "user-agent", Kind: Prefix, Value: "ELB-HealthChecker/"}},
			Trusted:   Trusted{Pipe: true, Peer: PeerConnection},
			Untrusted: Reply{Pass: true},
			Healthy:   Reply{Status: 200, Body: "OK", Headers: headers([2]string{"cache-control", "no-store"})},
			Unhealthy: Reply{ProbeStatus: true, Status: 503, Body: "FAILED", Headers: headers()},
			Maintenance: Maintenance{Keys: []int{0, 1}, RouteMetadata: true, Reply: Reply{Status: 503,
				Body: "Under maintenance. Remove maintenance file when complete", Headers: headers()}},
			Probes:   Policy{Names: []int{0, 1, 2}, Need: 3},
			Unknown:  Reply{Status: 503, Body: "UNKNOWN", Headers: headers()},
			Draining: Reply{Status: 503, Body: "DRAINING", Headers: headers()},
		}},
		Probes: []Probe{
			{"inbound", "app", "/inbound/isalive", "localhost", "GET", duration.Second, 500 * duration.Millisecond, 1, 1, 0, 0,
				[]StatusRange{{200, 201}}, false, "", nil, "", false},
			{"outbound", "app2", "/outbound/isalive?x=1", "app.example:7070", "HEAD", 90 * duration.Second,
				2 * duration.Second, 3, 2, 0, 0,
				[]StatusRange{{200, 300}, {304, 305}}, false, "", nil, "", false},
			{"stats", "app", "/stats/isalive", "localhost", "GET", duration.Second, 500 * duration.Millisecond, 1, 1, 0, 0,
				[]StatusRange{{200, 201}}, false, "", nil, "", false},
		},
		Admin: &Admin{Cluster: "envoy_admin", Interval: duration.Second, Timeout: 500 * duration.Millisecond,
			MaxAge: 10 * duration.Second},
		Keys: []string{"healthgate.maintenance", "healthgate.maintenance.zone.eu-1a"},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("\n got %+v\nwant %+v", c, want)
		t.Errorf("admin %+v, want %+v", c.Admin, want.Admin)
	}
}

func checkTrusted(t *testing.T, trusted *Trusted) {
	t.Helper()
	for address, want := range map[string]bool{
		"10.1.2.3": true, "11.0.0.1": false, "fd12::1": true, "fe80::1": false,
		"35.191.0.1": true, "168.63.129.16": true, // Google's and Azure's probes
	} {
		t.Run(address, func(t *testing.T) {
			if got := trusted.Set.ContainsPeer(address, false); got != want {
				t.Errorf("%s is trusted: %v", address, got)
			}
		})
	}
}

func withPeer(peer string) string {
	return strings.Replace(good, `"cidrs"`, `"peer":`+peer+`,"cidrs"`, 1)
}

// Each case is one field away from the defaults.
func TestFields(t *testing.T) {
	t.Parallel()
	threeProbes := func(fields string) string {
		return `{"probes":[{"name":"p","cluster":"c","path":"/"},{"name":"q","cluster":"c","path":"/"},` +
			`{"name":"r","cluster":"c","path":"/"}],` +
			endpoint(`"probes":{"names":["r","p","q"]` + fields + `}`)[1:]
	}
	notServing := Reply{Status: 200, Body: "NOT_SERVING"}
	html := [][2]string{{"content-type", "text/html"}}
	for _, test := range []struct {
		text string
		get  func(e *Endpoint) any
		want any
	}{
		{endpoint(`"untrusted":{"action":"reply"}`), func(e *Endpoint) any { return e.Untrusted },
			Reply{Status: 403, Headers: headers()}},
		{endpoint(`"untrusted":{"action":"reply","status":404,"body":"no"}`), func(e *Endpoint) any { return e.Untrusted },
			Reply{Status: 404, Body: "no", Headers: headers()}},
		{endpoint(`"untrusted":{}`), func(e *Endpoint) any { return e.Untrusted }, Reply{Pass: true}},
		{endpoint(`"healthy":{}`), func(e *Endpoint) any { return e.Healthy }, Reply{Status: 200, Headers: html}},
		{endpoint(`"healthy":{"action":"pass"}`), func(e *Endpoint) any { return e.Healthy }, Reply{Pass: true}},
		{endpoint(`"healthy":{"action":"reply","status":204}`), func(e *Endpoint) any { return e.Healthy },
			Reply{Status: 204, Headers: html}},
		{endpoint(`"healthy":{"content_type":""}`), func(e *Endpoint) any { return e.Healthy }, Reply{Status: 200}},
		{endpoint(`"healthy":{"headers":{"X-B":"2","x-a":"1"}}`), func(e *Endpoint) any { return e.Healthy.Headers },
			[][2]string{{"content-type", "text/html"}, {"x-b", "2"}, {"x-a", "1"}}},
		{endpoint(`"unhealthy":{"status":500,"body":""}`), func(e *Endpoint) any { return e.Unhealthy },
			Reply{Status: 500, Headers: headers()}},
		{endpoint(`"unhealthy":{}`), func(e *Endpoint) any { return e.Unhealthy },
			Reply{ProbeStatus: true, Status: 503, Body: "FAILED", Headers: headers()}},
		{endpoint(`"unknown":{"status":500,"body":"?","content_type":"a/b"}`), func(e *Endpoint) any { return e.Unknown },
			Reply{Status: 500, Body: "?", Headers: [][2]string{{"content-type", "a/b"}}}},
		{endpoint(`"maintenance":{"status":500,"body":"M"}`), func(e *Endpoint) any { return e.Maintenance },
			Maintenance{Reply: Reply{Status: 500, Body: "M", Headers: headers()}}},
		{endpoint(`"methods":[]`), func(e *Endpoint) any { return len(e.Methods) }, 0},
		{endpoint(`"hosts":["A.Example","[FD00::1]:80"]`), func(e *Endpoint) any { return e.Hosts },
			[]string{"a.example", "[fd00::1]:80"}},
		{endpoint(`"headers":[{"name":"X","exact":"A"},{"name":"x","suffix":"A","ignore_case":true},` +
			`{"name":"x","contains":"A"},` +
			`{"name":"x","present_match":true},{"name":"x","present_match":false},{"name":"x","exact":"","prefix":null}]`),
			func(e *Endpoint) any { return e.Headers },
			[]HeaderMatcher{{"x", Exact, "A", false}, {"x", Suffix, "a", true}, {"x", Contains, "A", false},
				{"x", Present, "", false}, {"x", Absent, "", false}, {"x", Exact, "", false}}},
		{threeProbes(``), func(e *Endpoint) any { return e.Probes }, Policy{[]int{2, 0, 1}, 3}},
		{threeProbes(`,"policy":"all"`), func(e *Endpoint) any { return e.Probes }, Policy{[]int{2, 0, 1}, 3}},
		{threeProbes(`,"policy":null`), func(e *Endpoint) any { return e.Probes }, Policy{[]int{2, 0, 1}, 3}},
		{threeProbes(`,"policy":"any"`), func(e *Endpoint) any { return e.Probes }, Policy{[]int{2, 0, 1}, 1}},
		{threeProbes(`,"policy":{"at_least":1}`), func(e *Endpoint) any { return e.Probes }, Policy{[]int{2, 0, 1}, 1}},
		{threeProbes(`,"policy":{"at_least":2}`), func(e *Endpoint) any { return e.Probes }, Policy{[]int{2, 0, 1}, 2}},
		{threeProbes(`,"policy":{"at_least":3}`), func(e *Endpoint) any { return e.Probes }, Policy{[]int{2, 0, 1}, 3}},
		{strings.Replace(good, `"paths":["/hc"]`, `"grpc":true`, 1), func(e *Endpoint) any {
			e.Trusted, e.Untrusted = Trusted{}, Reply{}
			return *e
		}, Endpoint{
			Name: "a", GRPC: true, Paths: []string{"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"},
			Methods: []string{"POST"}, Headers: []HeaderMatcher{{"content-type", Prefix, "application/grpc", false}},
			Healthy:   Reply{Status: 200, Body: "SERVING"},
			Unhealthy: notServing, Unknown: notServing, Draining: notServing, Maintenance: Maintenance{Reply: notServing},
		}},
		{strings.Replace(good, `"paths":["/hc"]`, `"grpc":{"services":["b","a.B"]}`, 1),
			func(e *Endpoint) any { return []any{e.GRPC, e.Services, e.Healthy.Body} },
			[]any{true, []string{"b", "a.B"}, "SERVING"}},
		{withPeer(`"forwarded"`), func(e *Endpoint) any { return e.Trusted.Peer }, PeerForwarded},
		{withPeer(`"connection"`), func(e *Endpoint) any { return e.Trusted.Peer }, PeerConnection},
		{withPeer(`{"filter_state":"k"}`), func(e *Endpoint) any { return []any{e.Trusted.Peer, e.Trusted.FilterState} },
			[]any{PeerFilterState, "k"}},
	} {
		t.Run(test.text, func(t *testing.T) {
			c, err := Parse([]byte(test.text), Node{})
			if err != nil {
				t.Errorf("%s: %v", test.text, err)
			} else if got := test.get(&c.Endpoints[0]); !reflect.DeepEqual(got, test.want) {
				t.Errorf("%s:\n got %+v\nwant %+v", test.text, got, test.want)
			}
		})
	}
	for _, at := range []string{"0", "4", "1.5"} {
		_, err := Parse([]byte(threeProbes(`,"policy":{"at_least":`+at+`}`)), Node{})
		if want := "endpoints[0].probes.policy.at_least: " + at + " is not a whole number from 1 to 3"; textOf(err) != want {
			t.Errorf("at_least %s: %v", at, err)
		}
	}
}
