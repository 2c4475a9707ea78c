package envoytest

import "strconv"

// Listener is one listener of a Config.
type Listener struct{ Object Object }

// Address returns where the listener listens, "127.0.0.1:10000".
func (l *Listener) Address() string {
	return Loopback(int(At[float64](l.Object, "address", "socket_address", "port_value")))
}

// HCM returns the listener's HTTP connection manager.
func (l *Listener) HCM() Object {
	return At[Object](l.Object, "filter_chains", 0, "filters", 0, "typed_config")
}

// Filters returns the listener's HTTP filters.
func (l *Listener) Filters() []any { return At[[]any](l.HCM(), "http_filters") }

// Routes returns the routes of the listener's one virtual host.
func (l *Listener) Routes() []any {
	return At[[]any](l.HCM(), "route_config", "virtual_hosts", 0, "routes")
}

// SetRoutes replaces the routes of the listener's one virtual host.
func (l *Listener) SetRoutes(routes []any) {
	At[Object](l.HCM(), "route_config", "virtual_hosts", 0)["routes"] = routes
}

// wasm finds the Wasm filter's typed_config, wherever the gate puts it.
func wasm(node any) Object {
	switch node := node.(type) {
	case []any:
		for _, child := range node {
			if found := wasm(child); found != nil {
				return found
			}
		}
	case Object:
		if node["@type"] == "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm" {
			return node
		}
		for _, child := range node {
			if found := wasm(child); found != nil {
				return found
			}
		}
	}
	return nil
}

// Wasm returns the Wasm filter's configuration.
func (l *Listener) Wasm() Object {
	found := wasm(l.HCM())
	if found == nil {
		panic("configuration: no Wasm filter")
	}
	return found
}

// Plugin returns Envoy's configuration of the plugin.
func (l *Listener) Plugin() Object { return At[Object](l.Wasm(), "config") }

// Settings returns a copy of healthgate's own configuration.
func (l *Listener) Settings() Object {
	return Clone(At[Object](l.Plugin(), "configuration", "value"))
}

// SetSettings replaces healthgate's own configuration.
func (l *Listener) SetSettings(settings Object) {
	l.Plugin()["configuration"] = Any("google.protobuf.Struct", Object{"value": settings})
}

// SetSettingsText replaces healthgate's own configuration by a text, which may be wrong.
func (l *Listener) SetSettingsText(text string) {
	l.Plugin()["configuration"] = Any("google.protobuf.StringValue", Object{"value": text})
}

// Change edits healthgate's own configuration.
func (l *Listener) Change(edit func(settings Object)) {
	settings := l.Settings()
	edit(settings)
	l.SetSettings(settings)
}

// Loopback returns "127.0.0.1:port".
func Loopback(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }
