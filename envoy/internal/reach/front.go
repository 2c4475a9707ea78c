package reach

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/healthgate/healthgate/envoy/internal/dump"
	"github.com/healthgate/healthgate/envoy/internal/lint"
	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/trust"
)

// neighbour is an HTTP filter that is not healthgate.
type neighbour struct {
	name     string
	disabled bool // where no route enables it
	config   any
}

// neighbour reads an entry of http_filters.
func (r *reader) neighbour(entry any) *neighbour {
	return &neighbour{text(entry, "name"), dump.At(entry, "disabled") == true, r.settings(entry)}
}

// transparent are filters that let each check pass, and leave what makes it a check: those that only look, and those
// that change the body or other headers. Istio's are among them. What is neither here nor in refusing may do anything.
var transparent = regexp.MustCompile(`\.filters\.http\.(` +
	`aws_request_signing|bandwidth_limit|buffer|compressor|connect_grpc_bridge|cors|decompressor|file_system_buffer|` +
	`gcp_authn|geoip|grpc_http1_bridge|grpc_stats|grpc_web|header_to_metadata|ip_tagging|json_to_metadata|kill_request|` +
	`original_src|peer_metadata|set_filter_state|set_metadata|stateful_session|tap|upstream_codec)\.|` +
	`io\.istio\.http\.peer_metadata\.|stats\.PluginConfig$|istio\.envoy\.config\.filter\.http\.`)

// refusing are filters that never answer a check with a success, and may refuse it or hold it up. Of these, rationing
// ones refuse what comes too often, so that a check that passed proves nothing of the next.
var (
	refusing = regexp.MustCompile(`\.filters\.http\.(adaptive_concurrency|admission_control|api_key_auth|` +
		`basic_auth|credential_injector|csrf|dynamic_forward_proxy|jwt_authn|local_ratelimit|on_demand|rate_limit_quota|` +
		`ratelimit|rbac)\.`)
	rationing  = regexp.MustCompile(`\.(adaptive_concurrency|admission_control|(local_)?ratelimit|rate_limit_quota)\.`)
	httpFilter = regexp.MustCompile(`\.(?:filters\.http|early_header_mutation)\.(\w+)\.`)
)

const rations = "%s: the filter %q may refuse checks of %s, for it refuses what comes too often"

// rewrites is what a header mutation has that makes another request of a check.
var rewrites = regexp.MustCompile(`(?i)"key":":|"remove":"(:|host")`)

// kind returns the whole name of its configuration's type.
func (n *neighbour) kind() string {
	if inner := text(n.config, "type_url"); inner != "" { // of a TypedStruct
		return inner
	}
	return text(n.config, "@type")
}

// short returns the name of the filter's type among Envoy's; "" for another's.
func (n *neighbour) short() string {
	if m := httpFilter.FindStringSubmatch(n.kind()); m != nil {
		return m[1]
	}
	return ""
}

// rations reports whether a neighbour refuses what comes too often of what a route takes: local_ratelimit and ratelimit
// do where they, the route or its virtual host say how much that is.
func (n *neighbour) rations(host, route any, own ...any) bool {
	written, err := json.Marshal(append([]any{n.config, dump.At(route, "route")}, own...))
	field, is := map[string]string{"local_ratelimit": "token_bucket", "ratelimit": "rate_limits"}[n.short()]
	return rationing.MatchString(n.kind()) &&
		(!is || err != nil || strings.Contains(string(written), `"`+field+`":`) || list(host, field) != nil)
}

