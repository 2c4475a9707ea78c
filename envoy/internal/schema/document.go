package schema

import (
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/lean/duration"
	"github.com/healthgate/healthgate/filter/trust"
)

// What the reader takes for names, paths and the like, as ECMA 262 regular expressions.
const (
	token        = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"   // RFC 9110, section 5.6.2
	fieldValue   = `^[^\x00-\x08\x0a-\x1f\x7f]*$`    // RFC 9110, section 5.5
	someValue    = `^[^\x00-\x08\x0a-\x1f\x7f]+$`    // the same, not empty
	path         = `^/[!"$->@-~]*$`                  // no query
	pathAndQuery = `^/[!"$-~]*$`                     //
	host         = `^[^*/ \x00-\x08\x0a-\x1f\x7f]+$` //
	key          = `^([^{}]|\{(node_id|cluster|region|zone)\})+$`
	span         = `^[-+]?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$`
	service      = "^[A-Za-z0-9_./:-]" // and how many characters follow
	cidr         = `^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$`
)

var (
	name     = fmt.Sprintf(`^[A-Za-z0-9_.-]{1,%d}$`, config.MaxName)
	notEmpty = node{"type": "string", "minLength": 1}
)

// document is the whole configuration.
func document() node {
	return object(
		required("endpoints", with(atLeastOne(list(endpoint())), "maxItems", config.MaxEndpoints),
			"the health check URLs, and what each answers"),
		optional("probes", with(list(probe()), "maxItems", config.MaxProbes),
			"what is asked of the application, by one VM for all workers"),
		optional("admin", object(adminFields()...),
			"how runtime keys and draining are read from Envoy's admin endpoint; `maintenance.keys` need it"),
	)
}

func endpoint() node {
	out := object(endpointFields()...)
	none := node{"type": "null"}
	ofStatus := node{}
	for _, name := range []string{"grpc", "healthy", "unhealthy", "draining", "maintenance", "probes", "unknown",
		"degraded"} {
		ofStatus[name] = none
	}
	ofGRPC := node{maintenance: node{"properties": node{"status": false, "body": false, "content_type": false,
		"headers": false}}}
	for _, name := range []string{"paths", "methods", healthyReply, unhealthy, draining, unknown, "degraded"} {
		ofGRPC[name] = none
	}
	is := func(field string, value any) node {
		return node{"properties": node{field: node{"const": value}}, "required": []string{field}}
	}
	named := node{"properties": node{"grpc": node{"type": "object"}}, "required": []string{"grpc"}}
	out["allOf"] = []node{
		{"if": is("kind", "status"), "then": node{"properties": ofStatus}},
		{"if": node{"anyOf": []node{is("grpc", true), named}}, "then": node{"properties": ofGRPC},
			"else": node{"properties": node{"paths": node{"type": "array"}}, "required": []string{"paths"}}},
	}
	return out
}

