package envoytest

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/healthgate/healthgate/envoy/must"
	"go.yaml.in/yaml/v3"
)

// Config is an Envoy configuration, made from envoy/bootstrap.yaml, which operators copy.
type Config struct {
	Bootstrap Object
	AdminPort int
	Args      []string // more arguments of the command line
	// HotRestart says that Args name the Envoys that hand over to each other.
	HotRestart bool
	MayCrash   bool // the test crashes plugins on purpose
	t          testing.TB
}

// The ports of envoy/bootstrap.yaml.
const (
	shippedAdmin   = 9901
	shippedIngress = 10000
	shippedApp     = 7070
)

// CalloutTimeout is the timeout of probes and polls in the tests' configurations, in place of the shipped 500ms: on a
// loaded machine one that runs out would change the state of a probe that is well.
const CalloutTimeout = 5 * time.Second

// Shipped returns envoy/bootstrap.yaml with nothing changed but its ports, its paths, the timeouts of probes and polls,
// and how often it writes the access log. The disk layer is an empty one, and no one else's.
func Shipped(t testing.TB, wasm string, appPort int) *Config {
	t.Helper()
	text := must.Get(os.ReadFile(filepath.Join(Root, "envoy", "bootstrap.yaml")))(t)
	c := &Config{AdminPort: must.Port(t), t: t, MayCrash: wasm == faultyPath()}
	if err := yaml.Unmarshal(text, &c.Bootstrap); err != nil {
		t.Fatalf("envoy/bootstrap.yaml: %v", err)
	}
	c.Bootstrap = Clone(c.Bootstrap) // the types of JSON instead of YAML's, and no part shared through an anchor
	ports := map[int]int{shippedAdmin: c.AdminPort, shippedIngress: must.Port(t), shippedApp: appPort}
	seen := map[int]bool{}
	movePorts(t, c.Bootstrap, ports, seen)
	if len(seen) != len(ports) {
		t.Fatalf("envoy/bootstrap.yaml has the ports %v, the tests know %v", seen, ports)
	}
	c.Listener("ingress").Plugin()["vm_config"].(Object)["code"] = Object{"local": Object{"filename": wasm}}
	c.Listener("ingress").Change(patient)
	c.SetDisk(t.TempDir())
	return c
}

// patient gives probes and polls a timeout of CalloutTimeout.
func patient(settings Object) {
	At[Object](settings, "admin")["timeout"] = CalloutTimeout.String()
	for _, probe := range At[[]any](settings, "probes") {
		probe.(Object)["timeout"] = CalloutTimeout.String()
	}
}

// FromYAML returns a configuration that is used as it stands. Its admin listens on a port of 127.0.0.1.
func FromYAML(t testing.TB, text string, adminPort int) *Config {
	t.Helper()
	c := &Config{AdminPort: adminPort, t: t}
	must.Do(t, yaml.Unmarshal([]byte(text), &c.Bootstrap))
	c.Bootstrap = Clone(c.Bootstrap)
	return c
}

// movePorts replaces every port, and refuses one it does not know: it would be a fixed one.
func movePorts(t testing.TB, node any, ports map[int]int, seen map[int]bool) {
	switch node := node.(type) {
	case []any:
		for _, child := range node {
			movePorts(t, child, ports, seen)
		}
	case Object:
		for name, child := range node {
			if port, is := child.(float64); is && name == "port_value" {
				moved, known := ports[int(port)]
				if !known {
					t.Fatalf("envoy/bootstrap.yaml: unknown port %v", port)
				}
				seen[int(port)] = true
				node[name] = float64(moved)
				continue
			}
			movePorts(t, child, ports, seen)
		}
	}
}

// Listener returns a listener by its name.
func (c *Config) Listener(name string) *Listener {
	c.t.Helper()
	for _, l := range At[[]any](c.Bootstrap, "static_resources", "listeners") {
		if l := l.(Object); l["name"] == name {
			return &Listener{l}
		}
	}
	c.t.Fatalf("no listener %q", name)
	return nil
}

// AddListener adds a copy of the listener that envoy/bootstrap.yaml has, with a port and a name of its own. The
// plugin has the same name, and so has its root_id, with which Envoy marks the lines that a plugin logs.
func (c *Config) AddListener(name string) *Listener {
	c.t.Helper()
	l := &Listener{Clone(c.Listener("ingress").Object)}
	l.Object["name"] = name
	At[Object](l.Object, "address", "socket_address")["port_value"] = float64(must.Port(c.t))
	l.HCM()["stat_prefix"] = name
	l.Plugin()["name"], l.Plugin()["root_id"] = name, name
	resources := At[Object](c.Bootstrap, "static_resources")
	resources["listeners"] = append(resources["listeners"].([]any), l.Object)
	return l
}

// AddCluster adds a cluster with one host on a loopback port.
func (c *Config) AddCluster(name string, port int) {
	resources := At[Object](c.Bootstrap, "static_resources")
	resources["clusters"] = append(resources["clusters"].([]any), Object{
		"name":            name,
		"connect_timeout": "1s",
		"load_assignment": Object{"cluster_name": name, "endpoints": []any{Object{"lb_endpoints": []any{Object{
			"endpoint": Object{"address": Object{"socket_address": Object{"address": "127.0.0.1", "port_value": port}}},
		}}}}},
	})
}

// Disk returns the symlink_root of the disk layer.
func (c *Config) Disk() string {
	for _, layer := range At[[]any](c.Bootstrap, "layered_runtime", "layers") {
		if disk, is := layer.(Object)["disk_layer"]; is {
			return At[string](disk, "symlink_root")
		}
	}
	c.t.Fatal("no disk layer")
	return ""
}

// SetDisk moves the disk layer into a folder.
func (c *Config) SetDisk(folder string) {
	for _, layer := range At[[]any](c.Bootstrap, "layered_runtime", "layers") {
		if disk, is := layer.(Object)["disk_layer"]; is {
			disk.(Object)["symlink_root"] = filepath.Join(folder, "current")
		}
	}
}
