package config

import (
	"fmt"
	"strings"
	"testing"
)

const good = `{"endpoints":[{"name":"a","paths":["/hc"],"trusted":{"cidrs":["10.0.0.0/8"]}}]}`

// endpoint is a configuration whose endpoint has more fields, probe one whose probe has.
func endpoint(fields string) string { return strings.Replace(good, `"name"`, fields+`,"name"`, 1) }

func probe(fields string) string {
	return strings.Replace(good, `{`, `{"probes":[{"name":"p","cluster":"c",`+fields+`}],`, 1)
}

func admin(fields string) string {
	return strings.Replace(good, `{`, `{"admin":{"cluster":"c",`+fields+`},`, 1)
}

type refusal struct{ text, want string }

// refusals holds a document for every kind of mistake.
func refusals() []refusal {
	return []refusal{
		{``, `there is none; give the plugin a JSON configuration with at least one endpoint`},
		{strings.Repeat(" ", MaxBytes+1), `1048577 bytes are more than 1048576`},
		{`{"endpoints": [`, `not JSON: line 1, column 16: expected a value, found the end`},
		{"{\n  \"endpoints\": [],\n}", `not JSON: line 3, column 1: expected a field's name in double quotes, found '}'`},
		{`[]`, `is an array, must be an object`},
		{`{}`, `endpoints: is required, with at least one endpoint`},
		{`{"endpoints":{}}`, `endpoints: is an object, must be an array`},
		{`{"endpoints":["a"]}`, `endpoints[0]: is a string, must be an object`},
		{strings.Replace(good, `{`, `{"endpoint":[],`, 1), `endpoint: unknown field`},
		{endpoint(`"path":"/"`), `endpoints[0].path: unknown field`},
		{endpoint(`"methods":[],"methods":[]`), `endpoints[0].methods: is given twice`},
		{`{"endpoints":[{"paths":["/"],"trusted":{"providers":["gcp"]}}]}`, `endpoints[0].name: is required`},
		{strings.Replace(good, `"a"`, `""`, 1), `endpoints[0].name: must not be empty`},
		{strings.Replace(good, `"a"`, `"a b"`, 1), `endpoints[0].name: "a b" has characters other than letters, digits, '_', '-' and '.'`},
		{strings.Replace(good, `"a"`, `"`+strings.Repeat("a", 65)+`"`, 1), `endpoints[0].name: is longer than 64 characters`},
		{strings.Replace(good, `"a"`, `7`, 1), `endpoints[0].name: is a number, must be a string`},
		{strings.Replace(good, `["/hc"]`, `[]`, 1), `endpoints[0].paths: is required, with at least one path`},
		{strings.Replace(good, `/hc`, `hc`, 1), `endpoints[0].paths[0]: "hc" does not start with a slash`},
		{strings.Replace(good, `/hc`, `/hc?a`, 1), `endpoints[0].paths[0]: "/hc?a" has a query; paths are compared without it`},
		{strings.Replace(good, `/hc`, `/h c`, 1), `endpoints[0].paths[0]: "/h c" has a character that no request path has; percent-encode it`},
		{strings.Replace(good, `"/hc"`, `"/hc","/hc"`, 1), `endpoints[0].paths[1]: "/hc" stands here twice`},
		{endpoint(`"methods":["G T"]`), `endpoints[0].methods[0]: "G T" is not an HTTP token`},
		{endpoint(`"hosts":["*.a"]`), `endpoints[0].hosts[0]: "*.a" is not a host name; wildcards are not supported`},
		{endpoint(`"headers":[{"name":"x"}]`), `endpoints[0].headers[0]: needs exactly one of exact, prefix, suffix, contains and present_match`},
		{endpoint(`"headers":[{"name":"x","exact":null}]`), `endpoints[0].headers[0]: needs exactly one of exact, prefix, suffix, contains and present_match`},
		{endpoint(`"headers":[{"name":"x","present_match":null}]`), `endpoints[0].headers[0]: needs exactly one of exact, prefix, suffix, contains and present_match`},
		{endpoint(`"headers":[{"name":"x","prefix":""}]`), `endpoints[0].headers[0].prefix: must not be empty`},
		{`{"endpoints":[{"name":"a","paths":["/"]}]}`, `endpoints[0].trusted: is required`},
		{strings.Replace(good, `"10.0.0.0/8"`, ``, 1), `endpoints[0].trusted: trusts no one; give cidrs, providers or pipe: true`},
		{strings.Replace(good, `"10.0.0.0/8"`, `],"pipe":false,"providers":[`, 1), `endpoints[0].trusted: trusts no one; give cidrs, providers or pipe: true`},
		{strings.Replace(good, `"cidrs"`, `"pipe":"/run/envoy.sock","cidrs"`, 1), `endpoints[0].trusted.pipe: is a string, must be true or false`},
		{strings.Replace(good, `"10.0.0.0/8"`, `"10.0.0.0/8","10.0.0.0/33"`, 1), `endpoints[0].trusted.cidrs[1]: "10.0.0.0/33" is not a CIDR`},
		{strings.Replace(good, `"cidrs"`, `"providers":["aws"],"cidrs"`, 1), `endpoints[0].trusted.providers[0]: "aws" is not one of azure, gcp, istio-ambient`},
		{strings.Replace(good, `"cidrs"`, `"peer":"xff","cidrs"`, 1), `endpoints[0].trusted.peer: "xff" is not "connection", "forwarded" or {"filter_state": KEY}`},
		{strings.Replace(good, `"cidrs"`, `"peer":{},"cidrs"`, 1), `endpoints[0].trusted.peer.filter_state: is required`},
		{endpoint(`"untrusted":{"action":"drop"}`), `endpoints[0].untrusted.action: "drop" is not one of pass, reply`},
		{endpoint(`"untrusted":{"status":403}`), `endpoints[0].untrusted.status: is never sent: the action is "pass"`},
		{endpoint(`"healthy":{"status":99}`), `endpoints[0].healthy.status: 99 is not a whole number from 200 to 599`},
		{endpoint(`"healthy":{"status":200.5}`), `endpoints[0].healthy.status: 200.5 is not a whole number from 200 to 599`},
		{endpoint(`"healthy":{"status":"probe"}`), `endpoints[0].healthy.status: is a string, must be a number`},
		{endpoint(`"unhealthy":{"status":"prob"}`), `endpoints[0].unhealthy.status: "prob" is neither a status nor "probe"`},
		{endpoint(`"healthy":{"status":204,"body":"x"}`), `endpoints[0].healthy.body: must be empty: a reply with this status has no body`},
		{endpoint(`"healthy":{"content_type":"a\nb"}`), `endpoints[0].healthy.content_type: "a\nb" has a control character`},
		{endpoint(`"healthy":{"headers":{"Content-Type":"x"}}`), `endpoints[0].healthy.headers.Content-Type: has a field of its own, content_type`},
		{endpoint(`"healthy":{"headers":{"b":"\n","a":"\n"}}`), `endpoints[0].healthy.headers.a: "\n" has a control character`},
		{endpoint(`"healthy":{"headers":{` + manyHeaders(65) + `}}`), `endpoints[0].healthy.headers: has more than 64 fields`},
		{endpoint(`"healthy":{"body":"\ud83d"}`), `endpoints[0].healthy.body: has bytes or escapes that are no Unicode characters`},
		{endpoint("\"hosts\":[\"a\xff\"]"), `endpoints[0].hosts[0]: has bytes or escapes that are no Unicode characters`},
		{endpoint(`"healthy":{"headers":{"connection":"x"}}`), `endpoints[0].healthy.headers.connection: is Envoy's to set`},
		{endpoint(`"maintenance":{"keys":["k"]}`), `endpoints[0].maintenance.keys: needs the admin section, through which runtime keys are read`},
		{endpoint(`"maintenance":{"route_metadata":1}`), `endpoints[0].maintenance.route_metadata: is a number, must be true or false`},
		{endpoint(`"probes":{"names":["p"]}`), `endpoints[0].probes.names[0]: "p" is not the name of a probe`},
		{endpoint(`"probes":{}`), `endpoints[0].probes.names: is required, with at least one probe`},
		{endpoint(`"kind":"page"`), `endpoints[0].kind: "page" is not one of health_check, status`},
		{endpoint(`"kind":"status","unknown":{}`), `endpoints[0].unknown: is not for an endpoint of kind "status"`},
		{endpoint(`"kind":"status","probes":{"names":["p"]}`), `endpoints[0].probes: is not for an endpoint of kind "status"`},
		{`{"endpoints":[{"name":"a","kind":"status","paths":["/"]}]}`, `endpoints[0].trusted: is required`},
		{probe(`"path":"p"`), `probes[0].path: "p" does not start with a slash`},
		{probe(`"path":"/","interval":"1"`), `probes[0].interval: "1" is not a duration such as "500ms", "1s" or "1.5m"`},
		{probe(`"path":"/","interval":"99ms"`), `probes[0].interval: "99ms" is not between 100ms and 1h0m0s`},
		{probe(`"path":"/","timeout":1`), `probes[0].timeout: is a number, must be a string`},
		{probe(`"path":"/","healthy_threshold":0`), `probes[0].healthy_threshold: 0 is not a whole number from 1 to 1000`},
		{probe(`"path":"/","expected_statuses":[{"start":200,"end":200}]`), `probes[0].expected_statuses[0]: is empty: end is not part of the range and must be greater than start`},
		{admin(`"on_stale":"x"`), `admin.on_stale: "x" is not one of keep, fail`},
		{admin(`"draining":"x"`), `admin.draining: "x" is not one of poll, ignore`},
		{admin(`"interval":"20s"`), `admin.max_age: 10s is shorter than admin.interval, 20s`},
		{strings.Replace(admin(`"interval":"1s"`), `"name"`, `"maintenance":{"keys":["{zon}"]},"name"`, 1), `endpoints[0].maintenance.keys[0]: "{zon}" is not one of {node_id}, {cluster}, {region}, {zone}`},
		{strings.Replace(admin(`"interval":"1s"`), `"name"`, `"maintenance":{"keys":["k{zone"]},"name"`, 1), `endpoints[0].maintenance.keys[0]: "k{zone" has a brace without its partner`},
		{keyed(strings.Repeat("k", 257)), `endpoints[0].maintenance.keys[0]: "` + strings.Repeat("k", 97) + `…" is longer than 256 bytes`},
		{keyed(numbers(65)...), `endpoints[0].maintenance.keys: there are more than 64 keys`},
		{strings.Replace(good, `"10.0.0.0/8"`, strings.Repeat(`"::1",`, MaxCIDRs)+`"::1"`, 1), `endpoints[0].trusted.cidrs[100000]: there are more than 100000 CIDRs`},
		{`{"endpoints":[` + strings.Repeat(good[14:len(good)-2]+`,`, 2) + `{}]}`, `endpoints[1].name: "a" is the name of another endpoint`},
	}
}

