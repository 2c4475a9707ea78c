package demo

import (
	"testing"

	"github.com/healthgate/healthgate/filter/config"
)

func TestPluginConfig(t *testing.T) {
	t.Parallel()
	text, err := pluginConfig()
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse(text, config.Node{Zone: "z"})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Endpoints) != 3 || len(c.Probes) != 3 || len(c.Keys) != 2 || len(c.Warnings) != 0 {
		t.Errorf("the shipped configuration has %d endpoints, %d probes, keys %q, warnings %q",
			len(c.Endpoints), len(c.Probes), c.Keys, c.Warnings)
	}
}
