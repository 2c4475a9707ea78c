package merge

import (
	"bytes"
	"cmp"
	"iter"
	"maps"
	"regexp"
	"slices"

	"github.com/healthgate/healthgate/envoy/internal/document"
	"github.com/healthgate/healthgate/envoy/internal/reach"
	"github.com/healthgate/healthgate/envoy/internal/render"
	"github.com/healthgate/healthgate/filter/config"
)

// Findings are what is wrong with healthgate in an Envoy's configuration.
type Findings struct {
	Wrong    []*document.Problem // missing, in the wrong order, or without effect
	Warnings []*document.Problem
	Notes    []*document.Problem
	// Documents are what was asked for: of the filters themselves, each with its listeners, unless another is given.
	Documents []*document.Document
}

// Lint says what is wrong. Without a document the configurations of the filters themselves are asked, and without names
// of listeners all.
func Lint(files []File, d *document.Document, listeners ...string) (*Findings, error) {
	e, err := read(files)
	if err != nil {
		return nil, err
	}
	m := &merger{envoy: e}
	if err := m.managers(); err != nil {
		return nil, err
	}
	m.shared()
	out := &Findings{}
	var asked []*Options // of each document
	add := func(d *document.Document) {
		out.Documents = append(out.Documents, d)
		asked = append(asked, &Options{judging: true, Common: render.Common{Wasm: "healthgate.wasm",
			RouteKey: "healthgate.route_maintenance", RouteKeys: map[string]string{}}})
	}
	if d != nil {
		add(d)
	}
	of := map[*manager]int{}
	for _, h := range m.all {
		own := d
		if own == nil {
			if own, err = h.asks(); err != nil {
				return nil, err
			}
		}
		if own == nil {
			continue
		}
		of[h] = slices.IndexFunc(out.Documents, func(other *document.Document) bool {
			return bytes.Equal(own.JSON(), other.JSON())
		})
		if of[h] < 0 {
			of[h] = len(asked)
			add(own)
		}
		o := asked[of[h]]
		o.Listeners = append(o.Listeners, m.name(h.listener))
	}
	switch {
	case len(asked) == 0:
		return nil, e.bootstrap.problem(nil, "has no healthgate; give healthgate.yaml, too, to see what is missing")
	case len(asked) == 1:
		asked[0].Listeners = listeners
	}
	for _, h := range m.all {
		if len(listeners) == 0 || slices.Contains(listeners, m.name(h.listener)) {
			h.inspect(m, asked[of[h]])
		}
	}
	out.Wrong = m.changes
	for i, o := range asked {
		merged, err := merge(out.Documents[i], files, *o)
		if err != nil {
			return nil, err
		}
		out.Wrong = append(out.Wrong, merged.Changes...)
		out.Warnings, out.Notes = append(out.Warnings, merged.Warnings...), append(out.Notes, merged.Notes...)
	}
	if len(out.Wrong) == len(m.changes) && len(listeners) == 0 { // else others stay as they are on purpose
		m.gaps(out)
	}
	out.Wrong, out.Warnings, out.Notes = sorted(out.Wrong), sorted(out.Warnings), sorted(out.Notes)
	return out, nil
}

// asks reads the configuration of the plugin, where there is one.
func (h *manager) asks() (*document.Document, error) {
	for _, f := range h.list("http_filters") {
		value := plugin(f).get("configuration", "value")
		if text := value.text(); text != "" { // google.protobuf.StringValue
			return document.Parse("the filter's configuration in "+f.Name, document.EscapeJSON([]byte(text)))
		}
		if value.is() {
			return document.Part(f.Name, value.n)
		}
	}
	return nil, nil
}

// users matches filters that look at users, or count them.
var users = regexp.MustCompile(`\.filters\.http\.(ext_authz|jwt_authn|rbac|basic_auth|api_key_auth|oauth2|ratelimit|` +
	`local_ratelimit|rate_limit_quota|admission_control|adaptive_concurrency|bandwidth_limit)\.`)

