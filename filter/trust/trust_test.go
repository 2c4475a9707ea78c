package trust

import (
	"encoding/binary"
	"math/rand"
	"net/netip"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/filter/lean/addr"
)

// of is what the package makes of an address that net/netip read.
func of(a netip.Addr) addr.Addr {
	b := a.As16()
	return addr.Addr{High: binary.BigEndian.Uint64(b[:8]), Low: binary.BigEndian.Uint64(b[8:])}
}

// network is of for a prefix.
func network(p netip.Prefix) CIDR {
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	return CIDR{of(p.Addr()), of(p.Addr()).Last(bits)}
}

func networks(prefixes []netip.Prefix) (out []CIDR) {
	for _, p := range prefixes {
		out = append(out, network(p))
	}
	return out
}

// back is the inverse of of.
func back(a addr.Addr) netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], a.High)
	binary.BigEndian.PutUint64(b[8:], a.Low)
	return netip.AddrFrom16(b).Unmap()
}

func TestParsePeer(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text       string
		addr       string // "" when the text is no address
		connection bool
	}{
		{"10.0.0.1:443", "10.0.0.1", true},
		{"10.0.0.1:1", "10.0.0.1", true},
		{"10.0.0.1:65535", "10.0.0.1", true},
		{"[fd00::1]:443", "fd00::1", true},
		{"[::ffff:10.0.0.1]:443", "10.0.0.1", true},
		{"[::ffff:a00:1]:443", "10.0.0.1", true},
		{"[fe80::1%eth0]:443", "fe80::1", true},
		// Port 0 is Envoy's mark of an address that it derived from X-Forwarded-For.
		{"10.0.0.1:0", "10.0.0.1", false},
		{"[fd00::1]:0", "fd00::1", false},
		{"[::ffff:10.0.0.1]:0", "10.0.0.1", false},
		// Without a port nothing shows where the address is from.
		{"10.0.0.1", "10.0.0.1", false},
		{"fd00::1", "fd00::1", false},
		{"::ffff:10.0.0.1", "10.0.0.1", false},
		{"fe80::1%eth0", "fe80::1", false},
		{"", "", false}, {" ", "", false}, {":443", "", false}, {"localhost", "", false}, {"localhost:80", "", false},
		{"/run/envoy.sock", "", false}, {"@abstract", "", false}, {"envoy://internal/id", "", false},
		{"10.0.0.1:", "", false}, {"10.0.0.1:65536", "", false}, {"10.0.0.1:-1", "", false}, {"10.0.0.1:x", "", false},
		{"10.0.0", "", false}, {"10.0.0.256:443", "", false}, {"010.0.0.1:443", "", false},
		{"10.0.0.1:443,10.0.0.2:443", "", false}, {"10.0.0.1, 10.0.0.2", "", false}, {" 10.0.0.1:443", "", false},
		{"[fd00::1]", "", false}, {"[10.0.0.1]:443", "", false}, {"10.0.0.1:443\x00", "", false},
		{"10.0.0.0/8", "", false},
	} {
		t.Run(test.text, func(t *testing.T) {
			ip, connection, ok := ParsePeer(test.text)
			if ok != (test.addr != "") {
				t.Errorf("%q: ok is %t", test.text, ok)
			} else if ok && (ip != of(netip.MustParseAddr(test.addr)) || connection != test.connection) {
				t.Errorf("%q: %v, connection %t; want %s, %t", test.text, ip, connection, test.addr, test.connection)
			}
			if !ok && connection {
				t.Errorf("%q is no address, yet a connection's", test.text)
			}
		})
	}
}

