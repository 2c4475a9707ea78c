package conformance

import "strconv"

// Cases in which the filter probes the application, polls the runtime, and answers from what it knows. Which thread
// leads is chance on Envoy, and how often it asked is not compared.

// probed is a configuration with one endpoint of two probes; rest is more of the endpoint, and probe more of each probe.
func probed(rest, probe string) string {
	return `{"endpoints": [{"name": "e", "paths": ["/check"], "trusted": {"cidrs": ["127.0.0.1/32"]}, ` + rest + `}],
	"probes": [
		{"name": "in", "cluster": "{case}-backend", "path": "/in", "interval": "100ms", "timeout": "5s"` + probe + `},
		{"name": "out", "cluster": "{case}-backend", "path": "/out", "interval": "100ms", "timeout": "5s"` + probe + `}
	], "admin": {"cluster": "envoy_admin", "interval": "100ms", "timeout": "5s"}}`
}

// keyed is a configuration with one endpoint that has a runtime key and no probes.
func keyed(rest, admin string) string {
	return `{"endpoints": [{"name": "e", "paths": ["/check"], "trusted": {"cidrs": ["127.0.0.1/32"]},
		"maintenance": {"keys": ["{case}.off"]` + rest + `}}],
	"admin": {` + admin + `, "interval": "100ms", "timeout": "5s"}}`
}

// until waits for a status, and then asks once more to have an answer to compare.
func until(status int) []Step {
	return []Step{{Until: &Request{Path: "/check"}, Status: status}, {Request: &Request{Path: "/check"}}}
}

func turn(path string, status int) []Step { return []Step{{Turn: path, Status: status}} }

func await(line string) []Step { return []Step{{Await: line}} }

func admin(action string) []Step { return []Step{{Post: action}} }

func runtimeKey(value string) []Step { return admin("/runtime_modify?{case}.off=" + value) }

// steps is all of them, one after the other.
func steps(parts ...[]Step) (all []Step) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

const allProbes = `"probes": {"policy": "all", "names": ["in", "out"]}`

