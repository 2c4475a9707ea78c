package render

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// address returns Envoy's Address for HOST:PORT or unix:///PATH. static is false when the host is a name.
func address(s string) (node *yaml.Node, static bool, err error) {
	if strings.Contains(s, "@") && !strings.HasPrefix(s, "unix:///") {
		return nil, false, errLogin
	}
	if path, is := strings.CutPrefix(s, "unix://"); is {
		if !strings.HasPrefix(path, "/") {
			return nil, false, fmt.Errorf("%q: a Unix socket is written unix:///PATH", s)
		}
		if strings.HasSuffix(path, "/") {
			return nil, false, fmt.Errorf("%q: is a folder; give the socket in it", s)
		}
		if len(path) > 107 {
			return nil, false, fmt.Errorf("%q: the path of a Unix socket has at most 107 bytes, this one %d", s, len(path))
		}
		return part("address", values{"path": path}), true, nil
	}
	i := strings.LastIndexByte(s, ':')
	port, portErr := strconv.ParseUint(s[i+1:], 10, 16)
	if i <= 0 || portErr != nil || port == 0 {
		return nil, false, fmt.Errorf("%q is not HOST:PORT or unix:///PATH", s)
	}
	host := strings.TrimSuffix(strings.TrimPrefix(s[:i], "["), "]")
	ip, notIP := netip.ParseAddr(host)
	if notIP != nil && (!hostName.MatchString(host) || len(host) > maxDNSName) {
		return nil, false, fmt.Errorf("%q: %q is neither an IP address nor a host name", s, host)
	}
	if notIP == nil {
		host = ip.String()
	}
	return part("address", values{"host": host, "port": int(port)}), notIP == nil, nil
}

// errLogin does not repeat the address: it holds a password.
var errLogin = errors.New("an address holds no login: give HOST:PORT alone")

// hostName matches names whose last label is not a number, so that an address with a slip of the pen is not asked of
// DNS.
var hostName = regexp.MustCompile(`^(\w([-\w]{0,61}\w)?\.)*[A-Za-z_]([-\w]{0,61}\w)?\.?$`)

// Overlap reports whether who listens at one address also takes the connections to the other one.
func Overlap(a, b string) bool {
	x, notX := netip.ParseAddrPort(strings.Replace(a, "localhost:", "127.0.0.1:", 1))
	y, notY := netip.ParseAddrPort(strings.Replace(b, "localhost:", "127.0.0.1:", 1))
	if notX != nil || notY != nil {
		return a == b
	}
	every := x.Addr().IsUnspecified() || y.Addr().IsUnspecified()
	return x.Port() == y.Port() && (x.Addr() == y.Addr() || every && x.Addr().Is4() == y.Addr().Is4())
}
