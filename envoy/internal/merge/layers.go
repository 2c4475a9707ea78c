package merge

import (
	"maps"
	"slices"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/render"
	"go.yaml.in/yaml/v3"
)

// layers adds the runtime layers: those of an operator come first, admin's comes last.
func (m *merger) layers() {
	there := m.root().list("layered_runtime", "layers")
	first := len(there) // of those that may say something of the keys
	last := len(there)  // admin's
	disk := m.RuntimeDir == ""
	known := map[string]cursor{}
	var names []string
	for i, l := range there {
		names = append(names, l.text("name"))
		if static := l.get("static_layer"); static.is() {
			keys := map[string]cursor{}
			flatten(static, "", keys)
			if key := m.switches(keys); key != "" && first < i {
				say := m.warn // it is not for a merge to change
				if m.judging {
					say = m.changed
				}
				say(l, l.n, "the layer %q has %s, and comes after %q: who sets the key there does not change it; "+
					"let the layer come first, or take the key out of it", l.text("name"), key, names[first])
			}
			maps.Copy(known, keys)
		} else {
			first = min(first, i)
		}
		if l.get("admin_layer").n != nil {
			last = min(last, i)
		}
		if folder := l.text("disk_layer", "symlink_root"); folder != "" {
			if same, err := render.RuntimeDir(folder); err == nil && same == m.RuntimeDir || m.judging {
				disk = true
				continue
			}
			below := ""
			if sub := l.text("disk_layer", "subdirectory"); sub != "" {
				below = ", in its subdirectory " + sub
			}
			m.note(l, l.n, "the disk layer %q may hold maintenance keys, too: %s%s", l.text("name"), folder, below)
		}
	}
	named := func(name string) string {
		if slices.Contains(names, name) {
			return "healthgate_" + name
		}
		return name
	}
	add := map[int][]*yaml.Node{}
	if missing, layer := m.missingKeys(known); layer.is() {
		for i := 0; i < len(missing.Content); i += 2 {
			layer.objects[layer.n] = append(layer.objects[layer.n], missing.Content[i], missing.Content[i+1])
		}
	} else if len(missing.Content) > 0 {
		add[first] = append(add[first], render.Layer(named("defaults"), missing, ""))
	}
	if !disk {
		add[last] = append(add[last], render.Layer(named("disk"), nil, m.RuntimeDir))
	}
	if last == len(there) && m.adminAddress != nil {
		m.changed(m.root(), m.root().get("layered_runtime").n,
			"layered_runtime has no layer of admin, so nobody can set keys there")
		add[last] = append(add[last], render.Layer(named("admin"), nil, ""))
	}
	list := m.root().get("layered_runtime", "layers")
	if !list.is() || len(there) == 0 {
		var all []*yaml.Node
		for _, layer := range add[0] {
			all = append(all, m.bootstrap.spelt(layer))
		}
		m.addTo("layered_runtime", addition{"layers", all})
		return
	}
	for i, layers := range add {
		for _, layer := range layers {
			m.bootstrap.insert(list.n, i, m.bootstrap.spelt(layer))
		}
	}
}

// switches returns one of keys that switches maintenance; "" when none does.
func (m *merger) switches(keys map[string]cursor) string {
	if m.pieces.Defaults == nil {
		return ""
	}
	for i := 0; i < len(m.pieces.Defaults.Content); i += 2 {
		if key := m.pieces.Defaults.Content[i].Value; keys[key].is() {
			return key
		}
	}
	return ""
}

// missingKeys returns the keys that no static layer has, and the layer that has others of them.
func (m *merger) missingKeys(known map[string]cursor) (missing *yaml.Node, layer cursor) {
	missing = &yaml.Node{Kind: yaml.MappingNode}
	if m.pieces.Defaults == nil {
		return missing, layer
	}
	for i := 0; i < len(m.pieces.Defaults.Content); i += 2 {
		key := m.pieces.Defaults.Content[i]
		if at, is := known[key.Value]; is {
			layer = at
		} else {
			missing.Content = append(missing.Content, key, m.pieces.Defaults.Content[i+1])
		}
	}
	if len(missing.Content) == 0 {
		layer = cursor{}
	}
	return missing, layer
}

// flatten notes the keys of a static layer, and the object that each stands in: a.b may be written a: {b: }.
func flatten(c cursor, prefix string, keys map[string]cursor) {
	if c.n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i < len(c.n.Content); i += 2 {
		key := prefix + c.n.Content[i].Value
		keys[key] = c
		flatten(c.follow(c.n.Content[i+1]), key+".", keys)
	}
}

// passes reports whether one of a list's patterns takes all that begins so.
func passes(patterns []cursor, prefix string) bool {
	return slices.ContainsFunc(patterns, func(p cursor) bool {
		begin := p.text("prefix")
		return begin != "" && strings.HasPrefix(prefix, begin)
	})
}