func endpointFields() []field {
	marking := required("probes", atLeastOne(set(notEmpty)), "names of [probes](#probes) that do not fail the endpoint: "+
		"while one of them is unhealthy or not known, it gets this reply")
	services := required("services", atLeastOne(set(text(service+"{1,"+strconv.Itoa(config.MaxService)+"}$"))),
		"in the place of `true`: the services that a check may name, besides none; another gets `NOT_FOUND`")
	return []field{
		required("name", text(name), "unique; in metrics, log lines and the status document"),
		optional("kind", otherwise(oneOf("health_check", "status"), "health_check"),
			"`health_check`: answers a load balancer. "+
				"`status`: shows operators what each check gets and why, see [the status endpoint](status.md); it has no replies, "+
				"maintenance or probes of its own"),
		optional("grpc", node{"anyOf": []node{boolean(), object(services)}, "default": false},
			"`true`: the health service of gRPC, `grpc.health.v1.Health/Check`; [what it answers](#checks-of-grpc). "+
				"It has no `paths`, `methods` and replies of its own").shows("`false`", services),
		optional("paths", atLeastOne(set(text(path))), "required but with `grpc`; compared byte for byte with the request's "+
			"path without its query; nothing is decoded, `/hc/` is not `/hc`").shows(""),
		optional("methods", otherwise(set(text(token)), config.DefaultMethods),
			"`[]` means any method. For kind `status` the default is GET and HEAD"),
		optional("hosts", otherwise(set(text(host)), []string{}), "the names that `:authority` may have; none means any. "+
			"Case does not matter, and a name without a port matches every port. No wildcards"),
		optional("headers", list(header()), "demands on request headers, all of which must hold").shows("none",
			headerFields()...),
		required("trusted", trusted(), "[who is trusted](#who-is-trusted)"),
		optional("untrusted", untrusted(), "what everybody else gets, see [replies](#replies)").shows("pass"),
		optional("healthy", healthy(), "the reply when all is well, see [replies](#replies)").shows("empty 200"),
		optional("unhealthy", replyOf(replies[unhealthy]), "the reply when the probes' policy does not hold").
			shows("`" + config.UnhealthyBody + "`"),
		optional("unknown", replyOf(replies[unknown]), "the reply when the state is not known yet, or too old").
			shows(fmt.Sprintf("%d `%s`", config.FailingStatus, config.UnknownBody)),
		optional("draining", replyOf(replies[draining]), "the reply while Envoy drains, as far as `admin.draining` has it "+
			"polled").shows(fmt.Sprintf("%d `%s`", config.FailingStatus, config.DrainingBody)),
		optional("maintenance", replyOf(replies[maintenance], maintenanceFields()...),
			"what switches [maintenance](#maintenance), and the reply then").shows("never on"),
		optional("probes", object(policyFields()...),
			"which probes decide; without it, maintenance and draining alone decide").shows("none", policyFields()...),
		optional("degraded", replyOf(replies[degraded], marking), "the reply when all is well but these probes, for load "+
			"balancers that understand it").shows("none", marking),
	}
}

func headerFields() []field {
	return []field{
		required("name", text(token), "the header's name; case does not matter"),
		optional("exact", text(""), "the value is this"),
		optional("prefix", notEmpty, "the value begins with this"),
		optional("suffix", notEmpty, "the value ends with this"),
		optional("contains", notEmpty, "the value contains this"),
		optional("present_match", boolean(), "`true`: the header is there, whatever its value; `false`: it is not"),
		optional("ignore_case", otherwise(boolean(), false), "compares without regard to the case of ASCII letters"),
	}
}

func header() node {
	out := object(headerFields()...)
	var exactlyOne []node
	for _, v := range []string{"exact", "prefix", "suffix", "contains", "present_match"} {
		exactlyOne = append(exactlyOne, node{"required": []string{v},
			"properties": node{v: node{"not": node{"type": "null"}}}})
	}
	out["oneOf"] = exactlyOne
	return out
}

func trusted() node {
	out := object(trustedFields()...)
	some := func(name string) node {
		return node{"required": []string{name}, "properties": node{name: node{"type": "array", "minItems": 1}}}
	}
	pipe := node{"required": []string{"pipe"}, "properties": node{"pipe": node{"const": true}}}
	out["anyOf"] = []node{some("cidrs"), some("providers"), pipe}
	return out
}

func trustedFields() []field {
	var platforms []string
	for _, p := range trust.Platforms {
		text := fmt.Sprintf("`%s`: %s (%s", p.Name, p.What, strings.Join(p.Ranges, ", "))
		if text += ")"; p.Advice != "" {
			text += ". " + p.Advice
		}
		platforms = append(platforms, text)
	}
	state := required("filter_state", notEmpty, "the key under which Envoy's `set_filter_state` stored the address")
	return []field{
		optional("cidrs", list(text(cidr)), "networks (`10.0.0.0/8`, `\"fd00::/8\"`) or single addresses. "+
			"An IPv4 address that is written as IPv6 (`::ffff:10.0.0.1`) counts as IPv4").shows("none"),
		optional("providers", set(oneOf(trust.Providers()...)),
			"the addresses from which a platform checks. "+strings.Join(platforms, ". ")).shows("none"),
		optional("pipe", otherwise(boolean(), false),
			"`true`: also whoever can open the Unix socket on which Envoy listens. Its file mode decides who that is"),
		optional("peer", node{"anyOf": []node{oneOf("connection", "forwarded"), object(state)}, "default": "connection"},
			"which address is compared: `connection`, the address of the connection, never one from X-Forwarded-For; "+
				"`forwarded`, Envoy's source address from X-Forwarded-For, only behind proxies that you control; "+
				"`{filter_state: KEY}`, an address that a filter stored").shows("`connection`", state.shows("")),
	}
}

