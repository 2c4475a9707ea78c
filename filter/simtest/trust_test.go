package simtest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/hostsim"
)

// takesNone are values of X-Forwarded-For from which Envoy takes no address, whatever the number of trusted hops.
var takesNone = []string{
	"192.0.2.7:443", "10.1.2.3:443", "10.1.2.3:40000", "[2001:db8::7]:443", "[2001:db8::7]", "unknown", "_hidden", "for=192.0.2.7",
	",", ", ", ",,", "-", "localhost", "10.1.2", "10.1.2.03", "0x0a.1.2.3", "167838211", `"10.1.2.3"`, "10.1.2.3;10.1.2.3",
	"10.1.2.3:443, 10.1.2.3:443", "unknown, unknown", "10.1.2.3/32", "::ffff:10.1.2.3:443x", "[::ffff:10.1.2.3]:443",
}

// A proxy that is trusted for its own checks does not lend its address to strangers.
func TestForwarded(t *testing.T) {
	t.Parallel()
	const config = `{"endpoints": [{"name": "e", "paths": ["/hc"], "trusted": {"cidrs": ["10.0.0.0/8", "fd00::/8"], "peer": "forwarded"}}]}`
	for _, tt := range []struct {
		name     string
		opts     []hostsim.Option
		answered []string // X-Forwarded-For
		refused  []string
	}{
		{"last entry", nil,
			[]string{"10.9.9.9", "fd00::9", "::ffff:10.9.9.9", "192.0.2.7, 10.9.9.9", "unknown, 10.9.9.9"},
			[]string{"", "192.0.2.7", "192.0.2.7,", "10.9.9.9,", "10.9.9.9, unknown"}},
		{"one hop", []hostsim.Option{hostsim.XFFNumTrustedHops(1)},
			[]string{"10.9.9.9, 192.0.2.8", "10.9.9.9, unknown"},
			[]string{"", "192.0.2.7", "10.9.9.9", "192.0.2.7,", "192.0.2.7, 10.9.9.9", "unknown, 10.9.9.9"}},
		// Envoy appends the proxy to the header, and makes the proxy's own of an empty one.
		{"remote address, one hop", []hostsim.Option{hostsim.UseRemoteAddress(true), hostsim.XFFNumTrustedHops(1)},
			[]string{"10.9.9.9", "fd00::9", "192.0.2.7, 10.9.9.9", ""},
			[]string{"192.0.2.7", "192.0.2.7,", "10.9.9.9,", "10.9.9.9, unknown"}},
		{"remote address, two hops", []hostsim.Option{hostsim.UseRemoteAddress(true), hostsim.XFFNumTrustedHops(2)},
			[]string{"10.9.9.9, 192.0.2.8", ""},
			[]string{"192.0.2.7", "10.9.9.9", "10.1.2.3", "192.0.2.7,", "192.0.2.7, 10.9.9.9", "unknown, 10.9.9.9"}},
		{"remote address", []hostsim.Option{hostsim.UseRemoteAddress(true)},
			[]string{""},
			[]string{"192.0.2.7", "10.9.9.9", "10.1.2.3"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSim(t, config, tt.opts...)
			for _, peer := range []string{balancer, "[fd00::1]:40000"} {
				is := func(answered bool, header ...[2]string) {
					t.Helper()
					for range 2 { // how it is read depends on the request before
						if r := s.Worker(0).Do(&hostsim.Request{Path: "/hc", Peer: peer, Header: header}); r.Forwarded == answered {
							t.Errorf("%s, %q: got %d, forwarded %v", peer, header, r.Status, r.Forwarded)
						}
					}
				}
				is(true)
				for _, value := range tt.answered {
					is(true, [2]string{"x-forwarded-for", value})
				}
				for _, value := range append(tt.refused, takesNone...) {
					is(false, [2]string{"x-forwarded-for", value})
				}
				is(false, [2]string{"x-forwarded-for", "unknown"}, [2]string{"x-forwarded-for", "_hidden"})
			}
		})
	}
}

