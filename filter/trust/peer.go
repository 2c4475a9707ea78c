package trust

import "net/netip"

// ParsePeer reads an address as Envoy writes it: "10.0.0.1:443", "[fd00::1]:443", or, without a port, "10.0.0.1" and
// "fd00::1". connection reports whether it can be the address of a connection: Envoy gives an address that it derived
// from X-Forwarded-For port 0, which no peer has, while an address without a port says nothing of its origin and is
// not one either. ok is false for anything else, such as the path of a Unix socket.
func ParsePeer(s string) (addr netip.Addr, connection, ok bool) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return plain(ap.Addr()), ap.Port() != 0, true
	}
	addr, err := netip.ParseAddr(s)
	return plain(addr), false, err == nil
}

// plain drops the IPv6 zone, which no CIDR has, and the IPv6 mapping of IPv4.
func plain(addr netip.Addr) netip.Addr { return addr.WithZone("").Unmap() }
