package trust

import (
	"net/netip"
	"strings"
)

// ParsePeer reads an address as Envoy writes it: "10.0.0.1:443", "[fd00::1]:443", or, without a port, "10.0.0.1" and
// "fd00::1". connection reports whether it can be the address of a connection: Envoy gives an address that it derived
// from X-Forwarded-For port 0, which no peer has, while an address without a port says nothing of its origin and is
// not one either. ok is false for anything else, such as the path of a Unix socket.
func ParsePeer(s string) (addr netip.Addr, connection, ok bool) {
	if colon := strings.LastIndexByte(s, ':'); colon > 0 {
		ip := s[:colon]
		bracketed := ip[0] == '[' && ip[len(ip)-1] == ']'
		if bracketed {
			ip = ip[1 : len(ip)-1]
		}
		if port, ok := parsePort(s[colon+1:]); ok {
			if addr, err := netip.ParseAddr(ip); err == nil && addr.Is6() == bracketed {
				return plain(addr), port != 0, true
			}
		}
	}
	addr, err := netip.ParseAddr(s)
	return plain(addr), false, err == nil
}

// parsePort reads digits. netip.ParseAddrPort would do all of this, but its number parser allocates in TinyGo.
func parsePort(s string) (port int, ok bool) {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		if port = port*10 + int(s[i]-'0'); port > 0xffff {
			return 0, false
		}
	}
	return port, s != ""
}

// plain drops the IPv6 zone, which no CIDR has, and the IPv6 mapping of IPv4.
func plain(addr netip.Addr) netip.Addr { return addr.WithZone("").Unmap() }