func TestUnixSockets(t *testing.T) {
	t.Parallel()
	const path, internal = "/run/envoy.sock", "envoy://internal_client_address/"
	direct := func(text string) map[string]string { return map[string]string{"lb": text} }
	for _, tt := range []struct {
		trusted, peer string
		forwardedFor  string
		filterState   map[string]string
		answered      bool
	}{
		{`{"pipe": true}`, path, "", nil, true},
		{`{"pipe": true}`, "@abstract", "", nil, true},
		{`{"pipe": true}`, "run/envoy.sock", "", nil, true},
		{`{"pipe": true, "cidrs": ["10.0.0.0/8"]}`, path, "", nil, true},
		{`{"pipe": true, "cidrs": ["10.0.0.0/8"]}`, balancer, "", nil, true},
		{`{"pipe": false, "cidrs": ["10.0.0.0/8"]}`, path, "", nil, false},
		{`{"cidrs": ["0.0.0.0/0", "::/0"]}`, path, "", nil, false},
		// Only a Unix socket is one.
		{`{"pipe": true}`, internal, "", nil, false},
		{`{"pipe": true}`, balancer, "", nil, false},
		{`{"pipe": true}`, "[fd00::1]:1", "", nil, false},
		{`{"pipe": true}`, balancer, path, nil, false},
		{`{"pipe": true}`, balancer, "10.9.9.9", nil, false},
		// A proxy that speaks through the socket passes strangers on.
		{`{"pipe": true}`, path, "10.9.9.9", nil, false},
		{`{"pipe": true, "cidrs": ["10.0.0.0/8"], "peer": "forwarded"}`, path, "", nil, true},
		{`{"pipe": true, "cidrs": ["10.0.0.0/8"], "peer": "forwarded"}`, path, "10.9.9.9", nil, true},
		{`{"pipe": true, "cidrs": ["10.0.0.0/8"], "peer": "forwarded"}`, path, "192.0.2.7", nil, false},
		{`{"pipe": true, "cidrs": ["10.0.0.0/8"], "peer": "forwarded"}`, path, "192.0.2.7:443", nil, false},
		{`{"pipe": true, "cidrs": ["10.0.0.0/8"], "peer": "forwarded"}`, path, ",", nil, false},
		// A filter state may hold any text, also one that somebody sent.
		{`{"pipe": true, "peer": {"filter_state": "lb"}}`, path, "", direct(path), true},
		{`{"pipe": true, "peer": {"filter_state": "lb"}}`, balancer, "", direct(path), false},
		{`{"pipe": true, "peer": {"filter_state": "lb"}}`, internal, "", direct(path), false},
		{`{"pipe": true, "peer": {"filter_state": "lb"}}`, path, "", direct("10.9.9.9"), false},
		{`{"pipe": true, "peer": {"filter_state": "lb"}}`, path, "", nil, false},
		{`{"pipe": true, "cidrs": ["10.0.0.0/8"], "peer": {"filter_state": "lb"}}`, internal, "", direct("10.9.9.9"), true},
	} {
		s := newSim(t, `{"endpoints": [{"name": "e", "paths": ["/hc"], "trusted": `+tt.trusted+`}]}`)
		request := &hostsim.Request{Path: "/hc", Peer: tt.peer, FilterState: tt.filterState}
		if tt.forwardedFor != "" {
			request.Header = hostsim.Header{{"x-forwarded-for", tt.forwardedFor}}
		}
		if r := s.Worker(0).Do(request); r.Forwarded == tt.answered {
			t.Errorf("%s from %s, forwarded for %q, filter state %v: got %d, forwarded %v",
				tt.trusted, tt.peer, tt.forwardedFor, tt.filterState, r.Status, r.Forwarded)
		}
	}
}

// Where no peer has an address the log says so once, not once for each worker or request.
func TestNoAddressIsTold(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ trusted, peer, told string }{
		{`{"cidrs": ["10.0.0.0/8"]}`, "/run/envoy.sock", "a Unix socket, where no peer has an address: trusted: {pipe: true} trusts whoever can open it"},
		{`{"pipe": true}`, "envoy://internal_client_address/", "an internal listener, where no peer has an address: give one by peer: {filter_state: KEY}"},
		{`{"pipe": true}`, "/run/envoy.sock", ""},
		{`{"cidrs": ["10.0.0.0/8"]}`, "192.0.2.7:1", ""},
		{`{"cidrs": ["10.0.0.0/8"], "peer": {"filter_state": "lb"}}`, "/run/envoy.sock", ""},
	} {
		s := newSim(t, `{"endpoints": [{"name": "e", "paths": ["/hc"], "trusted": `+tt.trusted+`}]}`, hostsim.Workers(3))
		for range 3 {
			for i := range s.Workers() {
				s.Worker(i).Do(&hostsim.Request{Path: "/hc", Peer: tt.peer})
				s.Worker(i).Do(&hostsim.Request{Path: "/shop", Peer: tt.peer})
			}
		}
		want := ""
		if tt.told != "" {
			want = fmt.Sprintf("warning endpoint %q: not trusted: the request came through %s", "e", tt.told)
		}
		if got := strings.Join(s.stateLog(), "\n"); got != want {
			t.Errorf("%s from %s: log:\n%s\nwant:\n%s", tt.trusted, tt.peer, got, want)
		}
	}
}
