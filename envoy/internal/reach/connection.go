package reach

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/healthgate/healthgate/envoy/internal/dump"
	"github.com/healthgate/healthgate/filter/config"
)

// Of what stands between a connection and the HTTP filters, these let each check pass.
var (
	passing = regexp.MustCompile(`\.filters\.listener\.(tls_inspector|http_inspector|original_dst|original_src|` +
		`proxy_protocol|set_filter_state)\.|\.filters\.network\.(set_filter_state|geoip|sni_cluster)\.|` +
		`\.original_ip_detection\.xff\.|\.transport_sockets\.(tls|raw_buffer|quic|tap|tcp_stats)\.|` +
		`\.metadataexchange\.config\.MetadataExchange$|\.network_filters\.peer_metadata\.|stats\.PluginConfig$`)
	redirects = regexp.MustCompile(`\.filters\.listener\.original_dst\.`)
	// These may close a connection; the others may do anything.
	closing = regexp.MustCompile(`\.filters\.(listener|network)\.(rbac|ext_authz|connection_limit|(local_)?ratelimit)\.|` +
		`\.original_ip_detection\.|\.transport_sockets\.`)
	// These speak no HTTP.
	noHTTP = regexp.MustCompile(`\.filters\.network\.(echo|((dubbo|mongo|redis|thrift|zookeeper|mysql|postgres)_proxy)|` +
		`kafka_\w+)\.`)
)

// bar is something on the way of a connection to the HTTP filters that a check may not get past.
type bar struct {
	what    string
	refuses bool // and does nothing else
	rations bool // what comes too often, so that a check that passed proves nothing
	notGRPC bool // checks of gRPC get past it
	always  bool // no check gets past it
}

// bars returns what may keep checks from the HTTP filters of a way in, or do something else to them.
func (e *Envoy) bars(d *door) (out []bar) {
	may := func(refuses bool, format string, args ...any) {
		out = append(out, bar{what: fmt.Sprintf(format, args...), refuses: refuses})
	}
	for _, f := range slices.Concat(list(d.socket, "listener_filters"), d.before) {
		kind, name := typeOf(f), text(f, "name")
		if passing.MatchString(kind) {
			continue
		}
		of := cmp.Or(typeName(dump.At(f, "typed_config")), "unknown")
		if strings.Contains(kind, ".network.rbac.") && denies(object(f, "typed_config", "rules")) {
			out = append(out, bar{what: fmt.Sprintf("the filter %q refuses each connection", name), always: true})
			continue
		}
		may(closing.MatchString(kind), "the filter %q (%s) may close its connection", name, of)
		out[len(out)-1].rations = strings.Contains(kind, "ratelimit.")
	}
	for _, f := range append(list(d.manager, "original_ip_detection_extensions"), dump.At(d.chain, "transport_socket")) {
		if kind := typeOf(f); kind != "" && !passing.MatchString(kind) {
			may(closing.MatchString(kind), "%q (%s) may refuse it", text(f, "name"), kind[strings.LastIndexByte(kind, '.')+1:])
		}
	}
	common := object(d.manager, "common_http_protocol_options")
	for kind, message := range map[string]any{"Listener": d.socket, "FilterChain": d.chain,
		"HttpConnectionManager":        d.manager,
		"common_http_protocol_options": common} {
		if name := foreign(message, kind); name != "" {
			may(false, "what its %s does to it is not known", name)
		}
	}
	for name, of := range map[string]any{"listener_filters_timeout": d.socket, "transport_socket_connect_timeout": d.chain,
		"request_headers_timeout": d.manager, "idle_timeout": common, "max_connection_duration": common} {
		if limit := text(of, name); ends(limit, atOnce) {
			may(true, "its %s is %s", name, limit)
		}
	}
	if codec := text(d.manager, "codec_type"); codec != "" && codec != "AUTO" && codec != "HTTP1" {
		may(true, "its codec_type is %s", codec)
		out[len(out)-1].notGRPC = true
	}
	unbound := dump.At(d.socket, "bind_to_port") == false || dump.At(d.socket, "deprecated_v1", "bind_to_port") == false
	if unbound && !slices.ContainsFunc(e.doors, func(o door) bool { return handsOver(o.socket) }) {
		may(true, "its listener has no port of its own, for bind_to_port is false")
	}
	open := func(o door) bool { return o.listener == d.listener && len(o.filters) > 0 && !o.mutual }
	if !slices.ContainsFunc(e.doors, open) {
		may(true, "its TLS asks for a client's certificate")
	}
	port, is := dump.At(d.chain, "filter_chain_match", "destination_port").(float64)
	own := dump.At(d.socket, "address", "socket_address", "port_value")
	// What stands for the destination is changed by these: original_dst, or the PROXY protocol.
	if is && port != own && own != nil && len(list(d.socket, "listener_filters")) == 0 &&
		dump.At(d.socket, "use_original_dst") != true && len(list(d.socket, "additional_addresses")) == 0 {
		may(true, "its filter chain is for the port %v alone, and connections come to %v", port, own)
		out[len(out)-1].always = true
	}
	if what := d.narrow(); what != "" {
		may(true, "its filter chain is not for each connection, by %s", what)
	}
	slices.SortFunc(out, func(a, b bar) int { return strings.Compare(a.what, b.what) })
	return out
}

