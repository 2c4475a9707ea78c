package docs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/healthgate/healthgate/envoy/must"
	"go.yaml.in/yaml/v3"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
)

// TestYAML lets each block of YAML be read by what it is for.
func TestYAML(t *testing.T) {
	t.Parallel()
	for _, name := range documents(t) {
		var of []block
		for _, b := range blocks(t, name) {
			if b.language == "yaml" {
				of = append(of, b)
			}
		}
		if len(of) == 0 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			envoy := parts{folder: t.TempDir()}
			must.Do(t, os.Mkdir(filepath.Join(envoy.folder, "runtime"), 0o755))
			for _, b := range of {
				if err := envoy.read(b.text); err != nil {
					t.Errorf("%s:%d: %v", name, b.line, err)
				}
			}
			if out, accepted := envoytest.Validate(t, envoy.config(t)); !accepted {
				t.Errorf("Envoy refuses its parts in %s:\n%s", name, out)
			}
		})
	}
}

// parts are what a document shows of an Envoy's configuration.
type parts struct {
	folder                   string
	layers, routes, clusters []any
}

// read reads a block by what stands in it.
func (p *parts) read(text string) error {
	var list []envoytest.Object
	if err := yaml.Unmarshal([]byte(text), &list); err == nil && len(list) > 0 {
		for _, part := range list {
			switch {
			case part["match"] != nil:
				p.routes = append(p.routes, part)
			case part["load_assignment"] != nil:
				p.clusters = append(p.clusters, part)
			default:
				p.layer(part)
			}
		}
		return nil
	}
	var top envoytest.Object
	if err := yaml.Unmarshal([]byte(text), &top); err != nil {
		return err
	}
	switch {
	case top == nil: // comments alone
		return nil
	case top["endpoints"] != nil:
		return p.valid(text)
	case top["maintenance"] != nil:
		return p.valid("endpoints:\n- {name: a, paths: [/a], trusted: {cidrs: [192.0.2.1/32]}, " +
			strings.TrimSpace(text) + "}\nadmin: {cluster: a}\n")
	case top["containers"] != nil:
		return pod(text)
	case top["resources"] != nil:
		return os.WriteFile(filepath.Join(p.folder, "rtds.yaml"), []byte(text), 0o600)
	case top["layered_runtime"] != nil:
		for _, layer := range envoytest.At[[]any](top, "layered_runtime", "layers") {
			p.layer(layer.(envoytest.Object))
		}
		return nil
	}
	return fmt.Errorf("nothing reads this:\n%s", text)
}

// layer takes a layer of runtime. Documents show several of a name, of which one is chosen.
func (p *parts) layer(layer envoytest.Object) {
	layer["name"] = fmt.Sprint("layer-", len(p.layers))
	p.layers = append(p.layers, layer)
}

// config is an Envoy with all the parts and nothing else.
func (p *parts) config(t testing.TB) *envoytest.Config {
	t.Helper()
	type object = envoytest.Object
	host := func(name string) object {
		const options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
		return object{"name": name, "typed_extension_protocol_options": object{
			options: envoytest.Any(options, object{"explicit_http_config": object{"http2_protocol_options": object{}}}),
		}}
	}
	hcm := envoytest.Any("envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", object{
		"stat_prefix":  "l",
		"route_config": object{"virtual_hosts": []any{object{"name": "v", "domains": []any{"*"}, "routes": p.routes}}},
		"http_filters": []any{object{
			"name":         "envoy.filters.http.router",
			"typed_config": envoytest.Any("envoy.extensions.filters.http.router.v3.Router", nil),
		}},
	})
	text, err := yaml.Marshal(object{
		"node":            object{"id": "n", "cluster": "c"},
		"layered_runtime": object{"layers": p.layers},
		"static_resources": object{
			"clusters": append(p.clusters, host("app"), host("rtds")),
			"listeners": []any{object{
				"name":    "l",
				"address": object{"socket_address": object{"address": "127.0.0.1", "port_value": 0}},
				"filter_chains": []any{object{"filters": []any{object{
					"name": "envoy.filters.network.http_connection_manager", "typed_config": hcm,
				}}}},
			}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	here := strings.NewReplacer("/var/lib/envoy", p.folder, "/etc/healthgate", p.folder)
	return envoytest.FromYAML(t, here.Replace(string(text)), 0)
}

// valid lets the command validate a healthgate.yaml.
func (p *parts) valid(text string) error {
	command, err := envoytest.Command()
	if err != nil {
		return err
	}
	file := filepath.Join(p.folder, "healthgate.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	if out, err := exec.Command(command, "validate", "--strict", file).CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// pod looks whether all that a pod's containers name is there: $(VARIABLES), volumes.
func pod(text string) error {
	var p struct {
		Containers []struct {
			Args         []string
			Env          []struct{ Name string }
			VolumeMounts []struct{ Name string } `yaml:"volumeMounts"`
		}
		Volumes []struct{ Name string }
	}
	if err := yaml.Unmarshal([]byte(text), &p); err != nil {
		return err
	}
	var out error
	for _, c := range p.Containers {
		for _, m := range regexp.MustCompile(`\$\((\w+)\)`).FindAllStringSubmatch(strings.Join(c.Args, " "), -1) {
			if !slices.ContainsFunc(c.Env, func(e struct{ Name string }) bool { return e.Name == m[1] }) {
				out = errors.Join(out, fmt.Errorf("no env gives %s", m[0]))
			}
		}
		for _, mount := range c.VolumeMounts {
			if !slices.Contains(p.Volumes, mount) {
				out = errors.Join(out, fmt.Errorf("no volume is %s", mount.Name))
			}
		}
	}
	return out
}