var filterStateCases = []*Case{
	{Name: "filter probe fails and recovers", Filter: probed(allProbes, ""), Repeats: true, Unordered: true,
		Steps: steps(until(200), turn("/out", 500), until(500), turn("/in", 418), until(418), turn("/in", 200), turn("/out", 200), until(200))},
	{Name: "filter thresholds", Filter: probed(allProbes, `, "unhealthy_threshold": 3, "healthy_threshold": 2`), Repeats: true, Unordered: true,
		Steps: steps(until(200), turn("/in", 502), until(502), turn("/in", 200), until(200))},
	{Name: "filter expected statuses", Filter: probed(allProbes, `, "expected_statuses": [{"start": 200, "end": 300}, {"start": 404, "end": 405}]`),
		Repeats: true, Unordered: true, Steps: steps(until(200), turn("/in", 405), until(405), turn("/in", 404), until(200))},
	{Name: "filter any probe", Filter: probed(`"probes": {"policy": "any", "names": ["in", "out"]}`, ""), Repeats: true, Unordered: true,
		Steps: steps(turn("/in", 500), until(200), turn("/out", 501), until(500), turn("/in", 200), until(200))},
	{Name: "filter fixed unhealthy reply", Filter: probed(`"unhealthy": {"status": 429, "body": "busy", "content_type": "text/html"}, `+allProbes,
		`, "method": "HEAD", "host": "probed"`), Repeats: true, Unordered: true, Steps: steps(until(200), turn("/in", 500), turn("/out", 500), await(`"in": unhealthy`), await(`"out": unhealthy`), get("/check"))},
	{Name: "filter status below 400", Filter: probed(allProbes, ""), Repeats: true, Unordered: true,
		Steps: steps(until(200), turn("/in", 302), turn("/out", 302), await(`probe "in": unhealthy`), await(`probe "out": unhealthy`), get("/check"))},
	{Name: "filter passes when healthy", Filter: probed(`"healthy": {"action": "pass"}, `+allProbes, ""), Repeats: true, Unordered: true,
		Steps: steps(until(200), turn("/out", 500), until(500), turn("/out", 200), until(200))},
	{Name: "filter probe of a cluster that refuses", Repeats: true, Unordered: true, Steps: steps(await("unhealthy"), get("/check")),
		Filter: `{"endpoints": [{"name": "e", "paths": ["/check"], "trusted": {"cidrs": ["127.0.0.1/32"]}, "probes": {"names": ["in"]}}],
			"probes": [{"name": "in", "cluster": "refused", "path": "/{case}", "interval": "100ms"}]}`},
	{Name: "filter probe of an empty cluster", Repeats: true, Unordered: true, Steps: steps(await("unhealthy"), get("/check")),
		Filter: `{"endpoints": [{"name": "e", "paths": ["/check"], "trusted": {"cidrs": ["127.0.0.1/32"]}, "probes": {"names": ["in"]}}],
			"probes": [{"name": "in", "cluster": "empty", "path": "/{case}", "interval": "100ms"}]}`},
	{Name: "filter probe of an unknown cluster", Repeats: true, Unordered: true, Steps: steps(await("unhealthy"), get("/check")),
		Filter: `{"endpoints": [{"name": "e", "paths": ["/check"], "trusted": {"cidrs": ["127.0.0.1/32"]}, "probes": {"names": ["in"]}}],
			"probes": [{"name": "in", "cluster": "{case}-none", "path": "/", "interval": "100ms"}]}`},
	{Name: "filter probe times out", Silent: []string{"backend"}, Repeats: true, Unordered: true, Steps: until(503),
		Filter: `{"endpoints": [{"name": "e", "paths": ["/check"], "trusted": {"cidrs": ["127.0.0.1/32"]}, "probes": {"names": ["in"]},
			"unknown": {"status": 500}}],
			"probes": [{"name": "in", "cluster": "{case}-backend", "path": "/", "interval": "200ms", "timeout": "200ms"}]}`},
	{Name: "filter unknown", Silent: []string{"backend"}, Repeats: true, Unordered: true,
		Filter: `{"endpoints": [{"name": "e", "paths": ["/check"], "trusted": {"cidrs": ["127.0.0.1/32"]}, "probes": {"names": ["in"]},
			"unknown": {"status": 507, "body": "who knows"}}],
			"probes": [{"name": "in", "cluster": "{case}-backend", "path": "/", "interval": "60s", "timeout": "60s"}]}`,
		Steps: steps(get("/check"), []Step{{Request: &Request{Method: "HEAD", Path: "/check"}}})},
	{Name: "filter maintenance", Filter: keyed("", `"cluster": "envoy_admin"`), Repeats: true, Unordered: true,
		Steps: steps(until(200), runtimeKey("true"), until(503), []Step{{Request: &Request{Method: "HEAD", Path: "/check"}}},
			get("/echo"), runtimeKey("off"), until(200), runtimeKey("100"), until(503), runtimeKey(""), until(200))},
	{Name: "filter maintenance reply and reason", Filter: keyed(`, "status": 500, "body": "later", "content_type": "text/html"`, `"cluster": "envoy_admin"`),
		Repeats: true, Unordered: true,
		Steps: steps(until(200), admin("/runtime_modify?{case}.off=on&{case}.off.reason=new%20disks"), until(500))},
	{Name: "filter maintenance until a time", Filter: keyed("", `"cluster": "envoy_admin"`), Repeats: true, Unordered: true,
		Steps: steps(until(200), runtimeKey("{in 5s}"), until(503), until(200))},
	{Name: "filter maintenance by a value that is none", Filter: keyed("", `"cluster": "envoy_admin"`), Repeats: true, Unordered: true,
		Steps: steps(until(200), runtimeKey("tomorrow"), until(503))},
	{Name: "filter maintenance of this node", Repeats: true, Unordered: true,
		Filter: `{"endpoints": [{"name": "e", "paths": ["/check"], "trusted": {"cidrs": ["127.0.0.1/32"]}, "maintenance":
			{"keys": ["{case}.{node_id}.{cluster}.{zone}.{region}"]}}], "admin": {"cluster": "envoy_admin", "interval": "100ms", "timeout": "5s"}}`,
		Steps: steps(until(200), admin("/runtime_modify?{case}.node-1.cluster-1.zone-1.region-1=1"), until(503))},
	{Name: "filter maintenance by route metadata", RouteMetadata: map[string]map[string]any{"healthgate": {"maintenance": true}},
		Filter: `{"endpoints": [{"name": "e", "paths": ["/check"], "trusted": {"cidrs": ["127.0.0.1/32"]}, "maintenance": {"route_metadata": true}}]}`,
		Steps:  append(get("/check"), get("/echo")...)},
	{Name: "filter no maintenance by route metadata", RouteMetadata: map[string]map[string]any{"healthgate": {"maintenance": "no"}},
		Filter: `{"endpoints": [{"name": "e", "paths": ["/check"], "trusted": {"cidrs": ["127.0.0.1/32"]}, "maintenance": {"route_metadata": true}}]}`,
		Steps:  get("/check")},
	{Name: "filter runtime that was never read is not kept", Filter: keyed("", `"cluster": "refused", "max_age": "100ms"`),
		Repeats: true, Unordered: true, Steps: steps(await("cannot be read"), get("/check"))},
	{Name: "filter runtime that cannot be read fails", Filter: keyed("", `"cluster": "refused", "max_age": "100ms", "on_stale": "fail"`),
		Repeats: true, Unordered: true, Steps: steps(await("cannot be read"), get("/check"))},
	{Name: "filter draining", Alone: true, Repeats: true, Unordered: true, Metrics: "healthgate_draining",
		Filter: probed(allProbes, ""),
		Steps: steps(until(200), admin("/healthcheck/fail"), until(503), admin("/healthcheck/ok"), until(200),
			admin("/healthcheck/fail"), until(503), get("/echo"))},
	{Name: "filter metrics", Alone: true, Repeats: true, Unordered: true, Metrics: "healthgate_checks_total.endpoint.counted.",
		Filter: `{"endpoints": [
			{"name": "counted", "paths": ["/check", "/also"], "trusted": {"cidrs": ["127.0.0.1/32"]}, "probes": {"names": ["in"]}},
			{"name": "refused", "paths": ["/refused"], "trusted": {"cidrs": ["10.0.0.0/8"]}, "untrusted": {"action": "reply", "status": 403}}],
			"probes": [{"name": "in", "cluster": "{case}-backend", "path": "/in", "interval": "100ms", "timeout": "5s"}]}`,
		Steps: steps(await(`probe "in": healthy`), get("/check"), get("/also"), get("/refused"), get("/other"))},
	{Name: "filter endpoints, hosts and headers", Filter: manyEndpoints, Steps: manyRequests()},
	{Name: "filter bad configurations", Filter: `{"endpoints": [{"name": "e", "paths": ["/a", 1], "trusted": {}, "healthy": {"status": 99}}, {"paths": []}],
		"probes": [{"name": "p", "interval": "1h1"}]}`},
	{Name: "filter probe that nobody defined", Filter: `{"endpoints": [{"name": "e", "paths": ["/a"], "trusted": {"cidrs": ["::1/128"]}, "probes": {"names": ["p"]}}]}`},
	{Name: "filter keys without an admin", Filter: `{"endpoints": [{"name": "e", "paths": ["/a"], "trusted": {"cidrs": ["::1/128"]}, "maintenance": {"keys": ["k"]}}]}`},
	{Name: "filter configuration that is no JSON", Filter: `{"endpoints": [}`},
	{Name: "filter peer behind a proxy", Hops: 1, Filter: `{"endpoints": [{"name": "e", "paths": ["/check"], "trusted": {"cidrs": ["10.0.0.0/8"], "peer": "forwarded"}}]}`,
		Steps: []Step{
			{Request: &Request{Path: "/check", Header: [][2]string{{"x-forwarded-for", "10.1.2.3, 192.168.1.1"}}}},
			{Request: &Request{Path: "/check", Header: [][2]string{{"x-forwarded-for", "10.1.2.3"}}}},
			{Request: &Request{Path: "/check", Header: [][2]string{{"x-forwarded-for", "11.1.2.3, 10.1.1.1"}}}},
			{Request: &Request{Path: "/check"}},
		}},
	{Name: "filter proxy's own checks and strangers", Filter: proxied, Steps: forwardedKinds()},
	{Name: "filter proxy and a trusted hop", Hops: 1, Filter: proxied, Steps: forwardedKinds()},
	{Name: "filter proxy and a remote address", Remote: true, Hops: 1, Filter: proxied, Steps: forwardedKinds()},
	{Name: "filter headers that come twice", Filter: `{"endpoints": [{"name": "e", "paths": ["/check"], "trusted": {"cidrs": ["127.0.0.1/32"]},
		"headers": [{"name": "x-check", "exact": "s3cret,no"}, {"name": "host", "exact": "localhost"}]}]}`,
		Steps: []Step{
			{Request: &Request{Path: "/check", Header: [][2]string{{"x-check", "s3cret"}, {"x-check", "no"}}}},
			{Request: &Request{Path: "/check", Header: [][2]string{{"x-check", "no"}, {"x-check", "s3cret"}}}},
			{Request: &Request{Path: "/check", Header: [][2]string{{"x-check", "s3cret"}}}},
			{Request: &Request{Path: "/check", Authority: "other", Header: [][2]string{{"x-check", "s3cret,no"}}}},
		}},
}

