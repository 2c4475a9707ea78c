package lint

import (
	"net/netip"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/dump"
	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/trust"
)

// ListenerWarning is about an endpoint whose peers have no address in a listener, or any that they state.
type ListenerWarning struct {
	Endpoint int
	What     string
	Nobody   bool // is trusted there
}

// Listener returns what makes a listener's peers other than an endpoint takes them for. The listener is what YAML or
// JSON holds.
func Listener(listener any, c *config.Config) []ListenerWarning {
	proxied := Proxied(listener) != nil
	fields, _ := listener.(map[string]any)
	_, internal := fields["internal_listener"]
	pipe := dump.At(listener, "address", "pipe") != nil
	var out []ListenerWarning
	for i := range c.Endpoints {
		t := &c.Endpoints[i].Trusted
		if t.Peer == config.PeerFilterState {
			continue
		}
		what, nobody := "", true
		switch family := families(listener); {
		case proxied:
			what = "the listener has the filter proxy_protocol: whoever can open a connection to it can state a trusted " +
				"address; trust the direct peer, by {filter_state: KEY}"
			nobody = false
		case t.Peer == config.PeerForwarded:
			continue
		case internal:
			what = "the listener is internal, where no peer has an address: nobody is trusted; give an address by " +
				"{filter_state: KEY}"
		case pipe && !t.Pipe:
			what = "the listener is a Unix socket, where no peer has an address: nobody is trusted; pipe: true trusts " +
				"whoever can open it"
		case family != "" && t.Set != nil && foreign(family, t.Set):
			what = "the listener's address is " + family + ", and no trusted address is: nobody is trusted"
		default:
			continue
		}
		out = append(out, ListenerWarning{i, what, nobody})
	}
	return out
}

// Proxied returns how a listener takes the PROXY protocol, by which a client states an address; nil when it does not.
func Proxied(listener any) any {
	for _, f := range dump.List(listener, "listener_filters") {
		if strings.HasSuffix(dump.Text(f, "typed_config", "@type"), ".proxy_protocol.v3.ProxyProtocol") {
			return dump.At(f, "typed_config")
		}
	}
	return nil
}

// families returns the one family that a listener's addresses have; "" for both, or none.
func families(listener any) string {
	is4, is6 := false, false
	for _, of := range append([]any{listener}, dump.List(listener, "additional_addresses")...) {
		compat := dump.At(of, "address", "socket_address", "ipv4_compat") == true
		ip, err := netip.ParseAddr(dump.Text(of, "address", "socket_address", "address"))
		if err != nil {
			return ""
		}
		is4 = is4 || ip.Unmap().Is4() || compat
		is6 = is6 || !ip.Unmap().Is4()
	}
	switch {
	case is4 && is6:
		return ""
	case is4:
		return "IPv4"
	}
	return "IPv6"
}

// foreign reports whether a set has no address of a family.
func foreign(family string, set *trust.Set) bool {
	v4, v6 := set.Families()
	return family == "IPv4" && !v4 || family == "IPv6" && !v6
}

// listeners returns the listeners in what YAML or JSON holds.
func listeners(v any) (out []any) {
	dump.Each(v, func(o map[string]any) bool {
		is := o["filter_chains"] != nil || o["default_filter_chain"] != nil
		if is {
			out = append(out, o)
		}
		return !is
	})
	return out
}
