package status

import (
	"net"
	"net/netip"

	"github.com/healthgate/healthgate/filter/config"
)

// statusURL returns where the status endpoint of a configuration is asked, and the Host header it wants. address is the
// listener's, adminHost where Envoy's admin was reached: a listener on all addresses is reached there, too.
func statusURL(c *config.Config, address, adminHost string) (url, host string) {
	if address == "" {
		return "", ""
	}
	to, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", ""
	}
	if ip, err := netip.ParseAddr(to); err == nil && ip.IsUnspecified() && adminHost != "" {
		to = adminHost
	}
	for i := range c.Endpoints {
		e := &c.Endpoints[i]
		if e.Kind != config.KindStatus {
			continue
		}
		if len(e.Hosts) > 0 {
			host = e.Hosts[0]
		}
		return "http://" + net.JoinHostPort(to, port) + e.Paths[0], host
	}
	return "", ""
}
