//go:build wasm

package main

import (
	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/filter/host"
	"github.com/healthgate/healthgate/filter/lean/ascii"
	"github.com/healthgate/healthgate/filter/trust"
)

const sourceAddress = "source\x00address"

// trusts reports whether the endpoint may be asked by whom the request is from.
func (c *checks) trusts(endpoint int) bool {
	t := &c.plugin.config.Endpoints[endpoint].Trusted
	peer, ok := host.Property(c.peers[endpoint])
	if !ok {
		return false
	}
	if t.Set.ContainsPeer(peer, t.Peer == config.PeerConnection) {
		return t.Peer != config.PeerForwarded || trust.IsForwarded(peer) || !c.passesOn(peer)
	}
	if trust.OriginOf(peer) == trust.Network {
		return false
	}
	if t.Peer == config.PeerFilterState { // which can hold any text
		peer, _ = host.Property(sourceAddress)
	}
	origin := trust.OriginOf(peer)
	if origin == trust.Pipe && t.Pipe {
		return t.Peer != config.PeerForwarded || !c.passesOn(peer)
	}
	if origin != trust.Network && !c.plugin.toldOrigin {
		c.plugin.tellOrigin(endpoint, origin)
	}
	return false
}

// passesOn reports whether the request is someone else's although Envoy gives the connection's address for its source:
// then it has an X-Forwarded-For from which Envoy could take no address.
func (c *checks) passesOn(peer string) bool {
	forwardedFor, ok := c.request.Header("x-forwarded-for")
	return ok && !trust.IsOwnEntry(forwardedFor, peer)
}

// tellOrigin logs that nobody can be trusted by address where requests come from.
func (p *plugin) tellOrigin(endpoint int, origin trust.Origin) {
	p.toldOrigin = true
	text := "a Unix socket, where no peer has an address: trusted: {pipe: true} trusts whoever can open it"
	if origin == trust.Internal {
		text = "an internal listener, where no peer has an address: give one by peer: {filter_state: KEY}"
	}
	warn("endpoint " + ascii.Quote(p.config.Endpoints[endpoint].Name) +
		": not trusted: the request came through " + text)
}
