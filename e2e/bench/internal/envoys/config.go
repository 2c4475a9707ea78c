// Package envoys makes Envoys to measure: bootstraps built from the one that operators copy, as many listeners in one
// process as are to be compared, and the account of what the process uses.
package envoys

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy"
)

// Object is a JSON object of Envoy's configuration.
type Object = envoytest.Object

// Config is a bootstrap with envoy/bootstrap.yaml's node, runtime layers and clusters, and the listeners that are
// added to it. It writes no access log. Its ports are its own until Close.
type Config struct {
	Bootstrap Object
	AdminPort int

	dir      string
	ingress  Object   // the listener that envoy/bootstrap.yaml has
	releases []func() // of the ports
}

// New returns a bootstrap without listeners, for an application on a loopback port. Files go into dir.
func New(dir string, appPort int) (*Config, error) {
	c := &Config{dir: dir}
	var err error
	if c.AdminPort, err = c.reserve(); err != nil {
		return nil, err
	}
	text, err := envoy.Bootstrap(envoy.Options{
		AdminPort:   c.AdminPort,
		AppPort:     appPort,
		RuntimeRoot: filepath.Join(dir, "current"),
	})
	if err != nil {
		return nil, err
	}
	var document Object
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		return nil, fmt.Errorf("envoy/bootstrap.yaml: %w", err)
	}
	c.Bootstrap = envoytest.Clone(document) // the types of JSON instead of YAML's, and no part shared through an anchor
	resources := envoytest.At[Object](c.Bootstrap, "static_resources")
	c.ingress = envoytest.At[Object](resources, "listeners", 0)
	delete(manager(c.ingress), "access_log")
	resources["listeners"] = []any{}
	return c, nil
}

// manager returns a listener's HTTP connection manager.
func manager(listener Object) Object {
	return envoytest.At[Object](listener, "filter_chains", 0, "filters", 0, "typed_config")
}

// Listen adds a listener with these routes and HTTP filters, and the router behind them. It returns the listener's port.
func (c *Config) Listen(name string, routes []any, filters ...any) (int, error) {
	port, err := c.reserve()
	if err != nil {
		return 0, err
	}
	l := envoytest.Clone(c.ingress)
	l["name"] = name
	envoytest.At[Object](l, "address", "socket_address")["port_value"] = port
	hcm := manager(l)
	hcm["stat_prefix"] = name
	envoytest.At[Object](hcm, "route_config", "virtual_hosts", 0)["routes"] = routes
	shipped := envoytest.At[[]any](hcm, "http_filters")
	hcm["http_filters"] = append(append([]any{}, filters...), shipped[len(shipped)-1])
	resources := envoytest.At[Object](c.Bootstrap, "static_resources")
	resources["listeners"] = append(resources["listeners"].([]any), any(l))
	return port, nil
}

// shippedRoutes returns a copy of the routes of envoy/bootstrap.yaml.
func (c *Config) shippedRoutes() []any {
	return envoytest.At[[]any](envoytest.Clone(manager(c.ingress)), "route_config", "virtual_hosts", 0, "routes")
}

// enables is the field with which a route enables a filter that is disabled elsewhere.
const enables = "typed_per_filter_config"

// Routes returns the routes of envoy/bootstrap.yaml: the maintenance route first, then those of the gate, last the
// application's. They enable no filter, unless Gated makes them.
func (c *Config) Routes() []any {
	routes := c.shippedRoutes()
	for _, route := range routes {
		delete(route.(Object), enables)
	}
	return routes
}

// Settings returns healthgate's own configuration in envoy/bootstrap.yaml.
func (c *Config) Settings() Object {
	return envoytest.Clone(envoytest.At[Object](c.filter(), "typed_config", "config", "configuration", "value"))
}

// filter is the Wasm filter in envoy/bootstrap.yaml.
func (c *Config) filter() Object { return envoytest.At[Object](manager(c.ingress), "http_filters", 0) }

// Wasm returns the Wasm filter of envoy/bootstrap.yaml with another module and configuration, and without its gate, for
// Listen. Filters of one name share their VMs.
func (c *Config) Wasm(name, file string, settings Object) Object {
	filter := envoytest.Clone(envoytest.At[Object](c.filter(), "typed_config"))
	plugin := envoytest.At[Object](filter, "config")
	plugin["name"], plugin["root_id"] = name, name
	vm := envoytest.At[Object](plugin, "vm_config")
	vm["vm_id"] = name
	vm["code"] = Object{"local": Object{"filename": file}}
	envoytest.At[Object](plugin, "configuration")["value"] = settings
	return Object{"name": name, "typed_config": filter}
}

// Gated puts a filter behind the gate of envoy/bootstrap.yaml: it is disabled, and the routes for one path enable it.
func (c *Config) Gated(routes []any, filter Object) (enabling []any, disabled Object) {
	disabled = envoytest.Clone(filter)
	disabled["disabled"] = envoytest.At[bool](c.filter(), "disabled")
	enable := envoytest.At[Object](c.shippedRoutes(), 0, enables)[envoytest.At[string](c.filter(), "name")]
	for _, route := range routes {
		route := envoytest.Clone(route.(Object))
		if envoytest.At[Object](route, "match")["path"] != nil {
			route[enables] = Object{envoytest.At[string](filter, "name"): enable}
		}
		enabling = append(enabling, route)
	}
	return enabling, disabled
}

func (c *Config) write() (string, error) {
	text, err := json.MarshalIndent(c.Bootstrap, "", " ")
	if err != nil {
		return "", err
	}
	path := filepath.Join(c.dir, "bootstrap.json")
	return path, os.WriteFile(path, text, 0o600)
}