// reply describes a reply section.
type reply struct {
	section       string
	status        node
	statusDefault any
	body, kind    string // defaults; kind is the content-type
}

// replies have the defaults of the reply sections.
var replies = func() map[string]reply {
	status := whole(config.MinStatus, config.MaxStatus)
	out := map[string]reply{}
	for _, r := range []reply{
		{untrustedReply, status, config.UntrustedStatus, "", config.DefaultType},
		{healthyReply, status, config.HealthyStatus, "", config.HealthyType},
		{unhealthy, node{"anyOf": []node{status, oneOf("probe")}}, "probe", config.UnhealthyBody, config.DefaultType},
		{unknown, status, config.FailingStatus, config.UnknownBody, config.DefaultType},
		{draining, status, config.FailingStatus, config.DrainingBody, config.DefaultType},
		{degraded, status, nil, "", ""},
		{maintenance, status, config.FailingStatus, config.MaintenanceBody, config.DefaultType},
	} {
		out[r.section] = r
	}
	return out
}()

const (
	untrustedReply = "untrusted"
	healthyReply   = "healthy"
	unhealthy      = "unhealthy"
	unknown        = "unknown"
	draining       = "draining"
	maintenance    = "maintenance"
	degraded       = "degraded"
)

func (r reply) fields() []field {
	otherwise := otherwise
	if r.section == degraded { // whose defaults are another reply
		otherwise = func(s node, _ any) node { return s }
	}
	return []field{
		optional("status", otherwise(r.status, r.statusDefault), fmt.Sprintf("%d to %d", config.MinStatus, config.MaxStatus)),
		optional("body", otherwise(text(""), r.body), "text; must be empty with status 204, 205 or 304"),
		optional("content_type", otherwise(text(fieldValue), r.kind), "`\"\"` for none"),
		optional("headers", node{
			"type": "object", "additionalProperties": text(someValue), "maxProperties": config.MaxFields,
			"propertyNames": node{"pattern": token, "not": node{"pattern": anyCase("content-type", "content-length",
				"transfer-encoding", "connection", "upgrade", "te", "trailer", "keep-alive")}},
		},
			"more headers, as an object of names and values. Those that Envoy sets by itself "+
				"(`content-length`, `connection`, …) "+
				"are refused"),
	}
}

// anyCase matches the words whatever their case; JSON Schema's expressions have no flag for it.
func anyCase(words ...string) string {
	var out strings.Builder
	for _, c := range strings.Join(words, "|") {
		if 'a' <= c && c <= 'z' {
			out.WriteString("[" + strings.ToUpper(string(c)) + string(c) + "]")
		} else {
			out.WriteRune(c)
		}
	}
	return "^(" + out.String() + ")$"
}

// replyOf adds to a reply's fields that a reply without a body (204, 205, 304) has none; one that has a body by
// default must say so.
func replyOf(r reply, more ...field) node {
	out := object(append(more, r.fields()...)...)
	then := node{"properties": node{"body": node{"enum": []any{"", nil}}}}
	if r.body != "" {
		then = node{"properties": node{"body": node{"const": ""}}, "required": []string{"body"}}
	}
	out["if"] = node{"properties": node{"status": node{"enum": []int{204, 205, 304}}}, "required": []string{"status"}}
	out["then"] = then
	return out
}

const (
	aboutPass  = "the request goes on to the application; no other field is allowed beside it"
	aboutReply = "the request is answered here"
)

func untrusted() node {
	return node{"anyOf": []node{
		object(optional("action", otherwise(oneOf("pass"), "pass"), aboutPass)),
		replyOf(replies[untrustedReply], required("action", oneOf("reply"), aboutReply)),
	}}
}

func healthy() node {
	return node{"anyOf": []node{
		replyOf(replies[healthyReply], optional("action", otherwise(oneOf("reply"), "reply"), aboutReply)),
		object(required("action", oneOf("pass"), aboutPass)),
	}}
}