// atOnce is more than a check needs to be sent, and to be answered where it waits for nothing.
const atOnce = time.Second

// ends reports whether a limit, of which 0 is none, may end what takes so long.
func ends(limit string, long time.Duration) bool {
	d, err := time.ParseDuration(limit)
	return limit != "" && (err != nil || d > 0 && d < long)
}

// limits says what may end a check that a route takes before the plugin has answered it: at once, or when the probes on
// demand that it waits for are over.
func (e *Envoy) limits(d *door, c *check, p *Plugin, route any) (out []Gap) {
	wait := atOnce
	for _, i := range slices.Concat(c.endpoint.Probes.Names, c.endpoint.Degraded.Probes) {
		if probe := &p.Config.Probes[i]; probe.OnDemand > 0 {
			wait = max(wait, atOnce+probe.Timeout)
		}
	}
	of, all := object(route, "route", "max_stream_duration"), object(d.manager, "common_http_protocol_options")
	for _, limit := range [][2]string{{"request_timeout", text(d.manager, "request_timeout")},
		{"stream_idle_timeout", cmp.Or(text(route, "route", "idle_timeout"), text(d.manager, "stream_idle_timeout"))},
		{"max_stream_duration", cmp.Or(text(of, "max_stream_duration"), text(all, "max_stream_duration"))},
		{"grpc_timeout_header_max", text(of, "grpc_timeout_header_max")},
	} {
		may := fmt.Sprintf("%s: its %s of %s may end a check of %s", d.where, limit[0], limit[1], c.path)
		why := e.unproved(p, c, func(o *door) bool { return o == d && len(c.endpoint.Paths) == 1 })
		if why.text != "" && ends(limit[1], atOnce) {
			out = append(out, c.refusal(why, "%s before the plugin answers", may))
		}
		if wait > atOnce && ends(limit[1], wait) {
			gap := c.doubt("%s that waits for a probe on demand: it has to be %s at least", may, wait)
			gap.Slow = true
			out = append(out, gap)
		}
	}
	return out
}

// typeOf returns the type of an extension's configuration.
func typeOf(extension any) string { return text(extension, "typed_config", "@type") }

// handsOver reports whether a listener leaves connections to the listener, or the filter chain, of the address that
// they were meant for.
func handsOver(listener any) bool {
	return dump.At(listener, "use_original_dst") == true || slices.ContainsFunc(list(listener, "listener_filters"),
		func(f any) bool { return redirects.MatchString(typeOf(f)) })
}

// narrow returns a condition of the filter chain that a check's connection may not meet; "" for none.
func (d *door) narrow() string {
	if what := d.asks(); what != "" || d.ordinary() {
		return what
	}
	return "what its first bytes are"
}

// asks returns a condition on addresses, or the like, that not each check's connection meets; "" for none.
func (d *door) asks() string {
	if d.socket["filter_chain_matcher"] != nil {
		return "the listener's filter_chain_matcher"
	}
	match := object(d.chain, "filter_chain_match")
	for _, name := range slices.Sorted(maps.Keys(match)) {
		met := false
		switch name {
		case "destination_port": // see bars
			met = true
		case "server_names", "application_protocols", "transport_protocol": // see ordinary
			met = true
		case "prefix_ranges":
			met = handsOver(d.socket) || slices.ContainsFunc(list(match, name), everywhere)
		case "source_prefix_ranges", "direct_source_prefix_ranges":
			met = slices.ContainsFunc(list(match, name), everywhere)
		}
		if !met {
			return name
		}
	}
	return ""
}