func FuzzParsePeer(f *testing.F) {
	for _, s := range []string{"10.0.0.1:443", "[::ffff:10.0.0.1]:0", "fe80::1%eth0", "", "/run/x.sock", "[::]:1"} {
		f.Add(s)
	}
	everyone := NewSet(networks([]netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}))
	f.Fuzz(func(t *testing.T, s string) {
		ip, connection, ok := ParsePeer(s)
		if everyone.ContainsPeer(s, false) != ok || everyone.ContainsPeer(s, true) != (ok && connection) {
			t.Errorf("%q: ContainsPeer disagrees with ParsePeer: connection %t, ok %t", s, connection, ok)
		}
		if number, port, ok4 := addr.Parse4(s); ok4 && (!ok || ip != addr.From4(number) || connection != (port > 0)) {
			t.Errorf("%q: %08x, port %d; ParsePeer says %v, ok %t", s, number, port, ip, ok)
		}
		if ap, err := netip.ParseAddrPort(s); err == nil && (!ok || ip != of(ap.Addr()) || connection != (ap.Port() != 0)) {
			t.Errorf("%q: %v, connection %t, ok %t; net/netip says %v", s, ip, connection, ok, ap)
		} else if bare, notBare := netip.ParseAddr(s); err != nil &&
			(connection || ok != (notBare == nil) || ok && ip != of(bare)) {
			t.Errorf("%q: %v, connection %t, ok %t; to net/netip it is no address with a port: %v", s, ip, connection, ok, err)
		}
		if !ok {
			if connection {
				t.Error("a connection without an address")
			}
			return
		}
		if !everyone.Contains(ip) {
			t.Errorf("%q: %v is in neither 0.0.0.0/0 nor ::/0", s, ip)
		}
		again, isConnection, ok := ParsePeer(netip.AddrPortFrom(back(ip), 1).String())
		if !ok || !isConnection || again != ip {
			t.Errorf("%q: %v reads back as %v", s, ip, again)
		}
	})
}

func FuzzParseCIDR(f *testing.F) {
	for _, s := range []string{"1.2.3.4", "::", "::1", "fe80::1%eth0", "::ffff:1.2.3.4", "::1.2.3.4", "1.2.3", ""} {
		for _, bits := range []string{"", "/0", "/8", "/32", "/33", "/96", "/95", "/128", "/129", "/08", "/+8", "/-0", "/",
			"/8/8", "/99999999999999999999"} {
			f.Add(s + bits)
		}
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, ok := ParseCIDR(s)
		want, valid := likeNetip(s)
		if ok != valid || ok && c != network(want) {
			t.Errorf("%q: %v, %t; with net/netip %v, %t", s, c, ok, want, valid)
		}
	})
}

// likeNetip is ParseCIDR by means of net/netip.
func likeNetip(s string) (netip.Prefix, bool) {
	if !strings.Contains(s, "/") {
		ip, err := netip.ParseAddr(s)
		if err != nil || ip.Zone() != "" {
			return netip.Prefix{}, false
		}
		return netip.PrefixFrom(ip.Unmap(), ip.Unmap().BitLen()), true
	}
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	if ip := prefix.Addr(); ip.Is4In6() {
		if prefix.Bits() < 96 {
			return netip.Prefix{}, false
		}
		prefix = netip.PrefixFrom(ip.Unmap(), prefix.Bits()-96)
	}
	return prefix, prefix == prefix.Masked()
}

