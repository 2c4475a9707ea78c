package trust

import (
	"strings"

	"github.com/healthgate/healthgate/filter/lean/addr"
	"github.com/healthgate/healthgate/filter/lean/ascii"
)

// ContainsPeer reports whether a peer's address, as Envoy writes it, is in the set. connection demands that it be the
// address of a connection; ParsePeer says which are.
func (s *Set) ContainsPeer(peer string, connection bool) bool {
	if ip, port, ok := addr.Parse4(peer); ok {
		return (port > 0 || !connection) && s.contains4(ip)
	}
	ip, isConnection, ok := ParsePeer(peer)
	return ok && (isConnection || !connection) && s.Contains(ip)
}

// ParsePeer reads an address as Envoy writes it: "10.0.0.1:443", "[fd00::1]:443", or, without a port, "10.0.0.1" and
// "fd00::1". connection reports whether it can be the address of a connection: Envoy gives an address that it derived
// from X-Forwarded-For port 0, which no peer has, while an address without a port says nothing of its origin and is
// not one either. ok is false for anything else, such as the path of a Unix socket. A zone, which no CIDR has, is
// dropped.
func ParsePeer(s string) (ip addr.Addr, connection, ok bool) {
	if colon := strings.LastIndexByte(s, ':'); colon > 0 {
		text := s[:colon]
		bracketed := text[0] == '[' && text[len(text)-1] == ']'
		if bracketed {
			text = text[1 : len(text)-1]
		}
		if port, ok := ascii.Number(s[colon+1:]); ok && port <= 0xffff {
			if ip, is6, _, ok := addr.Parse(text); ok && is6 == bracketed {
				return ip, port != 0, true
			}
		}
	}
	ip, _, _, ok = addr.Parse(s)
	return ip, false, ok
}

// IsForwarded reports whether Envoy derived a peer's address from a header.
func IsForwarded(peer string) bool { return strings.HasSuffix(peer, ":0") }

// IsOwnEntry reports whether an X-Forwarded-For is the peer's own address and nothing more: that is what Envoy makes
// of a request without one when it uses the remote address.
func IsOwnEntry(forwardedFor, peer string) bool {
	text := peer[:max(0, strings.LastIndexByte(peer, ':'))]
	if strings.HasPrefix(text, "[") {
		text = text[1 : len(text)-1]
	}
	return text != "" && text == forwardedFor
}

// Origin is where a connection without an address comes from.
type Origin uint8

// The origins of connections.
const (
	Network  Origin = iota // it has an address
	Pipe                   // a Unix socket, whose path Envoy gives for the peer's address
	Internal               // a listener of Envoy's own
)

// OriginOf tells the origin by Envoy's source address.
func OriginOf(source string) Origin {
	if _, _, ok := ParsePeer(source); ok || source == "" {
		return Network
	}
	if strings.HasPrefix(source, "envoy://") {
		return Internal
	}
	return Pipe
}
