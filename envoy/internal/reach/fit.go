package reach

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/dump"
	"github.com/healthgate/healthgate/filter/config"
)

// fit is how many of an endpoint's checks meet a condition, as far as the configuration tells.
type fit int

// From the worst to the best, so that the worst of several conditions is what all of them together are.
const (
	no      fit = iota
	unknown     // some, all or none: this command does not know the condition, or not what checks bring
	some        // a part of them, for certain
	yes
)

// judged is a fit, and for an unknown one what is not known.
type judged struct {
	fit
	why string
}

func notKnown(format string, args ...any) judged {
	return judged{unknown, fmt.Sprintf(format, args...)}
}

func fitIf(is bool) judged {
	if is {
		return judged{fit: yes}
	}
	return judged{fit: no}
}

// and is how many checks meet both of two conditions.
func (j judged) and(other judged) judged {
	if other.fit < j.fit {
		return other
	}
	return j
}

// inverted is how many checks do not meet a condition.
func (j judged) inverted() judged {
	switch j.fit {
	case no:
		return judged{fit: yes}
	case yes:
		return judged{fit: no}
	}
	return j
}

// anyOf is how many checks meet one of several conditions.
func anyOf(all []judged) (out judged) {
	for _, j := range all {
		if j.fit > out.fit {
			out = j
		}
	}
	return out
}

// alike is how a condition fits checks of several kinds, of which it fits each as said.
func alike(kinds []judged) (out judged) {
	for i, j := range kinds {
		switch {
		case i == 0 || j.fit == unknown:
			out = j
		case out.fit != unknown && j.fit != out.fit:
			out = judged{fit: some}
		}
	}
	return out
}

// check is what is known of an endpoint's health checks of a path. That they bring no query, and no header that
// nothing asks for and no HTTP client sends by itself, is taken for granted.
type check struct {
	endpoint *config.Endpoint
	path     string
	on       string // the key of the maintenance routes that take requests; "" for none
	whole    bool   // checks bring no port that the endpoint's hosts do not have
	set      string // what filters and extensions say, which may set headers and have requests routed anew
}

// byThemselves are headers that requests bring without being asked, or Envoy gives them.
var byThemselves = regexp.MustCompile(`^(:scheme|user-agent|accept|accept-.*|cache-control|pragma|connection|via|` +
	`forwarded|content-length|content-type|te|x-forwarded-.*|x-envoy-.*|x-request-id|x-real-ip|x-client-trace-id)$`)

// header returns the values that checks have as a header, each of them one; no values when they do not have it. It
// reports false when that is not known.
func (c *check) header(name string) (values []string, known bool) {
	name = strings.ToLower(name)
	switch name {
	case ":path":
		return []string{c.path}, true
	case ":method":
		return c.endpoint.Methods, len(c.endpoint.Methods) > 0
	case ":authority", "host":
		return c.endpoint.Hosts, len(c.endpoint.Hosts) > 0
	}
	if c.isSet(name) {
		return nil, false
	}
	for _, h := range c.endpoint.Headers {
		if h.Name == name {
			return []string{h.Value}, h.Kind == config.Exact && !h.IgnoreCase
		}
	}
	return nil, !byThemselves.MatchString(name)
}

// isSet reports whether a filter may set a header.
func (c *check) isSet(name string) bool {
	return strings.Contains(c.set, `"`+name+`"`) || strings.Contains(c.set, `'`+name+`'`)
}

// unsaid says that it is not known what checks have as a header.
func (c *check) unsaid(name string) judged {
	field := map[string]string{":method": "methods", ":authority": "hosts", "host": "hosts"}[name]
	if field == "" && c.isSet(name) {
		return notKnown("the header %q, which a filter may set", name)
	}
	return notKnown("the header %q: the endpoint's %s do not say what checks bring", name, cmp.Or(field, "headers"))
}

