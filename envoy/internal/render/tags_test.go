package render

import (
	"maps"
	"regexp"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/envoy/must"
)

// The tags make Prometheus's name and labels of Envoy's name, as Envoy does: each looks at the whole name, its first
// group is cut out, and the second is the label's value.
func TestTags(t *testing.T) {
	t.Parallel()
	bootstrap := must.Read(t, "../../bootstrap.yaml")
	tags, _ := collect(decode(t, bootstrap), "stats_tags")[0].([]any)
	type labels map[string]string
	for name, want := range map[string]struct {
		name   string
		labels labels
	}{
		"healthgate_draining": {"healthgate_draining", labels{}},
		"healthgate_checks_total.endpoint.my.service-1.verdict.healthy": {
			"healthgate_checks_total", labels{"endpoint": "my.service-1", "verdict": "healthy"}},
		"healthgate_maintenance.endpoint.a.version.b":     {"healthgate_maintenance", labels{"endpoint": "a.version.b"}},
		"healthgate_probe_up.probe.in.bound":              {"healthgate_probe_up", labels{"probe": "in.bound"}},
		"healthgate_callout_failures_total.callout.a.b_c": {"healthgate_callout_failures_total", labels{"callout": "a.b_c"}},
		"healthgate_build_info.version.devel.commit.unknown.toolchain.go1.26.8": {
			"healthgate_build_info", labels{"version": "devel", "commit": "unknown", "toolchain": "go1.26.8"}},
		"healthgate_build_info.version.v1.2.3-rc.1-4-g01234567-dirty.commit.0123456789abcdef-dirty.toolchain.tinygo0.41.1": {
			"healthgate_build_info", labels{
				"version": "v1.2.3-rc.1-4-g01234567-dirty", "commit": "0123456789abcdef-dirty", "toolchain": "tinygo0.41.1"}},
		"healthgate_build_info.version.v1.0.0+b/x.commit.0123.toolchain.go1.27-devel_x X:a,b": {
			"healthgate_build_info", labels{"version": "v1.0.0+b/x", "commit": "0123", "toolchain": "go1.27-devel_x X:a,b"}},
	} {
		const prefix = "wasmcustom."
		rest, got := prefix+name, labels{}
		for _, tag := range tags {
			tag, _ := tag.(map[string]any)
			label, _ := tag["tag_name"].(string)
			pattern, _ := tag["regex"].(string)
			if found := regexp.MustCompile(pattern).FindStringSubmatchIndex(prefix + name); found != nil {
				got[label] = (prefix + name)[found[4]:found[5]]
				rest = strings.Replace(rest, (prefix + name)[found[2]:found[3]], "", 1)
			}
		}
		if rest != prefix+want.name || !maps.Equal(got, want.labels) {
			t.Errorf("%s: %s %v, want %s %v", name, rest, got, prefix+want.name, want.labels)
		}
	}
}
