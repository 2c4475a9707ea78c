package e2e

import (
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

// TestMistakes: Envoy refuses each kind of bad configuration before it serves anyone, and says where the mistake is.
//
// It does not run beside the other tests: each of these Envoys keeps a processor busy for seconds, and the others keep
// time.
func TestMistakes(t *testing.T) {
	var mistakes []mistake
	testdata(t, "mistakes.yaml", &mistakes)
	for _, m := range mistakes {
		t.Run(m.Says, func(t *testing.T) {
			t.Parallel()
			config := envoytest.Shipped(t, envoytest.Wasm(t), 1)
			var path []any
			for step := range strings.SplitSeq(m.Set, ".") {
				if i, err := strconv.Atoi(step); err == nil {
					path = append(path, i)
				} else {
					path = append(path, step)
				}
			}
			last := len(path) - 1
			config.Listener("ingress").Change(func(s object) {
				envoytest.At[object](s, path[:last]...)[path[last].(string)] = m.To
			})
			refuses(t, config, m.Says)
		})
	}
	for name, text := range map[string]string{
		"not JSON: ":                   `{"endpoints": [`,
		"there is none; give the plug": "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := envoytest.Shipped(t, envoytest.Wasm(t), 1)
			config.Listener("ingress").SetSettingsText(text)
			refuses(t, config, name)
		})
	}
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		output, accepted := envoytest.Validate(t, envoytest.Shipped(t, envoytest.Wasm(t), 1))
		if !accepted || strings.Contains(output, "healthgate: config: ") {
			t.Errorf("Envoy refused the shipped configuration:\n%s", output)
		}
	})
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
	if got := b.balancer.get(t, check, "Keep-Alive: timeout=5"); got.status == 200 && got.body == "OK" {
		t.Errorf("the header is seen: %v", got)
	}
}

func refuses(t *testing.T, config *envoytest.Config, said string) {
	t.Helper()
	output, accepted := envoytest.Validate(t, config)
	if accepted {
		t.Error("Envoy accepted it")
	}
	if !strings.Contains(output, "healthgate: config: "+said) {
		t.Errorf("Envoy did not say so:\n%s", output)
	}
}