// conditions are what this command knows of each kind of condition, in Envoy's API v3. A condition with another field
// is unknown.
var conditions = map[string][]string{
	"StringMatcher": {"exact", "prefix", "suffix", "contains", "safe_regex", "ignore_case"},
	"RegexMatcher":  {"regex", "google_re2"},
	"HeaderMatcher": {"name", "string_match", "present_match", "invert_match", "treat_missing_header_as_empty",
		"exact_match", "prefix_match", "suffix_match", "contains_match", "safe_regex_match"},
	"QueryParameterMatcher": {"name", "string_match", "present_match"},
	"CookieMatcher":         {"name", "string_match", "invert_match"},
	"Route": strings.Fields(`@type name match route redirect direct_response filter_action non_forwarding_action metadata
		decorator typed_per_filter_config request_headers_to_add request_headers_to_remove response_headers_to_add
		response_headers_to_remove tracing per_request_buffer_limit_bytes stat_prefix request_body_buffer_limit`),
	"VirtualHost": strings.Fields(`name domains routes require_tls virtual_clusters rate_limits request_headers_to_add
		request_headers_to_remove response_headers_to_add response_headers_to_remove cors typed_per_filter_config
		include_request_attempt_count include_attempt_count_in_response retry_policy retry_policy_typed_config hedge_policy
		include_is_timeout_retry_header per_request_buffer_limit_bytes request_body_buffer_limit request_mirror_policies
		metadata`),
	"RouteConfiguration": strings.Fields(`@type name virtual_hosts internal_only_headers response_headers_to_add
		response_headers_to_remove request_headers_to_add request_headers_to_remove most_specific_header_mutations_wins
		validate_clusters max_direct_response_body_size_bytes cluster_specifier_plugins request_mirror_policies
		ignore_port_in_host_matching ignore_path_parameters_in_path_matching typed_per_filter_config metadata`),
	"Listener": strings.Fields(`@type name address additional_addresses stat_prefix filter_chains fcds_config
		filter_chain_matcher use_original_dst default_filter_chain per_connection_buffer_limit_bytes metadata deprecated_v1
		drain_type listener_filters listener_filters_timeout continue_on_listener_filters_timeout transparent freebind
		socket_options tcp_fast_open_queue_length traffic_direction udp_listener_config api_listener
		connection_balance_config reuse_port enable_reuse_port access_log tcp_backlog_size
		max_connections_to_accept_per_socket_event bind_to_port internal_listener enable_mptcp ignore_global_conn_limit
		bypass_overload_manager per_connection_buffer_high_watermark_timeout stats_matcher tcp_keepalive`),
	"FilterChain": strings.Fields(`filter_chain_match filters metadata transport_socket transport_socket_connect_timeout
		name`),
	"HttpConnectionManager": strings.Fields(`@type codec_type stat_prefix rds route_config scoped_routes http_filters
		add_user_agent tracing common_http_protocol_options http1_safe_max_connection_duration http_protocol_options
		http2_protocol_options http3_protocol_options server_name server_header_transformation scheme_header_transformation
		max_request_headers_kb stream_idle_timeout stream_flush_timeout request_timeout request_headers_timeout drain_timeout
		drain_timeout_jitter delayed_close_timeout access_log access_log_flush_interval flush_access_log_on_new_request
		access_log_options use_remote_address xff_num_trusted_hops original_ip_detection_extensions
		early_header_mutation_extensions internal_address_config skip_xff_append via generate_request_id
		preserve_external_request_id always_set_request_id_in_response forward_client_cert_details
		set_current_client_cert_details forward_client_cert_matcher proxy_100_continue
		represent_ipv4_remote_address_as_ipv4_mapped_ipv6 upgrade_configs normalize_path merge_slashes
		path_with_escaped_slashes_action request_id_extension local_reply_config strip_matching_host_port
		strip_any_host_port stream_error_on_invalid_http_message path_normalization_options strip_trailing_host_dot
		proxy_status_config append_x_forwarded_port append_local_overload add_proxy_protocol_connection_state
		record_route_resolution_stats`),
	"common_http_protocol_options": strings.Fields(`idle_timeout max_connection_duration max_connection_duration_jitter
		max_requests_per_connection max_stream_duration max_response_headers_kb headers_with_underscores_action`),
}

// foreign returns a field of a condition that this command does not know; "" when it knows all.
func foreign(condition any, kind string) string {
	o, is := condition.(map[string]any)
	if !is {
		return kind
	}
	for _, name := range slices.Sorted(maps.Keys(o)) {
		if !slices.Contains(conditions[kind], name) {
			return name
		}
	}
	return ""
}

// textFits says how a StringMatcher fits a text.
func textFits(matcher any, s string) judged {
	if name := foreign(matcher, "StringMatcher"); name != "" {
		return notKnown("a matcher with %q, which this command does not know", name)
	}
	fold := dump.At(matcher, "ignore_case") == true
	for kind, fits := range map[string]func(s, with string) bool{
		"exact": func(s, with string) bool { return s == with }, "prefix": strings.HasPrefix, "suffix": strings.HasSuffix,
		"contains": strings.Contains,
	} {
		with, is := dump.At(matcher, kind).(string)
		switch {
		case is && fold:
			return fitIf(fits(strings.ToLower(s), strings.ToLower(with)))
		case is:
			return fitIf(fits(s, with))
		}
	}
	return regexFits(dump.At(matcher, "safe_regex"), s)
}

