package simtest

import (
	"flag"
	"regexp"
	"strings"
	"testing"
)

var (
	wantVersion = flag.String("version", "devel", "the version that the plugin must say it is")
	wantCommit  = flag.String("commit", "unknown", "the commit that the plugin must say it is of")
)

// A build says what it is. Only a release knows its version and commit; make dist-check looks at those.
func TestBuildInfo(t *testing.T) {
	t.Parallel()
	s := newSim(t, watchdog)
	var got []string
	for _, m := range s.Metrics() {
		if strings.HasPrefix(m.Name, "healthgate_build_info") {
			got = append(got, m.Name)
			s.wantMetric(m.Name, 1)
		}
	}
	want := regexp.MustCompile(`^healthgate_build_info\.version\.` + regexp.QuoteMeta(*wantVersion) +
		`\.commit\.` + regexp.QuoteMeta(*wantCommit) + `\.toolchain\.(tiny)?go[0-9]+\..+$`)
	if len(got) != 1 || !want.MatchString(got[0]) {
		t.Errorf("got %q, want %s", got, want)
	}
}
