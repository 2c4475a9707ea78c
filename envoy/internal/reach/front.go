package reach

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/dump"
)

// neighbour is an HTTP filter that is not healthgate.
type neighbour struct {
	name     string
	disabled bool // where no route enables it
	config   any
}

// neighbour reads an entry of http_filters.
func (r *reader) neighbour(entry any) neighbour {
	return neighbour{text(entry, "name"), dump.At(entry, "disabled") == true, r.settings(entry)}
}

// harmless are Envoy's filters that never answer a check with a success, and leave what makes it a check: those that
// only look, those that change the body or other headers, and those that refuse what they do not let pass. Istio's
// are among them.
var harmless = regexp.MustCompile(`\.filters\.http\.(` +
	`adaptive_concurrency|admission_control|api_key_auth|aws_request_signing|bandwidth_limit|basic_auth|buffer|` +
	`compressor|connect_grpc_bridge|cors|credential_injector|csrf|decompressor|dynamic_forward_proxy|` +
	`file_system_buffer|gcp_authn|grpc_http1_bridge|grpc_stats|grpc_web|header_to_metadata|ip_tagging|` +
	`json_to_metadata|jwt_authn|kill_request|local_ratelimit|on_demand|original_src|peer_metadata|rate_limit_quota|` +
	`ratelimit|rbac|set_filter_state|set_metadata|stateful_session|tap|upstream_codec)\.|` +
	`io\.istio\.http\.peer_metadata\.|stats\.PluginConfig$|istio\.envoy\.config\.filter\.http\.`)

// answering are filters that give answers of their own only where their configuration has a certain field.
var answering = map[string]string{".filters.http.fault.v3.HTTPFault": "abort"}

// rewrites is what a header mutation has that makes another request of a check.
var rewrites = regexp.MustCompile(`"key":":|"remove":":`)

// mayAnswer says how many checks a neighbour may answer before healthgate does.
func (n *neighbour) mayAnswer(c *check) judged {
	name := text(n.config, "@type")
	if inner := text(n.config, "type_url"); inner != "" {
		name = inner
	}
	field, some := answering[name[max(strings.Index(name, ".filters.http."), 0):]]
	switch {
	case strings.HasSuffix(name, typeHealthCheck):
		if dump.At(n.config, "pass_through_mode") == true {
			return judged{fit: no}
		}
		out := judged{fit: yes}
		for _, condition := range list(n.config, "headers") {
			out = out.and(c.headerFits(condition))
		}
		return out
	case harmless.MatchString(name), some && dump.At(n.config, field) == nil:
		return judged{fit: no}
	case strings.HasSuffix(name, ".filters.http.header_mutation.v3.HeaderMutation"):
		if text, err := json.Marshal(n.config); err == nil && !rewrites.Match(text) {
			return judged{fit: no}
		}
	}
	if name == "" {
		return notKnown("its configuration is not there")
	}
	return notKnown("its type is %s", typeName(n.config))
}

// front says which filters stand before a plugin's and may answer the checks that a route takes, and what may change
// the plugin's answer to them.
func (d *door) front(c *check, f *filter, host, route any) (out []Gap) {
	for i := range f.before {
		n := &f.before[i]
		if enabled(n.name, !n.disabled, d.routes, host, route) == no {
			continue
		}
		switch answers := n.mayAnswer(c); answers.fit {
		case yes, some:
			out = append(out, c.gap("%s: the filter %q answers checks of %s before healthgate", d.where, n.name, c.path))
		case unknown:
			out = append(out,
				c.doubt("%s: the filter %q stands before healthgate, and whether it answers checks of %s is not known: %s",
					d.where, n.name, c.path, answers.why))
		case no:
		}
	}
	if d.changes {
		out = append(out, c.doubt("%s: a custom_response filter may change what healthgate answers", d.where))
	}
	for _, mapper := range list(d.manager, "local_reply_config", "mappers") {
		if status, is := dump.At(mapper, "status_code").(float64); is && status < 400 {
			out = append(out,
				c.doubt("%s: its local_reply_config may make %g of the status that healthgate answers", d.where, status))
		}
	}
	return out
}
