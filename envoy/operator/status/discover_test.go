package status

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/healthgate/healthgate/filter/config"
)

// What shuts a path out is told, and nothing where it may be let in by another way.
func TestShut(t *testing.T) {
	t.Parallel()
	const (
		enable  = `"typed_per_filter_config": {"hg": {"config": {}}}`
		byRoute = `"name": "hg", "disabled": true,`
	)
	for _, test := range []struct {
		name, filter, routes string
		want                 []string
	}{
		{"each path", byRoute, `{"match": {"path": "/a"}, ` + enable + `}, {"match": {"path": "/b"}, ` + enable + `}`, nil},
		{"one path", byRoute, `{"match": {"path": "/a"}, ` + enable + `}, {"match": {"path": "/b"}}`, []string{"/b"}},
		{"no route", byRoute, ``, []string{"/a", "/b"}},
		{"a maintenance route alone", byRoute, `{"match": {"path": "/a", "runtime_fraction": {}}, ` + enable + `}, {"match": {"path": "/b"}, ` + enable + `}`,
			[]string{"/a"}},
		{"disabled once more", byRoute, `{"match": {"path": "/a"}, "typed_per_filter_config": {"hg": {"disabled": true}}}`, []string{"/a", "/b"}},
		{"another filter's", byRoute, `{"match": {"prefix": "/"}, "typed_per_filter_config": {"other": {}}}`, []string{"/a", "/b"}},
		{"a wide route", byRoute, `{"match": {"prefix": "/"}, ` + enable + `}`, nil},
		{"not disabled", `"name": "hg",`, ``, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var dump any
			if err := json.Unmarshal([]byte(fmt.Sprintf(`{"http_filters": [{%s "typed_config": {
				"@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm", "config": {"configuration": {"value": {"endpoints": [
				{"name": "e", "paths": ["/a", "/b"], "trusted": {"cidrs": ["::1/128"]}}]}}}}}], "routes": [%s]}`, test.filter, test.routes)), &dump); err != nil {
				t.Fatal(err)
			}
			plugins := findPlugins(dump, config.Node{})
			if len(plugins) != 1 {
				t.Fatalf("%d plugins", len(plugins))
			}
			if got := plugins[0].shut(dump); !slices.Equal(got, test.want) {
				t.Errorf("shut out: %q, want %q", got, test.want)
			}
		})
	}
}
