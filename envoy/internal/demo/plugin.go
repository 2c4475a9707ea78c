package demo

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/healthgate/healthgate/envoy"
	"github.com/healthgate/healthgate/envoy/internal/dump"
	"go.yaml.in/yaml/v3"
)

// pluginConfig returns the plugin's configuration in bootstrap.yaml, as JSON: for a host that is not Envoy.
func pluginConfig() ([]byte, error) {
	var document any
	if err := yaml.Unmarshal([]byte(envoy.Bootstrap), &document); err != nil {
		return nil, fmt.Errorf("envoy/bootstrap.yaml: %w", err)
	}
	config := findStruct(document)
	if config == nil {
		return nil, errors.New("envoy/bootstrap.yaml has no plugin configuration")
	}
	return json.MarshalIndent(config, "", "  ")
}

// findStruct returns the value of the first google.protobuf.Struct below v.
func findStruct(v any) (found any) {
	dump.Each(v, func(o map[string]any) bool {
		if found == nil && o["@type"] == "type.googleapis.com/google.protobuf.Struct" {
			found = o["value"]
		}
		return found == nil
	})
	return found
}
