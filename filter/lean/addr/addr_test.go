package addr

import (
	"encoding/binary"
	"net/netip"
	"testing"
)

// FuzzParse compares with net/netip. The seeds are each form, and each one's near misses.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"1.2.3.4", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.04", "1.2.3.", ".1.2.3", "1..2.3", "1.2.3.4:5", "1.2.3.4%x",
		"::", ":::", "::::", ":", ":1", "1:", "::1", "1::", "1::1", "1::1::1", "1:::1", "::1:", "1:2:3:4:5:6:7:8",
		"1:2:3:4:5:6:7", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8",
		"1:2:3:4::5:6:7:8", "1:2:3:4:5:6:7:", "12345::", "::fffff", "::FfFf", "::g", "::-1", "::1.2.3.4", "::ffff:1.2.3.4",
		"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:1.2.3.4", "1:2:3:4:5:6:7:1.2.3.4", "::1:2:3:4:5:6:1.2.3.4", "1::2:3:4:5:6:1.2.3.4",
		"1::2:3:4:5:1.2.3.4", "1.2.3.4::", "::1.2.3.4:5", "::1.2.3.400", "::1.2.3", "::1.2.3.4:1", "fe80::1%eth0", "fe80::1%",
		"%eth0", "fe80::1%a%b", "fe80::1%a:b", "::ffff:1.2.3.4%x", "1%x", "", " ::1", "::1 ", "[::1]", "0::0",
		"0:0:0:0:0:0:0:0", "00000::", "::00001",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, is6, zone, ok := Parse(s)
		want, err := netip.ParseAddr(s)
		if ok != (err == nil) || ok && (got != of(want) || is6 != want.Is6() || zone != (want.Zone() != "")) {
			t.Errorf("%q: %v, IPv6 %t, zone %t, ok %t; net/netip says %v, %v", s, got, is6, zone, ok, want, err)
		}
	})
}

// of is the Addr of an address that net/netip read.
func of(a netip.Addr) Addr {
	b := a.As16()
	return Addr{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}