// mayAnswer says how many checks a neighbour may answer before healthgate does, or make other requests of. own are its
// configurations of the route, of the virtual host and the like.
func (n *neighbour) mayAnswer(c *check, own ...any) judged {
	name, short := n.kind(), n.short()
	all, err := json.Marshal(append([]any{n.config}, own...))
	text := strings.ToLower(string(all))
	for _, h := range c.endpoint.Headers {
		// That of a login is taken away, or replaced, without being named.
		login := h.Name == "authorization" && (short == "credential_injector" || short == "jwt_authn")
		if strings.Contains(text, `"`+h.Name+`"`) || login {
			return notKnown("it may take away or change the header %q, which the endpoint asks for", h.Name)
		}
	}
	switch {
	case short == "health_check":
		if dump.At(n.config, "pass_through_mode") == true && dump.At(n.config, "cache_time") == nil {
			return judged{fit: no}
		}
		out := judged{fit: yes}
		for _, condition := range list(n.config, "headers") {
			out = out.and(c.headerFits(condition))
		}
		return out
	case strings.Contains(text, `"header":":`) && strings.Contains(text, `"remove":true`):
		return notKnown("it may take away what makes a check")
	case statusField.MatchString(text):
		return notKnown("its %s, which may be a success", statusField.FindStringSubmatch(text)[1])
	case transparent.MatchString(name), refusing.MatchString(name),
		n.isLua() && onlyLooks(append(own, n.config), len(c.endpoint.Headers) > 0):
		return judged{fit: no}
	case short == "fault" && !strings.Contains(text, `"abort":`):
		return judged{fit: no}
	case short == "header_mutation":
		anyHeader := len(c.endpoint.Headers) > 0 && strings.Contains(text, `"remove_on_match"`)
		if err == nil && !rewrites.Match(all) && !anyHeader {
			return judged{fit: no}
		}
	}
	if name == "" {
		return notKnown("its configuration is not there")
	}
	return notKnown("its type is %s", typeName(n.config))
}

// statusField is a field that names the status of a filter's own answer.
var statusField = regexp.MustCompile(`"(http_status|status_on_error)"`)

// unusual are parts of paths that Envoy may write otherwise before a plugin sees them: by normalize_path,
// merge_slashes and path_with_escaped_slashes_action. Letters other than these, of RFC 3986, it escapes or unescapes.
var unusual = regexp.MustCompile(`//|/\.\.?(/|$)|[^a-zA-Z0-9/._~!$&'()*+,;=:@-]`)

// disturbed says that the plugin may see checks in another form than they are sent, or none of which it trusts who
// sent it; nothing where it does.
func (e *Envoy) disturbed(d *door, p *Plugin, c *check) (out []Gap) {
	if why := d.disturbs(c); why != "" {
		const what = "%s: whether the plugin sees checks of %s as they are sent is not known: %s"
		out = append(out, c.doubt(what, d.where, c.path, why))
	}
	if d.excludes(c) {
		out = append(out, c.gap("%s: no address from which its filter chain takes connections is one that %q trusts: "+
			"nobody is trusted", d.where, c.endpoint.Name))
	}
	for _, w := range lint.Listener(d.socket, p.Config) {
		if c.endpoint == &p.Config.Endpoints[w.Endpoint] && w.Nobody {
			out = append(out, c.gap("%s: endpoint %q: %s", d.where, c.endpoint.Name, w.What))
		}
	}
	if why := e.unasked(d, c); why != "" {
		no := e.unanswered(c.endpoint.Name)
		out = append(out, c.unless(unproved{", and " + why, no.stale}, "%s: %s", d.where, no.text))
	}
	return out
}

// unproved is why no check is known to have come to a plugin by its way in. It has no text where one was answered, and
// all its ways in are alike; it is stale where none is known since an update.
type unproved struct {
	text  string
	stale bool
}

func (e *Envoy) unproved(c *check) unproved {
	switch no := e.unanswered(c.endpoint.Name); {
	case e.Answered == nil:
		return unproved{text: ", as far as the configuration tells"}
	case no.text != "":
		return unproved{", and " + no.text, no.stale}
	case len(e.Ways(c.endpoint.Name)) > 1:
		return unproved{text: fmt.Sprintf(", and which checks endpoint %q has answered is not known: an endpoint of "+
			"another name for each listener and filter chain would tell", c.endpoint.Name)}
	}
	return unproved{}
}

// unanswered says why it is not known for sure that an endpoint, as it is now, has answered a check; without a text
// where it is.
func (e *Envoy) unanswered(endpoint string) unproved {
	all, late := e.Namesakes(endpoint), ""
	for _, d := range e.doors {
		if slices.ContainsFunc(all, d.has) && !d.quic() {
			late = cmp.Or(late, e.late(d))
		}
	}
	no := ""
	switch {
	case e.hidesChecks(endpoint):
		no = "does not show whether it has answered a check, for its stats_matcher leaves that out"
	case !e.Answered[endpoint]:
		no = "has answered no check since Envoy began"
	case len(all) > 1:
		no = "has a namesake, and the checks that were answered may be of that one"
	case late != "" && !e.Fresh[endpoint]:
		const what = "whether endpoint %q has answered a check since the update of its %s is not known"
		return unproved{fmt.Sprintf(what, endpoint, late), true}
	default:
		return unproved{}
	}
	return unproved{text: fmt.Sprintf("endpoint %q %s", endpoint, no)}
}

