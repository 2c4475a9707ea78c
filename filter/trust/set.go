// Package trust decides whether an address is one of the load balancer's.
package trust

import (
	"strings"

	"github.com/healthgate/healthgate/filter/lean/addr"
	"github.com/healthgate/healthgate/filter/lean/ascii"
	"github.com/healthgate/healthgate/filter/lean/sort"
)

// Set is a set of addresses given as CIDRs. Its look-up time grows with the logarithm of the number of CIDRs.
// IPv4-mapped IPv6 addresses count as IPv4, in CIDRs and in look-ups.
type Set struct {
	ranges4 []range4 // IPv4 as numbers, because nearly every check asks for one; sorted, disjoint
	ranges6 []CIDR   // IPv6, likewise
}

type range4 struct{ first, last uint32 }

// CIDR is a network.
type CIDR struct{ first, last addr.Addr }

// ParseCIDR reads "10.0.0.0/8", "fd00::/8", or a bare address as a range of one. Host bits below the prefix are
// refused, because they usually are a slip: "10.0.0.1/8" may have been meant as one address.
func ParseCIDR(s string) (CIDR, bool) {
	slash := strings.LastIndexByte(s, '/')
	text := s
	if slash >= 0 {
		text = s[:slash]
	}
	ip, is6, zone, ok := addr.Parse(text)
	if !ok || zone {
		return CIDR{}, false
	}
	bits := 128
	if slash >= 0 {
		if bits, ok = parseBits(s[slash+1:]); !ok {
			return CIDR{}, false
		}
		if !is6 {
			bits += 96
		}
		if bits > 128 || ip.Is4() && bits < 96 {
			return CIDR{}, false
		}
	}
	host := addr.Addr{}.Last(bits)
	return CIDR{ip, ip.Last(bits)}, ip.High&host.High == 0 && ip.Low&host.Low == 0
}

// parseBits reads the length of a prefix. As in net/netip it has no sign and no zero in front.
func parseBits(s string) (bits int, ok bool) {
	n, ok := ascii.Number(s)
	return int(min(n, 1000)), ok && (len(s) == 1 || s[0] != '0')
}

// NewSet makes a set of CIDRs.
func NewSet(cidrs []CIDR) *Set {
	var v4, v6 []CIDR
	for _, c := range cidrs {
		if c.first.Is4() {
			v4 = append(v4, c)
		} else {
			v6 = append(v6, c)
		}
	}
	set := &Set{ranges6: merge(v6)}
	for _, c := range merge(v4) {
		set.ranges4 = append(set.ranges4, range4{uint32(c.first.Low), uint32(c.last.Low)})
	}
	return set
}

// merge sorts CIDRs and drops those that lie in others.
func merge(cidrs []CIDR) []CIDR {
	sort.Sort(byStart(cidrs))
	// CIDRs nest or are disjoint, and of those with one start the widest comes first, so a range that starts inside the
	// one before also ends there.
	merged := cidrs[:0]
	for _, c := range cidrs {
		if n := len(merged); n == 0 || merged[n-1].last.Less(c.first) {
			merged = append(merged, c)
		}
	}
	return merged
}

// byStart sorts CIDRs by their first address, the widest first.
type byStart []CIDR

func (c byStart) Len() int      { return len(c) }
func (c byStart) Swap(i, j int) { c[i], c[j] = c[j], c[i] }
func (c byStart) Less(i, j int) bool {
	return c[i].first.Less(c[j].first) || c[i].first == c[j].first && c[j].last.Less(c[i].last)
}

// Families reports whether any IPv4 address is in the set, and any IPv6 address.
func (s *Set) Families() (v4, v6 bool) { return len(s.ranges4) > 0, len(s.ranges6) > 0 }

// Overlaps reports whether any address of a network is in the set.
func (s *Set) Overlaps(c CIDR) bool {
	for _, r := range s.ranges4 {
		if c.first.Is4() && r.first <= uint32(c.last.Low) && uint32(c.first.Low) <= r.last {
			return true
		}
	}
	for _, r := range s.ranges6 {
		if !c.first.Is4() && !c.last.Less(r.first) && !r.last.Less(c.first) {
			return true
		}
	}
	return false
}

// Contains reports whether the address is in the set.
func (s *Set) Contains(ip addr.Addr) bool {
	if ip.Is4() {
		return s.contains4(uint32(ip.Low))
	}
	// sort.Search would do, here and below, but TinyGo allocates what its closure refers to.
	from, after := 0, len(s.ranges6)
	for from < after {
		if i := (from + after) / 2; ip.Less(s.ranges6[i].first) {
			after = i
		} else {
			from = i + 1
		}
	}
	return after > 0 && !s.ranges6[after-1].last.Less(ip)
}

func (s *Set) contains4(ip uint32) bool {
	from, after := 0, len(s.ranges4)
	for from < after {
		if i := (from + after) / 2; ip < s.ranges4[i].first {
			after = i
		} else {
			from = i + 1
		}
	}
	return after > 0 && ip <= s.ranges4[after-1].last
}
