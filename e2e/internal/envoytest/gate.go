package envoytest

import "go.yaml.in/yaml/v3"

// ByMatcher returns what `healthgate render envoy --gate matcher` makes of envoy/healthgate.yaml: the gate with a
// filter in it, and the routes that go with it, which are the maintenance route and the application's.
func ByMatcher(filter Object) (gate Object, routes []any, err error) {
	text, err := healthgate("render", "envoy", "envoy/healthgate.yaml", "--gate", "matcher",
		"--cluster", "app=127.0.0.1:3", "--route-key", "healthgate.route_maintenance")
	if err != nil {
		return nil, nil, err
	}
	var bootstrap Object
	if err := yaml.Unmarshal([]byte(text), &bootstrap); err != nil {
		return nil, nil, err
	}
	l := Listener{At[Object](Clone(bootstrap), "static_resources", "listeners", 0)}
	gate = At[Object](l.Filters(), 0)
	At[Object](gate, "typed_config", "xds_matcher", "matcher_list", "matchers", 0, "on_match", "action",
		"typed_config")["typed_config"] = filter
	return gate, l.Routes(), nil
}