func maintenanceFields() []field {
	return []field{
		optional("keys", with(set(with(text(key), "maxLength", config.MaxKeyBytes)), "maxItems", config.MaxKeys),
			"Envoy runtime keys, any of which switches maintenance on. They need the `admin` section. "+
				"`{node_id}`, `{cluster}`, `{region}` and `{zone}` stand for what Envoy's node says; "+
				"a key whose value the node does not have is ignored, "+
				"with a warning in the log").shows("none"),
		optional("route_metadata", otherwise(boolean(), false),
			"a route with the metadata `healthgate: {maintenance: true}` switches it on, too"),
	}
}

func policyFields() []field {
	atLeast := required("at_least", whole(1, config.MaxProbes), "from 1 to the number of `names`")
	return []field{
		required("names", atLeastOne(set(notEmpty)), "names of [probes](#probes)"),
		optional("policy", node{"anyOf": []node{oneOf("all", "any"), object(atLeast)}, "default": "all"},
			"how many of them must be healthy: `all`, `any`, or `{at_least: N}`").shows("`all`", atLeast.shows("")),
	}
}

// between says the limits of a duration.
func between(low, high duration.Duration) string { return "from " + short(low) + " to " + short(high) }

// short writes a duration without units that are 0.
func short(d duration.Duration) string {
	s := duration.Text(d)
	for _, zero := range []string{"0s", "0m"} {
		if rest, is := strings.CutSuffix(s, zero); is && (strings.HasSuffix(rest, "m") || strings.HasSuffix(rest, "h")) {
			s = rest
		}
	}
	return s
}

func interval(more string) field {
	return optional("interval", otherwise(text(span), short(config.DefaultInterval)),
		between(config.MinInterval, config.MaxInterval)+more)
}

func timeout(usual duration.Duration, more string) field {
	return optional("timeout", otherwise(text(span), short(usual)),
		between(config.MinTimeout, config.MaxTimeout)+more)
}

func probe() node {
	rule := func(needed, refused string) node {
		properties := node{}
		for _, name := range strings.Fields(needed) {
			properties[name] = node{"type": "string"}
		}
		for _, name := range strings.Fields(refused) {
			properties[name] = node{"type": "null"}
		}
		return node{"properties": properties, "required": strings.Fields(needed)}
	}
	when := func(field string, then, otherwise node) node {
		there := node{"properties": node{field: node{"type": "object"}}, "required": []string{field}}
		return node{"if": there, "then": then, "else": otherwise}
	}
	const answer, request = "path method expected_statuses", "cluster host grpc on_demand path method expected_statuses"
	out := object(probeFields()...)
	maps.Copy(out, when("cluster_health", rule("", "gauge xds "+request), when("gauge", rule("", "xds "+request),
		when("xds", rule("", request), when("grpc", rule("cluster", answer), rule("cluster path", ""))))))
	none := node{"type": "null"}
	out["allOf"] = []node{{
		"if": node{"properties": node{"on_demand": node{"type": "object"}}, "required": []string{"on_demand"}},
		"then": node{"properties": node{"interval": none, "unhealthy_threshold": none, "healthy_threshold": none,
			"min_unhealthy": none}},
	}}
	return out
}

