package demo

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	"github.com/healthgate/healthgate/envoy"
	"github.com/healthgate/healthgate/envoy/must"
	"go.yaml.in/yaml/v3"
)

// shippedRoute is a route of bootstrap.yaml.
type shippedRoute struct {
	Name  string
	Match struct {
		Path            string
		Prefix          string
		RuntimeFraction any `yaml:"runtime_fraction"`
	}
	Enables map[string]any `yaml:"typed_per_filter_config"`
	Route   any
}

// The gate of bootstrap.yaml: the filter is disabled, and enabled for each path of an endpoint and for nothing else.
// A path that the plugin knows and no route has would silently never be answered.
func TestGateLetsEachEndpointThrough(t *testing.T) {
	t.Parallel()
	var root yaml.Node
	must.Do(t, yaml.Unmarshal([]byte(envoy.Bootstrap), &root))
	text := must.Get(pluginConfig())(t)
	var config struct{ Endpoints []struct{ Paths []string } }
	must.Do(t, json.Unmarshal(text, &config))
	var paths []string
	for _, e := range config.Endpoints {
		paths = append(paths, e.Paths...)
	}
	var routes []shippedRoute
	var filters []struct {
		Name     string
		Disabled bool
	}
	var hosts []string
	walk(&root, func(key string, value *yaml.Node) {
		var err error
		switch key {
		case "routes":
			err = value.Decode(&routes)
		case "http_filters":
			err = value.Decode(&filters)
		case "domains":
			err = value.Decode(&hosts)
		}
		if err != nil {
			t.Error(err)
		}
	})
	if len(filters) != 2 || filters[0].Name != "healthgate" || !filters[0].Disabled || filters[1].Disabled {
		t.Errorf("the filters are %v", filters)
	}
	if !slices.Equal(hosts, []string{"*"}) {
		t.Errorf("the routes are for %q", hosts)
	}
	application := routes[len(routes)-1]
	if application.Match.Prefix != "/" || application.Enables != nil {
		t.Errorf("the last route is %+v", application)
	}
	enables := map[string]any{"healthgate": map[string]any{
		"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "config": map[string]any{},
	}}
	var let []string
	for _, r := range routes[:len(routes)-1] {
		if r.Match.Path == "" || !reflect.DeepEqual(r.Enables, enables) {
			t.Errorf("%s comes before the application's route and does not enable the filter for one path", r.Name)
		}
		if !reflect.DeepEqual(r.Route, application.Route) {
			t.Errorf("%s leads to %v, the application's route to %v", r.Name, r.Route, application.Route)
		}
		if r.Match.RuntimeFraction == nil {
			let = append(let, r.Match.Path)
		} else if len(let) > 0 {
			t.Errorf("the maintenance route %s comes after %q", r.Name, let)
		}
	}
	if len(paths) == 0 || !slices.Equal(let, paths) {
		t.Errorf("the endpoints have %q, the gate lets %q through", paths, let)
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
