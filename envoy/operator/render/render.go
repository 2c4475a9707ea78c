// Package render writes, from one healthgate.yaml, what an operator gives to Envoy or to Istio: the filter with its
// gate, the maintenance routes, the way to admin, the runtime layers and the labels of metrics.
package render

import (
	"bytes"
	"embed"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/healthgate/healthgate/envoy/operator/document"
	"github.com/healthgate/healthgate/filter/config"
)

//go:embed templates/*.tmpl
var files embed.FS

var templates = func() *template.Template {
	t := template.New("")
	t.Funcs(template.FuncMap{
		"yaml":    document.Quote,
		"indent":  func(n int, text string) string { return indent(strings.Repeat(" ", n), text) },
		"item":    item,
		"comment": func(text string) string { return indent("# ", text) },
		"include": func(name string, data any) (string, error) { return execute(t, name, data) },
	})
	return template.Must(t.ParseFS(files, "templates/*.tmpl"))
}()

func execute(t *template.Template, name string, data any) (string, error) {
	var out bytes.Buffer
	err := t.ExecuteTemplate(&out, name, data)
	return strings.Trim(out.String(), "\n"), err
}

// indent puts the prefix before each line. An empty line stays without blanks.
func indent(prefix, text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, line := range lines {
		if lines[i] = prefix + line; strings.TrimSpace(line) == "" {
			lines[i] = strings.TrimRight(prefix, " ")
		}
	}
	return strings.Join(lines, "\n")
}

// item makes a YAML mapping an element of a list. Comments above it stay above it.
func item(n int, text string) string {
	lines := strings.Split(text, "\n")
	margin, first := strings.Repeat(" ", n), true
	for i, line := range lines {
		switch {
		case first && strings.HasPrefix(line, "#"):
			lines[i] = margin + line
		case first:
			lines[i], first = margin+"- "+line, false
		default:
			lines[i] = indent(margin+"  ", line)
		}
	}
	return strings.Join(lines, "\n")
}

// Common are the options of every form.
type Common struct {
	Command    string // how it was rendered, for the file's head
	Wasm       string // the plugin: a path, or a URL where the form takes one
	WasmSHA256 string // of what a URL brings, 64 hexadecimal digits
	RuntimeDir string // symlink_root of the disk runtime layer; empty: no such layer
	// RouteKey is the runtime key of maintenance by route, a percentage. {endpoint} stands for an endpoint's name.
	RouteKey string
}

// OptionError is a mistake in an option, told by the name of its flag.
type OptionError struct{ Flag, What string }

func (e *OptionError) Error() string { return "--" + e.Flag + ": " + e.What }

// entry is a key with its value.
type entry struct{ Key, Value string }

// filter is what disabled.tmpl and matcher.tmpl take.
type filter struct {
	Paths  []string // for a matcher
	Code   string   // Envoy's AsyncDataSource, as YAML
	Config string   // the plugin's configuration, as YAML
}

// route is what route.tmpl takes.
type route struct {
	Name, Path string
	Key        string // of a maintenance route
	Enables    bool   // the filter, which is disabled elsewhere
	Action     string // Envoy's RouteAction, as YAML
}

