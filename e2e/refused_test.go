package e2e

import (
	"strings"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// mistake is one kind of bad configuration. It sets a field of the shipped one, and names what Envoy must print.
type mistake struct {
	path  []any  // where the object is
	field string // which field of it is set
	value string // JSON
	said  string // place: what
}

// endpoint and the others say where the objects of the configuration are.
var (
	top         = []any{}
	endpoint    = []any{"endpoints", 0}
	source      = []any{"endpoints", 0, "trusted"}
	maintenance = []any{"endpoints", 0, "maintenance"}
	healthy     = []any{"endpoints", 0, "healthy"}
	unhealthy   = []any{"endpoints", 0, "unhealthy"}
	policy      = []any{"endpoints", 0, "probes"}
	probe       = []any{"probes", 1}
	adminPart   = []any{"admin"}
)

var mistakes = []mistake{
	{top, "endpoint", `[]`, `endpoint: unknown field`},
	{top, "endpoints", `[]`, `endpoints: is required, with at least one endpoint`},
	{top, "admin", `null`, `endpoints[0].maintenance.keys: needs the admin section`},
	{endpoint, "name", `"my service"`, `endpoints[0].name: "my service" has characters other than`},
	{endpoint, "name", `"middleware"`, `endpoints[1].name: "middleware" is the name of another endpoint`},
	{endpoint, "paths", `["/a", "/b?c=d"]`, `endpoints[0].paths[1]: "/b?c=d" has a query`},
	{endpoint, "headers", `[{"name": "user-agent"}]`, `endpoints[0].headers[0]: needs exactly one of`},
	{source, "cidrs", `[]`, `endpoints[0].trusted: trusts no one`},
	{source, "cidrs", `["10.0.0.0/8", "10.0.0.0/33"]`, `endpoints[0].trusted.cidrs[1]: "10.0.0.0/33" is not a CIDR`},
	{source, "providers", `["aws"]`, `endpoints[0].trusted.providers[0]: "aws" is not one of`},
	{source, "peer", `"header"`, `endpoints[0].trusted.peer: "header" is not "connection", "forwarded" or`},
	{maintenance, "keys", `["a.{host}"]`, `endpoints[0].maintenance.keys[0]: "{host}" is not one of {node_id}`},
	{maintenance, "route_metadata", `"yes"`, `endpoints[0].maintenance.route_metadata: is a string, must be true or false`},
	{healthy, "status", `99`, `endpoints[0].healthy.status: 99 is not a whole number from 200 to 599`},
	{unhealthy, "status", `"node"`, `endpoints[0].unhealthy.status: "node" is neither a status nor "probe"`},
	{policy, "names", `["inbound", "unbound"]`, `endpoints[0].probes.names[1]: "unbound" is not the name of a probe`},
	{policy, "policy", `{"at_least": 4}`, `endpoints[0].probes.policy.at_least: 4 is not a whole number from 1 to 3`},
	{probe, "interval", `"1 second"`, `probes[1].interval: "1 second" is not a duration`},
	{probe, "timeout", `"1ms"`, `probes[1].timeout: "1ms" is not between 10ms and 1m0s`},
	{probe, "unhealthy_threshold", `0`, `probes[1].unhealthy_threshold: 0 is not a whole number`},
	{adminPart, "on_stale", `"ignore"`, `admin.on_stale: "ignore" is not one of keep, fail`},
}

// TestMistakes: Envoy refuses each kind of bad configuration before it serves anyone, and says where the mistake is.
//
// It does not run beside the other tests: each of these Envoys keeps a processor busy for seconds, and the others keep
// time.
func TestMistakes(t *testing.T) {
	for _, m := range mistakes {
		t.Run(m.said, func(t *testing.T) {
			t.Parallel()
			config := envoytest.Shipped(t, envoytest.Wasm(t), 1)
			config.Listener("ingress").Change(func(s envoytest.Object) {
				value := envoytest.Parse(`{"value": ` + m.value + `}`)["value"]
				envoytest.At[envoytest.Object](s, m.path...)[m.field] = value
			})
			refuses(t, config, m.said)
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
	delete(envoytest.At[envoytest.Object](config.Bootstrap, "node"), "locality")
	config.Listener("ingress").Change(func(s envoytest.Object) {
		e := envoytest.At[envoytest.Object](s, endpoint...)
		e["paths"], e["methods"], e["hosts"] = []any{check, "/hc/*"}, []any{"GET", "get"}, []any{"shop.example", "::1"}
		e["headers"] = []any{envoytest.Object{"name": "keep-alive", "present_match": true}}
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