// inspect finds the plugin in a connection manager, takes from it what it was rendered with, and says what is wrong
// with its place and with what routes call filters.
func (h *manager) inspect(m *merger, o *Options) {
	names := map[string]bool{}
	first := ""
	for _, f := range h.list("http_filters") {
		name := f.text("name")
		names[name] = true
		config := plugin(f)
		if !config.is() {
			if first == "" && users.MatchString(f.text("typed_config", "@type")) {
				first = name
			}
			continue
		}
		if first != "" {
			m.changed(f, f.n,
				"%s: the filter stands behind %q, which looks at users or counts them: checks may not come through; "+
					"move it to the front", h.where, first)
		}
		if f.get("typed_config").isType(".wasm.v3.Wasm") {
			if f.text("disabled") != "true" {
				m.changed(f, f.n, "%s: the filter has no gate: all requests enter the VM", h.where)
			}
		} else {
			o.Gate = render.ByMatcher
		}
		o.Wasm = cmp.Or(config.text("vm_config", "code", "local", "filename"), o.Wasm)
	}
	configs, _ := m.routeConfigs(h)
	for _, routes := range configs {
		h.calls(m, o, routes, names)
	}
}

// calls says which filters the routes call that the connection manager does not have, and takes the keys of
// maintenance by route from them.
func (h *manager) calls(m *merger, o *Options, routes cursor, names map[string]bool) {
	for n := range each(routes.n) {
		c := cursor{source: routes.source, n: n}
		if key := c.text("match", "runtime_fraction", "runtime_key"); key != "" &&
			c.text("metadata", "filter_metadata", "healthgate", "maintenance") == "true" {
			path := c.text("match", "path")
			if other := o.RouteKeys[path]; other != "" && other != key {
				o.several = append(o.several, c.problem(n, "this route of maintenance for %s has the key %s, and another has %s: "+
					"--route-key KEY says which all are to have", path, key, other))
			}
			o.RouteKey, o.RouteKeys[path] = key, key
		}
		own := c.get("typed_per_filter_config")
		for name := range document.Fields(own.n) {
			if !names[name.Value] {
				names[name.Value] = true // said once
				m.changed(own, name, "%s has no filter %q, so this has no effect there", h.where, name.Value)
			}
		}
	}
}

// gaps adds the ways past the plugin, as for an Envoy that runs.
func (m *merger) gaps(out *Findings) {
	running := reach.Read(m.dump(), config.Node{}, nil)
	for _, what := range running.Faults() {
		out.Wrong = append(out.Wrong, m.bootstrap.problem(nil, "%s", what))
	}
	for _, g := range running.Gaps() {
		p := m.bootstrap.problem(nil, "endpoint %q: %s", g.Endpoint, g.What)
		if g.Doubt {
			out.Warnings = append(out.Warnings, p)
		} else {
			out.Wrong = append(out.Wrong, p)
		}
	}
}

// dump returns the files as /config_dump would.
func (m *merger) dump() any {
	list := func(field string, all iter.Seq[cursor]) (out []any) {
		for c := range all {
			out = append(out, map[string]any{field: asLists(plain(c.n))})
		}
		return out
	}
	part := func(kind string, fields map[string]any) any {
		fields["@type"] = "type.googleapis.com/envoy.admin.v3." + kind + "ConfigDump"
		return fields
	}
	return map[string]any{"configs": []any{
		part("Bootstrap", map[string]any{"bootstrap": plain(m.bootstrap.root)}),
		part("Clusters", map[string]any{"static_clusters": list("cluster", slices.Values(m.clusters))}),
		part("Listeners", map[string]any{"static_listeners": list("listener", slices.Values(m.listeners))}),
		part("Routes", map[string]any{"static_route_configs": list("route_config", maps.Values(m.routes))}),
	}}
}

// repeated are the fields in which one element may stand without a list.
var repeated = []string{"bootstrap_extensions", "resources", "listeners", "clusters", "layers", "stats_tags",
	"patterns", "filter_chains", "filters", "http_filters", "virtual_hosts", "domains", "routes"}

// asLists makes lists of elements that stand without one, as Envoy does.
func asLists(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = asLists(v[i])
		}
	case map[string]any:
		for name, value := range v {
			value = asLists(value)
			if _, is := value.([]any); !is && slices.Contains(repeated, name) {
				value = []any{value}
			}
			v[name] = value
		}
	}
	return v
}
