// Package trust decides whether an address is one of the load balancer's.
package trust

import (
	"net/netip"
	"sort"
	"strings"
)

// Set is a set of addresses given as CIDRs. Its look-up time grows with the logarithm of the number of CIDRs.
// IPv4-mapped IPv6 addresses count as IPv4, in CIDRs and in look-ups.
type Set struct {
	ranges []addrRange // sorted, disjoint
}

type addrRange struct{ first, last netip.Addr }

// ParseCIDR reads "10.0.0.0/8", "fd00::/8", or a bare address as a range of one. Host bits below the prefix are
// refused, because they usually are a slip: "10.0.0.1/8" may have been meant as one address.
func ParseCIDR(s string) (netip.Prefix, bool) {
	if strings.IndexByte(s, '/') < 0 {
		addr, err := netip.ParseAddr(s)
		if err != nil || addr.Zone() != "" {
			return netip.Prefix{}, false
		}
		return netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()), true
	}
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	if addr := prefix.Addr(); addr.Is4In6() {
		if prefix.Bits() < 96 {
			return netip.Prefix{}, false
		}
		prefix = netip.PrefixFrom(addr.Unmap(), prefix.Bits()-96)
	}
	return prefix, prefix == prefix.Masked()
}

// NewSet makes a set of CIDRs as ParseCIDR returns them.
func NewSet(cidrs []netip.Prefix) *Set {
	ranges := make([]addrRange, 0, len(cidrs))
	for _, c := range cidrs {
		ranges = append(ranges, addrRange{c.Addr(), lastAddr(c)})
	}
	sort.Slice(ranges, func(i, j int) bool {
		order := ranges[i].first.Compare(ranges[j].first)
		return order < 0 || order == 0 && ranges[j].last.Less(ranges[i].last)
	})
	// CIDRs nest or are disjoint, and of those with one start the widest comes first, so a range that starts inside the
	// one before also ends there.
	merged := ranges[:0]
	for _, r := range ranges {
		if n := len(merged); n > 0 && r.first.Compare(merged[n-1].last) <= 0 {
			continue
		}
		merged = append(merged, r)
	}
	return &Set{ranges: merged}
}

// Contains reports whether the address is in the set.
func (s *Set) Contains(addr netip.Addr) bool {
	addr = addr.Unmap()
	// sort.Search would do, but TinyGo allocates what its closure refers to.
	from, after := 0, len(s.ranges)
	for from < after {
		if i := (from + after) / 2; addr.Less(s.ranges[i].first) {
			after = i
		} else {
			from = i + 1
		}
	}
	return after > 0 && addr.Compare(s.ranges[after-1].last) <= 0
}

func lastAddr(p netip.Prefix) netip.Addr {
	bytes := p.Addr().As16()
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	for i := bits; i < 128; i++ {
		bytes[i/8] |= 0x80 >> (i % 8)
	}
	last := netip.AddrFrom16(bytes)
	if p.Addr().Is4() {
		return last.Unmap()
	}
	return last
}