// paths returns every path of an endpoint, each once.
func paths(c *config.Config) []string {
	var out []string
	for _, e := range c.Endpoints {
		for _, p := range e.Paths {
			if !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out
}

// peers returns the filter state keys from which endpoints read the peer.
func peers(c *config.Config) []string {
	var out []string
	for _, e := range c.Endpoints {
		if key := e.Trusted.FilterState; key != "" && !slices.Contains(out, key) {
			out = append(out, key)
		}
	}
	return out
}

// gateRoutes returns a route for each path of an endpoint, each once.
func gateRoutes(c *config.Config, action string) []route {
	var out []route
	for _, e := range c.Endpoints {
		for i, path := range e.Paths {
			if !slices.ContainsFunc(out, func(r route) bool { return r.Path == path }) {
				out = append(out, route{Name: routeName("healthgate", e.Name, i), Path: path, Enables: true, Action: action})
			}
		}
	}
	return out
}

// routeName returns the name of the route for an endpoint's path of this index.
func routeName(kind, endpoint string, i int) string {
	if i == 0 {
		return kind + "-" + endpoint
	}
	return kind + "-" + endpoint + "-" + strconv.Itoa(i+1)
}

// routes returns a maintenance route for each path of an endpoint that asks for one.
func routes(d *document.Document, key, action string) ([]route, error) {
	var out []route
	for _, e := range d.Config.Endpoints {
		if !e.Maintenance.RouteMetadata {
			continue
		}
		for i, path := range e.Paths {
			r := route{
				Name: routeName("maintenance", e.Name, i), Path: path, Action: action,
				Key: strings.ReplaceAll(key, "{endpoint}", e.Name),
			}
			if slices.Contains(d.Config.Keys, r.Key) {
				return nil, &OptionError{"route-key", fmt.Sprintf("%q is one of the maintenance keys of %s, too. "+
					"A route's key is a percentage and theirs a truth value, so choose another", r.Key, d.File)}
			}
			out = append(out, r)
		}
	}
	return out, nil
}

// keys returns the runtime keys that an operator may set, with what switches them on. Those with placeholders are left
// out: their names are known on each Envoy only.
func keys(c *config.Config, routes []route) []entry {
	var out []entry
	for _, key := range c.Keys {
		if !strings.Contains(key, "{") {
			out = append(out, entry{key, "true"})
		}
	}
	for _, r := range routes {
		if e := (entry{r.Key, "100"}); !slices.Contains(out, e) {
			out = append(out, e)
		}
	}
	return out
}

// cluster is a cluster with one address, or with the hosts that a control plane knows for Service.
type cluster struct {
	Comment, Name, Type, Address string
	Service, SNI                 string // of Istio's
	HTTP2                        bool
}

// ownPrefix begins the names of clusters that are made for probes alone.
const ownPrefix = "healthgate_"

// ownClusters returns the document with probes that go through clusters of their own in the place of those that carry
// requests, and the names of these. As requests of the application, failed probes would eject it by outlier detection,
// and its circuit breaker, full of requests, would fail them.
func ownClusters(d *document.Document, carries func(cluster string) bool) (*document.Document, []string, error) {
	var busy []string
	values := map[string]string{}
	for i, p := range d.Config.Probes {
		if !carries(p.Cluster) {
			continue
		}
		values[fmt.Sprintf("probes[%d].cluster", i)] = ownPrefix + p.Cluster
		if !slices.Contains(busy, p.Cluster) {
			busy = append(busy, p.Cluster)
		}
	}
	d, err := d.With(values)
	return d, busy, err
}

// own returns the cluster that probes have in the place of this one.
func (c cluster) own() cluster {
	c.Comment = "The application, for the probes alone, which are none of its traffic: no outlier detection ejects it for them, and\n" +
		"no circuit breaker that is full of requests fails them."
	c.Name = ownPrefix + c.Name
	return c
}

// parseCluster reads NAME=HOST:PORT or NAME=unix:///PATH.
func parseCluster(s string) (cluster, error) {
	name, address, ok := strings.Cut(s, "=")
	if !ok || name == "" {
		return cluster{}, &OptionError{"cluster", fmt.Sprintf("%q is not NAME=HOST:PORT", s)}
	}
	return newCluster("cluster", name, address)
}

func newCluster(flag, name, address string) (cluster, error) {
	yaml, static, err := Address(address)
	if err != nil {
		return cluster{}, &OptionError{flag, err.Error()}
	}
	c := cluster{Name: name, Address: yaml}
	if !static {
		c.Type = "STRICT_DNS"
	}
	return c, nil
}

// Address returns Envoy's Address for HOST:PORT or unix:///PATH, as YAML. static is false when the host is a name.
func Address(s string) (yaml string, static bool, err error) {
	if path, is := strings.CutPrefix(s, "unix://"); is {
		if !strings.HasPrefix(path, "/") {
			return "", false, fmt.Errorf("%q: a Unix socket is written unix:///PATH", s)
		}
		return "{pipe: {path: " + document.Quote(path) + "}}", true, nil
	}
	i := strings.LastIndexByte(s, ':')
	port, portErr := strconv.ParseUint(s[i+1:], 10, 16)
	if i <= 0 || portErr != nil || port == 0 {
		return "", false, fmt.Errorf("%q is not HOST:PORT or unix:///PATH", s)
	}
	host := strings.TrimSuffix(strings.TrimPrefix(s[:i], "["), "]")
	ip, notIP := netip.ParseAddr(host)
	if notIP != nil && strings.ContainsAny(host, ":/@ ") {
		return "", false, fmt.Errorf("%q: %q is neither an IP address nor a host name", s, host)
	}
	if notIP == nil && !ip.Is4() {
		host = `"` + ip.String() + `"`
	}
	return fmt.Sprintf("{socket_address: {address: %s, port_value: %d}}", host, port), notIP == nil, nil
}
