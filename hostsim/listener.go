package hostsim

import (
	"encoding/json"
	"fmt"
)

// Listener is a listener, as far as plugins know it.
type Listener struct {
	// Direction is its traffic_direction: 0 is none, 1 inbound, 2 outbound. It is read as xds.listener_direction.
	Direction int
	// Metadata is its filter_metadata by namespace, read as xds.listener_metadata, as in Request.RouteMetadata.
	Metadata map[string]map[string]any
}

// Listeners are several listeners with the same filter chain; a Request says at which it arrives. In Envoy 1.40, their
// plugins have a root context in common. In Envoy 1.36, those of listeners that differ in direction or metadata have
// their own, with ticks of its own.
func Listeners(all ...Listener) Option {
	return optionFunc(func(c *config) { c.listeners = all })
}

// key tells the plugins of listeners apart (createPluginKey in source/extensions/common/wasm/plugin.h).
func (l Listener) key(p Profile) string {
	if p != Envoy136 {
		return ""
	}
	metadata, _ := json.Marshal(l.Metadata) // what can't be marshalled is no metadata
	return fmt.Sprintf("%d %s", l.Direction, metadata)
}

// addListeners gives each listener the chain.
func (c *config) addListeners() {
	chain := c.plugins
	c.chain, c.plugins = len(chain), nil
	for _, l := range c.listeners {
		for _, p := range chain {
			own := *p
			own.listenerKey = l.key(c.profile)
			c.plugins = append(c.plugins, &own)
		}
	}
}

// listener is where the request arrives.
func (s *Stream) listener() Listener { return s.host.cfg.listeners[s.req.Listener] }
