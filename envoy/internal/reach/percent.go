package reach

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// debugText is what Envoy's admin shows of a Struct with the fields of a FractionalPercent. The first line is not there
// before Envoy 1.40, and another one in each run.
var debugText = regexp.MustCompile(`^(?:goo\.gle/debug[a-z]*\s+)?` +
	`(?:fields \{\s+key: "denominator"\s+value \{\s+string_value: "(HUNDRED|TEN_THOUSAND|MILLION)"\s+\}\s+\}\s*)?` +
	`(?:fields \{\s+key: "numerator"\s+value \{\s+number_value: ([0-9]+)\s+\}\s+\}\s*)?$`)

// Percent returns what Envoy makes of the value of a maintenance route's key, in the layer that decides it, as Share
// reads it: empty for a value that Envoy ignores. It reports false for a value that this command does not understand.
func (e *Envoy) Percent(value, layer string) (string, bool) {
	value = strings.TrimSpace(value)
	if strings.HasPrefix(value, "goo.gle/debug") || strings.HasPrefix(value, "fields {") {
		found := debugText.FindStringSubmatch(value)
		if found == nil || found[1]+found[2] == "" {
			return "", false
		}
		return fmt.Sprintf("{numerator: %s, denominator: %s}", cmp.Or(found[2], "0"), cmp.Or(found[1], "HUNDRED")), true
	}
	if _, err := strconv.ParseFloat(value, 64); err == nil {
		return value, true
	}
	var fields map[string]any
	if yaml.Unmarshal([]byte(value), &fields) != nil || fields == nil {
		return "", true
	}
	// A text is read as YAML where it comes from a file or an operator; in a static layer or RTDS it stays a text.
	i := slices.IndexFunc(e.Layers, func(l Layer) bool { return l.Name == layer })
	switch {
	case i < 0:
		return "", false
	case e.Layers[i].Kind == Disk || e.Layers[i].Kind == Admin:
		return value, true
	}
	return "", true
}

// Strange says that the value of a maintenance route's key, in the layer that decides it, is not understood.
func Strange(layer, key, value string) string {
	return fmt.Sprintf("the layer %q has %s = %q, which this command does not understand: whether it is on is not known",
		layer, key, value)
}

// Namesakes returns the plugins that have a health check of a name. Metrics belong to Envoy's process: where there are
// several, each sets the same ones.
func (e *Envoy) Namesakes(endpoint string) []*Plugin {
	return slices.DeleteFunc(slices.Clone(e.Plugins), func(p *Plugin) bool { return p.HealthCheck(endpoint) == nil })
}