// late says which part of a way in was updated when Envoy may have answered checks already; "" for none. What
// it begins with comes within a minute, and once.
func (e *Envoy) late(d *door) string {
	parts := []string{"listener " + d.listener, "routes " + text(d.manager, "rds", "route_config_name")}
	for _, name := range d.names {
		parts = append(parts, "filter "+name)
	}
	for _, f := range slices.Concat(d.before, list(d.socket, "listener_filters")) {
		parts = append(parts, "filter "+text(f, "name"))
	}
	begun, _ := time.Parse(time.RFC3339, e.Begun)
	if !e.Reloaded {
		begun = begun.Add(time.Minute)
	}
	for _, part := range parts {
		if at, err := time.Parse(time.RFC3339, e.updated[part]); err == nil && at.After(begun) {
			return part + " at " + e.updated[part]
		}
	}
	return ""
}

// unasked says why only a check that was answered proves that the plugin takes those of a load balancer for what they
// are; "" where one was, or where nothing but the connection's address is asked for. Each filter and setting that takes
// away, changes or has to put what an endpoint asks for can't be known.
func (e *Envoy) unasked(d *door, c *check) string {
	answered, came := e.Answered[c.endpoint.Name]
	switch t := &c.endpoint.Trusted; {
	case e.Answered == nil || e.answered(c.endpoint.Name) || c.endpoint.Kind != config.KindHealthCheck:
		return ""
	case came && !answered:
		return "checks have come from addresses that it does not trust"
	case t.Peer == config.PeerFilterState:
		return fmt.Sprintf("whom checks come from is what a filter puts into the filter state %q", t.FilterState)
	case t.Peer == config.PeerForwarded:
		return "whom checks come from is what x-forwarded-for says"
	case lint.Proxied(d.socket) != nil:
		return "whom checks come from is what they state by the PROXY protocol"
	case len(c.endpoint.Headers) > 0:
		return "Envoy or a filter may change the headers that it asks for"
	}
	return ""
}

// overlaps reports whether a set has an address of a CidrRange, whose host bits do not count.
func overlaps(set *trust.Set, network any) bool {
	ip, err := netip.ParseAddr(text(network, "address_prefix"))
	bits, _ := dump.At(network, "prefix_len").(float64)
	prefix, wrong := ip.Prefix(int(bits))
	cidr, ok := trust.ParseCIDR(prefix.String())
	return err != nil || wrong != nil || !ok || set.Overlaps(cidr)
}

// disturbs says what the connection manager may make of checks before a plugin sees them; "" for nothing.
func (d *door) disturbs(c *check) string {
	if unusual.MatchString(c.path) {
		return "Envoy may normalize the path"
	}
	const parameters = "ignore_path_parameters_in_path_matching"
	if strings.Contains(c.path, ";") && dump.At(d.routes, parameters) == true {
		return parameters + " has its route chosen without what begins at the semicolon"
	}
	for _, option := range []string{"strip_any_host_port", "strip_matching_host_port", "strip_trailing_host_dot",
		"ignore_port_in_host_matching"} {
		touched := func(h string) bool {
			return strings.HasSuffix(h, ".") || strings.Contains(strings.TrimSuffix(h, "]"), ":")
		}
		if (dump.At(d.manager, option) == true || dump.At(d.routes, option) == true) &&
			slices.ContainsFunc(c.endpoint.Hosts, touched) {
			return option + " has another host looked for"
		}
	}
	internal := list(d.routes, "internal_only_headers")
	for _, h := range c.endpoint.Headers {
		if slices.ContainsFunc(internal, func(name any) bool { return strings.EqualFold(fmt.Sprint(name), h.Name) }) {
			return fmt.Sprintf("internal_only_headers takes away the header %q", h.Name)
		}
		if h.Name == "upgrade" && list(d.manager, "upgrade_configs") != nil {
			return "upgrade_configs may have other filters for it"
		}
		action := text(d.manager, "common_http_protocol_options", "headers_with_underscores_action")
		if strings.Contains(h.Name, "_") && action != "" && action != "ALLOW" {
			return fmt.Sprintf("headers_with_underscores_action is %s, and the endpoint asks for the header %q", action, h.Name)
		}
	}
	for _, early := range list(d.manager, "early_header_mutation_extensions") {
		n := neighbour{config: dump.At(early, "typed_config")}
		if n.mayAnswer(c).fit != no || list(d.manager, "original_ip_detection_extensions") != nil ||
			stated.MatchString(fmt.Sprint(n.config)) {
			return "early_header_mutation_extensions"
		}
	}
	return ""
}

