package trust

// Platform is where a platform's health checks come from.
type Platform struct {
	Name, What string   // as trusted.providers says it, and whose checks these are
	Ranges     []string // CIDRs
	Source     string   // where the platform says so
	Read       string   // when that was read, YYYY-MM
	Advice     string   // what else to know; "" for nothing
	Demand     string   // a matcher of a header that the checks alone bring, where users come from the same ranges
}

// Platforms are all that trusted.providers may name. The JSON Schema, docs/configuration.md and what `healthgate
// validate` advises come from here.
var Platforms = [...]Platform{
	{
		Name: "azure", What: "Azure's load balancers, one address for all regions",
		Ranges: []string{"168.63.129.16/32"},
		Source: "https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16", Read: "2026-11",
	}, {
		Name: "gcp", What: "Google Cloud's load balancers",
		Ranges: []string{"35.191.0.0/16", "130.211.0.0/22", "2600:2d00:1:b029::/64", "2600:2d00:1:1::/64"},
		Source: "https://cloud.google.com/load-balancing/docs/firewall-rules", Read: "2026-11",
		Advice: "Google's front ends send users' requests from the same addresses: demand a header, too",
		Demand: "{name: user-agent, prefix: GoogleHC/}",
	}, {
		Name: "istio-ambient", What: "the kubelet, as Istio's CNI agent shows it in an ambient mesh",
		Ranges: []string{"169.254.7.127/32", "fd16:9254:7127:1337:ffff:ffff:ffff:ffff/128"},
		Source: "https://github.com/istio/istio/blob/master/cni/README.md", Read: "2026-11",
		Advice: "HOST_PROBE_SNAT_IP and HOST_PROBE_SNAT_IPV6 of the agent change the addresses: then write them as cidrs",
	},
}

// Providers returns the names of Platforms.
func Providers() (names []string) {
	for i := range Platforms {
		names = append(names, Platforms[i].Name)
	}
	return names
}

// Provider returns the source ranges of a platform's health checks, nil for an unknown name.
func Provider(name string) (out []CIDR) {
	for i := range Platforms {
		if p := &Platforms[i]; p.Name == name {
			for _, text := range p.Ranges {
				cidr, _ := ParseCIDR(text)
				out = append(out, cidr)
			}
		}
	}
	return out
}