// regexFits says how a RegexMatcher fits a text, the whole of which it has to match.
func regexFits(matcher any, s string) judged {
	if name := foreign(matcher, "RegexMatcher"); name != "" {
		return notKnown("a regular expression with %q, which this command does not know", name)
	}
	re, err := regexp.Compile("^(?:" + text(matcher, "regex") + ")$")
	if err != nil {
		return notKnown("the regular expression %q, which this command cannot read", text(matcher, "regex"))
	}
	return fitIf(re.MatchString(s))
}

// headerFits says how many checks meet a HeaderMatcher.
func (c *check) headerFits(condition any) judged {
	name := strings.ToLower(text(condition, "name"))
	if other := foreign(condition, "HeaderMatcher"); other != "" {
		return notKnown("the header %q with %q, which this command does not know", name, other)
	}
	match := dump.At(condition, "string_match")
	// Before the API had string_match, each kind was a field of its own.
	for _, kind := range []string{"exact", "prefix", "suffix", "contains", "safe_regex"} {
		if v := dump.At(condition, kind+"_match"); v != nil {
			match = map[string]any{kind: v}
		}
	}
	present, asks := dump.At(condition, "present_match").(bool)
	invert := dump.At(condition, "invert_match") == true
	if match == nil && c.has(name) {
		return fitIf((present || !asks) != invert)
	}
	fits, absent := c.textFits(name, match)
	switch {
	case absent:
		return fitIf(without(condition, match))
	case invert:
		return fits.inverted()
	}
	return fits
}

// textFits says how a StringMatcher fits what checks have as a header, and whether they do not have it.
func (c *check) textFits(name string, match any) (fits judged, absent bool) {
	values, known := c.header(name)
	switch {
	case !known && c.asksTheSame(name, match):
		return judged{fit: yes}, false
	case !known:
		return c.unsaid(name), false
	}
	var kinds []judged
	for _, value := range values {
		kinds = append(kinds, textFits(match, value))
		if (name == ":authority" || name == "host") && !c.whole && !hasPort(value) {
			for _, port := range append(somePort.FindAllString(fmt.Sprint(match), -1), ":1") {
				kinds = append(kinds, textFits(match, value+port))
			}
			if alike(kinds).fit == some && alike(kinds[:1]).fit != some {
				return notKnown("the header %q: the endpoint's hosts do not say whether it has a port", name), false
			}
		}
	}
	return alike(kinds), len(values) == 0
}

var somePort = regexp.MustCompile(`:[0-9]+`)

// has reports whether each check has a header, whatever its value.
func (c *check) has(name string) bool {
	return slices.Contains([]string{":path", ":method", ":authority", "host", ":scheme"}, name) ||
		slices.ContainsFunc(c.endpoint.Headers,
			func(h config.HeaderMatcher) bool { return h.Name == name && h.Kind != config.Absent })
}

// asksTheSame reports whether the endpoint itself asks for what a StringMatcher wants of a header.
func (c *check) asksTheSame(name string, match any) bool {
	kinds := map[config.MatchKind]string{config.Exact: "exact", config.Prefix: "prefix", config.Suffix: "suffix",
		config.Contains: "contains"}
	return slices.ContainsFunc(c.endpoint.Headers, func(h config.HeaderMatcher) bool {
		value, is := dump.At(match, kinds[h.Kind]).(string)
		switch {
		case h.Name != name || !is:
			return false
		case h.IgnoreCase:
			return dump.At(match, "ignore_case") == true && strings.ToLower(value) == h.Value
		}
		return value == h.Value
	})
}

// without reports whether a condition is met by a request that lacks what it asks for.
func without(condition, match any) bool {
	invert := dump.At(condition, "invert_match") == true
	if present, is := dump.At(condition, "present_match").(bool); is {
		return present == invert
	}
	if match == nil {
		return invert
	}
	return dump.At(condition, "treat_missing_header_as_empty") == true && (textFits(match, "").fit == yes) != invert
}

