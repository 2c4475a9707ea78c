// Package addr reads IP addresses.
package addr

import "strings"

// Addr is an IP address as a 128-bit number. An IPv4 address is its IPv4-mapped IPv6 address (RFC 4291, section
// 2.5.5.2), so the two are the same.
type Addr struct{ High, Low uint64 }

const mapped = 0xffff << 32 // the low half of 0.0.0.0

// From4 returns the address of an IPv4 number.
func From4(number uint32) Addr { return Addr{0, mapped | uint64(number)} }

// Is4 reports whether the address is an IPv4 address.
func (a Addr) Is4() bool { return a.High == 0 && a.Low>>32 == mapped>>32 }

func (a Addr) Less(b Addr) bool { return a.High < b.High || a.High == b.High && a.Low < b.Low }

// append shifts 16 bits in from the right.
func (a Addr) append(group uint64) Addr { return Addr{a.High<<16 | a.Low>>48, a.Low<<16 | group} }

// Last returns the Last address with the same first bits.
func (a Addr) Last(bits int) Addr {
	if bits < 64 {
		return Addr{a.High | ^uint64(0)>>bits, ^uint64(0)}
	}
	return Addr{a.High, a.Low | ^uint64(0)>>(bits-64)}
}

// Parse reads an IPv4 address, or an IPv6 address (RFC 4291, section 2.2) with or without a zone (RFC 4007, section
// 11), exactly those that netip.ParseAddr reads. is6 and zone say how it was written; the zone itself is dropped.
func Parse(s string) (addr Addr, is6, zone, ok bool) {
	if number, port, ok := Parse4(s); ok && port == NoPort {
		return From4(number), false, false, true
	}
	if percent := strings.IndexByte(s, '%'); percent >= 0 {
		if percent == len(s)-1 {
			return Addr{}, false, false, false
		}
		s, zone = s[:percent], true
	}
	addr, ok = parse6(s)
	return addr, true, zone, ok
}

func parse6(s string) (Addr, bool) {
	var parts [2]Addr // before and after "::"
	var groups [2]int
	part := 0
	if strings.HasPrefix(s, "::") {
		part, s = 1, s[2:]
	}
	for s != "" {
		group, digits := hex(s)
		if digits == 0 || digits > 4 || groups[0]+groups[1] == 8 {
			return Addr{}, false
		}
		if digits < len(s) && s[digits] == '.' { // IPv4 at the end
			number, port, ok := Parse4(s)
			if !ok || port != NoPort {
				return Addr{}, false
			}
			parts[part] = parts[part].append(uint64(number >> 16)).append(uint64(number & 0xffff))
			groups[part] += 2
			break
		}
		parts[part] = parts[part].append(group)
		groups[part]++
		s = s[digits:]
		if s == "" {
			break
		}
		if s[0] != ':' || s == ":" {
			return Addr{}, false
		}
		s = s[1:]
		if s[0] == ':' {
			if part == 1 {
				return Addr{}, false
			}
			part, s = 1, s[1:]
		}
	}
	if n := groups[0] + groups[1]; n > 8 || (n == 8) != (part == 0) {
		return Addr{}, false
	}
	for range 8 - groups[0] {
		parts[0] = parts[0].append(0)
	}
	return Addr{parts[0].High | parts[1].High, parts[0].Low | parts[1].Low}, true
}

// hex reads the hexadecimal digits at the start, of which there are too many for an address when there are five.
func hex(s string) (n uint64, digits int) {
	for digits < len(s) && digits < 5 {
		c := s[digits]
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return n, digits
		}
		n = n<<4 | uint64(c)
		digits++
	}
	return n, digits
}

// NoPort is the port of an address without one.
const NoPort = -1

// Parse4 reads an IPv4 address with or without a port, in one pass and with no calls: most checks come from one. ok is
// false for whatever else may be an address all the same, such as one with a port that starts with 0.
func Parse4(s string) (addr uint32, port int, ok bool) {
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
	if dots == 3 && number <= 0xff {
		return addr<<8 | uint32(number), NoPort, digits > 0
	}
	return addr, number, dots == 4 && digits > 0
}
