package merge

import (
	"cmp"
	"maps"
	"slices"

	"github.com/healthgate/healthgate/envoy/internal/document"
	"github.com/healthgate/healthgate/envoy/internal/render"
)

// Keep sets the options that are not given to what is there: where the plugin is, the form of its gate, and the keys of
// maintenance by route, in the listeners that are chosen, or in all where none of these has the plugin yet. It refuses
// to choose between several.
func (o *Options) Keep(files []File, given func(flag string) bool) error {
	e, err := read(files)
	if err != nil {
		return err
	}
	m := &merger{Options: *o, envoy: e}
	if err := m.managers(); err != nil {
		return err
	}
	kept := Options{Common: render.Common{RouteKeys: map[string]string{}}}
	wanted := slices.DeleteFunc(slices.Clone(m.all), func(h *manager) bool { return !m.wants(h.listener) })
	if !slices.ContainsFunc(wanted, (*manager).hasPlugin) {
		wanted = m.all
	}
	for _, h := range wanted {
		own := Options{Common: render.Common{RouteKeys: kept.RouteKeys}}
		h.inspect(m, &own)
		for _, p := range own.several {
			if !given("route-key") {
				return p
			}
		}
		if !h.hasPlugin() {
			continue
		}
		own.Gate = cmp.Or(own.Gate, render.ByRoute)
		for _, option := range []struct {
			flag      string
			to        *string
			own, kept *string
		}{{"wasm", &o.Wasm, &own.Wasm, &kept.Wasm}, {"gate", &o.Gate, &own.Gate, &kept.Gate}} {
			switch {
			case given(option.flag):
			case *option.own == "":
				return optionError(option.flag, "is needed: the filter of %s in %s has its code otherwise than from a file",
					h.where, h.Name)
			case *option.kept != "" && *option.kept != *option.own:
				return optionError(option.flag, "is needed: it is %s in %s, and %s before; or choose with --listener",
					document.Shell(*option.own), h.where, document.Shell(*option.kept))
			default:
				*option.kept, *option.to = *option.own, *option.own
			}
		}
	}
	if !given("route-key") {
		o.RouteKeys = kept.RouteKeys
	}
	return nil
}

// sameKeys refuses a route of maintenance that is yet to be made where others are there with keys that are not its own.
func (m *merger) sameKeys() error {
	for _, p := range m.pieces.Paths {
		for _, there := range slices.Sorted(maps.Keys(m.RouteKeys)) {
			if key := m.RouteKeys[there]; p.Maintenance != "" && m.RouteKeys[p.Path] == "" && key != p.Key && !m.judging {
				return optionError("route-key", "is needed: the route of maintenance for %s has the key %s, and that for %s is "+
					"yet to be made", there, key, p.Path)
			}
		}
	}
	return nil
}
