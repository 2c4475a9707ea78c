package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
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
	if version == "" {
		version = info.Main.Version
	}
	if version == "" || version == "(devel)" {
		version = "devel"
	}
	if commit == "" {
		commit = "unknown"
	}
	return fmt.Sprintf("%s (commit %s, %s, %s/%s)", version, commit+dirty, info.GoVersion, runtime.GOOS, runtime.GOARCH)
}
