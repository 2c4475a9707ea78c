package cli

import (
	"regexp"
	"runtime"
	"runtime/debug"
	"testing"
)

func TestBuildVersion(t *testing.T) {
	t.Parallel()
	const hash = "0123456789abcdef0123456789abcdef01234567"
	main := func(version string, settings ...debug.BuildSetting) *debug.BuildInfo {
		return &debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Version: version}, Settings: settings}
	}
	commit := debug.BuildSetting{Key: "vcs.revision", Value: hash}
	clean := debug.BuildSetting{Key: "vcs.modified", Value: "false"}
	dirty := debug.BuildSetting{Key: "vcs.modified", Value: "true"}
	for _, test := range []struct {
		how             string
		version, commit string // by the linker
		info            *debug.BuildInfo
		want            string
	}{
		{"go install of a release", "", "", main("v1.2.3"), "v1.2.3 (commit unknown"},
		{"go build in a clone", "", "", main("v1.2.4-0.20261128185750-0123456789ab", commit, clean),
			"v1.2.4-0.20261128185750-0123456789ab (commit " + hash},
		{"go build in a clone with changes", "", "", main("v1.2.3+dirty", commit, dirty),
			"v1.2.3+dirty (commit " + hash + "-dirty"},
		{"go build without version control", "", "", main("(devel)"), "devel (commit unknown"},
		{"go test", "", "", main(""), "devel (commit unknown"},
		{"make dist", "v1.2.3", hash, main("(devel)"), "v1.2.3 (commit " + hash},
		{"make dist with changes", "v1.2.3-dirty", hash + "-dirty", main("(devel)"),
			"v1.2.3-dirty (commit " + hash + "-dirty"},
	} {
		t.Run(test.how, func(t *testing.T) {
			want := test.want + ", go1.26.8, " + runtime.GOOS + "/" + runtime.GOARCH + ")"
			if got := buildVersion(test.version, test.commit, test.info); got != want {
				t.Errorf("%s: got %q, want %q", test.how, got, want)
			}
		})
	}
}

// The line that docs/command.md promises.
func TestVersion(t *testing.T) {
	t.Parallel()
	stdout, stderr, code := call(t, "--version")
	line := regexp.MustCompile(`^healthgate version \S+ \(commit ([0-9a-f]{40}(-dirty)?|unknown), go\S+, \w+/\w+\)\n$`)
	if !line.MatchString(stdout) || stderr != "" || code != 0 {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
}
