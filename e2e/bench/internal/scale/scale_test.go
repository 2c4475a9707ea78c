package scale

import (
	"encoding/json"
	"testing"

	"github.com/healthgate/healthgate/e2e/bench/internal/envoys"
	"github.com/healthgate/healthgate/filter/config"
)

// TestConfigurations: the filter accepts the largest ones, and they are as large as they say.
func TestConfigurations(t *testing.T) {
	t.Parallel()
	c, err := envoys.New(t.TempDir(), 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	for _, s := range grown() {
		settings := c.Settings()
		s.edit(settings)
		text, err := json.Marshal(settings)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := config.Parse(text, config.Node{}); err != nil {
			t.Errorf("%s: %v", s.what, err)
		}
	}
	settings := c.Settings()
	trust(settings, config.MaxCIDRs)
	cidrs := settings["endpoints"].([]any)[0].(envoys.Object)["trusted"].(envoys.Object)["cidrs"].([]any)
	seen := map[any]bool{}
	for _, cidr := range cidrs {
		seen[cidr] = true
	}
	if len(seen) != config.MaxCIDRs {
		t.Errorf("%d different CIDRs", len(seen))
	}
	settings = c.Settings()
	endpoints(settings, config.MaxEndpoints)
	if n := len(settings["endpoints"].([]any)); n != 64 {
		t.Errorf("%d endpoints", n)
	}
}
