// Command conformance plays the same cases on hostsim and on a real Envoy, and prints
// where they differ: in what the client got, in what the upstreams saw (they echo it),
// and in what the plugin logged, call by call.
//
//	go run ./hostsim/cmd/conformance --envoy /usr/local/bin/envoy
//
// It needs Go's toolchain, to build the plugin of hostsim/testdata/script, and listens
// on loopback addresses only. Exit code 1 if anything differs.
package main

import (
	"bytes"
	_ "embed"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/healthgate/healthgate/hostsim"
)

//go:embed cases.yaml
var casesYAML []byte

// testCase is one plugin configuration and one request.
type testCase struct {
	Name    string  `yaml:"name"`
	Script  string  `yaml:"script"`
	Request request `yaml:"request"`
}

type request struct {
	Method  string      `yaml:"method"`
	Path    string      `yaml:"path"`
	Host    string      `yaml:"host"`
	Headers [][2]string `yaml:"headers"`
	Body    string      `yaml:"body"`
}

// outcome is what can be seen of a case from outside.
type outcome struct {
	reply string
	logs  []string
}

func main() {
	envoyPath := flag.String("envoy", "envoy", "the Envoy `BINARY` to compare with")
	only := flag.String("case", "", "play only the cases with `TEXT` in their names")
	flag.Parse()
	code, err := run(*envoyPath, *only)
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(2)
	}
	os.Exit(code)
}

func run(envoyPath, only string) (int, error) {
	version, err := exec.Command(envoyPath, "--version").Output()
	if err != nil {
		return 0, fmt.Errorf("%s --version: %w", envoyPath, err)
	}
	profile := profileOf(string(version))
	var cases []testCase
	dec := yaml.NewDecoder(bytes.NewReader(casesYAML))
	dec.KnownFields(true)
	if err := dec.Decode(&cases); err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "conformance")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	wasm, err := build(dir)
	if err != nil {
		return 0, err
	}
	real, err := newEnvoy(envoyPath, dir, wasm)
	if err != nil {
		return 0, err
	}
	defer real.close()
	code, err := os.ReadFile(wasm)
	if err != nil {
		return 0, err
	}
	compared, identical := 0, 0
	calls := make(map[string]int)
	for _, c := range cases {
		if !strings.Contains(c.Name, only) {
			continue
		}
		sim, err := simulate(code, profile, c, calls)
		if err != nil {
			return 0, fmt.Errorf("case %q: %w", c.Name, err)
		}
		env, err := real.play(c)
		if err != nil {
			return 0, fmt.Errorf("case %q: %w", c.Name, err)
		}
		compared++
		if diff := compare(sim, env); diff != "" {
			fmt.Printf("%s differs:\n%s", c.Name, diff)
		} else {
			identical++
		}
	}
	printCalls(calls)
	fmt.Printf("%s: %d cases compared, %d identical, %d differ\n", profile, compared, identical, compared-identical)
	if identical < compared {
		return 1, nil
	}
	return 0, nil
}

// profileOf is the profile for what "envoy --version" says: 1.40 and later are after
// the change that the profiles are about.
func profileOf(version string) hostsim.Profile {
	for _, part := range strings.Split(version, "/") {
		var major, minor int
		if n, _ := fmt.Sscanf(part, "%d.%d.", &major, &minor); n == 2 && major == 1 && minor < 40 {
			return hostsim.Envoy136
		}
	}
	return hostsim.Envoy140
}

// build compiles the plugin.
func build(dir string) (string, error) {
	out := filepath.Join(dir, "script.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-o", out,
		"github.com/healthgate/healthgate/hostsim/testdata/script")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	return out, cmd.Run()
}

// compare returns the lines that differ, "" if none do.
func compare(sim, env outcome) string {
	var b strings.Builder
	if sim.reply != env.reply {
		fmt.Fprintf(&b, "  hostsim replied %s\n  envoy   replied %s\n", sim.reply, env.reply)
	}
	for i := range max(len(sim.logs), len(env.logs)) {
		if s, e := at(sim.logs, i), at(env.logs, i); s != e {
			fmt.Fprintf(&b, "  hostsim logged %s\n  envoy   logged %s\n", s, e)
		}
	}
	return b.String()
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "nothing"
}

// printCalls is the table of what the cases cover.
func printCalls(calls map[string]int) {
	names := make([]string, 0, len(calls))
	for name := range calls {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Printf("%6d  %s\n", calls[name], name)
	}
}