func probeFields() []field {
	threshold := otherwise(whole(1, config.MaxThreshold), config.DefaultThreshold)
	upTo := fmt.Sprintf(", up to %d", config.MaxThreshold)
	low, high := config.MinProbeStatus, config.MaxProbeStatus
	asked := optional("service", otherwise(text(service+"{0,"+strconv.Itoa(config.MaxService)+"}$"), ""),
		"whose health; without it, the server's").shows("the server")
	maxAge := optional("max_age", otherwise(text(span), short(config.DefaultInterval)),
		between(config.MinInterval, config.MaxInterval)+": a check takes a result that is no older")
	statuses := []field{
		optional("start", otherwise(whole(low, high), low), "the first status of the range"),
		optional("end", otherwise(whole(low+1, high+1), high+1), "the first status after the range"),
	}
	hosts := []field{
		required("cluster", notEmpty, "the cluster whose hosts are counted, as Envoy names it (or its `alt_stat_name`)"),
		required("min_healthy_percent", whole(0, 100),
			"how many percent of all its hosts must be healthy; a cluster without hosts has 0"),
		optional("degraded", otherwise(boolean(), true), "degraded hosts count as healthy ones"),
	}
	arrived := []field{
		optional("clusters", otherwise(boolean(), true), "CDS has come, and no cluster is warming"),
		optional("listeners", otherwise(boolean(), true), "LDS has come, and no listener is warming"),
		optional("secrets", set(notEmpty), "names of secrets that SDS has to bring").shows("none"),
	}
	load := []field{
		required("stat", notEmpty, "the gauge's name, as `/stats?type=Gauges` of admin writes it"),
		required("above", whole(0, config.MaxGauge), "the probe fails while the gauge is higher; up to 2147483647"),
	}
	return []field{
		required("name", text(name), "unique; in metrics and log lines"),
		optional("cluster", notEmpty, "the Envoy cluster that the probe is sent to. It should be one of the probes' own: "+
			"[why](installation.md#a-cluster-for-the-probes). Where it has users' requests too, `healthgate render` "+
			"makes a cluster `healthgate_NAME` with the same address, and the configuration that it writes names that one. "+
			"Not for `cluster_health`, `gauge` and `xds`").shows("required"),
		optional("path", text(pathAndQuery), "with its query, if there is one; only of a probe by HTTP").shows("required"),
		optional("grpc", object(asked), "asks the application's gRPC health service "+
			"(`grpc.health.v1.Health/Check`) in the place of HTTP: SERVING is healthy. "+
			"The cluster must speak HTTP/2; `path`, `method` and `expected_statuses` are "+
			"not for it").shows("HTTP", asked),
		optional("cluster_health", object(hosts...), "how many hosts of a cluster Envoy's own health checks and outlier "+
			"detection find healthy. Read of Envoy's statistics, so it needs `admin`, "+
			"and `cluster`, `path`, `host`, `method`, `grpc` and `expected_statuses` are not for it").shows("", hosts...),
		optional("gauge", object(load...), "one of Envoy's own statistics, "+
			"read as for `cluster_health`").shows("", load...),
		optional("xds", object(arrived...), "what Envoy gets of its control plane is there. Once it is, the probe stays "+
			"healthy for as long as Envoy runs. Read as for `cluster_health`").shows("", arrived...),
		optional("host", otherwise(text(fieldValue), config.DefaultProbeHost), "the probe's `:authority`"),
		optional("method", otherwise(text(token), config.DefaultProbeMethod), "the probe's method"),
		interval(", from the start of one probe to the start of the next"),
		timeout(config.DefaultProbeTimeout, ". Of what is read of Envoy's statistics, the default is "+
			short(config.DefaultAdminTimeout)),
		optional("on_demand", object(maxAge), "sends the probe [when a check needs it](#probes-on-demand), and not at "+
			"intervals; `interval`, thresholds and `min_unhealthy` are not for it").shows("at intervals", maxAge),
		optional("unhealthy_threshold", threshold,
			"how many failures in a row make a healthy probe unhealthy"+upTo+". The first result counts at once"),
		optional("healthy_threshold", threshold, "how many successes in a row make an unhealthy probe healthy"+upTo),
		optional("min_unhealthy", node{"anyOf": []node{text(span), {"const": 0}}, "default": "0s"},
			"for how long at the least an unhealthy probe stays unhealthy, up to "+short(config.MaxInterval)+
				", so that one that flaps stays out"),
		optional("expected_statuses", list(object(statuses...)),
			"ranges of statuses that count as success, half open as in Envoy: "+
				"`{start: 200, end: 300}` is 200 to 299").shows("200", statuses...),
	}
}

func adminFields() []field {
	return []field{
		required("cluster", notEmpty, "the Envoy cluster that leads to the admin endpoint"),
		interval(""),
		timeout(config.DefaultAdminTimeout,
			". Envoy does the work for a poll that timed out all the same, so rather too long than too short"),
		optional("max_age", otherwise(text(span), short(config.DefaultMaxAge)),
			"how long the last readings of runtime and draining stay good when they can't be read any more; up to "+
				short(config.MaxMaxAge)+" and not below `interval`"),
		optional("on_stale", otherwise(oneOf("keep", "fail"), "keep"),
			"what holds after `max_age`: `keep` the last reading, or "+
				"`fail`, the `unknown` reply. There is nothing to keep of what was never read: it is unknown"),
		optional("draining", otherwise(oneOf("poll", "ignore"), "poll"),
			"`ignore`: `/ready` is not asked, and checks do not see "+
				"that Envoy drains. For an admin that does not allow it"),
	}
}
