package merge

import (
	"slices"
	"strings"

	"github.com/healthgate/healthgate/envoy/internal/document"
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
			keys := map[string]bool{}
			flatten(static, "", keys)
			if key := m.switches(keys); key != "" && first < i {
				say := m.warn // it is not for a merge to change
				if m.judging {
					say = m.changed
				}
				say(l, l.n, "the layer %q has %s, and comes after %q: who sets the key there does not change it; "+
					"let the layer come first, or take the key out of it", l.text("name"), key, names[first])
			}
			for key := range keys {
				known[key] = static
			}
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
	added := map[int][]*yaml.Node{}
	add := func(at int, name string, keys *yaml.Node, folder string) {
		if slices.Contains(names, name) {
			name = "healthgate_" + name
		}
		added[at] = append(added[at], m.bootstrap.spelt(render.Layer(name, keys, folder)))
	}
	switch missing, layer := m.missingKeys(known); {
	case len(missing.Content) == 0:
	case layer.is():
		layer.objects[layer.n] = append(layer.objects[layer.n], missing.Content...)
	default:
		add(first, "defaults", missing, "")
	}
	if !disk {
		add(last, "disk", nil, m.RuntimeDir)
	}
	if last == len(there) && m.adminAddress != nil {
		m.changed(m.root(), m.root().get("layered_runtime").n,
			"layered_runtime has no layer of admin, so nobody can set keys there")
		add(last, "admin", nil, "")
	}
	if len(there) == 0 {
		m.addTo("layered_runtime", mapping("layers", listOf(added[0]...)))
		return
	}
	for i, layers := range added {
		m.bootstrap.insert(m.root().get("layered_runtime", "layers").n, i, layers...)
	}
}

// switches returns one of keys that switches maintenance; "" when none does.
func (m *merger) switches(keys map[string]bool) string {
	for key := range document.Fields(m.pieces.Defaults) {
		if keys[key.Value] {
			return key.Value
		}
	}
	return ""
}

// missingKeys returns the keys that no static layer has, and the layer that has others of them.
func (m *merger) missingKeys(known map[string]cursor) (missing *yaml.Node, layer cursor) {
	missing = mapping()
	for key, off := range document.Fields(m.pieces.Defaults) {
		if at, is := known[key.Value]; is {
			layer = at
		} else {
			missing.Content = append(missing.Content, key, off)
		}
	}
	return missing, layer
}

// flatten notes the keys of a static layer: a.b may be written a: {b: }.
func flatten(c cursor, prefix string, keys map[string]bool) {
	for name, value := range document.Fields(c.n) {
		keys[prefix+name.Value] = true
		flatten(c.follow(value), prefix+name.Value+".", keys)
	}
}

// passes reports whether one of a list's patterns takes all that begins so.
func passes(patterns []cursor, prefix string) bool {
	return slices.ContainsFunc(patterns, func(p cursor) bool {
		begin := p.text("prefix")
		return begin != "" && strings.HasPrefix(prefix, begin)
	})
}
