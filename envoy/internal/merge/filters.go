package merge

import (
	"encoding/json"
	"reflect"
	"slices"

	"github.com/healthgate/healthgate/envoy/internal/dump"
	"github.com/healthgate/healthgate/filter/config"
	"go.yaml.in/yaml/v3"
)

// filterName is what the filter is called, and what routes call it.
const filterName = "healthgate"

// filter puts the filter before all others of a connection manager, once.
func (m *merger) filter(h *manager) error {
	list := h.get("http_filters")
	if !list.is() || len(list.n.Content) == 0 {
		return h.problem(h.n, "%s has no http_filters, not even a router, and Envoy refuses that", h.where)
	}
	if m.pieces.Peer != nil && !m.done[h.filters.n] {
		m.done[h.filters.n] = true
		m.put(h, h.filters, 0, m.pieces.Peer, "the filter that stores the peer", func(f cursor) bool {
			return f.text("name") == "healthgate.peer"
		})
	}
	if m.done[list.n] {
		return nil
	}
	m.done[list.n] = true
	for _, f := range h.list("http_filters") {
		if f.text("name") == filterName && !isPlugin(f) {
			return f.problem(f.n, "%s: this filter has healthgate's name, and no configuration of its that is read here: give "+
				"it a name of its own, or the configuration as a google.protobuf.Struct", h.where)
		}
	}
	m.put(h, list, 0, m.pieces.Filter, "the filter", isPlugin)
	if m.pieces.GRPC != nil { // behind the plugin, which says what it is to answer
		at := 1 + slices.IndexFunc(h.list("http_filters"), isPlugin)
		m.put(h, list, at, m.pieces.GRPC.Filter, "the filter that frames answers to checks of gRPC", isGRPC)
	}
	return nil
}

// different refuses filters that are there with several configurations: all but one would be lost.
func (m *merger) different() error {
	var first cursor
	for _, h := range m.all {
		for _, f := range h.list("http_filters") {
			switch {
			case !h.chosen || m.judging || !isPlugin(f):
			case !first.is():
				first = f
			case !sameSettings(f, first):
				return f.problem(f.n, "%s: healthgate has another configuration here than in %s:%d, and one of both would "+
					"be lost: merge into one listener alone, with --listener, or take one of them out",
					h.where, first.Name, first.n.Line)
			}
		}
	}
	return nil
}

// put puts a filter into a list before the element of an index, or into the place of the one that is there already, at
// the index or behind it. The same one stays where it is.
func (m *merger) put(h *manager, list cursor, at int, filter *yaml.Node, what string, is func(cursor) bool) {
	filter = list.spelt(filter)
	there := 0
	for i, n := range list.n.Content {
		if f := list.follow(n); is(f) {
			if i >= at {
				there++
			}
			if i >= at && there == 1 {
				if m.alike(f.n, filter) {
					continue
				}
				list.insert(list.n, i, filter)
				m.changed(f, f.n, "%s: %s is not what %s asks for", h.where, what, m.d.File)
				if isPlugin(f) && sameSettings(f, cursor{n: filter}) && !m.judging {
					m.note(f, f.n, "%s: %s is made anew, and what was changed in it besides its configuration is lost", h.where, what)
				}
			}
			list.remove(list.n, i) // another one, or the same again
		}
	}
	if there == 0 {
		m.changed(list, list.n, "%s: %s is missing", h.where, what)
		list.insert(list.n, at, filter)
	}
}

// alike reports whether two filters are the same, or, to judge, have the same gate and configuration.
func (m *merger) alike(a, b *yaml.Node) bool {
	if isGRPC(cursor{n: b}) {
		return covers(plain(a), plain(b))
	}
	if !m.judging {
		return reflect.DeepEqual(plain(a), plain(b))
	}
	there, wanted := cursor{n: a}, cursor{n: b}
	return there.text("typed_config", "@type") == wanted.text("typed_config", "@type") && sameSettings(there, wanted)
}

// plugin returns healthgate's PluginConfig in an HTTP filter, behind a gate or not: its configuration has endpoints.
func plugin(f cursor) cursor {
	for n := range each(f.n) {
		c := cursor{source: f.source, n: n}
		if endpoints := dump.List(settings(c.get("config")), "endpoints"); len(endpoints) > 0 &&
			c.isType(".filters.http.wasm.v3.Wasm") &&
			(dump.At(endpoints[0], "paths") != nil || dump.At(endpoints[0], "grpc") != nil) {
			return c.get("config")
		}
	}
	return cursor{}
}

func isPlugin(f cursor) bool { return plugin(f).is() }

// settings returns what a PluginConfig hands to its plugin.
func settings(config cursor) (v any) {
	value := config.get("configuration", "value")
	if !value.is() {
		return nil
	}
	v = plain(value.n)
	if text, is := v.(string); is { // google.protobuf.StringValue
		_ = json.Unmarshal([]byte(text), &v)
	}
	return v
}

// sameSettings reports whether two filters hand the same to the plugin, and both bodies or neither.
func sameSettings(a, b cursor) bool {
	const bodies = "allow_on_headers_stop_iteration"
	a, b = plugin(a), plugin(b)
	return reflect.DeepEqual(settings(a), settings(b)) && (a.text(bodies) == "true") == (b.text(bodies) == "true")
}

// unshare gives a connection manager that gets the filter lists of its own where it shares them, by an alias, with one
// that does not. It reports whether there was one: the others are found once the file is read again.
func (m *merger) unshare() bool {
	others := map[*yaml.Node]*yaml.Node{} // what stays as it is, and the alias that leads to it
	for _, h := range m.all {
		if !h.chosen {
			for _, c := range m.parts(h) {
				others[c.n] = c.alias
			}
		}
	}
	for _, h := range m.all {
		if !h.chosen {
			continue
		}
		for _, c := range m.parts(h) {
			alias, shared := others[c.n]
			if c.alias != nil {
				alias = c.alias
			}
			if shared && alias != nil {
				c.replace(alias, clone(alias))
				return true
			}
		}
	}
	return false
}

// parts returns what a merge may change of a connection manager.
func (m *merger) parts(h *manager) []cursor {
	out := []cursor{h.get("http_filters")}
	configs, _ := m.routeConfigs(h)
	for _, routes := range configs {
		out = append(out, routes.get("virtual_hosts"))
	}
	for _, host := range m.hosts(h) {
		out = append(out, host.get("routes"))
	}
	return slices.DeleteFunc(out, func(c cursor) bool { return !c.is() })
}

// wrapAll is wrap for all that something may be added to.
func (m *merger) wrapAll() bool {
	var lists []cursor
	for _, h := range m.all {
		if h.chosen {
			lists = append(lists, h.filters)
			lists = append(lists, m.parts(h)...)
		}
	}
	root := m.root()
	lists = append(lists, root.get("static_resources", "clusters"), root.get("static_resources", "listeners"),
		root.get("layered_runtime", "layers"), root.get("stats_config", "stats_tags"),
		root.get("stats_config", "stats_matcher", "inclusion_list", "patterns"))
	if slices.ContainsFunc(m.d.Config.Endpoints, func(e config.Endpoint) bool { return e.GRPC }) {
		lists = append(lists, root.get("bootstrap_extensions"))
	}
	return wrap(lists...)
}

// wrap makes a list of the first that stands without one, and reports whether any does.
func wrap(lists ...cursor) bool {
	for _, l := range lists {
		if l.is() && l.n.Kind == yaml.MappingNode {
			l.wrap(l.written())
			return true
		}
	}
	return false
}