func TestParseCIDR(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"10.0.0.0/8": "10.0.0.0/8", "0.0.0.0/0": "0.0.0.0/0", "::/0": "::/0", "fd00::/8": "fd00::/8",
		"10.0.0.1": "10.0.0.1/32", "10.0.0.1/32": "10.0.0.1/32", "fd00::1": "fd00::1/128", "FD00::/8": "fd00::/8",
		"::ffff:10.0.0.0/104": "10.0.0.0/8", "::ffff:10.0.0.1": "10.0.0.1/32", "::ffff:0.0.0.0/96": "0.0.0.0/0",
		// Refused:
		"": "", "10.0.0.0/33": "", "10.0.0.0/-1": "", "10.0.0.0/": "", "10.0.0.0/08": "", "10.0.0/8": "", "10/8": "",
		"fd00::/129": "", "10.0.0.1/8": "", "fd00::1/8": "", "::ffff:10.0.0.0/8": "", "::ffff:0.0.0.0/95": "",
		"::ffff:10.0.0.1/104": "", "fe80::1%eth0": "", "fe80::%eth0/64": "", "localhost": "", "10.0.0.0/8 ": "",
		"10.0.0.0/255.0.0.0": "", "*": "", "10.0.0.1:80": "",
	} {
		t.Run(text, func(t *testing.T) {
			got, ok := ParseCIDR(text)
			if ok != (want != "") || ok && got != network(netip.MustParsePrefix(want)) {
				t.Errorf("ParseCIDR(%q) = %v, %t, want %q", text, got, ok, want)
			}
		})
	}
}

func set(t *testing.T, cidrs ...string) *Set {
	t.Helper()
	var prefixes []CIDR
	for _, s := range cidrs {
		p, ok := ParseCIDR(s)
		if !ok {
			t.Fatalf("%q is not a CIDR", s)
		}
		prefixes = append(prefixes, p)
	}
	return NewSet(prefixes)
}

func TestContains(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		cidrs   []string
		in, out []string
	}{
		{"no one", nil, nil, []string{"0.0.0.0", "255.255.255.255", "::", "::ffff:10.0.0.1"}},
		{"borders", []string{"10.0.0.0/8"}, []string{"10.0.0.0", "10.255.255.255"}, []string{"9.255.255.255", "11.0.0.0"}},
		{"one address", []string{"10.0.0.7"}, []string{"10.0.0.7"}, []string{"10.0.0.6", "10.0.0.8", "::a00:7"}},
		{"v6 borders", []string{"fd00::/8"},
			[]string{"fd00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
			[]string{"fcff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe00::", "253.0.0.0"}},
		{"v4 takes mapped", []string{"10.0.0.0/8"}, []string{"::ffff:10.1.2.3"}, []string{"::ffff:11.1.2.3", "::10.1.2.3"}},
		{"mapped is v4", []string{"::ffff:10.0.0.0/104"}, []string{"10.1.2.3", "::ffff:10.1.2.3"}, []string{"11.0.0.0"}},
		{"all of v4", []string{"0.0.0.0/0"}, []string{"0.0.0.0", "255.255.255.255", "::ffff:1.2.3.4"}, []string{"::1", "::"}},
		{"all of v6 is not v4", []string{"::/0"}, []string{"::", "::1", "ffff::"}, []string{"1.2.3.4", "::ffff:1.2.3.4"}},
		{"nested", []string{"10.1.0.0/16", "10.0.0.0/8", "10.1.2.3", "10.255.255.255"},
			[]string{"10.0.0.0", "10.1.2.3", "10.2.0.0", "10.255.255.255"}, []string{"11.0.0.0"}},
		{"nested, with one start", []string{"10.0.0.0/24", "10.0.0.0/8", "10.0.0.0"},
			[]string{"10.0.0.0", "10.0.0.255", "10.200.0.0"}, []string{"11.0.0.0"}},
		{"adjacent", []string{"10.0.1.0/24", "10.0.0.0/24"}, []string{"10.0.0.255", "10.0.1.0"},
			[]string{"10.0.2.0", "9.255.255.255"}},
		{"twice", []string{"10.0.0.0/24", "10.0.0.0/24"}, []string{"10.0.0.9"}, []string{"10.0.1.0"}},
		{"a gap", []string{"10.0.0.0/24", "10.0.2.0/24"}, []string{"10.0.0.1", "10.0.2.1"}, []string{"10.0.1.1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := set(t, test.cidrs...)
			for _, a := range test.in {
				if !s.Contains(of(netip.MustParseAddr(a))) {
					t.Errorf("%s: %s is not in", test.name, a)
				}
			}
			for _, a := range test.out {
				if s.Contains(of(netip.MustParseAddr(a))) {
					t.Errorf("%s: %s is in", test.name, a)
				}
			}
		})
	}
}

// naive is what Contains must agree with.
func naive(cidrs []netip.Prefix, ip netip.Addr) bool {
	for _, c := range cidrs {
		if c.Contains(ip.Unmap()) {
			return true
		}
	}
	return false
}

// randomAddr draws from few bits, so that ranges nest and touch.
func randomAddr(r *rand.Rand) netip.Addr {
	b := [16]byte{0: 0xfd, 13: byte(r.Intn(2)), 14: byte(r.Intn(4)), 15: byte(r.Intn(256))}
	switch r.Intn(3) {
	case 0:
		return netip.AddrFrom4([4]byte(b[12:]))
	case 1:
		b[0], b[10], b[11] = 0, 0xff, 0xff
	}
	return netip.AddrFrom16(b)
}

func TestContainsLikeNaive(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewSource(1))
	hits := 0
	for range 500 {
		var cidrs []netip.Prefix
		for range r.Intn(30) {
			a := randomAddr(r).Unmap()
			cidrs = append(cidrs, netip.PrefixFrom(a, a.BitLen()-r.Intn(12)).Masked())
		}
		s := NewSet(networks(cidrs))
		for range 200 {
			a := randomAddr(r)
			want := naive(cidrs, a)
			if s.Contains(of(a)) != want {
				t.Fatalf("%v in %v: %t", a, cidrs, !want)
			}
			if want {
				hits++
			}
		}
	}
	if hits < 10_000 || hits > 90_000 {
		t.Errorf("%d hits of 100,000: the test looks at one side only", hits)
	}
}

func FuzzSet(f *testing.F) {
	f.Add([]byte{10, 0, 0, 0, 8, 10, 1, 0, 0, 16}, []byte{10, 1, 2, 3})
	f.Add([]byte{0, 0, 0, 0, 0}, []byte{255, 255, 255, 255})
	f.Add([]byte{}, []byte{1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, ranges, ip []byte) {
		var cidrs []netip.Prefix
		for ; len(ranges) >= 5 && len(cidrs) < 1000; ranges = ranges[5:] {
			bits := int(ranges[4]) % 33
			a := netip.AddrFrom4([4]byte(ranges))
			if ranges[4] >= 128 { // the same bits at the end of an IPv6 address
				b := [16]byte{0: 0x20}
				copy(b[12:], ranges)
				a, bits = netip.AddrFrom16(b), 96+bits
			}
			cidrs = append(cidrs, netip.PrefixFrom(a, bits).Masked())
		}
		s := NewSet(networks(cidrs))
		probes := []netip.Addr{}
		if a, ok := netip.AddrFromSlice(ip); ok {
			probes = append(probes, a)
		}
		for _, c := range cidrs {
			last := back(network(c).last)
			probes = append(probes, c.Addr(), last, c.Addr().Prev(), last.Next())
		}
		for _, a := range probes {
			if a.IsValid() && s.Contains(of(a)) != naive(cidrs, a) {
				t.Fatalf("%v in %v: %t", a, cidrs, s.Contains(of(a)))
			}
		}
	})
}

func TestHundredThousandCIDRs(t *testing.T) {
	t.Parallel()
	const n = 100_000
	cidrs := make([]netip.Prefix, n)
	for i, j := range rand.New(rand.NewSource(2)).Perm(n) {
		cidrs[i] = netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(j >> 16), byte(j >> 8), byte(j), 128}), 25)
	}
	s := NewSet(networks(cidrs))
	for j := range n {
		a := [4]byte{byte(j >> 16), byte(j >> 8), byte(j), 200}
		if !s.Contains(of(netip.AddrFrom4(a))) {
			t.Fatalf("%v is not in", a)
		}
		if a[3] = 100; s.Contains(of(netip.AddrFrom4(a))) {
			t.Fatalf("%v is in", a)
		}
	}
}

