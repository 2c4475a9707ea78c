package e2e

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// mistake is one kind of bad configuration, of testdata/mistakes.yaml.
type mistake struct {
	Set  string // the path of a field
	To   any
	Says string
}

// TestMistakes: Envoy refuses each kind of bad configuration, says where the mistake is, and serves the listener that
// has none.
func TestMistakes(t *testing.T) {
	t.Parallel()
	a := app.Start(t)
	config := envoytest.Shipped(t, envoytest.Wasm(t), a.Port)
	says := map[string]string{} // by the name of a listener
	refused := func(said string) *envoytest.Listener {
		name := fmt.Sprintf("mistake-%02d", len(says))
		says[name] = said
		return config.AddListener(name)
	}
	var mistakes []mistake
	testdata(t, "mistakes.yaml", &mistakes)
	for _, m := range mistakes {
		var path []any
		for step := range strings.SplitSeq(m.Set, ".") {
			if i, err := strconv.Atoi(step); err == nil {
				path = append(path, i)
			} else {
				path = append(path, step)
			}
		}
		last := len(path) - 1
		refused(m.Says).Change(func(s object) { envoytest.At[object](s, path[:last]...)[path[last].(string)] = m.To })
	}
	refused("not JSON: ").SetSettingsText(`{"endpoints": [`)
	refused("there is none; give the plug").SetSettingsText("")
	l, file := config.Listener("ingress"), filepath.Join(t.TempDir(), "listeners.json")
	envoytest.PublishListeners(t, file, envoytest.At[[]any](config.Bootstrap, "static_resources", "listeners")...)
	config.ListenersFrom(file)
	b := (&bench{app: a, envoy: envoytest.Start(t, config, 1)}).at(l)
	b.settle(t)
	refusal := map[string]bool{}
	for _, l := range envoytest.At[[]any](envoytest.Parse(b.envoy.Get("/config_dump?resource=dynamic_listeners")),
		"configs") {
		if l := l.(object); l["error_state"] != nil {
			refusal[envoytest.At[string](l, "error_state", "failed_configuration", "name")] = true
		}
	}
	if refusal["ingress"] || len(b.envoy.Log.Lines("wasm log healthgate ", "healthgate: config: ")) > 0 {
		t.Error("Envoy does not take the shipped configuration")
	}
	for name, said := range says {
		if !refusal[name] {
			t.Errorf("%s: Envoy accepted it", said)
		}
		if err := b.envoy.Log.Has("wasm log "+name+" ", "healthgate: config: "+said); err != nil {
			t.Error(err)
		}
	}
}

// TestRefusedStart: an Envoy with a bad configuration of its own ends before it serves anyone.
func TestRefusedStart(t *testing.T) {
	t.Parallel()
	config := envoytest.Shipped(t, envoytest.Wasm(t), 1)
	config.Listener("ingress").Change(func(s object) { s["endpoints"] = []any{} })
	output, accepted := envoytest.Validate(t, config)
	if accepted || !strings.Contains(output, "healthgate: config: endpoints: is required, with at least one endpoint") {
		t.Errorf("accepted: %v\n%s", accepted, output)
	}
}

// TestWarnings: what Envoy accepts and no request has is said, once and not by each VM, where an operator looks.
func TestWarnings(t *testing.T) {
	t.Parallel()
	config := envoytest.Shipped(t, envoytest.Wasm(t), 1)
	delete(envoytest.At[object](config.Bootstrap, "node"), "locality")
	config.Listener("ingress").Change(func(s object) {
		e := envoytest.At[object](s, "endpoints", 0)
		e["paths"], e["methods"], e["hosts"] = []any{check, "/hc/*"}, []any{"GET", "get"}, []any{"shop.example", "::1"}
		e["headers"] = []any{object{"name": "keep-alive", "present_match": true}}
	})
	warnings := []string{
		`endpoints[0].paths[1]: "/hc/*" is no pattern`,
		`endpoints[0].methods[1]: "get" is no method`,
		`endpoints[0].hosts[1]: "::1" is no host`,
		`endpoints[0].headers[0]: "keep-alive" is taken away by Envoy`,
		`endpoints[0].maintenance.keys[1]: "healthgate.maintenance.zone.{zone}" is ignored: this Envoy's node has no zone`,
	}
	output, accepted := envoytest.Validate(t, config)
	if !accepted {
		t.Errorf("Envoy refused it:\n%s", output)
	}
	a := app.Start(t)
	b := start(t, a, config, 3)
	for _, w := range warnings {
		if n := strings.Count(output, "healthgate: config: "+w); n != 1 {
			t.Errorf("envoy --mode validate says %d times: %s\n%s", n, w, output)
		}
		if lines := b.envoy.Log.Lines("healthgate: config: " + w); len(lines) != 1 {
			t.Errorf("Envoy says %d times: %s\n%s", len(lines), w, strings.Join(lines, "\n"))
		}
	}
	// Envoy takes this header away, as the warning has it, so it is nobody's check.
	if got := b.balancer.get(t, check, "Keep-Alive: timeout=5"); got.Status == 200 && got.Body == "OK" {
		t.Errorf("the header is seen: %v", got)
	}
}
