package conformance

import (
	"regexp"
	"strings"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/hostsim"
)

// further is a plugin of a case behind the first: one of the same filter chain, or a service.
type further struct {
	kind                 string // "plugin", "service" or "singleton"
	name, vmID, vmConfig string
	policy               policy
	env                  [][2]string
	config               string
}

// separator is between the names of the case and of a further plugin, which no case has in its own.
const separator = "__"

var updateLine = regexp.MustCompile(`(?m)^update$\n?`)

var furtherLine = regexp.MustCompile(`(?m)^(plugin|service|singleton) (\S+)(.*)\n?`)

// split cuts the updates and the further plugins off the case's configuration. They begin with the line "update" and
// with one such as "plugin NAME vm-id=ID policy=open".
func (c *Case) split() error {
	versions := updateLine.Split(c.Config, -1)
	c.Config = versions[0]
	for _, text := range versions[1:] {
		c.Updates = append(c.Updates, strings.TrimSpace(text))
	}
	heads := furtherLine.FindAllStringSubmatch(c.Config, -1)
	configs := furtherLine.Split(c.Config, -1)
	c.Config = strings.TrimSpace(configs[0])
	for i, head := range heads {
		f := &further{kind: head[1], name: c.slug() + separator + head[2], config: strings.TrimSpace(configs[i+1])}
		f.vmID = f.name
		for _, w := range strings.Fields(head[3]) {
			if err := set(w, map[string]any{"vm-id": &f.vmID, "vm-config": &f.vmConfig, "policy": &f.policy,
				"env": &f.env}); err != nil {
				return err
			}
		}
		c.Further = append(c.Further, f)
	}
	return nil
}

// option is the plugin on hostsim.
func (f *further) option(c *Case, wasm []byte) hostsim.Option {
	add := map[string]func([]byte, ...hostsim.PluginOption) hostsim.Option{
		"plugin": hostsim.Plugin, "service": hostsim.Service, "singleton": hostsim.SingletonService,
	}[f.kind]
	opts := []hostsim.PluginOption{hostsim.PluginName(f.name), hostsim.RootID(f.name), hostsim.VMID(c.named(f.vmID)),
		hostsim.VMConfig(f.vmConfig), policies[f.policy], hostsim.PluginConfig(c.named("trace\n" + f.config))}
	for _, e := range f.env {
		opts = append(opts, hostsim.Env(e[0], e[1]))
	}
	return add(wasm, opts...)
}

// object is the plugin on Envoy.
func (f *further) object(c *Case, wasm string) object {
	o := pluginObject(f.name, f.name, c.named(f.vmID), f.vmConfig, c.named("trace\n"+f.config), f.policy, false, wasm)
	env := object{}
	for _, e := range f.env {
		env[e[0]] = e[1]
	}
	o["vm_config"].(object)["environment_variables"] = object{"key_values": env}
	return o
}

func pluginObject(name, rootID, vmID, vmConfig, config string, p policy, allowStop bool, wasm string) object {
	vm := object{
		"vm_id": vmID, "runtime": "envoy.wasm.runtime.v8", "code": object{"local": object{"filename": wasm}},
	}
	if vmConfig != "" {
		vm["configuration"] = text(vmConfig)
	}
	return object{
		"name": name, "root_id": rootID, "failure_policy": "FAIL_" + strings.ToUpper(or(string(p), "closed")),
		"allow_on_headers_stop_iteration": allowStop, "configuration": text(config), "vm_config": vm,
	}
}

// services are the bootstrap extensions of the cases.
func services(runs []*run, wasm func(*Case) string) []any {
	all := []any{}
	for _, r := range runs {
		for _, f := range r.c.Further {
			if f.kind != "plugin" {
				all = append(all, object{"name": "envoy.bootstrap.wasm", "typed_config": envoytest.Any(
					"envoy.extensions.wasm.v3.WasmService",
					object{"config": f.object(r.c, wasm(r.c)), "singleton": f.kind == "singleton"})})
			}
		}
	}
	return all
}

// filters are the case's plugins in the filter chain after a number of updates, and the router.
func filters(c *Case, updates int, wasm string) []any {
	slug := c.slug()
	all := []any{filter(slug, "wasm.v3.Wasm", object{"config": pluginObject(slug, c.rootID(), c.vmID(), c.VMConfig,
		c.config(updates), c.Policy, c.AllowStop, wasm)})}
	for _, f := range c.Further {
		if f.kind == "plugin" {
			all = append(all, filter(f.name, "wasm.v3.Wasm", object{"config": f.object(c, wasm)}))
		}
	}
	return append(all, filter("router", "router.v3.Router", nil))
}

// from puts the name of a further plugin in front of what it logged.
func from(plugin, message string) (slug, labelled string) {
	slug, name, isFurther := strings.Cut(plugin, separator)
	if isFurther {
		message = name + ": " + message
	}
	return slug, message
}

// routes are those of a case with several.
func (c *Case) routes() []hostsim.Route {
	metadata := map[string]map[string]any{"hostsim": {"route": "path"}}
	return []hostsim.Route{
		{Name: "header", Prefix: "/", Header: hostsim.Header{{"x-to", "backend"}}, Cluster: c.backend()},
		{Name: "path", Prefix: "/fields", Cluster: c.backend(), Metadata: metadata},
		{Name: "echo", Prefix: "/echo"},
	}
}

// routeConfig is the case's routes on Envoy.
func routeConfig(c *Case) []any {
	routes := []hostsim.Route{{Prefix: "/", Metadata: c.RouteMetadata}}
	if c.Routes {
		routes = c.routes()
	}
	all := []any{}
	for _, r := range routes {
		match := object{"prefix": r.Prefix}
		for _, f := range r.Header {
			match["headers"] = []any{object{"name": f[0], "string_match": object{"exact": f[1]}}}
		}
		all = append(all, object{
			"name": r.Name, "match": match, "metadata": object{"filter_metadata": r.Metadata},
			"route": object{"cluster": or(r.Cluster, or(c.App, "application-"+c.slug()))},
		})
	}
	return all
}
