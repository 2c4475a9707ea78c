package trust

import (
	"net/netip"
	"strings"
)

// ContainsPeer reports whether a peer's address, as Envoy writes it, is in the set. connection demands that it be the
// address of a connection; ParsePeer says which are.
func (s *Set) ContainsPeer(peer string, connection bool) bool {
	if addr, port, ok := parsePeer4(peer); ok {
		return (port != 0 || !connection) && s.contains4(addr)
	}
	addr, isConnection, ok := ParsePeer(peer)
	return ok && (isConnection || !connection) && s.Contains(addr)
}

// parsePeer4 reads an IPv4 address with its port, in one pass and with no calls: most checks come from one. ok is false
// for whatever else may be an address all the same.
func parsePeer4(s string) (addr uint32, port int, ok bool) {
	number, digits, dots := 0, 0, 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case '0' <= c && c <= '9':
			if digits > 0 && number == 0 {
				return 0, 0, false // a leading zero
			}
			number, digits = number*10+int(c-'0'), digits+1
			if number > 0xffff {
				return 0, 0, false
			}
			continue
		case c == '.' && dots < 3:
			dots++
		case c == ':' && dots == 3:
			dots++
		default:
			return 0, 0, false
		}
		if digits == 0 || number > 0xff {
			return 0, 0, false
		}
		addr, number, digits = addr<<8|uint32(number), 0, 0
	}
	return addr, number, dots == 4 && digits > 0
}

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
