package order

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/healthgate/healthgate/envoy/admin"
	"github.com/healthgate/healthgate/envoy/internal/layer"
	"github.com/healthgate/healthgate/envoy/internal/reach"
)

// in returns a key's value in a layer, if Envoy has loaded the layer.
func in(runtime *admin.Runtime, layer, key string) (value string, loaded bool) {
	if runtime == nil {
		return "", false
	}
	i := slices.Index(runtime.Layers, layer)
	if values := runtime.Entries[key].Layers; i >= 0 && i < len(values) {
		value = values[i]
	}
	return value, i >= 0
}

// written returns the layer that an order was written to, if it is known. Of several that may be it, one that has what
// was ordered serves; of those whose kinds are not known, only one that has it since.
func (e *Envoy) written(o Order, kind reach.Kind) (layer reach.Layer, found bool) {
	may, known := e.may(o, kind)
	if known && len(may) == 1 {
		return may[0], true
	}
	for _, l := range may {
		before, _ := in(e.before, l.Name, e.key)
		value, loaded := in(e.runtime, l.Name, e.key)
		if !loaded || value != o.Value || !known && kind != reach.Admin && value != "" && value == before {
			continue
		}
		if reason, _ := in(e.runtime, l.Name, e.key+".reason"); !found || reason == o.Reason {
			layer, found = l, true
		}
	}
	return layer, found
}

// may returns the layers that may be the one that an order was written to: those of the kind, of them what reads its
// path, if one does by that name. Where the layers' kinds are not known it may be any of them.
func (e *Envoy) may(o Order, kind reach.Kind) (layers []reach.Layer, known bool) {
	if e.known == nil || len(e.known.Layers) == 0 {
		for _, name := range e.runtime.Layers {
			layers = append(layers, reach.Layer{Name: name})
		}
		return layers, false
	}
	layers = slices.DeleteFunc(e.known.Of(kind), func(l reach.Layer) bool { return kind == reach.RTDS && l.File == "" })
	same := slices.DeleteFunc(slices.Clone(layers), func(l reach.Layer) bool {
		return !l.At(o.Path) || filepath.Clean(l.Folder) != filepath.Clean(o.Folder)
	})
	if len(same) > 0 {
		return same, true
	}
	return layers, true
}

// Arrived reports whether runtime was once as ordered.
func (e *Envoy) Arrived() bool { return e.right }

// Elsewhere notes what the layers of a kind read, where none is known to be the one that an order is written to, by its
// path or because it has since what was ordered.
func (e *Envoy) Elsewhere(o Order, kind reach.Kind, to string) []string {
	may, known := e.may(o, kind)
	if !known || slices.ContainsFunc(may, func(l reach.Layer) bool {
		before, _ := in(e.before, l.Name, e.key)
		value, _ := in(e.runtime, l.Name, e.key)
		return l.At(o.Path) || value == o.Value && value != before
	}) {
		return nil
	}
	return []string{fmt.Sprintf("%s: is one of them %s by another name, as in a container?", e.candidates(o, kind), to)}
}

// candidates names the layers that may be the one that an order was written to, with what they say and read.
func (e *Envoy) candidates(o Order, kind reach.Kind) string {
	may, known := e.may(o, kind)
	switch {
	case known && len(may) == 0:
		return e.without(kind)
	case len(may) == 0:
		return "its runtime has no layers"
	}
	var names []string
	for _, l := range may {
		name := fmt.Sprintf("%q", l.Name)
		value, loaded := in(e.runtime, l.Name, e.key)
		before, _ := in(e.before, l.Name, e.key)
		switch {
		case !loaded:
			name += " (not loaded)"
		case value != "" && value == before:
			name += fmt.Sprintf(" (%q, as before)", value)
		case value != "":
			name += fmt.Sprintf(" (%q)", value)
		}
		if source := l.Source(); source != "" {
			name += ", which reads " + source
		}
		names = append(names, name)
	}
	if known {
		return fmt.Sprintf("its %ss are %s", spelt(kind), strings.Join(names, "; "))
	}
	why := "its configuration shows none"
	if e.unknown != nil {
		why = e.unknown.Error()
	}
	return fmt.Sprintf("its layers are %s, and which of them was written is not known: %s", strings.Join(names, "; "), why)
}

// without says that runtime has no layer of a kind.
func (e *Envoy) without(kind reach.Kind) string {
	var there []string
	for _, l := range e.known.Layers {
		there = append(there, fmt.Sprintf("%q (%s)", l.Name, strings.TrimSuffix(string(l.Kind), "_layer")))
	}
	return fmt.Sprintf("its runtime has no %s, only %s: add one, or write to another kind", spelt(kind),
		strings.Join(there, ", "))
}

func spelt(kind reach.Kind) string { return strings.ReplaceAll(string(kind), "_", " ") }

// Has reports whether the layer of a kind has for sure what an order writes there, and the plugin agrees: a cache
// before admin may show runtime as it was.
func (e *Envoy) Has(o Order, kind reach.Kind) bool {
	if !o.Route && (e.unseen != nil || slices.ContainsFunc(e.readers(), func(r reader) bool {
		in, unknown := e.in(r)
		return in != o.On || unknown != ""
	})) {
		return false
	}
	may, known := e.may(o, kind)
	return known && len(may) == 1 && !slices.ContainsFunc(o.Change(), func(p layer.Pair) bool {
		value, loaded := in(e.runtime, may[0].Name, p.Key)
		return !loaded || value != p.Value
	})
}

// Post writes an order to the admin layer. Where it fails, the state that it returns says so.
func (e *Envoy) Post(ctx context.Context, o Order) (State, bool) {
	err := e.client.ModifyRuntime(ctx, o.Change().Pairs()...)
	if err == nil {
		return e.State, true
	}
	failed := e.State
	words := []string{"maintenance", "status", o.Key}
	if o.Route {
		words = append(words, "--route")
	}
	if failed.Error = err.Error(); errors.As(err, new(*admin.UnansweredError)) {
		failed = State{Envoy: failed.Envoy, Key: failed.Key,
			Error: "whether the key was written is not known, see: " + e.command(words...) + "; " + err.Error()}
	}
	return failed, false
}
