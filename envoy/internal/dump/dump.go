// Package dump finds its way in Envoy's configuration as JSON holds it: a bootstrap, or what /config_dump returns.
package dump

// Each visits every object in v, outer ones first. Where visit returns false, the objects inside are left out.
func Each(v any, visit func(object map[string]any) (inside bool)) {
	switch v := v.(type) {
	case []any:
		for _, child := range v {
			Each(child, visit)
		}
	case map[string]any:
		if visit(v) {
			for _, child := range v {
				Each(child, visit)
			}
		}
	}
}

// At returns what is in nested objects under these names; nil if there is nothing.
func At(v any, path ...string) any {
	for _, name := range path {
		object, _ := v.(map[string]any)
		v = object[name]
	}
	return v
}

// List returns the list in nested objects under these names; nil if there is none.
func List(v any, path ...string) []any {
	out, _ := At(v, path...).([]any)
	return out
}

// Text returns the text in nested objects under these names; "" if there is none.
func Text(v any, path ...string) string {
	out, _ := At(v, path...).(string)
	return out
}

// Object returns the object in nested ones under these names; nil if there is none.
func Object(v any, path ...string) map[string]any {
	out, _ := At(v, path...).(map[string]any)
	return out
}

// Targets returns the clusters that a route leads to, as far as it names them.
func Targets(route any) (out []string) {
	if name := Text(route, "route", "cluster"); name != "" {
		out = append(out, name)
	}
	for _, c := range List(route, "route", "weighted_clusters", "clusters") {
		if name := Text(c, "name"); name != "" { // or it is in a header
			out = append(out, name)
		}
	}
	return out
}