// ordinary reports whether connections of load balancers meet what a filter chain asks of their first bytes: those of
// TLS, or of HTTP/1.1 without. Who would know them has to be there.
func (d *door) ordinary() bool {
	inspected := func(by string) bool {
		return slices.ContainsFunc(list(d.socket, "listener_filters"), func(f any) bool {
			return strings.Contains(typeOf(f), ".filters.listener."+by+".") && dump.At(f, "filter_disabled", "any_match") != true
		})
	}
	match, protocols := object(d.chain, "filter_chain_match"), d.protocols()
	transport, named := match["transport_protocol"], match["server_names"] != nil
	switch {
	case d.quic(), transport == nil && !named && len(protocols) == 0:
		return true
	case d.tls:
		return transport != "raw_buffer" && inspected("tls_inspector")
	}
	return !named && (transport == nil || transport == "raw_buffer") &&
		(len(protocols) == 0 || inspected("http_inspector") && slices.Contains(protocols, any("http/1.1")))
}

// everywhere reports whether a CidrRange has each address.
func everywhere(network any) bool {
	bits, _ := dump.At(network, "prefix_len").(float64)
	return bits == 0
}

// excludes reports whether a filter chain takes no connection from whom an endpoint trusts.
func (d *door) excludes(c *check) bool {
	t := &c.endpoint.Trusted
	if t.Peer != config.PeerConnection || t.Set == nil {
		return false
	}
	sources := list(d.chain, "filter_chain_match", "source_prefix_ranges")
	return len(sources) > 0 && !slices.ContainsFunc(sources, func(s any) bool { return overlaps(t.Set, s) })
}

// quic reports whether connections come by HTTP/3, by which no load balancer checks.
func (d *door) quic() bool { return d.socket["udp_listener_config"] != nil }

// kept says what may keep an endpoint's checks from a plugin's HTTP filters, or have another answer them, until one was
// answered.
func (e *Envoy) kept(d *door, p *Plugin, c *check) (out []Gap) {
	if d.quic() && slices.ContainsFunc(e.doors, func(o door) bool { return o.has(p) && !o.quic() }) {
		return nil
	}
	for _, b := range d.bars {
		if b.always {
			out = append(out, c.gap("%s: %s", d.where, b.what))
			continue
		}
		why := e.unproved(p, c, func(o *door) bool { return slices.Contains(o.bars, b) })
		if b.rations {
			why = often
		}
		if why.text == "" || b.notGRPC && c.endpoint.GRPC {
			continue
		}
		gap := c.unless(why, "%s: whether a check of %s comes to healthgate is not known: %s", d.where, c.path, b.what)
		gap.Refusal = b.refuses
		out = append(out, gap)
	}
	why := e.unproved(p, c, func(o *door) bool { return o == d })
	for i := range e.doors {
		o := &e.doors[i]
		if why.text == "" || o.has(p) || o.excludes(c) || e.takenAt(o, c) {
			continue
		}
		by := ""
		switch narrow, others := d.narrow(), o.asks(); {
		case o.listener != d.listener && within(o.socket, d.socket):
			by = "it has this one's port, at another address"
		case o.listener != d.listener:
		case narrow != "":
			by = "this filter chain is not for each connection, by " + narrow
		case d.tls && o.tls && !o.mutual && len(d.protocols()) > 0 && len(o.protocols()) == 0:
			by = "this filter chain is for TLS that names a protocol"
		case others != "":
			by = "that filter chain is for some connections, by " + others
		}
		if by != "" {
			out = append(out, c.unless(why, "%s: whether a check of %s comes there, or to %s, is not known: %s", d.where,
				c.path, o.where, by))
		}
	}
	return out
}

// within reports whether connections to a part of the addresses of a listener come to another one. A listener of IPv4
// and one of IPv6 may share a port.
func within(part, all any) bool {
	host, port, err := net.SplitHostPort(socketAddress(part))
	anyHost, samePort, _ := net.SplitHostPort(socketAddress(all))
	unspecified := func(host string) bool { ip := net.ParseIP(host); return ip != nil && ip.IsUnspecified() }
	return err == nil && port == samePort && unspecified(anyHost) && host != anyHost && !reflect.DeepEqual(part, all)
}