// stated are headers by which Envoy takes another address for the client's.
var stated = regexp.MustCompile(`(?i)forwarded|x-envoy-`)

// mayRespond are filters that do nothing to the answer of a filter before them, as the router does not, but may answer
// a check of gRPC, which meets the filters behind healthgate, too.
var mayRespond = []string{"ext_authz", "fault", "health_check", "oauth2"}

func (n *neighbour) onlyRequests() bool {
	return n.short() == "router" || slices.Contains(mayRespond, n.short())
}

// mayChange says whether a neighbour may change what healthgate answers: a local reply goes through all filters.
func (n *neighbour) mayChange(c *check, own ...any) judged {
	switch configs := append(own, n.config); {
	case n.onlyRequests(),
		n.isLua() && leavesStatus(configs) && (!c.endpoint.GRPC || onlyLooks(configs, false)): // gRPC meets all of it
		return judged{fit: no}
	}
	return n.mayAnswer(c, own...)
}

// GRPCFilter frames the answers to checks of gRPC, and leaves others as they are; GRPCListener is where it gets them.
const GRPCFilter, GRPCListener = "healthgate.grpc", "healthgate_grpc"

const canDisable = "; a route of checks can disable it, by typed_per_filter_config"

// around says which neighbours of a plugin's filter may answer the checks that a route takes, or change the answer to
// them.
func (e *Envoy) around(d *door, c *check, f *filter, host, route any) (out []Gap) {
	ofGRPC := c.endpoint.GRPC && c.path == config.GRPCCheck
	switch {
	case !ofGRPC:
	case !slices.Contains(d.names, GRPCFilter):
		out = append(out, c.gap("%s: there is no filter %q, and without it and its route no check of gRPC is answered: "+
			"`healthgate render envoy` writes both", d.where, GRPCFilter))
	case !slices.ContainsFunc(list(host, "routes"), func(r any) bool {
		return text(r, "route", "cluster") == GRPCListener
	}):
		out = append(out, c.gap("%s: the virtual host %q has no route to the cluster %q, which answers checks of gRPC: "+
			"`healthgate render envoy` writes it", d.where, text(host, "name"), GRPCListener))
	}
	for i, n := range d.neighbours {
		if n.name == GRPCFilter || enabled(n.name, !n.disabled, d.routes, host, route) == no {
			continue
		}
		var own []any
		for _, v := range append(list(route, "route", "weighted_clusters", "clusters"), route, host, d.routes) {
			of := dump.At(v, "typed_per_filter_config", n.name)
			if is(of, ".FilterConfig") {
				of = dump.At(of, "config")
			}
			own = append(own, of)
		}
		may, behind := n.mayAnswer, i >= f.before
		if behind && !(ofGRPC && slices.Contains(mayRespond, n.short())) {
			may = n.mayChange
		}
		switch answers := may(c, own...); {
		case answers.fit == no && holds(append(own, n.config)):
			out = append(out, c.refusal("%s: the filter %q has the answer to checks of %s wait for a service, which may hang",
				d.where, n.name, c.path))
		case answers.fit == no && !behind && n.rations(host, route, own...):
			out = append(out, c.refusal(rations, d.where, n.name, c.path))
		case answers.fit == no:
		case behind:
			out = append(out,
				c.doubt("%s: the filter %q stands behind healthgate, and whether it changes the answer is not known: %s"+
					canDisable, d.where, n.name, answers.why))
		case answers.fit == unknown:
			out = append(out,
				c.doubt("%s: the filter %q stands before healthgate, and whether it answers checks of %s is not known: %s"+
					canDisable, d.where, n.name, c.path, answers.why))
		default:
			out = append(out, c.gap("%s: the filter %q answers checks of %s before healthgate", d.where, n.name, c.path))
		}
	}
	return append(out, e.replies(d, c)...)
}