// proxied trusts a proxy, and whom it forwards for from some addresses.
const proxied = `{"endpoints": [{"name": "e", "paths": ["/check"], "trusted": {"cidrs": ["127.0.0.1/32", "10.0.0.0/8"], "peer": "forwarded"}}]}`

// forwardedKinds are checks with every kind of X-Forwarded-For, and one without.
func forwardedKinds() []Step {
	all := get("/check")
	for _, value := range []string{
		"10.1.2.3", "192.0.2.7", "10.1.2.3:443", "[2001:db8::7]:443", "unknown", "", ",", "10.1.2.3,", "192.0.2.7, 10.1.2.3",
		"10.1.2.3, 192.0.2.7", "10.1.2.3, unknown", "unknown, 10.1.2.3", "127.0.0.1", "10.1.2.03", "::ffff:10.1.2.3",
	} {
		all = append(all, Step{Request: &Request{Path: "/check", Header: [][2]string{{"x-forwarded-for", value}}}})
	}
	return all
}

const manyEndpoints = `{"endpoints": [
	{"name": "host", "paths": ["/a"], "hosts": ["one.example", "two.example"], "trusted": {"cidrs": ["127.0.0.0/8"]},
		"healthy": {"status": 201, "body": "host"}},
	{"name": "header", "paths": ["/a"], "headers": [{"name": "user-agent", "prefix": "ELB-"}, {"name": "x-no", "present": false}],
		"trusted": {"cidrs": ["127.0.0.1/32"]}, "healthy": {"status": 202, "body": "header", "headers": {"x-a": "1"}}},
	{"name": "method", "paths": ["/a", "/b/"], "methods": ["POST"], "trusted": {"cidrs": ["127.0.0.1/32"]},
		"healthy": {"status": 299, "body": "method"}},
	{"name": "rest", "paths": ["/a"], "trusted": {"cidrs": ["192.168.0.0/16"]}, "untrusted": {"action": "reply", "status": 404, "body": "no"}}
]}`

// manyRequests are a request for each way to match an endpoint, and to miss it by little.
func manyRequests() (all []Step) {
	for i, r := range []Request{
		{Authority: "one.example"}, {Authority: "ONE.example"}, {Authority: "one.example:8080"}, {Authority: "x.two.example"}, {Authority: "two.example"},
		{Header: [][2]string{{"user-agent", "ELB-HealthChecker/2.0"}}}, {Header: [][2]string{{"user-agent", "ELB-HealthChecker/2.0"}, {"x-no", ""}}},
		{Header: [][2]string{{"user-agent", "elb-healthchecker"}}},
		{Method: "POST", Body: "with a body"}, {Method: "HEAD", Authority: "one.example"},
	} {
		r.Path = "/a?" + strconv.Itoa(i)
		all = append(all, Step{Request: &r})
	}
	for _, path := range []string{"/b/", "/b", "//a", "/a/../a", "/%61", "/A"} {
		all = append(all, Step{Request: &Request{Method: "POST", Path: path}})
	}
	return all
}
