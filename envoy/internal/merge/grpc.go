package merge

import (
	"slices"

	"github.com/healthgate/healthgate/envoy/internal/reach"
	"go.yaml.in/yaml/v3"
)

// isGRPC reports whether an HTTP filter is the one that frames answers to checks of gRPC.
func isGRPC(f cursor) bool { return f.text("name") == reach.GRPCFilter }

// answersGRPC sees to it that there is what answers checks of gRPC, besides filters and routes.
func (m *merger) answersGRPC() {
	g := m.pieces.GRPC
	if g == nil {
		return
	}
	m.made = append(m.made, m.lacks("clusters", g.Cluster)...)
	m.madeListeners = append(m.madeListeners, m.lacks("listeners", g.Listener)...)
	if !slices.ContainsFunc(m.root().list("bootstrap_extensions"), func(c cursor) bool {
		return c.get("typed_config").isType(".internal_listener.v3.InternalListener")
	}) {
		m.changed(m.root(), nil, "the bootstrap extension for internal listeners is missing")
		m.root().add("bootstrap_extensions", m.bootstrap.spelt(g.Extension))
	}
}

// lacks puts an element of static resources into the place of one of its name that is not like it, or returns it where
// there is none.
func (m *merger) lacks(list string, wanted *yaml.Node) []*yaml.Node {
	wanted = m.bootstrap.spelt(wanted)
	there := m.root().get("static_resources", list)
	name := find(wanted, "name").Value
	for i, c := range there.list() {
		if c.text("name") != name {
			continue
		}
		if !covers(plain(c.n), plain(wanted)) {
			m.changed(c, c.n, "%q is not what answers checks of gRPC", name)
			there.insert(there.n, i, wanted)
			there.remove(there.n, i)
		}
		return nil
	}
	return []*yaml.Node{wanted}
}

// covers reports whether something has all that is wanted. It may have more fields, such as an access log.
func covers(there, wanted any) bool {
	switch wanted := wanted.(type) {
	case map[string]any:
		has, is := there.(map[string]any)
		for name, value := range wanted {
			is = is && covers(has[name], value)
		}
		return is
	case []any:
		has, is := there.([]any)
		return is && slices.EqualFunc(has, wanted, covers)
	}
	return there == wanted
}
