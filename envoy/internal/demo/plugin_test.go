package demo

import (
	"testing"

	"github.com/healthgate/healthgate/envoy/must"
	"github.com/healthgate/healthgate/filter/config"
)

func TestPluginConfig(t *testing.T) {
	t.Parallel()
	text := must.Get(pluginConfig())(t)
	c := must.Get(config.Parse(text, config.Node{Zone: "z"}))(t)
	if len(c.Endpoints) != 3 || len(c.Probes) != 3 || len(c.Keys) != 2 || len(c.Warnings) != 0 {
		t.Errorf("the shipped configuration has %d endpoints, %d probes, keys %q, warnings %q",
			len(c.Endpoints), len(c.Probes), c.Keys, c.Warnings)
	}
}
