package main

import (
	"os"

	"github.com/OpenPeeDeeP/depguard/v2"
	"golang.org/x/tools/go/analysis"
)

// layers holds the folders to the arrows of ARCHITECTURE.md. It takes the working directory for the repository's root.
func layers() (*analysis.Analyzer, error) {
	root, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	const project = "github.com/healthgate/healthgate/"
	never := func(folder, why string, folders ...string) *depguard.List {
		l := &depguard.List{ListMode: "lax", Files: []string{root + "/" + folder + "/**"}, Deny: map[string]string{}}
		for _, folder := range folders {
			l.Deny[project+folder] = why
		}
		return l
	}
	plugin := never("filter", "the plugin does not carry its tests' host", "hostsim")
	plugin.Files = append(plugin.Files, "!$test")
	return depguard.NewAnalyzer(&depguard.LinterSettings{
		"envoy":  never("envoy", "envoy is what the tests on a real Envoy test", "docs", "e2e", "hostsim"),
		"filter": never("filter", "filter needs nothing but itself and, in its tests, hostsim", "docs", "e2e", "envoy"),
		"hostsim": never("hostsim", "hostsim is for every plugin, and imports nothing of the project", "docs",
			"e2e", "envoy", "filter"),
		"plugin": plugin,
	})
}
