package report

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/healthgate/healthgate/envoy/internal/dump"
	"github.com/healthgate/healthgate/envoy/internal/lint"
	"github.com/healthgate/healthgate/envoy/internal/reach"
)

// base returns where a listener is asked, http://HOST:PORT, or why it can't be from here. adminHost is where Envoy's
// admin was reached, empty where its address does not tell.
func base(place reach.Place, adminHost string) (url, why string) {
	host, port, err := net.SplitHostPort(place.Address)
	if err != nil {
		return "", "the configuration names no TCP port of its listener: give --status-url"
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		switch {
		case ip.IsUnspecified() && adminHost == "":
			return "", "its listener is on all addresses, and that of the admin does not tell which of them leads to it: " +
				"give --status-url"
		case ip.IsUnspecified():
			host = adminHost
		case ip.IsLoopback() && adminHost != "" && !isLoopback(adminHost):
			return "", "its listener is on a loopback address, which leads to it on its own machine only"
		}
	}
	if how := lint.Proxied(place.Listener); how != nil && dump.At(how, "allow_requests_without_proxy_protocol") != true {
		return "", "its listener wants the PROXY protocol, which this command does not speak"
	}
	if dump.At(place.Listener, "address", "socket_address", "protocol") == "UDP" {
		return "", "its listener speaks QUIC, which this command does not"
	}
	if name := place.ServerName(); name != "" {
		return "", fmt.Sprintf("its listener takes only clients that name a server, such as %s: give --status-url", name)
	}
	scheme := "http"
	if place.TLS() {
		scheme = "https"
	}
	return fmt.Sprintf("%s://%s", scheme, net.JoinHostPort(host, port)), ""
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
