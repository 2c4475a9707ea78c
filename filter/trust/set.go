// Package trust decides whether an address is one of the load balancer's.
package trust

import (
	"encoding/binary"
	"net/netip"
	"sort"
	"strings"
)

// Set is a set of addresses given as CIDRs. Its look-up time grows with the logarithm of the number of CIDRs.
// IPv4-mapped IPv6 addresses count as IPv4, in CIDRs and in look-ups.
type Set struct {
	ranges4 []range4 // IPv4 as numbers, because nearly every check asks for one; sorted, disjoint
	ranges6 []range6 // IPv6, likewise
}

type (
	range4 struct{ first, last uint32 }
	range6 struct{ first, last netip.Addr }
)

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
	ranges := make([]range6, 0, len(cidrs))
	for _, c := range cidrs {
		ranges = append(ranges, range6{c.Addr(), lastAddr(c)})
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
	set := &Set{}
	for _, r := range merged { // IPv4 comes first in netip's order
		if r.first.Is4() {
			set.ranges4 = append(set.ranges4, range4{number(r.first), number(r.last)})
		} else {
			set.ranges6 = append(set.ranges6, r)
		}
	}
	return set
}

// number returns an IPv4 address as a number.
func number(addr netip.Addr) uint32 {
	b := addr.As4()
	return binary.BigEndian.Uint32(b[:])
}

// Contains reports whether the address is in the set.
func (s *Set) Contains(addr netip.Addr) bool {
	addr = addr.Unmap()
	if addr.Is4() {
		return s.contains4(number(addr))
	}
	// sort.Search would do, here and below, but TinyGo allocates what its closure refers to.
	from, after := 0, len(s.ranges6)
	for from < after {
		if i := (from + after) / 2; addr.Less(s.ranges6[i].first) {
			after = i
		} else {
			from = i + 1
		}
	}
	return after > 0 && addr.Compare(s.ranges6[after-1].last) <= 0
}

func (s *Set) contains4(addr uint32) bool {
	from, after := 0, len(s.ranges4)
	for from < after {
		if i := (from + after) / 2; addr < s.ranges4[i].first {
			after = i
		} else {
			from = i + 1
		}
	}
	return after > 0 && addr <= s.ranges4[after-1].last
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
