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