func TestContainsDoesNotAllocate(t *testing.T) {
	s := set(t, "10.0.0.0/8", "fd00::/8")
	for _, text := range []string{"10.1.2.3", "11.0.0.1", "::ffff:10.1.2.3", "fd00::1"} {
		ip := of(netip.MustParseAddr(text))
		if n := testing.AllocsPerRun(100, func() { s.Contains(ip) }); n != 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
}

func TestProviders(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, in, out string }{
		{"azure", "168.63.129.16", "168.63.129.17"},
		{"gcp", "35.191.0.1", "35.192.0.1"},
		{"gcp", "130.211.3.255", "130.211.4.0"},
		{"gcp", "2600:2d00:1:b029::7", "2600:2d00:1:b02a::7"},
		{"gcp", "2600:2d00:1:1::7", "2600:2d00:1:2::7"},
		{"istio-ambient", "169.254.7.127", "169.254.7.128"},
		{"istio-ambient", "fd16:9254:7127:1337:ffff:ffff:ffff:ffff", "fd16:9254:7127:1337:ffff:ffff:ffff:fffe"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := NewSet(Provider(test.name))
			if !s.Contains(of(netip.MustParseAddr(test.in))) || s.Contains(of(netip.MustParseAddr(test.out))) {
				t.Errorf("%s: %s should be in, %s not", test.name, test.in, test.out)
			}
		})
	}
	for _, name := range Providers() {
		for _, p := range Provider(name) {
			if p == (CIDR{}) {
				t.Errorf("%s: a range is no CIDR", name)
			}
		}
		if len(Provider(name)) == 0 {
			t.Errorf("%s has no ranges", name)
		}
	}
	if Provider("aws") != nil || Provider("") != nil || Provider("GCP") != nil {
		t.Error("an unknown provider has ranges")
	}
}

func TestOwnEntry(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		forwardedFor, peer string
		want               bool
	}{
		{"10.0.0.1", "10.0.0.1:443", true},
		{"fd00::1", "[fd00::1]:443", true},
		{"::ffff:10.0.0.1", "[::ffff:10.0.0.1]:443", true},
		{"fe80::1%4", "[fe80::1%4]:443", true},
		{"10.0.0.1:443", "10.0.0.1:443", false},
		{"[fd00::1]", "[fd00::1]:443", false},
		{"10.0.0.1,10.0.0.1", "10.0.0.1:443", false},
		{"10.0.0.1,", "10.0.0.1:443", false},
		{"10.0.0.11", "10.0.0.1:443", false},
		{"10.0.0", "10.0.0.1:443", false},
		{"", "10.0.0.1:443", false},
		{"", ":443", false},
		{"", "", false},
		{"", "[]:443", false},
		{"/run/envoy.sock", "/run/envoy.sock", false},
	} {
		t.Run(test.forwardedFor, func(t *testing.T) {
			if got := IsOwnEntry(test.forwardedFor, test.peer); got != test.want {
				t.Errorf("IsOwnEntry(%q, %q) is %t", test.forwardedFor, test.peer, got)
			}
		})
	}
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]Origin{
		"10.0.0.1:443": Network, "[fd00::1]:0": Network, "[fe80::1%4]:443": Network, "10.0.0.1": Network, "": Network,
		"/run/envoy.sock": Pipe, "@abstract": Pipe, "run/envoy.sock": Pipe, "/run/10.0.0.1:443": Pipe, "@10.0.0.1:443": Pipe,
		"envoy://internal_client_address/": Internal, "envoy://10.0.0.1:443": Internal,
	} {
		t.Run(source, func(t *testing.T) {
			if got := OriginOf(source); got != want {
				t.Errorf("OriginOf(%q) is %d, want %d", source, got, want)
			}
		})
	}
}
