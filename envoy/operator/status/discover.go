package status

import (
	"encoding/json"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/healthgate/healthgate/envoy/operator/dump"
	"github.com/healthgate/healthgate/filter/config"
)

// plugin is a healthgate in Envoy's configuration.
type plugin struct {
	config   *config.Config
	listener map[string]any // the one it is in, nil when that is not known
	address  string         // of the listener, HOST:PORT; empty when it has none
	byRoute  string         // the filter's name, if it is disabled where routes do not enable it
}

// findPlugins finds every healthgate in the document of /config_dump. A Wasm filter is one when the plugin's reader takes
// its configuration.
func findPlugins(dump any, node config.Node) []plugin {
	var out []plugin
	var walk func(v any, listener map[string]any, byRoute string)
	walk = func(v any, listener map[string]any, byRoute string) {
		switch v := v.(type) {
		case []any:
			for _, child := range v {
				walk(child, listener, byRoute)
			}
		case map[string]any:
			if v["disabled"] == true {
				byRoute, _ = v["name"].(string)
			}
			if _, isListener := v["filter_chains"]; isListener {
				listener = v
			}
			if v["@type"] == "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm" {
				if c := parse(v, node); c != nil {
					out = append(out, plugin{c, listener, socketAddress(listener["address"]), byRoute})
				}
				return
			}
			for _, child := range v {
				walk(child, listener, byRoute)
			}
		}
	}
	walk(dump, nil, "")
	return out
}

func parse(wasm map[string]any, node config.Node) *config.Config {
	outer, _ := wasm["config"].(map[string]any)
	configuration, _ := outer["configuration"].(map[string]any)
	var text []byte
	switch value := configuration["value"].(type) {
	case string: // google.protobuf.StringValue, as Istio writes it
		text = []byte(value)
	case map[string]any: // google.protobuf.Struct
		var err error
		if text, err = json.Marshal(value); err != nil {
			return nil
		}
	}
	c, err := config.Parse(text, node)
	if err != nil {
		return nil
	}
	return c
}

func socketAddress(v any) string {
	outer, _ := v.(map[string]any)
	socket, _ := outer["socket_address"].(map[string]any)
	host, _ := socket["address"].(string)
	port, _ := socket["port_value"].(float64)
	if host == "" || port == 0 {
		return ""
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// statusURL returns where the status endpoint is asked, and the Host header it wants. adminHost is where Envoy's admin was
// reached: a listener on all addresses is reached there, too.
func (p *plugin) statusURL(adminHost string) (url, host string) {
	if p.address == "" {
		return "", ""
	}
	to, port, err := net.SplitHostPort(p.address)
	if err != nil {
		return "", ""
	}
	if ip, err := netip.ParseAddr(to); err == nil && ip.IsUnspecified() && adminHost != "" {
		to = adminHost
	}
	for i := range p.config.Endpoints {
		e := &p.config.Endpoints[i]
		if e.Kind != config.KindStatus {
			continue
		}
		if len(e.Hosts) > 0 {
			host = e.Hosts[0]
		}
		return "http://" + net.JoinHostPort(to, port) + e.Paths[0], host
	}
	return "", ""
}

// shut returns the paths of endpoints for which no route enables a plugin that is disabled elsewhere. It finds none where
// something else than a route for one path enables the plugin.
func (p *plugin) shut(envoy any) []string {
	if p.byRoute == "" {
		return nil
	}
	enabled, wide := map[string]bool{}, false
	dump.Each(envoy, func(v map[string]any) bool {
		enable, is := dump.At(v, "typed_per_filter_config", p.byRoute).(map[string]any)
		path, exact := dump.At(v, "match", "path").(string)
		switch {
		case !is || enable["disabled"] == true:
		case !exact:
			wide = true
		case dump.At(v, "match", "runtime_fraction") == nil:
			enabled[path] = true
		}
		return true
	})
	var out []string
	for _, e := range p.config.Endpoints {
		for _, path := range e.Paths {
			if !wide && !enabled[path] && !slices.Contains(out, path) {
				out = append(out, path)
			}
		}
	}
	return out
}

// routeSwitch is a route that puts the health checks of a path under maintenance while its runtime_fraction selects it.
type routeSwitch struct {
	key       string
	path      string
	otherwise float64 // without a runtime value
	scale     float64 // 100 when the key is a percentage
}

// findRoutes finds every maintenance route in the document of /config_dump.
func findRoutes(envoy any) []routeSwitch {
	var out []routeSwitch
	dump.Each(envoy, func(v map[string]any) bool {
		on, _ := dump.At(v, "metadata", "filter_metadata", "healthgate", "maintenance").(bool)
		key, _ := dump.At(v, "match", "runtime_fraction", "runtime_key").(string)
		path, _ := dump.At(v, "match", "path").(string)
		if on && key != "" && path != "" {
			numerator, _ := dump.At(v, "match", "runtime_fraction", "default_value", "numerator").(float64)
			scale := map[any]float64{"TEN_THOUSAND": 1e4, "MILLION": 1e6}[dump.At(v, "match", "runtime_fraction", "default_value", "denominator")]
			out = append(out, routeSwitch{key, path, numerator, max(scale, 100)})
			return false
		}
		return true
	})
	return out
}