func manyHeaders(n int) string {
	var headers []string
	for i := range n {
		headers = append(headers, fmt.Sprintf(`"h%d":"v"`, i))
	}
	return strings.Join(headers, ",")
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, test := range refusals() {
		_, err := Parse([]byte(test.text), Node{})
		if err == nil || err.Error() != test.want {
			t.Errorf("%.80s:\n got %v\nwant %s", test.text, err, test.want)
		}
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	for _, text := range []string{good, endpoint(`"methods":null`)} {
		c, err := Parse([]byte(text), Node{})
		if err != nil {
			t.Fatal(err)
		}
		e := &c.Endpoints[0]
		if strings.Join(e.Methods, " ") != "GET HEAD OPTIONS" || !e.Untrusted.Pass || e.Trusted.Peer != PeerConnection ||
			e.Healthy.Status != 200 || e.Healthy.Body != "" || e.Healthy.Headers[0] != [2]string{"content-type", "text/html"} ||
			!e.Unhealthy.ProbeStatus || e.Unhealthy.Body != "FAILED" || e.Unknown.Status != 503 || e.Unknown.Body != "UNKNOWN" ||
			e.Maintenance.Reply.Status != 503 || e.Maintenance.Reply.Body != "Under maintenance. Remove maintenance file when complete" {
			t.Errorf("%s: %+v", text, e)
		}
	}
}

func TestStatusEndpoint(t *testing.T) {
	t.Parallel()
	plain, err := Parse([]byte(good), Node{})
	if err != nil {
		t.Fatal(err)
	}
	for text, methods := range map[string]string{
		endpoint(`"kind":"status"`):                                  "GET HEAD",
		endpoint(`"kind":"status","methods":["GET"],"unknown":null`): "GET",
	} {
		c, err := Parse([]byte(text), Node{})
		if err != nil {
			t.Fatal(err)
		}
		e := &c.Endpoints[0]
		if e.Kind != KindStatus || strings.Join(e.Methods, " ") != methods || !e.Untrusted.Pass || e.Trusted.Set == nil {
			t.Errorf("%s: %+v", text, e)
		}
		if c.Fingerprint != plain.Fingerprint {
			t.Error("a status endpoint changes what the shared record is made of")
		}
	}
	if plain.Endpoints[0].Kind != KindHealthCheck {
		t.Error("an endpoint without a kind is not for health checks")
	}
}
