package lint

import (
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/dump"
	"github.com/healthgate/healthgate/filter/config"
)

// ListenerWarning is about an endpoint whose peers have no address in a listener, or any that they state.
type ListenerWarning struct {
	Endpoint int
	What     string
}

// Listener returns what makes a listener's peers other than an endpoint takes them for. The listener is what YAML or
// JSON holds.
func Listener(listener any, c *config.Config) []ListenerWarning {
	stated := false
	filters, _ := dump.At(listener, "listener_filters").([]any)
	for _, f := range filters {
		kind, _ := dump.At(f, "typed_config", "@type").(string)
		stated = stated || strings.HasSuffix(kind, ".proxy_protocol.v3.ProxyProtocol")
	}
	fields, _ := listener.(map[string]any)
	_, internal := fields["internal_listener"]
	pipe := dump.At(listener, "address", "pipe") != nil
	var out []ListenerWarning
	for i := range c.Endpoints {
		t := &c.Endpoints[i].Trusted
		if t.Peer == config.PeerFilterState {
			continue
		}
		what := ""
		switch {
		case stated:
			what = "the listener has the filter proxy_protocol: whoever can open a connection to it can state a trusted " +
				"address; trust the direct peer, by {filter_state: KEY}"
		case t.Peer == config.PeerForwarded:
			continue
		case internal:
			what = "the listener is internal, where no peer has an address: nobody is trusted; give an address by " +
				"{filter_state: KEY}"
		case pipe && !t.Pipe:
			what = "the listener is a Unix socket, where no peer has an address: nobody is trusted; pipe: true trusts " +
				"whoever can open it"
		default:
			continue
		}
		out = append(out, ListenerWarning{i, what})
	}
	return out
}

// listeners returns the listeners in what YAML or JSON holds.
func listeners(v any) (out []any) {
	switch v := v.(type) {
	case []any:
		for _, child := range v {
			out = append(out, listeners(child)...)
		}
	case map[string]any:
		if v["filter_chains"] != nil || v["default_filter_chain"] != nil {
			return []any{v}
		}
		for _, child := range v {
			out = append(out, listeners(child)...)
		}
	}
	return out
}
