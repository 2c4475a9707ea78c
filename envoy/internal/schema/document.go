package schema

import (
	"strings"

	"github.com/healthgate/healthgate/filter/trust"
)

// What the reader takes for names, paths and the like, as ECMA 262 regular expressions.
const (
	name         = `^[A-Za-z0-9_.-]{1,64}$`
	token        = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"   // RFC 9110, section 5.6.2
	fieldValue   = `^[^\x00-\x08\x0a-\x1f\x7f]*$`    // RFC 9110, section 5.5
	someValue    = `^[^\x00-\x08\x0a-\x1f\x7f]+$`    // the same, not empty
	path         = `^/[!"$->@-~]*$`                  // no query
	pathAndQuery = `^/[!"$-~]*$`                     //
	host         = `^[^*/ \x00-\x08\x0a-\x1f\x7f]+$` //
	key          = `^([^{}]|\{(node_id|cluster|region|zone)\})+$`
	duration     = `^[-+]?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$`
	cidr         = `^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$`
)

var notEmpty = node{"type": "string", "minLength": 1}

// document is the whole configuration.
func document() node {
	return object(
		required("endpoints", with(atLeastOne(list(endpoint())), "maxItems", 64), "The health check URLs, and what each answers."),
		optional("probes", with(list(probe()), "maxItems", 64), "What is asked of the application, by one VM for all workers."),
		optional("admin", admin(), "How runtime keys and draining are read from Envoy's admin. Required with maintenance.keys."),
	)
}

func endpoint() node {
	out := object(
		optional("kind", otherwise(oneOf("health_check", "status"), "health_check"),
			"What it is for: a load balancer's checks, or operators, whom it shows the state of everything."),
		required("name", text(name), "In metrics and log lines: letters, digits, '_', '-' and '.'."),
		required("paths", atLeastOne(set(text(path))), "Exact, byte for byte, without the query."),
		optional("methods", otherwise(set(text(token)), []string{"GET", "HEAD", "OPTIONS"}), "[] means any method."),
		optional("hosts", otherwise(set(text(host)), []string{}), "None means any; without a port they match every port."),
		optional("headers", list(header()), "All of them must match."),
		required("trusted", trusted(), "Whose checks are answered."),
		optional("untrusted", untrusted(), "What anyone else gets: the application (pass), or a reply."),
		optional("healthy", healthy(), "The reply when all is well. `action: pass` lets the application's own endpoint answer."),
		optional("unhealthy", unhealthy(), "The reply when the probes' policy does not hold."),
		optional("maintenance", maintenance(), "What switches maintenance, and the reply then."),
		optional("probes", policy(), "How many of which probes must be healthy."),
		optional("unknown", replyOf(reply{status: whole(200, 599), statusDefault: 503, body: "UNKNOWN", contentType: "text/plain"}),
			"The reply when the state is not known yet, or too old."),
	)
	none := node{}
	for _, name := range []string{"healthy", "unhealthy", "maintenance", "probes", "unknown"} {
		none[name] = node{"type": "null"}
	}
	out["if"] = node{"properties": node{"kind": node{"const": "status"}}, "required": []string{"kind"}}
	out["then"] = node{"properties": none}
	return out
}

func header() node {
	value := []string{"exact", "prefix", "suffix", "contains", "present_match"}
	out := object(
		required("name", text(token), "The name of a request header; case does not matter."),
		optional("exact", text(""), ""),
		optional("prefix", notEmpty, ""),
		optional("suffix", notEmpty, ""),
		optional("contains", notEmpty, ""),
		optional("present_match", boolean(), "true: the header is there, whatever its value; false: it is not."),
		optional("ignore_case", otherwise(boolean(), false), ""),
	)
	var exactlyOne []node
	for _, v := range value {
		exactlyOne = append(exactlyOne, node{"required": []string{v}, "properties": node{v: node{"not": node{"type": "null"}}}})
	}
	out["oneOf"] = exactlyOne
	return out
}

func trusted() node {
	out := object(
		optional("cidrs", list(text(cidr)), "Networks, 10.0.0.0/8, or single addresses."),
		optional("providers", set(oneOf(trust.Providers()...)), "The addresses from which a platform checks."),
		optional("pipe", otherwise(boolean(), false), "Whoever can open the Unix socket that Envoy listens on."),
		optional("peer", node{
			"anyOf":   []node{oneOf("connection", "forwarded"), object(required("filter_state", notEmpty, "The key of a filter state object."))},
			"default": "connection",
		}, "Where the address is read: of the connection, never from X-Forwarded-For (connection); Envoy's source address even "+
			"from X-Forwarded-For (forwarded); what a set_filter_state filter stored ({filter_state: KEY})."),
	)
	some := func(name string) node {
		return node{"required": []string{name}, "properties": node{name: node{"type": "array", "minItems": 1}}}
	}
	pipe := node{"required": []string{"pipe"}, "properties": node{"pipe": node{"const": true}}}
	out["anyOf"] = []node{some("cidrs"), some("providers"), pipe}
	return out
}

