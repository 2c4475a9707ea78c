package trust

// Providers returns the names that Provider knows.
func Providers() []string { return []string{"azure", "gcp", "istio-ambient"} }

// Provider returns the source ranges of a platform's health checks, nil for an unknown name.
func Provider(name string) []CIDR {
	var cidrs []string
	switch name {
	case "azure":
		// One address for all regions, https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16,
		// read 2026-11.
		cidrs = []string{"168.63.129.16/32"}
	case "gcp":
		// "Health check ranges", https://cloud.google.com/load-balancing/docs/firewall-rules, read 2026-11. Google's
		// front ends send user traffic from the same ranges: demand a header as well.
		cidrs = []string{"35.191.0.0/16", "130.211.0.0/22", "2600:2d00:1:b029::/64", "2600:2d00:1:1::/64"}
	case "istio-ambient":
		// The source that Istio's CNI agent gives to the kubelet's probes in an ambient mesh, unless HOST_PROBE_SNAT_IP and
		// HOST_PROBE_SNAT_IPV6 say otherwise: https://github.com/istio/istio/blob/master/cni/README.md, read 2026-11.
		cidrs = []string{"169.254.7.127/32", "fd16:9254:7127:1337:ffff:ffff:ffff:ffff/128"}
	}
	var out []CIDR
	for _, c := range cidrs {
		cidr, _ := ParseCIDR(c)
		out = append(out, cidr)
	}
	return out
}
