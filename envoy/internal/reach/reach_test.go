package reach

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/healthgate/healthgate/envoy/must"
	"github.com/healthgate/healthgate/filter/config"
)

// TestScenes plays testdata/*.txt. Each block is an Envoy, written as scene says, and what this package says of it.
func TestScenes(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string {
				command := commands[d.Cmd]
				if command == nil {
					d.Fatalf(t, "there is no such command: %s", d.Cmd)
				}
				out := command(t, d)
				if len(out) == 0 {
					return "nothing"
				}
				return strings.Join(out, "\n")
			})
		})
	}
}

var commands = map[string]func(*testing.T, *datadriven.TestData) []string{
	"gaps":     gaps,
	"switches": switches,
	"shares":   shares,
	"hidden": func(t *testing.T, d *datadriven.TestData) (out []string) {
		for _, g := range play(t, d).Gaps() {
			out = append(out, g.Endpoint+": "+g.What)
			if g.Refusal {
				out[len(out)-1] += " (no harm in maintenance)"
			}
		}
		return out
	},
	"refusing": func(t *testing.T, d *datadriven.TestData) []string { return play(t, d).Refusing("e") },
	"faults": func(t *testing.T, d *datadriven.TestData) []string {
		e := play(t, d)
		return append(e.Faults(), "metrics: "+e.NoMetrics())
	},
	"layers": func(t *testing.T, d *datadriven.TestData) (out []string) {
		for _, l := range play(t, d).Layers {
			out = append(out, strings.TrimSpace(fmt.Sprintf("%s: %s %s", l.Name, l.Kind, l.Source())))
		}
		return out
	},
}

// gaps returns what is in the way of the key k, and of the maintenance route of the key by.
func gaps(t *testing.T, d *datadriven.TestData) (out []string) {
	e := play(t, d)
	for _, g := range e.KeyGaps("k") {
		out = append(out, "key: "+g.What)
		if g.Doubt != strings.HasPrefix(g.What, "not for sure: ") {
			t.Errorf("%s: %+v", d.Pos, g)
		}
		if !slices.Contains(e.Gaps(), g) && !strings.Contains(g.What, "not the key") {
			t.Errorf("%s: Gaps has no %v", d.Pos, g)
		}
	}
	for _, g := range append(e.RouteGaps("by", "100"), e.RouteBeside("by")...) {
		out = append(out, "route: "+g.What)
	}
	return out
}

// switches returns which keys there are, and which endpoints they switch.
func switches(t *testing.T, d *datadriven.TestData) (out []string) {
	e := play(t, d)
	for _, p := range e.Plugins {
		for _, place := range p.Places {
			out = append(out, "a plugin at "+place.Address)
		}
	}
	for _, key := range append(e.Keys(), "z.a", "by") {
		out = append(out, fmt.Sprintf("%s: %q", key, e.Readers(key)))
	}
	for _, r := range e.Routes() {
		out = append(out, fmt.Sprintf("route of %s: %s, otherwise %g", r.Key, r.Path, r.Otherwise))
		for _, value := range []string{"100", "99", "true", ""} {
			out = append(out, fmt.Sprintf("%s = %q: %q", r.Key, value, e.RouteReaders(r.Key, value)))
		}
		for _, g := range e.RouteGaps(r.Key, "50") {
			out = append(out, g.What)
		}
	}
	return append(out, fmt.Sprintf("k = 100 by route: %q", e.RouteReaders("k", "100")))
}

// shares returns the part of requests that Envoy makes of each value, beside a route that takes a quarter without one.
func shares(_ *testing.T, d *datadriven.TestData) (out []string) {
	for value := range strings.Lines(d.Input) {
		value = strings.TrimSpace(value)
		out = append(out, fmt.Sprintf("%s: %g", value, (&Route{Otherwise: .25}).Share(value)))
	}
	return out
}

// What the plugin's sources call and are called by is what it needs, but for its log and what no restriction takes
// away.
func TestNeeded(t *testing.T) {
	t.Parallel()
	unneeded := []string{"proxy_log", "proxy_abi_version_0_2_0", "proxy_on_memory_allocate"}
	var named []string
	for _, pattern := range []string{"../../../filter/*.go", "../../../filter/host/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			text := must.Read(t, file)
			for _, m := range directive.FindAllStringSubmatch(text, -1) {
				if !slices.Contains(unneeded, m[1]) {
					named = append(named, m[1])
				}
			}
		}
	}
	slices.Sort(named)
	got := slices.Sorted(slices.Values(slices.Concat(needed, onDemand, ofBodies)))
	if want := slices.Compact(append([]string{"clock_time_get"}, named...)); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	allowed := map[string]any{}
	for _, name := range append(slices.Clone(needed), onDemand[1:]...) {
		allowed[name] = map[string]any{}
	}
	f := &filter{plugin: &Plugin{Config: &config.Config{}}, wasm: map[string]any{"config": map[string]any{
		"capability_restriction_config": map[string]any{"allowed_capabilities": allowed}}}}
	for demand, want := range map[bool]string{false: "", true: "its capability_restriction_config leaves out " +
		onDemand[0] + ", which the plugin needs"} {
		if f.plugin.Config.OnDemand = demand; f.restricted() != want {
			t.Errorf("on demand %v: %q, want %q", demand, f.restricted(), want)
		}
	}
	f.plugin.Config = &config.Config{Endpoints: []config.Endpoint{{Services: []string{"shop.v1.Shop"}}}}
	if got, want := f.restricted(), "its capability_restriction_config leaves out proxy_on_request_body, "+
		"proxy_on_request_trailers, which the plugin needs"; got != want {
		t.Errorf("named services: %q, want %q", got, want)
	}
}

var directive = regexp.MustCompile(`(?m)^//go:wasm(?:import env|export) (proxy_\w+)$`)