// routeFits says how many checks a route takes.
func (e *Envoy) routeFits(route any, c *check) judged {
	match := object(route, "match")
	out, path := judged{fit: yes}, false
	for _, kind := range slices.Sorted(maps.Keys(match)) {
		value := match[kind]
		switch kind {
		case "path", "prefix", "path_separated_prefix", "safe_regex", "path_match_policy":
			path = true
			out = out.and(pathFits(match, kind, c.path))
		case "case_sensitive":
		case "headers":
			for _, condition := range list(match, kind) {
				out = out.and(c.headerFits(condition))
			}
		case "query_parameters", "cookies":
			for _, condition := range list(match, kind) {
				out = out.and(lacking(condition, kind))
			}
		case "runtime_fraction":
			out = out.and(e.fractionFits(route, c.on))
		case "grpc", "connect_matcher":
			out = out.and(judged{fit: no})
		case "tls_context":
			out = out.and(certificateFits(value))
		case "dynamic_metadata", "filter_state":
			out = out.and(notKnown("%s, which other filters set", kind))
		default:
			out = out.and(notKnown("%s, which this command does not know", kind))
		}
	}
	if name := foreign(route, "Route"); name != "" {
		out = out.and(notKnown("%s, which this command does not know", name))
	}
	if !path {
		out = out.and(notKnown("a match without a path"))
	}
	return out
}

// pathFits says whether the part of a RouteMatch that names paths has a path.
func pathFits(match map[string]any, kind, path string) judged {
	s, _ := match[kind].(string)
	fold := match["case_sensitive"] == false
	same := func(a, b string) bool { return a == b || fold && strings.EqualFold(a, b) }
	begins := func(prefix string) bool { return len(path) >= len(prefix) && same(path[:len(prefix)], prefix) }
	switch kind {
	case "path":
		return fitIf(same(path, s))
	case "prefix":
		return fitIf(begins(s))
	case "path_separated_prefix":
		return fitIf(same(path, s) || begins(s+"/"))
	}
	if kind == "path_match_policy" {
		return templateFits(dump.At(match, kind, "typed_config"), path)
	}
	return regexFits(match[kind], path)
}

// variable is a part of a path's template: a name with or without a pattern of its own, one segment, or any number.
var variable = regexp.MustCompile(`\{[^={}]+(=[^{}]*)?\}|\*\*|\*`)

// templateFits says whether a template has a path. Of which letters a segment may be depends on Envoy's version: a path
// with others than the usual ones is not known.
func templateFits(config any, path string) judged {
	template := text(config, "path_template")
	if !is(config, ".UriTemplateMatchConfig") || template == "" {
		return notKnown("path_match_policy, which this command does not know")
	}
	for {
		inner := variable.ReplaceAllStringFunc(template, func(v string) string {
			_, pattern, _ := strings.Cut(strings.Trim(v, "{}"), "=")
			return cmp.Or(pattern, map[bool]string{true: "\x01", false: "\x00"}[v == "**"])
		})
		if inner == template {
			break
		}
		template = inner
	}
	regex := strings.NewReplacer("\x00", "[^/]+", "\x01", ".*").Replace(regexp.QuoteMeta(template))
	switch fits := regexFits(map[string]any{"regex": regex}, path); {
	case fits.fit != yes:
		return fits
	case !usual.MatchString(path):
		return notKnown("the template %q, and letters that it may not take", text(config, "path_template"))
	}
	return judged{fit: yes}
}

var usual = regexp.MustCompile(`^[a-zA-Z0-9/._~-]*$`)

// lacking says how many checks, which have no query and no cookie, meet a condition on one.
func lacking(condition any, kind string) judged {
	if name := foreign(condition, map[string]string{"cookies": "CookieMatcher",
		"query_parameters": "QueryParameterMatcher"}[kind]); name != "" {
		return notKnown("%s with %q, which this command does not know", kind, name)
	}
	if kind == "cookies" {
		return fitIf(dump.At(condition, "invert_match") == true)
	}
	return fitIf(without(condition, dump.At(condition, "string_match")))
}

// certificateFits says how many checks meet a condition on the client's certificate.
func certificateFits(condition any) judged {
	for name, value := range object(condition) {
		if name != "presented" || value != false {
			return notKnown("the client's certificate, of which the endpoint says nothing")
		}
	}
	return judged{fit: yes}
}

// fractionFits says how many requests the runtime_fraction of a route lets it take: those of a maintenance route by
// the key that is on, others by what runtime says now.
func (e *Envoy) fractionFits(route any, on string) judged {
	r, maintenance := switchOf(route)
	if maintenance {
		return fitIf(r.Key == on)
	}
	part := r.Otherwise
	if r.Key != "" {
		if e.Runtime == nil {
			return notKnown("the runtime key %q, which cannot be read", r.Key)
		}
		value := e.Runtime.Entries[r.Key].Value
		read, ok := e.Percent(value, e.Runtime.Layer(r.Key))
		if !ok {
			return notKnown("the runtime key %q, whose value %s this command does not understand", r.Key, strconv.Quote(value))
		}
		part = r.Share(read)
	}
	switch {
	case part <= 0:
		return judged{fit: no}
	case part < 1:
		return judged{fit: some}
	}
	return judged{fit: yes}
}
