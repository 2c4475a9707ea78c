package envoy

import (
	"slices"
	"testing"

	"go.yaml.in/yaml/v3"
)

// A path that the plugin knows and the gate does not would silently never be answered.
func TestGateLetsEachEndpointThrough(t *testing.T) {
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(bootstrap), &root); err != nil {
		t.Fatal(err)
	}
	var paths, exact, prefix []string
	walk(&root, func(key string, value *yaml.Node) {
		switch {
		case key == "paths":
			for _, p := range value.Content {
				paths = append(paths, p.Value)
			}
		case key == "value_match":
			walk(value, func(key string, value *yaml.Node) {
				if key == "exact" {
					exact = append(exact, value.Value)
				} else {
					prefix = append(prefix, value.Value)
				}
			})
		}
	})
	if len(paths) == 0 {
		t.Fatal("no endpoint has a path")
	}
	var withQuery []string
	for _, p := range paths {
		withQuery = append(withQuery, p+"?")
	}
	if !slices.Equal(exact, paths) || !slices.Equal(prefix, withQuery) {
		t.Errorf("the endpoints have %q, the gate lets %q and %q… through", paths, exact, prefix)
	}
}

// walk calls f for each key of each mapping below the node.
func walk(n *yaml.Node, f func(key string, value *yaml.Node)) {
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 1 {
			f(n.Content[i-1].Value, child)
		}
		walk(child, f)
	}
}
