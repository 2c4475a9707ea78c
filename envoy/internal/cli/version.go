package cli

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// thisBuild is what --version says. Where the linker set no version and commit, the build information of Go has what it
// knows: a version after go install, the commit after go build in a clone.
func thisBuild(version, commit string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok { // not built by the go command
		info = &debug.BuildInfo{GoVersion: runtime.Version()}
	}
	return buildVersion(version, commit, info)
}

func buildVersion(version, commit string, info *debug.BuildInfo) string {
	dirty := ""
	for _, setting := range info.Settings {
		switch {
		case setting.Key == "vcs.revision" && commit == "":
			commit = setting.Value
		case setting.Key == "vcs.modified" && setting.Value == "true" && version == "":
			dirty = "-dirty"
		}
	}
	version = cmp.Or(version, strings.Trim(info.Main.Version, "()"), "devel") // "(devel)" is none
	return fmt.Sprintf("%s (commit %s, %s, %s/%s)", version, cmp.Or(commit, "unknown")+dirty, info.GoVersion, runtime.GOOS,
		runtime.GOARCH)
}
