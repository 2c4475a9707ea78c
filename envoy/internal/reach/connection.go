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

// extensions returns what of Envoy's extensions stands between a connection and the HTTP filters.
func (d *door) extensions() []any {
	out := slices.Concat(list(d.socket, "listener_filters"), d.before, list(d.manager, "original_ip_detection_extensions"))
	if socket := dump.At(d.chain, "transport_socket"); typeOf(socket) != "" {
		out = append(out, socket)
	}
	return out
}

// strangers names what on the way of a connection to the HTTP filters is not known, and may do anything to a check.
func (d *door) strangers() (out []string) {
	for _, f := range d.extensions() {
		if kind := typeOf(f); !passing.MatchString(kind) && !closing.MatchString(kind) {
			of := cmp.Or(typeName(dump.At(f, "typed_config")), "unknown")
			out = append(out, fmt.Sprintf("%q (%s)", text(f, "name"), of))
		}
	}
	for kind, message := range map[string]any{"Listener": d.socket, "FilterChain": d.chain,
		"HttpConnectionManager":        d.manager,
		"common_http_protocol_options": object(d.manager, "common_http_protocol_options")} {
		if name := foreign(message, kind); name != "" {
			out = append(out, "its "+name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Refusing names what may refuse checks of an endpoint before they come to its plugin, whether it does or not; nothing
// where one of the ways in has nothing that may.
func (e *Envoy) Refusing(endpoint string) (out []string) {
	plugins := e.Namesakes(endpoint)
	for _, d := range e.doors {
		if !slices.ContainsFunc(plugins, d.has) {
			continue
		}
		before := len(out)
		may := func(is bool, format string, args ...any) {
			if is {
				out = append(out, d.where+": "+fmt.Sprintf(format, args...))
			}
		}
		for _, f := range d.extensions() {
			may(closing.MatchString(typeOf(f)) && !passing.MatchString(typeOf(f)), "%q", text(f, "name"))
		}
		for _, n := range d.neighbours[:d.filters[0].before] {
			may(refusing.MatchString(n.kind()), "the filter %q", n.name)
		}
		codec := text(d.manager, "codec_type")
		may((codec == "HTTP2" || codec == "HTTP3") && !plugins[0].HealthCheck(endpoint).GRPC, "its codec_type is %s", codec)
		may(dump.At(d.socket, "bind_to_port") == false, "its bind_to_port is false")
		may(d.mutual, "its TLS asks for a client's certificate")
		may(d.narrow() != "", "its filter chain is not for each connection, by %s", d.narrow())
		if len(out) == before {
			return nil
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
	port, is := dump.At(d.chain, "filter_chain_match", "destination_port").(float64)
	own := dump.At(d.socket, "address", "socket_address", "port_value")
	// What stands for the destination is changed by these: original_dst, or the PROXY protocol.
	if is && port != own && own != nil && len(list(d.socket, "listener_filters")) == 0 &&
		dump.At(d.socket, "use_original_dst") != true && len(list(d.socket, "additional_addresses")) == 0 {
		return "destination_port"
	}
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
		case "destination_port": // see narrow
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
	if d.quic() && slices.ContainsFunc(e.doors, func(o *door) bool { return o.has(p) && !o.quic() }) {
		return nil
	}
	var whats []string
	for _, stranger := range d.strangers() {
		whats = append(whats, fmt.Sprintf("%s: whether a check of %s comes to healthgate is not known: what %s does to it "+
			"is not known", d.where, c.path, stranger))
	}
	for _, o := range e.doors {
		if o.has(p) || o.excludes(c) || e.takenAt(o, c) {
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
			whats = append(whats, fmt.Sprintf("%s: whether a check of %s comes there, or to %s, is not known: %s", d.where,
				c.path, o.where, by))
		}
	}
	if len(whats) > 0 {
		if why := e.unproved(c); why.text != "" {
			for _, what := range whats {
				out = append(out, c.unless(why, "%s", what))
			}
		}
	}
	for _, f := range d.extensions() {
		if rationing.MatchString(typeOf(f)) {
			out = append(out, c.refusal(rations, d.where, text(f, "name"), c.path))
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