// reply describes a reply section.
type reply struct {
	status            node
	statusDefault     any
	body, contentType string // defaults
}

func (r reply) fields() []field {
	return []field{
		optional("status", otherwise(r.status, r.statusDefault), "HTTP status."),
		optional("body", otherwise(text(""), r.body), ""),
		optional("content_type", otherwise(text(fieldValue), r.contentType), "Empty for none."),
		optional("headers", node{
			"type": "object", "additionalProperties": text(someValue), "maxProperties": 64,
			"propertyNames": node{"pattern": token, "not": node{"pattern": anyCase("content-type", "content-length", "transfer-encoding",
				"connection", "upgrade", "te", "trailer", "keep-alive")}},
		}, "More headers; those that Envoy sets are not allowed."),
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

// bodiless adds that a reply without a body (204, 205, 304) has none; one that has a body by default must say so.
func (r reply) bodiless(out node) node {
	then := node{"properties": node{"body": node{"enum": []any{"", nil}}}}
	if r.body != "" {
		then = node{"properties": node{"body": node{"const": ""}}, "required": []string{"body"}}
	}
	out["if"] = node{"properties": node{"status": node{"enum": []int{204, 205, 304}}}, "required": []string{"status"}}
	out["then"] = then
	return out
}

func replyOf(r reply, more ...field) node { return r.bodiless(object(append(more, r.fields()...)...)) }

func untrusted() node {
	r := reply{status: whole(200, 599), statusDefault: 403, contentType: "text/plain"}
	return node{"anyOf": []node{
		object(optional("action", otherwise(oneOf("pass"), "pass"), "On to the application.")),
		replyOf(r, required("action", oneOf("reply"), "")),
	}}
}

func healthy() node {
	r := reply{status: whole(200, 599), statusDefault: 200, contentType: "text/html"}
	return node{"anyOf": []node{
		replyOf(r, optional("action", otherwise(oneOf("reply"), "reply"), "")),
		object(required("action", oneOf("pass"), "On to the application.")),
	}}
}

func unhealthy() node {
	return replyOf(reply{
		status:        node{"anyOf": []node{whole(200, 599), oneOf("probe")}},
		statusDefault: "probe", body: "FAILED", contentType: "text/plain",
	})
}

func maintenance() node {
	return replyOf(reply{
		status: whole(200, 599), statusDefault: 503,
		body: "Under maintenance. Remove maintenance file when complete", contentType: "text/plain",
	},
		optional("keys", with(set(with(text(key), "maxLength", 256)), "maxItems", 64), "Runtime keys, any of which switches maintenance on. {node_id}, {cluster}, {region} and {zone} are the Envoy's own."),
		optional("route_metadata", otherwise(boolean(), false), "A route with the metadata healthgate: {maintenance: true} switches it on, too."),
	)
}

func policy() node {
	return object(
		required("names", atLeastOne(set(notEmpty)), "Names of probes."),
		optional("policy", node{
			"anyOf":   []node{oneOf("all", "any"), object(required("at_least", whole(1, 64), "How many must be healthy."))},
			"default": "all",
		}, "all, any, or {at_least: N}."),
	)
}

func schedule(timeout string, fields ...field) []field {
	return append(fields,
		optional("interval", otherwise(text(duration), "1s"), "From 100ms to 1h."),
		optional("timeout", otherwise(text(duration), timeout), "From 10ms to 1m."),
	)
}

func probe() node {
	threshold := otherwise(whole(1, 1000), 1)
	return object(schedule("500ms",
		required("name", text(name), "In metrics, in log lines, and under endpoints[].probes."),
		required("cluster", notEmpty, "The Envoy cluster that is asked."),
		required("path", text(pathAndQuery), "May have a query."),
		optional("host", otherwise(text(fieldValue), "localhost"), "The Host header."),
		optional("method", otherwise(text(token), "GET"), ""),
		optional("unhealthy_threshold", threshold, "Failures in a row until the probe is unhealthy."),
		optional("healthy_threshold", threshold, "Successes in a row until it is healthy again."),
		optional("expected_statuses", list(object(
			optional("start", otherwise(whole(100, 599), 100), "The first status of the range."),
			optional("end", otherwise(whole(101, 600), 600), "The first status after it."),
		)), "Half-open ranges; 200 alone when there is none."),
	)...)
}

func admin() node {
	return object(schedule("2s",
		required("cluster", notEmpty, "The Envoy cluster that reaches Envoy's own admin."),
		optional("max_age", otherwise(text(duration), "10s"), "How long the last readings of runtime and draining stay good: interval to 24h."),
		optional("on_stale", otherwise(oneOf("keep", "fail"), "keep"), "After max_age: keep the last reading, or answer `unknown`."),
		optional("draining", otherwise(oneOf("poll", "ignore"), "poll"), "ignore: /ready is not asked, and checks do not see that Envoy drains."),
	)...)
}
