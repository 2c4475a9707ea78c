package config

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// TestStatsAsked: what Envoy is asked for are the gauges by their names, and nothing else.
func TestStatsAsked(t *testing.T) {
	t.Parallel()
	for cluster, want := range map[string]string{
		"app": "app", "a.b-c": "a.b-c", "a:80": "a_80", "outbound|80||x.svc": "outbound|80||x.svc",
		"https://a": "https_a", "a:/b": "a_b", "a:///b": "a_/b", "a::b": "a__b",
		`a\Eb(c)[d]{e}*+?^$&=%#`: `a\Eb(c)[d]{e}*+?^$&=%#`,
		"bücher 東京":              "bücher 東京",
	} {
		text := fmt.Sprintf(`"cluster_health":{"cluster":%q,"min_healthy_percent":50}`, cluster)
		c, err := Parse([]byte(`{"admin":{"cluster":"adm"},"probes":[{"name":"p",`+text+`}],"endpoints":[{"name":"a",
			"paths":["/hc"],"trusted":{"cidrs":["::1"]}}]}`), Node{})
		if err != nil {
			t.Errorf("%s: %v", cluster, err)
			continue
		}
		u, err := url.Parse(c.Probes[0].Path)
		if err != nil {
			t.Errorf("%s: %v", cluster, err)
			continue
		}
		filter := regexp.MustCompile(u.Query().Get("filter")) // RE2, as Envoy's
		for _, gauge := range []string{"total", "healthy", "degraded"} {
			name := "cluster." + want + ".membership_" + gauge
			if !filter.MatchString(name) {
				t.Errorf("%s: %s lets %s not through", cluster, filter, name)
			}
			for _, other := range []string{"x" + name, name + "x", strings.Replace(name, ".", "x", 1)} {
				if filter.MatchString(other) {
					t.Errorf("%s: %s lets %s through", cluster, filter, other)
				}
			}
		}
		if u.Path != "/stats" || u.Query().Get("type") != "Gauges" || u.Fragment != "" {
			t.Errorf("%s: %s", cluster, c.Probes[0].Path)
		}
	}
}
